"""What answers for a shard on a node: the engine's own replica, or a model of it that is faster.

ModelReplica keeps states in the node's lossy store and nothing else; it is the oracle for what a
replica has to do, and lets a thousand seeds be run in minutes.

    state := version:16 is_deleted:u8 value:text          # under the object's 16 bytes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digest,
    Digests,
    Leaf,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Reply,
    Request,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.core.hashing import token
from weftdb.core.objects import ObjectState
from weftdb.core.types import ObjectId, Version
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.versions import VERSION_BYTES, decode_version, encode_version

from .disk import LossyStore
from .history import Holding

if TYPE_CHECKING:
    from .node import SimulatedNode

VALUE = "number"
"""The property that holds the value of an object."""
TREE_HEIGHT = 4
_NOTHING = bytes(16)


class Replica(Protocol):
    """One shard on one node."""

    @property
    def tree_height(self) -> int:
        """Levels of the hash tree below its root."""
        ...

    def answer(self, request: Request) -> Reply:
        """Do what is asked; durable things are handed to the store's `wait_durable`."""
        ...

    def contents(self) -> dict[ObjectId, Holding]:
        """Everything that is held, deletions included."""
        ...

    def root(self) -> bytes:
        """The root of the hash tree."""
        ...

    def forget_deletions(self, before_ms: int) -> int:
        """Drop deletions older than a wall-clock time; how many."""
        ...


MakeReplica: TypeAlias = Callable[[ShardRef, "SimulatedNode"], Replica]
"""Opens a shard on a node."""


class ModelReplica:
    """A shard as a dict of states over the lossy store. It answers only for what is durable."""

    def __init__(self, shard: ShardRef, store: LossyStore) -> None:
        self.shard = shard
        self._store = store
        self._prefix = blake2b(repr(shard).encode(), digest_size=4).digest()

    @property
    def tree_height(self) -> int:
        """Levels of the hash tree below its root."""
        return TREE_HEIGHT

    @classmethod
    def on(cls, shard: ShardRef, node: SimulatedNode) -> Self:
        """Open it on a node's disk."""
        return cls(shard, node.disk)

    def answer(self, request: Request) -> Reply:
        """Do what is asked."""
        assert request.shard == self.shard, request
        reply = self._answer(request)
        # Also of a read: what is told to others must not be undone by a crash.
        self._store.wait_durable(self._store.written)
        return reply

    def _answer(self, request: Request) -> Reply:
        match request:
            case Apply(states=states):
                return Applied(tuple(self.apply(state) for state in states))
            case ReadDigests(ids=ids):
                return Digests(tuple(self.digest_of(i) for i in ids))
            case ReadStates(ids=ids):
                return States(tuple(self.state_of(i) for i in ids))
            case ReadTree(level=level, positions=positions):
                return TreeNodes(tuple(self._node(level, at) for at in positions))
            case ReadLeaf():
                return self._leaf(request)

    def apply(self, state: ObjectState) -> Version | None:
        """Store `state` unless a newer one is there, which is told."""
        held = self.digest_of(state.id)
        if held is not None and held.version > state.version:
            return held.version
        if held is None or held.version < state.version:
            self._put(state)
        return None

    def state_of(self, object_id: ObjectId) -> ObjectState | None:
        """The state that is held."""
        stored = self._store.get(Family.OBJECTS, self._prefix + object_id)
        return None if stored is None else _decode(object_id, stored)

    def digest_of(self, object_id: ObjectId) -> Digest | None:
        """The version that is held."""
        state = self.state_of(object_id)
        return None if state is None else Digest(state.version, state.is_deleted)

    def states(self) -> Iterator[ObjectState]:
        """Everything, by id."""
        end = self._prefix + b"\xff" * 17
        for key, stored in self._store.scan(Family.OBJECTS, self._prefix, end):
            yield _decode(ObjectId(key[len(self._prefix) :]), stored)

    def contents(self) -> dict[ObjectId, Holding]:
        """Everything that is held."""
        return {state.id: holding_of(state) for state in self.states()}

    def root(self) -> bytes:
        """The root of the hash tree."""
        return self._node(0, 0)

    def forget_deletions(self, before_ms: int) -> int:
        """Drop deletions older than a wall-clock time."""
        batch = WriteBatch()
        for state in list(self.states()):
            if state.is_deleted and state.version.time_ms < before_ms:
                batch.delete(Family.OBJECTS, self._prefix + state.id)
        if batch.operations:
            self._store.write(batch)
        return len(batch.operations)

    def _put(self, state: ObjectState) -> None:
        batch = WriteBatch()
        batch.put(Family.OBJECTS, self._prefix + state.id, _encode(state))
        self._store.write(batch)

    def _node(self, level: int, position: int) -> bytes:
        assert 0 <= level <= TREE_HEIGHT, level
        first = position << (TREE_HEIGHT - level)
        leaves = [_NOTHING] * (1 << (TREE_HEIGHT - level))
        for state in self.states():
            at = leaf_of(state.id) - first
            if 0 <= at < len(leaves):
                leaves[at] = bytes(a ^ b for a, b in zip(leaves[at], _hash(state), strict=True))
        while len(leaves) > 1:
            leaves = [_combine(leaves[i], leaves[i + 1]) for i in range(0, len(leaves), 2)]
        return leaves[0]

    def _leaf(self, request: ReadLeaf) -> Leaf:
        after = b"" if request.after is None else request.after
        found = [
            state
            for state in self.states()
            if leaf_of(state.id) == request.position and state.id > after
        ]
        part = found[: request.limit]
        return Leaf(
            tuple(state.id for state in part),
            tuple(Digest(state.version, state.is_deleted) for state in part),
            is_last=len(part) == len(found),
        )


def leaf_of(object_id: ObjectId) -> int:
    """The leaf that counts an object."""
    return token(object_id) >> (64 - TREE_HEIGHT)


def holding_of(state: ObjectState) -> Holding:
    """A state as checkers see it."""
    value = None if state.is_deleted else int(state.properties[VALUE])
    return Holding(state.version, state.is_deleted, value)


def pack_state(state: ObjectState) -> bytes:
    """A state with its id, as hints keep it."""
    return state.id + _encode(state)


def unpack_state(packed: bytes) -> ObjectState:
    """Read `pack_state` back."""
    return _decode(ObjectId(packed[:16]), packed[16:])


def _combine(left: bytes, right: bytes) -> bytes:
    if left == right == _NOTHING:
        return _NOTHING
    return blake2b(left + right, digest_size=16).digest()


def _hash(state: ObjectState) -> bytes:
    flag = bytes([state.is_deleted])
    return blake2b(state.id + encode_version(state.version) + flag, digest_size=16).digest()


def _encode(state: ObjectState) -> bytes:
    value = "" if state.is_deleted else str(state.properties[VALUE])
    return encode_version(state.version) + bytes([state.is_deleted]) + value.encode()


def _decode(object_id: ObjectId, stored: bytes) -> ObjectState:
    version, flag = decode_version(stored[:VERSION_BYTES]), stored[VERSION_BYTES]
    if flag:
        return ObjectState(object_id, version, is_deleted=True)
    value = int(stored[VERSION_BYTES + 1 :])
    return ObjectState(
        object_id,
        version,
        created_ms=version.time_ms,
        updated_ms=version.time_ms,
        properties={VALUE: value},
    )
