"""Nodes of a cluster in one process: their agreed schemas over one store, before any database."""

from __future__ import annotations

import random
import threading
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import MemberRecord, MemberState, NodeRecord
from weftdb.cluster.metadata.store import Event, Put, Revision, Transaction
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.core.config import ReplicationConfig
from weftdb.core.definition import Surroundings, parse_collection
from weftdb.core.env import SystemClock
from weftdb.core.errors import MetadataUnavailable, WeftError
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.agreement.agreed_schema import AgreedSchema, SchemaStores
from weftdb.server.agreement.applier import SchemaApplier
from weftdb.server.agreement.incarnations import Incarnations
from weftdb.server.agreement.peers import Peers
from weftdb.server.follower import Follower
from weftdb.storage.memory import MemoryStore

KEYS = ClusterKeys("main")
SOON_S = 20.0
BOOK = CollectionName("Book")


class Fickle(StoredMetadata):
    """A store that can be away."""

    is_away = False

    def _begin(self) -> None:
        super()._begin()
        if self.is_away:
            raise MetadataUnavailable("the test took it away")


def fickle() -> Fickle:
    return Fickle(MemoryStore(), SystemClock(), threading.Condition())


@dataclass
class FakeHolder:
    """Definitions and names of shards, and what the test wants to go wrong."""

    held: dict[CollectionName, Collection] = field(default_factory=dict)
    shards: dict[CollectionName, set[ShardName]] = field(default_factory=dict)
    read_only: dict[CollectionName, set[ShardName]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    fault: WeftError | None = None
    refused: WeftError | None = None

    def find(self, name: CollectionName) -> Collection | None:
        return self.held.get(name)

    def names(self) -> Iterable[CollectionName]:
        return list(self.held)

    def shards_of(self, name: CollectionName) -> Iterable[ShardName]:
        return set(self.shards[name])

    def create(self, definition: Collection, shards: Sequence[ShardName]) -> None:
        self._begin(f"create {definition.name}")
        self.held[CollectionName(definition.name)] = definition
        self.shards[CollectionName(definition.name)] = set(shards)

    def change(self, definition: Collection) -> None:
        self._begin(f"change {definition.name}")
        self.held[CollectionName(definition.name)] = definition

    def add_shard(self, name: CollectionName, shard: ShardName) -> None:
        self._begin(f"add {name}")
        self.shards[name].add(shard)

    def set_read_only(self, name: CollectionName, shards: Container[ShardName]) -> None:
        self.read_only[name] = {shard for shard in self.shards[name] if shard in shards}

    def drop(self, name: CollectionName) -> None:
        self._begin(f"drop {name}")
        del self.held[name], self.shards[name]

    def check(self, definition: Collection) -> None:
        if self.refused is not None:
            raise self.refused

    def _begin(self, what: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.log.append(what)


class Node:
    """One node's agreed schema; `open` and `close` are its lives."""

    def __init__(self, name: str, number: int, store: Fickle, holder: FakeHolder) -> None:
        self.name = NodeName(name)
        self.number = number
        self.store = store
        self.holder = holder
        self.directory = MemoryStore()
        self.config = ReplicationConfig()

    def open(self) -> Node:
        clock = SystemClock()
        member = MemberRecord(self.number, MemberState.JOINED, 1)
        record = NodeRecord(f"{self.name}:7947", "1", 1, 1000)
        self.store.commit(
            Transaction(
                (
                    Put(KEYS.member(self.name), member.encode()),
                    Put(KEYS.node(self.name), record.encode()),
                )
            )
        )
        self.peers = Peers(self.name, 1, KEYS, clock, lambda: None)
        for prefix, hear in (
            (KEYS.members, self.peers.hear_members),
            (KEYS.nodes, self.peers.hear_nodes),
        ):
            found = self.store.list(prefix).records
            hear([Event(each.key, each.value, each.revision) for each in found])
        self.applier = SchemaApplier(
            self.name, KEYS, self.holder, Incarnations(self.directory), clock
        )
        self.follower = Follower(self.store, KEYS.schema, self.applier.hear)
        self.applier.attach(self.follower)
        self.follower.start()
        assert self.follower.wait_for(Revision(0), SOON_S)
        self.is_complete = self.applier.start(2.0)
        stores = SchemaStores(KEYS, self.store, self.store, self.follower)
        self.schema = AgreedSchema(
            stores,
            self.applier,
            self.holder,
            self.peers,
            self.config,
            clock=clock,
            randomness=random.Random(),
        )
        return self

    def close(self) -> None:
        self.follower.close()
        self.applier.close()

    def waits_for(self, revision: int, name: CollectionName = BOOK) -> bool:
        return self.applier.wait_done(name, Revision(revision), SOON_S)


def definition(name: str = "Book", *, nodes: int = 3, **body: object) -> Collection:
    """A definition as the catalogue of a cluster of `nodes` makes it."""
    return parse_collection({"class": name, **body}, None, Surroundings(node_count=nodes))


def with_property(old: Collection, name: str) -> Collection:
    """`old` with a text more."""
    known = list(old.definition["properties"] or ())
    body = {**old.definition, "properties": [*known, {"name": name, "dataType": ["text"]}]}
    return parse_collection(body)
