"""The hash tree: the way into it does not matter, and differences show in its nodes."""

from __future__ import annotations

import random
from hashlib import blake2b

import numpy as np
import pytest

from weftdb.core.errors import InvalidRequest
from weftdb.core.hashing import token, tokens
from weftdb.core.objects import Digest
from weftdb.core.types import ObjectId, Version
from weftdb.engine.hash_tree import HashTree, item_hash, leaf_tokens
from weftdb.storage.state_rows import state_item

HEIGHT = 5


def states(count: int, seed: int = 1) -> list[tuple[int, bytes]]:
    """Tokens and items of random states."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        object_id = ObjectId(dice.randbytes(16))
        digest = Digest(Version(dice.randrange(2**40), dice.randrange(9), 3), dice.random() < 0.3)
        made.append((token(object_id), state_item(object_id, digest)))
    return made


def tree_of(held: list[tuple[int, bytes]], height: int = HEIGHT) -> HashTree:
    tree = HashTree(height)
    tree.toggle([at for at, _ in held], [item for _, item in held])
    return tree


def model(held: list[tuple[int, bytes]], level: int, position: int) -> bytes:
    """A node by the definition at the top of engine/hash_tree.py."""
    if level == HEIGHT:
        total = 0
        for at, item in held:
            if at >> (64 - HEIGHT) == position:
                total ^= int.from_bytes(blake2b(item, digest_size=16).digest(), "little")
        return total.to_bytes(16, "little")
    left = model(held, level + 1, 2 * position)
    right = model(held, level + 1, 2 * position + 1)
    if left == right == bytes(16):
        return bytes(16)
    return blake2b(left + right, digest_size=16).digest()


def test_every_node_is_as_defined() -> None:
    held = states(20)
    tree = tree_of(held)
    for level in range(HEIGHT + 1):
        wanted = [model(held, level, at) for at in range(1 << level)]
        assert tree.nodes(level, range(1 << level)) == wanted


def test_an_item_hash_stays_as_ever() -> None:
    item = state_item(ObjectId(bytes(range(16))), Digest(Version(1_700_000_000_123, 5, 77), True))
    assert item.hex() == "000102030405060708090a0b0c0d0e0f018bcfe5687b0005000000000000004d01"
    assert item_hash(item) == blake2b(item, digest_size=16).digest()
    tree = tree_of([(token(ObjectId(bytes(range(16)))), item)])
    assert tree.root.hex() == "97978414becdc9d244345d2a948752bf"


def test_the_order_and_the_way_do_not_matter() -> None:
    held, others = states(300), states(50, seed=2)
    dice = random.Random(3)
    tree = HashTree(HEIGHT)
    mixed = held + others
    dice.shuffle(mixed)
    for start in range(0, len(mixed), 7):
        part = mixed[start : start + 7]
        tree.toggle([at for at, _ in part], [item for _, item in part])
        if dice.random() < 0.3:
            assert len(tree.root) == 16
    tree.toggle([at for at, _ in others], [item for _, item in others])
    assert tree.root == tree_of(held).root
    assert tree.nodes(HEIGHT, range(1 << HEIGHT)) == tree_of(held).nodes(HEIGHT, range(1 << HEIGHT))


def test_an_empty_tree_is_nothing_everywhere() -> None:
    tree = tree_of(states(9))
    held = states(9)
    tree.toggle([at for at, _ in held], [item for _, item in held])
    assert tree.root == HashTree(HEIGHT).root == bytes(16)
    tree.toggle([], [])
    assert tree.root == bytes(16)


def test_a_difference_shows_on_the_way_to_its_leaf_and_nowhere_else() -> None:
    held = states(200)
    at, item = held[0]
    changed = [(at, item[:-1] + bytes([item[-1] ^ 1])), *held[1:]]
    left, right = tree_of(held), tree_of(changed)
    for level in range(HEIGHT + 1):
        pairs = zip(
            left.nodes(level, range(1 << level)), right.nodes(level, range(1 << level)), strict=True
        )
        differing = [place for place, (a, b) in enumerate(pairs) if a != b]
        assert differing == [at >> (64 - level)] if level else [0]


def test_tokens_as_a_column() -> None:
    held = states(30)
    tree = HashTree(HEIGHT)
    ids = [ObjectId(item[:16]) for _, item in held]
    tree.toggle(tokens(ids), [item for _, item in held])
    assert tree.root == tree_of(held).root


@pytest.mark.parametrize("height", [1, 16])
def test_leaves_cover_all_tokens(height: int) -> None:
    last = (1 << height) - 1
    assert leaf_tokens(height, 0)[0] == 0
    assert leaf_tokens(height, last)[1] == 2**64
    assert leaf_tokens(height, last)[0] == leaf_tokens(height, last - 1)[1]
    held = states(10)
    tree = tree_of(held, height)
    for at, _ in held:
        leaf = at >> (64 - height)
        first, end = leaf_tokens(height, leaf)
        assert first <= at < end
        assert tree.nodes(height, [leaf]) != [bytes(16)]


def test_nodes_that_are_not_there_are_refused() -> None:
    tree = HashTree(HEIGHT)
    for level, position in ((-1, 0), (HEIGHT + 1, 0), (0, 1), (2, 4), (2, -1)):
        with pytest.raises(InvalidRequest):
            tree.nodes(level, [position])


def test_memory_is_told() -> None:
    tree = HashTree(10)
    before = tree.memory_bytes
    assert before == 1024 * 17
    assert tree.root == bytes(16)
    assert tree.memory_bytes > before
    assert np.array_equal(np.frombuffer(tree.root, dtype=np.uint8), np.zeros(16))
