"""Answers a coordinator's request with what a replica of the engine says.

Whoever calls has compared schema versions: a request that knows a newer schema than this node is
held back until the node has it.
"""

from __future__ import annotations

from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digests,
    Leaf,
    Purpose,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Refusal,
    Reply,
    Request,
    States,
    TreeNodes,
)
from weftdb.core.errors import RequestError
from weftdb.engine.replica import ShardReplica

DIGESTS_AT_ONCE_MAX = 100
STATES_AT_ONCE_MAX = 16
"""Longer reads are worth a thread."""


def answer(replica: ShardReplica, request: Request, purpose: Purpose = Purpose.SERVE) -> Reply:
    """What `replica` says to a request for its shard. Raises what the replica raises."""
    match request:
        case Apply():
            return _applied(replica, request, is_repair=purpose is not Purpose.SERVE)
        case ReadDigests(ids=ids):
            return Digests(tuple(replica.digests(ids)))
        case ReadStates(ids=ids):
            return States(tuple(replica.states(ids)))
        case ReadTree(level=level, positions=positions):
            return TreeNodes(tuple(replica.tree_nodes(level, positions)))
        case ReadLeaf(position=position, after=after, limit=limit):
            page = replica.leaf(position, after, limit)
            return Leaf(page.ids, page.digests, page.is_last)


def answer_at_once(replica: ShardReplica, request: Request) -> Reply | None:
    """The same for a short read that has to wait for nothing; None for everything else."""
    match request:
        case ReadDigests(ids=ids) if len(ids) <= DIGESTS_AT_ONCE_MAX:
            digests = replica.digests_at_once(ids)
            return None if digests is None else Digests(tuple(digests))
        case ReadStates(ids=ids) if len(ids) <= STATES_AT_ONCE_MAX:
            states = replica.states_at_once(ids)
            return None if states is None else States(tuple(states))
        case _:
            return None


def _applied(replica: ShardReplica, request: Apply, *, is_repair: bool) -> Applied:
    outcomes = replica.apply(request.states, is_repair=is_repair)
    return Applied(
        newer=tuple(None if isinstance(one, RequestError) else one for one in outcomes),
        refused=tuple(
            Refusal(at, str(one))
            for at, one in enumerate(outcomes)
            if isinstance(one, RequestError)
        ),
    )
