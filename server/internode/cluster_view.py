"""ClusterView: what hints and repairs have to know of the cluster, as this node knows it now.

The wiring of a node implements it (`engine/local_shard.py` is a `LocalReplica`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardId
from weftdb.engine.replica import ShardReplica
from weftdb.server.internode.messages import Moved


class LocalReplica(Protocol):
    """One shard on this node."""

    @property
    def number(self) -> ShardId:
        """Under which its keys lie."""
        ...

    @property
    def replica(self) -> ShardReplica:
        """What answers for it."""
        ...


class ClusterView(Protocol):
    """Any thread. All of it is in memory and quick, but for `empty`."""

    @property
    def node(self) -> NodeName:
        """This node."""
        ...

    def schema(self, collection: CollectionName) -> Collection | None:
        """The definition that this node goes by; None of a collection that it does not know."""
        ...

    def schema_version(self, collection: CollectionName) -> int:
        """Of that definition; 0 of a collection that is not known."""
        ...

    def revision(self, collection: CollectionName) -> int:
        """Of the sharding state that this node goes by; NO_REVISION without one."""
        ...

    def replicas(self, shard: ShardRef) -> Sequence[NodeName]:
        """The nodes with a replica of the shard that reads may be served from; none of a shard that
        is not known."""
        ...

    def here(self) -> Iterable[ShardRef]:
        """The shards that lie on this node."""
        ...

    def local(self, shard: ShardRef) -> LocalReplica | None:
        """A shard on this node; None where it is not, or not yet, open."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether everything lies here that should, by what is agreed: false until the shards of
        this node have been opened, and made where they were not there."""
        ...

    def empty(self, shard: ShardRef) -> None:
        """Drop what lies here of a shard, and begin it anew with nothing. Blocks; any thread.
        Durable when it returns; a crash on the way leaves it as it was, or empty."""
        ...

    def is_member(self, node: NodeName) -> bool:
        """Whether a node belongs to the cluster, as far as is known: true while nothing is."""
        ...

    def is_alive(self, node: NodeName) -> bool:
        """Whether membership has no doubt of a node; one in doubt is not away yet."""
        ...

    def is_away(self, node: NodeName) -> bool:
        """Whether membership calls a node away."""
        ...

    def learn(self, moved: Moved) -> None:
        """Take a newer sharding state from who refused by it."""
        ...
