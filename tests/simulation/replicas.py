"""What answers for a shard on a node: the engine's own replica, or a model of it that is faster.

ModelReplica keeps states in the node's lossy store and nothing else; it is the oracle for what a
replica has to do, and lets a thousand seeds be run in minutes.

    state := version:16 is_deleted:u8 value:text          # under the object's 16 bytes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from weftdb.cluster.replication.messages import Digest, Leaf, ShardRef
from weftdb.core.hashing import token
from weftdb.core.objects import ObjectState
from weftdb.core.types import ObjectId, ShardId, Version
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
    """One shard on one node, as the server answers from it (`engine.replica.ShardReplica`)."""

    forgotten_ms: Callable[[], int]
    """Deletions before this wall-clock time need not be remembered."""

    def forget_deletions(self) -> int:
        """Drop the deletions before `forgotten_ms`; how many."""
        ...


class Local(Protocol):
    """A shard that lies on a node."""

    @property
    def number(self) -> ShardId:
        """Under which its keys lie."""
        ...

    @property
    def replica(self) -> Any:
        """What answers for it."""
        ...

    def contents(self) -> dict[ObjectId, Holding]:
        """Everything that is held, deletions included."""
        ...

    def root(self) -> bytes:
        """The root of the hash tree."""
        ...

    def drop(self) -> None:
        """Remove all of it."""
        ...


MakeReplica: TypeAlias = Callable[[ShardRef, "SimulatedNode", int], Local]
"""Opens a shard on a node, under a number that no other shard on its disk has."""


class ModelReplica:
    """A shard as a dict of states over the lossy store. It answers only for what is durable."""

    def __init__(self, shard: ShardRef, store: LossyStore, number: int) -> None:
        self.shard = shard
        self.number = ShardId(number)
        self.replica = self
        self.forgotten_ms: Callable[[], int] = lambda: 0
        self._store = store
        self._prefix = b"model" + number.to_bytes(4, "big")

    @classmethod
    def on(cls, shard: ShardRef, node: SimulatedNode, number: int) -> Self:
        """Open it on a node's disk."""
        return cls(shard, node.disk, number)

    def drop(self) -> None:
        """Remove all of it."""
        batch = WriteBatch()
        for state in list(self._all()):
            batch.delete(Family.OBJECTS, self._prefix + state.id)
        if batch.operations:
            self._store.write(batch)

    # As the engine's.

    def apply(
        self, states: Sequence[ObjectState], *, is_repair: bool = False
    ) -> list[Version | None]:
        """Store each state unless a newer one is there, which is told."""
        newer = [self.store(state) for state in states]
        self._settle()
        return newer

    def digests(self, ids: Sequence[ObjectId]) -> list[Digest | None]:
        """What is held of each id."""
        self._settle()
        return [self.digest_of(one) for one in ids]

    def states(self, ids: Sequence[ObjectId]) -> list[ObjectState | None]:
        """The objects, or their deletions."""
        self._settle()
        return [self.state_of(one) for one in ids]

    def tree_nodes(self, level: int, positions: Sequence[int]) -> list[bytes]:
        """Hashes of the tree."""
        self._settle()
        return [self._node(level, at) for at in positions]

    def leaf(self, position: int, after: ObjectId | None, limit: int) -> Leaf:
        """A page of a leaf."""
        self._settle()
        found = [
            state
            for state in self._all()
            if leaf_of(state.id) == position and state.id > (after or b"")
        ]
        part = found[:limit]
        return Leaf(
            tuple(state.id for state in part),
            tuple(Digest(state.version, state.is_deleted) for state in part),
            is_last=len(part) == len(found),
        )

    def forget_deletions(self) -> int:
        """Drop old deletions."""
        batch, before_ms = WriteBatch(), self.forgotten_ms()
        for state in list(self._all()):
            if state.is_deleted and state.version.time_ms < before_ms:
                batch.delete(Family.OBJECTS, self._prefix + state.id)
        if batch.operations:
            self._store.write(batch)
        return len(batch.operations)

    def oldest_deletion_ms(self) -> int | None:
        """The time of the oldest deletion."""
        times = [state.version.time_ms for state in self._all() if state.is_deleted]
        return min(times, default=None)

    # What it is made of.

    def store(self, state: ObjectState) -> Version | None:
        """Store `state` unless a newer one is there, which is told."""
        held = self.digest_of(state.id)
        if held is not None and held.version > state.version:
            return held.version
        if held is None and state.is_deleted and state.version.time_ms < self.forgotten_ms():
            return None  # It is forgotten already.
        if held is None or held.version < state.version:
            self._put(state)
        return None

    def _settle(self) -> None:
        # Also of a read: what is told to others must not be undone by a crash.
        self._store.wait_durable(self._store.written)

    def state_of(self, object_id: ObjectId) -> ObjectState | None:
        """The state that is held."""
        stored = self._store.get(Family.OBJECTS, self._prefix + object_id)
        return None if stored is None else _decode(object_id, stored)

    def digest_of(self, object_id: ObjectId) -> Digest | None:
        """The version that is held."""
        state = self.state_of(object_id)
        return None if state is None else Digest(state.version, state.is_deleted)

    def _all(self) -> Iterator[ObjectState]:
        """Everything, by id."""
        end = self._prefix + b"\xff" * 17
        for key, stored in self._store.scan(Family.OBJECTS, self._prefix, end):
            yield _decode(ObjectId(key[len(self._prefix) :]), stored)

    def contents(self) -> dict[ObjectId, Holding]:
        """Everything that is held."""
        return {state.id: holding_of(state) for state in self._all()}

    def root(self) -> bytes:
        """The root of the hash tree."""
        return self._node(0, 0)

    def _put(self, state: ObjectState) -> None:
        batch = WriteBatch()
        batch.put(Family.OBJECTS, self._prefix + state.id, _encode(state))
        self._store.write(batch)

    def _node(self, level: int, position: int) -> bytes:
        assert 0 <= level <= TREE_HEIGHT, level
        first = position << (TREE_HEIGHT - level)
        leaves = [_NOTHING] * (1 << (TREE_HEIGHT - level))
        for state in self._all():
            at = leaf_of(state.id) - first
            if 0 <= at < len(leaves):
                leaves[at] = bytes(a ^ b for a, b in zip(leaves[at], _hash(state), strict=True))
        while len(leaves) > 1:
            leaves = [_combine(leaves[i], leaves[i + 1]) for i in range(0, len(leaves), 2)]
        return leaves[0]


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
