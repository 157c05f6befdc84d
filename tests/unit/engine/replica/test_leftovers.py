"""What is not of a replica's shard any more goes without a trace."""

from __future__ import annotations

from pathlib import Path

from tests.unit.engine.replicas import PowerStore, deletion, open_node, state, version
from tests.unit.engine.samples import uid
from weftdb.core.env import ManualClock
from weftdb.core.hashing import TOKEN_BITS, token
from weftdb.core.partial import TokenRanges, outside
from weftdb.core.query import Keyword, Search
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.storage.object_codec import stored_id

HALF = 1 << TOKEN_BITS - 1
LOWER: TokenRanges = ((0, HALF),)
IDS = [uid(number) for number in range(40)]
KEPT = [one for one in IDS if token(one) < HALF]


def fill(docs: LocalCollection) -> None:
    states = [state(one, version(5), "red apples") for one in IDS[:30]]
    docs.replica.apply([*states, *(deletion(one, version(6)) for one in IDS[30:])])


def test_other_tokens_than_those_that_are_kept() -> None:
    assert outside(()) == ((0, 1 << TOKEN_BITS),)
    assert outside(LOWER) == ((HALF, 1 << TOKEN_BITS),)
    assert outside(((5, 7), (9, 11))) == ((0, 5), (7, 9), (11, 1 << TOKEN_BITS))
    assert outside(((0, 1 << TOKEN_BITS),)) == ()


def test_objects_and_deletions_go_and_the_others_stay(docs: LocalCollection) -> None:
    fill(docs)
    assert docs.replica.tree_nodes(0, [0]) != [bytes(16)]
    assert docs.replica.has_outside(LOWER)
    dropped = docs.replica.drop_outside(lambda: LOWER)
    assert dropped == len(IDS) - len(KEPT) > 10
    assert docs.replica.drop_outside(lambda: LOWER) == 0
    assert not docs.replica.has_outside(LOWER)
    known = docs.replica.digests(IDS)
    assert [one for one, digest in zip(IDS, known, strict=True) if digest] == KEPT
    living = sorted(one for one in KEPT if one in IDS[:30])
    hits = docs.search(Search("Doc", keyword=Keyword("apples"), limit=99))
    assert sorted(stored_id(row) for row in hits.stored) == living
    assert docs.count() == len(living)
    assert docs.figures.tombstones == len([one for one in KEPT if one in IDS[30:]])
    upper = 1 << docs.replica.tree_height - 1
    leaves = docs.replica.tree_nodes(docs.replica.tree_height, range(upper, 2 * upper))
    assert set(leaves) == {bytes(16)}


def test_the_tree_counts_what_is_left(docs: LocalCollection, database: Database) -> None:
    """The tree that was there already, and the one that is derived anew."""
    fill(docs)
    docs.replica.tree_nodes(0, [0])
    docs.replica.drop_outside(lambda: LOWER)
    root = docs.replica.tree_nodes(0, [0])
    assert root != [bytes(16)]
    docs.replica.drop_outside(lambda: ())
    assert docs.replica.tree_nodes(0, [0]) == [bytes(16)]
    assert docs.count() == 0
    fill(docs)
    docs.replica.drop_outside(lambda: LOWER)
    assert docs.replica.tree_nodes(0, [0]) == root


def test_what_is_kept_is_asked_while_nobody_writes(docs: LocalCollection) -> None:
    fill(docs)
    assert docs.replica.drop_outside(lambda: None) == 0
    asked: list[TokenRanges | None] = [LOWER, None]
    assert docs.replica.drop_outside(lambda: asked.pop(0)) > 0
    docs.replica.apply([state(one, version(7), "again") for one in IDS if one not in KEPT])
    assert docs.replica.drop_outside(lambda: asked.pop(0)) == 0
    assert len([one for one in docs.replica.digests(IDS) if one]) == len(IDS)


def test_a_crash_keeps_what_was_dropped_away(
    tmp_path: Path, docs: LocalCollection, database: Database, store: PowerStore,
    clock: ManualClock,
) -> None:  # fmt: skip
    fill(docs)
    docs.replica.drop_outside(lambda: LOWER)
    database.close()
    again = open_node(tmp_path, store, clock)
    found = again.collection("Doc").replica
    assert [one for one, held in zip(IDS, found.digests(IDS), strict=True) if held] == KEPT
    assert not found.has_outside(LOWER)
    again.close()
