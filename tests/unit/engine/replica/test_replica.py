"""A shard as a replica: takes states by version, keeps them as they are, tells what it has."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.replicas import (
    PowerStore,
    deletion,
    described,
    open_node,
    replicated,
    state,
    version,
)
from tests.unit.engine.samples import draft, uid
from weftdb.core.config import StorageConfig
from weftdb.core.env import ManualClock
from weftdb.core.errors import (
    CorruptData,
    DimensionMismatch,
    Fault,
    InvalidRequest,
    ReadOnly,
    SchemaViolation,
)
from weftdb.core.hashing import token
from weftdb.core.limits import MiB
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.query import Keyword, Search
from weftdb.core.types import UNNAMED, ObjectId, VectorName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.storage import keys
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.object_codec import stored_id
from weftdb.storage.rocks import RocksStore
from weftdb.storage.state_codec import decode_state, encode_state

SMALL = StorageConfig(block_cache_bytes=MiB, write_buffer_bytes=4 * MiB)


def found_by(docs: LocalCollection, words: str) -> list[ObjectId]:
    hits = docs.search(Search("Doc", keyword=Keyword(words)))
    return sorted(stored_id(row) for row in hits.stored)


def test_a_state_is_stored_as_it_is(docs: LocalCollection) -> None:
    given = state(uid(1), version(5), "red apples")
    assert docs.replica.apply([given]) == [None]
    found = docs.get(uid(1), with_vectors=True)
    assert found is not None
    assert (found.version, found.created_ms, found.updated_ms) == (
        version(5), given.created_ms, given.updated_ms,
    )  # fmt: skip
    assert found.properties == {"title": "red apples", "size": 0}
    assert found.vectors[UNNAMED].tolist() == [1.0, 2.0]
    assert described(docs.replica.states([uid(1)])) == described([given])
    assert docs.replica.digests([uid(1), uid(2)]) == [Digest(version(5)), None]
    assert found_by(docs, "apples") == [uid(1)]


def test_what_goes_out_comes_in_again_without_being_decoded(
    docs: LocalCollection, tmp_path: Path
) -> None:
    docs.put([draft(1, "green pears", [1, 2]), draft(2, "no vector")])
    there = docs.replica.states([uid(1), uid(2)])
    assert all(isinstance(one.properties, EncodedProperties) for one in there if one)
    sent = [decode_state(encode_state(one)) for one in there if one]
    other = replicated(open_node(tmp_path / "other", PowerStore()))
    assert other.replica.apply(sent) == [None, None]
    assert described(other.replica.states([uid(1), uid(2)])) == described(there)
    assert other.replica.tree_nodes(0, [0]) == docs.replica.tree_nodes(0, [0])
    rows = [one.shard.fetch(one.shard.objects.doc_ids_of([uid(1)]))[0] for one in (docs, other)]
    assert rows[0] == rows[1], "the same bytes on both"


def test_the_greater_version_wins(docs: LocalCollection) -> None:
    apply = docs.replica.apply
    assert apply([state(uid(1), version(5), "first")]) == [None]
    assert apply([state(uid(1), version(4), "late")]) == [version(5)]
    assert found_by(docs, "first late") == [uid(1)]
    assert found_by(docs, "late") == []
    assert apply([state(uid(1), version(5, 1), "second")]) == [None]
    assert found_by(docs, "second") == [uid(1)]
    assert apply([deletion(uid(1), version(5, 0, 9))]) == [version(5, 1)]
    assert apply([deletion(uid(1), version(6))]) == [None]
    assert (docs.count(), docs.figures.tombstones) == (0, 1)
    assert apply([state(uid(1), version(5, 2), "risen")]) == [version(6)]
    assert docs.get(uid(1)) is None
    assert docs.replica.digests([uid(1)]) == [Digest(version(6), is_deleted=True)]
    assert described(docs.replica.states([uid(1)])) == described([deletion(uid(1), version(6))])
    assert apply([state(uid(1), version(7), "again")]) == [None]
    assert (docs.count(), docs.figures.tombstones) == (1, 0)


def test_a_deletion_of_what_never_came_is_remembered(docs: LocalCollection) -> None:
    assert docs.replica.apply([deletion(uid(1), version(5))]) == [None]
    assert docs.replica.apply([state(uid(1), version(4))]) == [version(5)]
    assert docs.replica.apply([deletion(uid(1), version(9))]) == [None]
    assert (docs.count(), docs.figures.tombstones) == (0, 1)
    assert docs.replica.digests([uid(1)]) == [Digest(version(9), is_deleted=True)]


def test_a_batch_is_one_write(docs: LocalCollection, store: PowerStore) -> None:
    docs.replica.apply([state(uid(n), version(n)) for n in range(5)])
    before = store.metrics()["writes"]
    said = docs.replica.apply(
        [
            state(uid(0), version(50), "new"),
            deletion(uid(1), version(51)),
            state(uid(2), version(1)),
            state(uid(9), version(52), "one"),
            state(uid(9), version(54), "three"),
            state(uid(9), version(53), "two"),
        ]
    )
    assert said == [None, None, version(2), version(54), None, version(54)]
    assert store.metrics()["writes"] == before + 1
    assert docs.count() == 5
    assert found_by(docs, "three") == [uid(9)]
    assert found_by(docs, "one two") == []


def test_the_same_state_twice_writes_nothing(docs: LocalCollection, store: PowerStore) -> None:
    given = [state(uid(1), version(5)), deletion(uid(2), version(6))]
    assert docs.replica.apply(given) == [None, None]
    before = store.metrics()["writes"]
    assert docs.replica.apply(given * 2) == [None] * 4
    assert store.metrics()["writes"] == before
    assert docs.replica.apply([]) == []


def test_a_wrong_vector_is_the_error_of_its_state(docs: LocalCollection) -> None:
    said = docs.replica.apply(
        [
            state(uid(1), version(1), vector=[1, 2]),
            state(uid(2), version(2), vector=[1, 2, 3]),
            state(uid(3), version(3), vector=[[1, 2]]),
            state(uid(4), version(4), vector=None),
            ObjectState(uid(5), version(5), vectors={VectorName("no"): np.ones(2, np.float32)}),
            ObjectState(uid(6), version(6), properties={"colour": "red"}),
            ObjectState(uid(7), version(7), properties=EncodedProperties(b"nonsense")),
        ]
    )
    kinds = [type(one) for one in said]
    assert kinds == [
        type(None), DimensionMismatch, SchemaViolation, type(None),
        SchemaViolation, SchemaViolation, SchemaViolation,
    ]  # fmt: skip
    assert docs.count() == 2
    assert docs.replica.digests([uid(n) for n in range(2, 8)]) == [
        None, None, Digest(version(4)), None, None, None,
    ]  # fmt: skip
    (alone,) = docs.replica.apply([state(uid(8), version(8), vector=[1])])
    assert isinstance(alone, DimensionMismatch)


def test_writes_of_the_node_go_on_above_what_came(docs: LocalCollection) -> None:
    ahead = version(300_000)  # Five minutes before our clock.
    docs.replica.apply([state(uid(1), ahead, "theirs")])
    docs.put([draft(1, "ours", [1, 2])])
    held = docs.replica.digests([uid(1)])[0]
    assert held is not None
    assert held.version > ahead
    assert docs.delete([uid(1)]) == [True]
    gone = docs.replica.digests([uid(1)])[0]
    assert gone is not None
    assert gone.is_deleted
    assert gone.version > held.version
    docs.put([draft(1, "ours again", [1, 2])])
    assert docs.figures.tombstones == 0


def test_versions_that_came_outlive_a_restart(
    docs: LocalCollection, database: Database, store: PowerStore, tmp_path: Path
) -> None:
    docs.replica.apply([state(uid(1), version(300_000))])
    docs.replica.apply([state(uid(2), version(4))])  # An older one does not put the mark back.
    database.close()
    again = open_node(tmp_path, store).collection("Doc")
    again.put([draft(1, "ours", [1, 2])])
    held = again.replica.digests([uid(1)])[0]
    assert held is not None
    assert held.version > version(300_000)


def test_nothing_is_answered_before_it_is_durable(
    docs: LocalCollection, store: PowerStore, tmp_path: Path
) -> None:
    docs.replica.apply([state(uid(1), version(1))])
    store.is_failing = True
    given = [state(uid(1), version(2)), state(uid(2), version(3))]
    for ask in (
        lambda: docs.replica.apply(given),
        lambda: docs.replica.apply(given),  # Held already, but not for sure.
        lambda: docs.replica.apply([state(uid(1), version(1))]),  # A newer one is held: the same.
        lambda: docs.replica.digests([uid(1)]),
        lambda: docs.replica.states([uid(1)]),
        lambda: docs.replica.tree_nodes(0, [0]),
        lambda: docs.replica.leaf(0, None, 10),
    ):
        with pytest.raises(Fault, match="power"):
            ask()
    docs.retire()
    again = open_node(tmp_path, store.after_crash()).collection("Doc")
    assert again.replica.digests([uid(1), uid(2)]) == [Digest(version(1)), None]
    assert again.replica.apply(given) == [None, None]


def test_leaves_list_what_they_hold(docs: LocalCollection) -> None:
    ids = [uid(n) for n in range(100)]
    docs.replica.apply([state(one, version(n)) for n, one in enumerate(ids)])
    docs.replica.apply([deletion(one, version(500)) for one in ids[::3]])
    listed: dict[ObjectId, Digest] = {}
    for leaf in range(16):
        after = None
        while True:
            page = docs.replica.leaf(leaf, after, 3)
            assert list(page.ids) == sorted(page.ids)
            assert len(page.ids) == len(page.digests) <= 3
            assert all(token(one) >> 60 == leaf for one in page.ids)
            assert not listed.keys() & set(page.ids)
            listed.update(zip(page.ids, page.digests, strict=True))
            if page.is_last:
                break
            assert len(page.ids) == 3
            after = page.ids[-1]
    assert [listed[one] for one in ids] == docs.replica.digests(ids)
    assert len(listed) == 100


def test_the_tree_is_the_same_derived_and_kept_up(
    docs: LocalCollection, database: Database, store: PowerStore, tmp_path: Path
) -> None:
    empty = docs.replica.tree_nodes(0, [0])
    assert empty == [bytes(16)]
    docs.replica.apply([state(uid(n), version(n)) for n in range(60)])
    docs.replica.apply([deletion(uid(n), version(100)) for n in range(0, 60, 4)])
    docs.replica.apply([state(uid(n), version(101)) for n in range(0, 60, 8)])
    docs.put([draft(n, vector=[3, 4]) for n in range(50, 70)])
    docs.delete([uid(n) for n in range(55, 58)])
    leaves = docs.replica.tree_nodes(4, range(16))
    assert docs.replica.tree_height == 4
    database.close()
    again = open_node(tmp_path, store).collection("Doc")
    assert again.replica.tree_nodes(4, range(16)) == leaves
    assert again.figures.tombstones == docs.figures.tombstones == 9


def test_the_tree_is_derived_while_writes_go_on(docs: LocalCollection) -> None:
    docs.replica.apply([state(uid(n), version(n)) for n in range(500)])
    roots: list[bytes] = []
    asking = threading.Thread(target=lambda: roots.extend(docs.replica.tree_nodes(0, [0])))
    asking.start()
    for n in range(0, 500, 10):
        docs.replica.apply(
            [state(uid(n), version(1_000 + n)), deletion(uid(n + 1), version(2_000))]
        )
    asking.join(60)
    assert len(roots) == 1
    ledger = docs.shard.ledger
    assert ledger is not None
    derived = type(ledger)(docs.shard.store, docs.shard.shard_id, height=4, next_doc_id=1)
    assert derived.tree(threading.Lock()).root == docs.replica.tree_nodes(0, [0])[0]


def test_trees_and_leaves_that_are_not_there_are_refused(docs: LocalCollection) -> None:
    for ask in (
        lambda: docs.replica.tree_nodes(5, [0]),
        lambda: docs.replica.tree_nodes(1, [2]),
        lambda: docs.replica.leaf(16, None, 1),
        lambda: docs.replica.leaf(-1, None, 1),
        lambda: docs.replica.leaf(0, None, 0),
    ):
        with pytest.raises(InvalidRequest):
            ask()


def test_a_shard_that_is_read_only_takes_nothing(docs: LocalCollection) -> None:
    docs.set_read_only("x", is_read_only=True)
    with pytest.raises(ReadOnly):
        docs.replica.apply([state(uid(1), version(1))])
    assert docs.replica.digests([uid(1)]) == [None]
    assert docs.replica.apply([state(uid(1), version(1))], is_repair=True) == [None]
    assert docs.replica.digests([uid(1)]) == [Digest(version(1))]


def test_damage_is_told(docs: LocalCollection) -> None:
    docs.replica.apply([state(uid(1), version(1))])
    shard, doc = docs.shard, docs.shard.objects.doc_id_of(uid(1))
    assert doc is not None
    key, batch = keys.object_key(shard.shard_id, doc), WriteBatch()
    row = shard.store.get(Family.OBJECTS, key)
    assert row is not None
    batch.put(Family.OBJECTS, key, row[:-1] + b"!")
    shard.store.write(batch)
    with pytest.raises(CorruptData):
        docs.replica.states([uid(1)])
    batch = WriteBatch()
    batch.delete(Family.OBJECTS, key)
    shard.store.write(batch)
    with pytest.raises(CorruptData, match="lost its row"):
        docs.replica.states([uid(1)])


def test_many_threads_write_and_read_whole_states(docs: LocalCollection) -> None:
    ids = [uid(n) for n in range(8)]
    stamps = [version(time) for time in range(60)]
    given = [state(one, stamp, f"at {stamp.time_ms}", [stamp.time_ms % 7, 1])
             for one in ids for stamp in stamps]  # fmt: skip
    faults: list[BaseException] = []
    is_over = threading.Event()

    def write(seed: int) -> None:
        coming = random.Random(seed).sample(given, len(given))
        try:
            for start in range(0, len(coming), 20):
                docs.replica.apply(coming[start : start + 20])
        except BaseException as error:  # noqa: BLE001  # Shown by the test.
            faults.append(error)

    def read() -> None:
        seen = dict.fromkeys(ids, version(-1))
        try:
            while not is_over.is_set():
                for one in docs.replica.states(ids):
                    if one is None:
                        continue
                    assert one.version >= seen[one.id], "what was told stays true"
                    seen[one.id] = one.version
                    assert one.properties["title"] == f"at {one.version.time_ms}"
                    assert one.vectors[UNNAMED].tolist() == [one.version.time_ms % 7, 1]
                docs.replica.tree_nodes(0, [0])
        except BaseException as error:  # noqa: BLE001  # Shown by the test.
            faults.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join(120)
    is_over.set()
    for thread in readers:
        thread.join(120)
    assert faults == []
    assert docs.replica.digests(ids) == [Digest(stamps[-1])] * len(ids)
    ledger = docs.shard.ledger
    assert ledger is not None
    derived = type(ledger)(docs.shard.store, docs.shard.shard_id, height=4, next_doc_id=1)
    assert derived.tree(threading.Lock()).root == docs.replica.tree_nodes(0, [0])[0]


def test_a_replica_over_a_directory(tmp_path: Path) -> None:
    given = [state(uid(n), version(n)) for n in range(300)]
    given += [deletion(uid(n), version(1_000)) for n in range(0, 300, 7)]
    roots = []
    for _ in range(2):
        store = RocksStore(tmp_path, SMALL, ManualClock())
        node = open_node(tmp_path, store)
        docs = node.collection("Doc") if roots else replicated(node)
        assert all(one is None or one == version(1_000) for one in docs.replica.apply(given))
        roots.append(docs.replica.tree_nodes(4, range(16)))
        ids = [one for leaf in range(16) for one in docs.replica.leaf(leaf, None, 500).ids]
        assert sorted(ids) == [uid(n) for n in range(300)]
        assert docs.figures.tombstones == 43
        node.close()
    assert roots[0] == roots[1]
