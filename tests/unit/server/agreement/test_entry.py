"""A node takes its place once in each life, and a directory that is another's is refused."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import MemberRecord
from weftdb.cluster.metadata.store import Delete, Outcome, Transaction
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.core.env import SystemClock
from weftdb.core.errors import CommitUnknown, Fault, MetadataUnavailable
from weftdb.core.types import NodeName
from weftdb.server.agreement.entry import (
    TRIES_MAX,
    Entered,
    check_alone,
    enter,
    kept_identity,
    settle,
)
from weftdb.storage import keys as rows
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore

KEYS = ClusterKeys("main")
A, B = NodeName("a"), NodeName("b")


@pytest.fixture
def metadata() -> Iterator[StoredMetadata]:
    made = StoredMetadata(MemoryStore(), SystemClock(), threading.Condition())
    yield made
    made.close()


def start(
    metadata: StoredMetadata, directory: MemoryStore, node: NodeName = A, zone: str = ""
) -> Entered:
    return enter(metadata, KEYS, directory, node, zone=zone, randomness=random.Random())


def test_lives_count_up_and_numbers_stay(metadata: StoredMetadata) -> None:
    one, two = MemoryStore(), MemoryStore()
    first = start(metadata, one)
    assert (first.number, first.generation) == (1, 1)
    other = start(metadata, two, B)
    assert (other.number, other.generation) == (2, 1)
    again = start(metadata, one, zone="rack2")
    assert (again.number, again.generation) == (1, 2)
    assert again.identity == first.identity == kept_identity(one)
    found = metadata.get(KEYS.member(A))
    assert found is not None
    assert MemberRecord.decode("", found.value).zone == "rack2"


def test_many_that_begin_together_get_different_numbers(metadata: StoredMetadata) -> None:
    names = [NodeName(f"n{number}") for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        entered = list(pool.map(lambda name: start(metadata, MemoryStore(), name), names))
    assert sorted(each.number for each in entered) == list(range(1, 9))
    assert len({each.identity.cluster for each in entered}) == 1


def test_a_node_without_its_data_is_known_to_be_emptied(metadata: StoredMetadata) -> None:
    assert not start(metadata, MemoryStore()).identity.was_emptied
    wiped = MemoryStore()
    assert start(metadata, wiped).identity.was_emptied
    assert start(metadata, wiped).identity.was_emptied, "until somebody says that it is settled"
    settle(wiped)
    assert not start(metadata, wiped).identity.was_emptied


def test_metadata_that_is_not_the_nodes_is_refused(metadata: StoredMetadata) -> None:
    directory = MemoryStore()
    start(metadata, directory)
    empty = StoredMetadata(MemoryStore(), SystemClock())
    with pytest.raises(Fault, match="knows no cluster main"):
        start(empty, directory)
    assert empty.get(KEYS.identity) is None, "nothing was founded"
    start(empty, MemoryStore(), B)
    with pytest.raises(Fault, match="belongs to cluster"):
        start(empty, directory)


def test_directories_of_others_are_refused(metadata: StoredMetadata) -> None:
    directory = MemoryStore()
    start(metadata, directory)
    with pytest.raises(Fault, match="is that of node a, not of b"):
        start(metadata, directory, B)
    with pytest.raises(Fault, match="of a cluster"):
        check_alone(directory)
    check_alone(MemoryStore())
    metadata.commit(Transaction((Delete(KEYS.member(A)),)))
    with pytest.raises(Fault, match="was removed"):
        start(metadata, directory)
    start(metadata, MemoryStore())
    with pytest.raises(Fault, match="has gone to number 2"):
        start(metadata, directory)


def test_collections_of_a_single_node_are_not_taken_along(metadata: StoredMetadata) -> None:
    directory = MemoryStore()
    batch = WriteBatch()
    batch.put(Family.METADATA, rows.collection_key("Book"), b"{}")
    directory.wait_durable(directory.write(batch))
    with pytest.raises(Fault, match="collections of a single node"):
        start(metadata, directory)
    assert metadata.get(KEYS.identity) is None


@pytest.mark.parametrize("is_made", [True, False])
def test_a_number_whose_answer_got_lost_is_known(metadata: StoredMetadata, is_made: bool) -> None:
    class Forgetful(StoredMetadata):
        is_due = True
        get = metadata.get

        def commit(self, transaction: Transaction) -> Outcome:
            joins = any(change.key == KEYS.member(A) for change in transaction.changes)
            if joins and self.is_due:
                self.is_due = False
                if is_made:
                    metadata.commit(transaction)
                raise CommitUnknown("the answer got lost")
            return metadata.commit(transaction)

    entered = start(Forgetful(MemoryStore(), SystemClock()), MemoryStore())
    assert (entered.number, entered.generation) == (1, 1)
    assert not entered.identity.was_emptied


def test_who_loses_every_race_says_so(metadata: StoredMetadata) -> None:
    class Busy(StoredMetadata):
        tries = 0

        def commit(self, transaction: Transaction) -> Outcome:
            if any(change.key == KEYS.member(A) for change in transaction.changes):
                self.tries += 1
                other = NodeName(f"n{self.tries}")
                enter(metadata, KEYS, MemoryStore(), other, zone="", randomness=random.Random())
            return metadata.commit(transaction)

        get = metadata.get

    busy = Busy(MemoryStore(), SystemClock())
    with pytest.raises(MetadataUnavailable, match="lost 50 races"):
        start(busy, MemoryStore())
    assert busy.tries == TRIES_MAX - 1
