"""What nodes say to each other beside the requests of replication: values, before any wire.

Shards are asked by `cluster/replication/messages.py`. These are about nodes: whether one is there,
what it has, and what it should keep in mind about a shard.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.types import CollectionName, NodeName, ShardName

NO_REVISION = 0
"""Of a request that was made without looking at a sharding state."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The sharding state that a replica knows, which is newer than the one it was asked by."""

    collection: CollectionName
    revision: int
    """Of the commit that made it."""
    state: bytes
    """Its JSON, as the metadata has it (cluster/sharding.py)."""


@dataclass(frozen=True, slots=True)
class Pong:
    """A node is there."""

    generation: int
    """Which life of its process it is."""
    release: str


@dataclass(frozen=True, slots=True)
class Tell:
    """What a replica's node tells the node of another one, about their shard; answered by `Noted`.

    It is kept durably before the answer. Without any content it asks only.
    """

    shard: ShardRef
    complete_until_ms: int | None = None
    """An exchange of hash trees between the two was complete for all states until then, by the
    sender's clock (`cluster.replication.tombstones.Peer.complete_until_ms`)."""
    marked: tuple[NodeName, ...] = ()
    """Replicas without which a deletion was forgotten: they must not come back unbuilt."""
    rebuilt: tuple[NodeName, ...] = ()
    """Replicas whose marks go, for they were emptied and rebuilt."""


@dataclass(frozen=True, slots=True)
class Noted:
    """`Tell` is kept; which replicas of the shard this node has marked now."""

    marked: tuple[NodeName, ...] = ()


@dataclass(frozen=True, slots=True)
class AskFacts:
    """Ask a node what it has; answered by `NodeFacts`. None and the empty text mean all."""

    with_shards: bool
    collection: CollectionName | None = None
    shard: ShardName | None = None


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """One replica of a shard, in the words of `/v1/nodes`."""

    collection: CollectionName
    shard: ShardName
    objects: int
    indexing_status: str
    """READY, INDEXING, READONLY or LAZY_LOADING."""
    queue_length: int
    """Vectors that wait for their place in an index."""
    is_compressed: bool
    is_loaded: bool
    replicas: int
    factor: int


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node says of itself."""

    name: NodeName
    version: str
    """The version that it reports to clients."""
    release: str
    git_hash: str
    status: str
    """HEALTHY or UNHEALTHY, as it sees itself."""
    operational_mode: str
    queue_length: int
    """Objects of batches that are under way."""
    objects_per_s: float
    shards: tuple[ShardFacts, ...] | None
    """None where they were not asked for."""
