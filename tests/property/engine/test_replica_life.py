"""Any life of a replicated shard: its rows, counts and tree say what a dict of its states says.

States of other replicas, writes and deletions of the node itself, power failures, clean reopenings,
factors raised and lowered, rows gathered slice by slice, deletions forgotten.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.engine.replicas import (
    GRACE_S,
    REPLICATED,
    PowerStore,
    deletion,
    open_node,
    replicated,
    rows_of,
    state,
)
from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.definition import parse_collection
from weftdb.core.env import ManualClock
from weftdb.core.errors import Fault
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.types import ObjectId, Version
from weftdb.engine.collection import LocalCollection
from weftdb.engine.hash_tree import HashTree
from weftdb.storage import objects as stored_objects
from weftdb.storage.kv import Family
from weftdb.storage.state_rows import state_item, tokens_of

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

IDS = [uid(number) for number in range(40)]
SOME = st.lists(st.sampled_from(IDS), min_size=1, max_size=12, unique=True)
SKEWS_MS = st.sampled_from([-60_000, -1, 0, 1, 60_000])
SLICE = 8


class ReplicaLife(RuleBasedStateMachine):
    """A shard over a disk that can lose its last writes, and a dict."""

    @initialize(seed=st.integers(0, 2**32 - 1), is_replicated=st.booleans())
    def begin(self, seed: int, is_replicated: bool) -> None:
        self.random = random.Random(seed)
        self.folder = Path(mkdtemp(prefix="weftdb-replica-"))
        self.clock, self.store = ManualClock(), PowerStore()
        self.known: dict[ObjectId, Digest] = {}
        self.is_replicated = is_replicated
        self.slice, stored_objects.ROWS_PER_CHUNK = stored_objects.ROWS_PER_CHUNK, SLICE
        self.database = open_node(self.folder, self.store, self.clock)
        self.docs: LocalCollection = (
            replicated(self.database)
            if is_replicated
            else self.database.create_collection(parse_collection(DOC))
        )

    def made(self, object_id: ObjectId, skew_ms: int) -> ObjectState:
        """A state that another node stamps now, by a clock of its own."""
        time_ms = self.clock.now_ms() + skew_ms + self.random.randrange(3)
        stamp = Version(time_ms, self.random.randrange(3), self.random.randrange(1, 4))
        held = self.known.get(object_id)
        if held is not None and held.version == stamp:
            stamp = Version(time_ms, stamp.counter, 9)
        if self.random.random() < 0.3:
            return deletion(object_id, stamp)
        return state(object_id, stamp, f"number {stamp.counter}")

    def learn(self, states: list[ObjectState]) -> None:
        forgotten_ms = self.docs.replica.forgotten_ms()
        for one in states:
            held = self.known.get(one.id)
            if held is not None and held.version >= one.version:
                continue
            is_lost = held is None and one.version.time_ms < forgotten_ms
            if one.is_deleted and (is_lost or not self.is_replicated):
                self.known.pop(one.id, None)
            else:
                self.known[one.id] = Digest(one.version, one.is_deleted)

    # What happens to it.

    @rule(ids=SOME, skew_ms=SKEWS_MS)
    def apply(self, ids: list[ObjectId], skew_ms: int) -> None:
        states = [self.made(one, skew_ms) for one in ids]
        said = self.docs.replica.apply(states)
        self.learn(states)
        for one, newer in zip(states, said, strict=True):
            held = self.known.get(one.id)
            is_older = held is not None and held.version > one.version
            assert newer == (held.version if held and is_older else None)

    @rule(ids=SOME)
    def put(self, ids: list[ObjectId]) -> None:
        assert self.docs.put([draft(IDS.index(one), vector=[1, 2]) for one in ids]) == [None] * len(
            ids
        )
        self.look(ids, is_deleted=False)

    @rule(ids=SOME)
    def delete(self, ids: list[ObjectId]) -> None:
        present = [one for one in ids if (held := self.known.get(one)) and not held.is_deleted]
        assert self.docs.delete(ids) == [one in present for one in ids]
        if self.is_replicated:
            self.look(present, is_deleted=True)
        else:
            for one in present:
                del self.known[one]

    def look(self, ids: list[ObjectId], *, is_deleted: bool) -> None:
        """Take over the versions that the node gave; they are above every earlier one."""
        newest = max((held.version for held in self.known.values()), default=Version(0))
        for one, held in zip(ids, self.docs.replica.digests(ids), strict=True):
            assert held is not None
            assert held.is_deleted == is_deleted
            assert held.version > newest
            self.known[one] = held

    @rule(ids=SOME, kept=st.integers(0, 2))
    def fail(self, ids: list[ObjectId], kept: int) -> None:
        """The power goes before a write is synced; the disk has all of it or nothing."""
        states = [self.made(one, 0) for one in ids]
        self.store.is_failing = True
        with contextlib.suppress(Fault):
            self.docs.replica.apply(states)
        self.docs.retire()
        self.store = self.store.after_crash(kept)
        self.reopen()
        before = dict(self.known)
        self.learn(states)
        held = self.docs.replica.digests(ids)
        if held != [self.known.get(one) for one in ids]:
            self.known = before
            assert held == [self.known.get(one) for one in ids]

    @rule()
    def restart(self) -> None:
        self.database.close()
        self.reopen()

    def reopen(self) -> None:
        self.database = open_node(self.folder, self.store, self.clock)
        self.docs = self.database.collection("Doc")

    @rule()
    def change_factor(self) -> None:
        self.is_replicated = not self.is_replicated
        definition = REPLICATED if self.is_replicated else DOC
        self.database.update_collection(parse_collection(definition))
        if not self.is_replicated:
            self.known = {one: held for one, held in self.known.items() if not held.is_deleted}

    @rule(slices=st.integers(1, 4))
    def gather(self, slices: int) -> None:
        for _ in range(slices):
            self.run("states")

    @rule(share=st.sampled_from([0.01, 0.4, 1.1]))
    def wait(self, share: float) -> None:
        self.clock.advance(int(GRACE_S * 1000 * share))
        self.run("deletions")
        if self.is_replicated:
            before_ms = self.docs.replica.forgotten_ms()
            for one, held in list(self.known.items()):
                if held.is_deleted and held.version.time_ms < before_ms:
                    del self.known[one]

    def run(self, word: str) -> None:
        for chore in self.docs.chores:
            if chore.name.startswith(word):
                chore.run_if_due()

    # What it says.

    @rule()
    def compare(self) -> None:
        """Gather what is left, and ask for everything that needs all rows."""
        if not self.is_replicated:
            assert rows_of(self.store, Family.STATES) == 0
            return
        for _ in range(len(IDS) // SLICE + 2):
            self.run("states")
        model = HashTree(4)
        ids = list(self.known)
        model.toggle(tokens_of(ids), [state_item(one, self.known[one]) for one in ids])
        nodes = range(16)
        assert self.docs.replica.tree_nodes(4, nodes) == model.nodes(4, nodes)
        listed = {}
        for at in nodes:
            page = self.docs.replica.leaf(at, None, 100)
            listed.update(zip(page.ids, page.digests, strict=True))
        assert listed == self.known
        assert rows_of(self.store, Family.STATES) == len(self.known)

    @invariant()
    def digests_agree(self) -> None:
        if not hasattr(self, "docs"):
            return
        wanted = [self.known.get(one) for one in IDS]
        assert self.docs.replica.digests(IDS) == wanted
        states = self.docs.replica.states(IDS)
        assert [one and Digest(one.version, one.is_deleted) for one in states] == wanted
        deleted = sum(held.is_deleted for held in self.known.values())
        assert self.docs.count() == len(self.known) - deleted
        assert self.docs.figures.tombstones == deleted

    def teardown(self) -> None:
        if hasattr(self, "docs"):
            self.compare()
            self.docs.retire()
            stored_objects.ROWS_PER_CHUNK = self.slice
            shutil.rmtree(self.folder, ignore_errors=True)


ReplicaLife.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
test_replica_life = ReplicaLife.TestCase
