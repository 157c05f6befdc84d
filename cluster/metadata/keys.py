"""Where each thing that the nodes of a cluster agree on has its key.

    key   := "/weftdb/" cluster rest
    rest  := "/schema/collections/" collection      -> CollectionRecord
           | "/schema/shards/" collection           -> ShardingState (cluster/sharding.py)
           | "/schema/states/" collection           -> ShardStates: which shards take no writes
           | "/schema/names/" name in lower case    -> NameRecord
           | "/schema/aliases/" alias               -> AliasRecord
           | "/tenants/" collection "/p" bits       -> TenantPage (cluster/tenant_pages.py)
           | "/cluster"                             -> ClusterRecord: which cluster it is
           | "/members/" node                       -> MemberRecord: belongs to the cluster
           | "/nodes/" node                         -> NodeRecord: lives; bound to its lease
           | "/operations/" id                      -> Operation (cluster/rebalance)
           | "/plans/" id                           -> Plan (cluster/rebalance/plan.py)
           | "/sessions/" client                    -> of a client (server/etcd/session.py)

A part is not empty and has neither a slash nor a control character. A collection's definition and
its sharding state are two records, because they change at different times; a transaction that
makes or drops a collection names both. What lies below `/schema/` is followed as one: whoever
listens there hears all of a commit at once.
"""

from __future__ import annotations

from weftdb.core.errors import CorruptData, InvalidRequest
from weftdb.core.types import CollectionName, NodeName

_ROOT = "/weftdb/"


class ClusterKeys:
    """The keys of one cluster. Every method raises InvalidRequest for a part that cannot be."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self._prefix = _ROOT + _part("the name of a cluster", cluster)

    @property
    def everything(self) -> str:
        """The prefix of all keys of the cluster."""
        return self._prefix + "/"

    @property
    def schema(self) -> str:
        """The prefix of definitions, sharding states, names and aliases."""
        return self._prefix + "/schema/"

    @property
    def collections(self) -> str:
        """The prefix of the definitions."""
        return self.schema + "collections/"

    @property
    def shards(self) -> str:
        """The prefix of the sharding states."""
        return self.schema + "shards/"

    @property
    def shard_states(self) -> str:
        """The prefix of what was set for shards."""
        return self.schema + "states/"

    @property
    def aliases(self) -> str:
        """The prefix of the aliases."""
        return self.schema + "aliases/"

    @property
    def identity(self) -> str:
        """Which cluster it is."""
        return self._prefix + "/cluster"

    @property
    def members(self) -> str:
        """The prefix of the nodes that belong to the cluster."""
        return self._prefix + "/members/"

    @property
    def nodes(self) -> str:
        """The prefix of the nodes that live."""
        return self._prefix + "/nodes/"

    @property
    def operations(self) -> str:
        """The prefix of the operations."""
        return self._prefix + "/operations/"

    def collection(self, name: CollectionName) -> str:
        """The definition of a collection."""
        return self.collections + _part("the name of a collection", name)

    def sharding(self, name: CollectionName) -> str:
        """The sharding state of a collection."""
        return self.shards + _part("the name of a collection", name)

    def states(self, name: CollectionName) -> str:
        """Which shards of a collection take no writes."""
        return self.shard_states + _part("the name of a collection", name)

    def name(self, name: CollectionName) -> str:
        """A name of a collection, as no other may be that differs in case only."""
        return f"{self.schema}names/{_part('the name of a collection', name).lower()}"

    def tenants(self, name: CollectionName) -> str:
        """The prefix of the pages of tenants of a collection."""
        return f"{self._prefix}/tenants/{_part('the name of a collection', name)}/"

    def tenant_page(self, name: CollectionName, bits: str) -> str:
        """One page of the tenants of a collection, by the bits that their hashes begin with."""
        assert not set(bits) - {"0", "1"}, bits
        return f"{self.tenants(name)}p{bits}"

    def alias(self, name: str) -> str:
        """One alias."""
        return self.aliases + _part("an alias", name)

    def member(self, name: NodeName) -> str:
        """A node that belongs to the cluster."""
        return self.members + _part("the name of a node", name)

    def node(self, name: NodeName) -> str:
        """A node that lives."""
        return self.nodes + _part("the name of a node", name)

    def operation(self, operation_id: str) -> str:
        """One operation."""
        return self.operations + _part("the id of an operation", operation_id)

    @property
    def plans(self) -> str:
        """The prefix of the plans that are carried out."""
        return self._prefix + "/plans/"

    def plan(self, plan_id: str) -> str:
        """One plan."""
        return self.plans + _part("the id of a plan", plan_id)

    def session(self, client: str) -> str:
        """The record by which the etcd client knows what became of its last commit."""
        return f"{self._prefix}/sessions/{_part('the name of a client', client)}"


def name_below(prefix: str, key: str) -> str:
    """The part of `key` that follows `prefix`. Raises CorruptData where it is not one part."""
    name = key.removeprefix(prefix)
    if not key.startswith(prefix) or not _is_part(name):
        raise CorruptData(f"the metadata key {key!r} is not one part below {prefix!r}")
    return name


def _part(what: str, text: str) -> str:
    if not _is_part(text):
        raise InvalidRequest(f"{what} is empty or has a slash or a control character: {text!r}")
    return text


def _is_part(text: str) -> bool:
    return bool(text) and text.isprintable() and "/" not in text
