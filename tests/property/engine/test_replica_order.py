"""In whatever order states come, how often, and with whatever crashes, a replica ends the same.

One replica gets every state once, in the order of their versions. Another gets them shuffled, some
several times, in batches of any size; its power fails between a write and its sync, and what was
not acknowledged comes again. Both are compared with each other and with a dict.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.replicas import PowerStore, deletion, described, open_node, replicated, state
from tests.unit.engine.samples import uid
from weftdb.core.errors import Fault
from weftdb.core.objects import ObjectState
from weftdb.core.query import (
    Comparison,
    Keyword,
    NearVector,
    Operator,
    Search,
    Target,
    ValueKind,
)
from weftdb.core.types import UNNAMED, ObjectId, Version
from weftdb.engine.collection import LocalCollection
from weftdb.storage.object_codec import stored_id

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

IDS = [uid(number) for number in range(12)]
WORDS = ("red", "green", "blue", "apple", "pear")
EPOCH_MS = 1_700_000_000_000
STAMPS = st.builds(
    Version, st.integers(EPOCH_MS, EPOCH_MS + 6), st.integers(0, 2), st.integers(0, 2)
)
KEYS = st.lists(
    st.tuples(st.sampled_from(IDS), STAMPS, st.integers(0, 3)),
    min_size=1,
    max_size=60,
    unique_by=lambda key: key[:2],  # The same version is the same state.
)


def made(object_id: ObjectId, stamp: Version, kind: int) -> ObjectState:
    """A state whose content follows from its version, as versions promise."""
    if kind == 0:
        return deletion(object_id, stamp)
    dice = random.Random(repr((object_id, stamp)))
    title = " ".join(dice.choices(WORDS, k=dice.randint(1, 6)))
    vector = None if kind == 1 else [dice.random() + 0.1 for _ in range(4)]
    return state(object_id, stamp, title, vector)


class Node:
    """A replica and its disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = PowerStore()
        self.docs: LocalCollection = replicated(open_node(folder, self.store))

    def take(self, states: Sequence[ObjectState]) -> None:
        said = self.docs.replica.apply(states)
        held = self.docs.replica.digests([one.id for one in states])
        for one, newer, now in zip(states, said, held, strict=True):
            assert now is not None
            assert isinstance(newer, Version | None)
            assert now.version >= (newer or one.version), "what was told is held"

    def crash(self, states: Sequence[ObjectState], kept: int) -> None:
        """The power fails before `states` are synced; the disk may have got some writes of them."""
        self.store.is_failing = True
        with contextlib.suppress(Fault):
            self.docs.replica.apply(states)
        self.docs.retire()
        self.store = self.store.after_crash(kept)
        self.docs = open_node(self.folder, self.store).collection("Doc")

    def held(self) -> dict[str, Any]:
        """Everything that a replica can be asked."""
        replica = self.docs.replica
        leaves = [replica.leaf(at, None, 100) for at in range(16)]
        return {
            "digests": replica.digests(IDS),
            "states": described(replica.states(IDS)),
            "tree": [replica.tree_nodes(level, range(1 << level)) for level in range(5)],
            "leaves": leaves,
            "count": self.docs.count(),
            "tombstones": self.docs.figures.tombstones,
            "words": {word: self.words(word) for word in WORDS},
            "near": self.near(),
            "small": self.docs.count(SMALL),
        }

    def words(self, word: str) -> list[tuple[ObjectId, float]]:
        hits = self.docs.search(Search("Doc", keyword=Keyword(word), limit=50))
        assert hits.scores is not None
        scores = [round(score, 4) for score in hits.scores]
        return sorted(zip(map(stored_id, hits.stored), scores, strict=True))

    def near(self) -> list[tuple[ObjectId, float]]:
        query = np.array([0.3, 0.1, 0.9, 0.5], dtype=np.float32)
        hits = self.docs.search(Search("Doc", near=NearVector((Target(UNNAMED, query),)), limit=50))
        assert hits.distances is not None
        distances = [round(distance, 5) for distance in hits.distances]
        return sorted(zip(map(stored_id, hits.stored), distances, strict=True))


SMALL = Comparison(Operator.LESS_THAN, ("size",), 1, ValueKind.INT)


@settings(max_examples=40, deadline=None)
@given(keys=KEYS, seed=st.integers(0, 2**32 - 1))
def test_any_order_ends_the_same(keys: list[tuple[ObjectId, Version, int]], seed: int) -> None:
    dice = random.Random(seed)
    states = [made(*key) for key in keys]
    best = {one.id: one for one in sorted(states, key=lambda one: one.version)}
    with TemporaryDirectory() as folder:
        plain, tried = Node(Path(folder) / "plain"), Node(Path(folder) / "tried")
        for one in sorted(states, key=lambda one: one.version):
            plain.take([one])
        coming = states + dice.choices(states, k=dice.randint(0, len(states)))
        dice.shuffle(coming)
        while coming:
            size = dice.randint(1, 10)
            part, coming = coming[:size], coming[size:]
            if dice.random() < 0.15:
                tried.crash(part, kept=dice.randint(0, 1))
                coming = part + coming
            else:
                tried.take(part)
                if dice.random() < 0.2:
                    tried.docs.replica.tree_nodes(0, [0])
        if dice.random() < 0.3:
            tried.crash([], kept=0)
        held = tried.held()
        assert held == plain.held()
        wanted = [best.get(one) for one in IDS]
        assert held["states"] == described(wanted)
        assert held["count"] == sum(one is not None and not one.is_deleted for one in wanted)
        assert held["tombstones"] == sum(one is not None and one.is_deleted for one in wanted)
        for node in (plain, tried):
            node.docs.retire()
