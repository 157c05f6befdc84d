"""ReplicaRecords: what a node keeps durably about its replicas, and about those of other nodes.

    peer row      := JSON {"format": 1, "complete_until_ms": n, "seen_ms": n, "is_marked": 0 | 1}
    standing row  := JSON {"format": 1, "stage": word, "why": text, "compared": [node]}
    alive row     := wall-clock ms:u64, big-endian

A peer row lies among the keys of the shard and goes with them: what is not known costs a
comparison. `complete_until_ms` 0: no exchange was complete. A standing row lies under
JSON [collection, shard] and outlives the keys of the shard, which is emptied on its way
(standings.py).

Concurrency: any thread; one writer at a time for each shard.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.stored_json import StoredJson
from weftdb.core.errors import CorruptData
from weftdb.core.types import CollectionName, NodeName, ShardId, ShardName
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.versions import decode_version

FORMAT = 1
_U64 = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """What is known of the replica of a shard on another node. Wall clock of this node, in ms."""

    complete_until_ms: int = 0
    """`tombstones.Peer.complete_until_ms`; 0 for none."""
    seen_ms: int = 0
    """When the node was last known to be there."""
    is_marked: bool = False
    """A deletion was forgotten here without it: it has to be rebuilt before it takes part."""


class Stage(Enum):
    """How far a replica here is on its way to vouch for what it holds."""

    MARKED = "marked"
    """It may hold what others have forgotten the deletion of: it has to be emptied."""
    REBUILDING = "rebuilding"
    """It holds nothing, or not everything that it acknowledged."""
    VOUCHES = "vouches"


@dataclass(frozen=True, slots=True)
class StandingRecord:
    """A stage, why, and with which nodes the replica has been compared since."""

    stage: Stage
    why: str
    compared: tuple[NodeName, ...] = ()


class ReplicaRecords:
    """The rows of one node."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    def peers(self, shard: ShardId) -> dict[NodeName, PeerRecord]:
        """What is known of the other replicas of a shard. Raises CorruptData."""
        rows = self._store.scan(Family.METADATA, *keys.peer_range(shard))
        return {NodeName(keys.peer_name(key)): _peer(value) for key, value in rows}

    def keep_peers(
        self, shard: ShardId, peers: Mapping[NodeName, PeerRecord], *, is_urgent: bool = True
    ) -> None:
        """Write such rows; durably when this returns, if that is urgent."""
        batch = WriteBatch()
        for node, peer in peers.items():
            body = {
                "format": FORMAT,
                "complete_until_ms": peer.complete_until_ms,
                "seen_ms": peer.seen_ms,
                "is_marked": int(peer.is_marked),
            }
            batch.put(Family.METADATA, keys.peer_key(shard, node), _json(body))
        if is_urgent:
            self._write(batch)
        else:
            self._store.write(batch)

    def drop_peers(self, shard: ShardId, nodes: Sequence[NodeName]) -> None:
        """Forget nodes that have no replica any more."""
        batch = WriteBatch()
        for node in nodes:
            batch.delete(Family.METADATA, keys.peer_key(shard, node))
        self._write(batch)

    def standings(self) -> dict[ShardRef, StandingRecord]:
        """Every standing row. Raises CorruptData."""
        rows = self._store.scan(Family.METADATA, *keys.standing_range())
        return {_shard(keys.standing_text(key)): _standing(value) for key, value in rows}

    def keep_standing(self, shard: ShardRef, standing: StandingRecord | None) -> None:
        """Write a standing row, durably, or remove it."""
        batch, key = WriteBatch(), keys.standing_key(json.dumps([shard.collection, shard.shard]))
        if standing is None:
            batch.delete(Family.METADATA, key)
        else:
            body = {
                "format": FORMAT,
                "stage": standing.stage.value,
                "why": standing.why,
                "compared": list(standing.compared),
            }
            batch.put(Family.METADATA, key, _json(body))
        self._write(batch)

    def alive_ms(self) -> int | None:
        """Until when a process of this node is known to have run; None of a first start."""
        row = self._store.get(Family.METADATA, keys.ALIVE_KEY)
        if row is None:
            return None
        if len(row) != _U64.size:
            raise CorruptData(f"the row of when this node ran has {len(row)} bytes")
        return int(_U64.unpack(row)[0])

    def keep_alive(self, now_ms: int) -> None:
        """Note that this process runs. Not waited for: a minute more or less decides nothing."""
        batch = WriteBatch()
        batch.put(Family.METADATA, keys.ALIVE_KEY, _U64.pack(now_ms))
        self._store.write(batch)

    def oldest_deletion_ms(self, shard: ShardId) -> int | None:
        """The time of the oldest deletion that a shard remembers. O(deletions)."""
        rows = self._store.scan(Family.METADATA, *keys.tombstone_range(shard))
        return min((decode_version(value).time_ms for _, value in rows), default=None)

    def _write(self, batch: WriteBatch) -> None:
        if batch.operations:
            self._store.wait_durable(self._store.write(batch))


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _peer(value: bytes) -> PeerRecord:
    fields = StoredJson(value, subject="what is known of a replica", format_version=FORMAT)
    return PeerRecord(
        fields.number("complete_until_ms"),
        fields.number("seen_ms"),
        bool(fields.number("is_marked")),
    )


def _standing(value: bytes) -> StandingRecord:
    fields = StoredJson(value, subject="the standing of a replica", format_version=FORMAT)
    word = fields.text("stage")
    fields.check(word in {stage.value for stage in Stage}, f"stage is {word!r}")
    compared = tuple(NodeName(name) for name in fields.names("compared"))
    return StandingRecord(Stage(word), fields.text("why"), compared)


def _shard(text: str) -> ShardRef:
    try:
        collection, shard = json.loads(text)
    except ValueError as error:
        raise CorruptData(f"a standing is kept under {text!r}") from error
    return ShardRef(CollectionName(collection), ShardName(shard))
