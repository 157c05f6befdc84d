"""Plans that move replicas between nodes: copy, move, scale, drain, replace, spread.

Each is a pure function of a `ClusterView`, makes as few steps as it can, and keeps of every shard
the replicas that it had: what leaves goes after what takes its place has arrived (changes.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial

from weftdb.cluster.placement import Candidate, NodeFacts
from weftdb.cluster.rebalance.changes import (
    Change,
    CopyReplica,
    DropReplica,
    MoveReplica,
    SetFactor,
)
from weftdb.cluster.rebalance.plan import Plan, StepList
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.sharding import PlacedShard
from weftdb.core.errors import InvalidRequest, TooFewNodes
from weftdb.core.types import CollectionName, NodeName, ShardName


class TransferType(Enum):
    """The two kinds of the API."""

    COPY = "COPY"
    MOVE = "MOVE"


def transfer(
    view: ClusterView,
    collection: CollectionName,
    shard: ShardName,
    *,
    source: NodeName,
    target: NodeName,
    kind: TransferType = TransferType.COPY,
) -> Change:
    """The change that a client asks for. Raises InvalidRequest with the texts of the API."""
    if source == target:
        raise InvalidRequest("invalid request: source and target node are the same: bad request")
    placed = view.state(collection).shard(shard)
    if placed is None or source not in placed.replicas:
        raise InvalidRequest(
            f"could not find shard {shard} for collection {collection} on source node {source}: "
            "node not found"
        )
    if target in placed.holders:
        raise InvalidRequest(
            f"shard {shard} already exist for collection {collection} on target node {target}: "
            "already exists"
        )
    if all(node.name != target for node in view.nodes):
        raise InvalidRequest(f"target node {target} is not in the cluster: node not found")
    if view.node(target).is_draining:
        raise InvalidRequest(f"target node {target} is draining: it takes no replicas")
    if kind is TransferType.COPY:
        return CopyReplica(collection, shard, source, target)
    return MoveReplica(collection, shard, source, leaving=source, target=target)


def plan_scale(view: ClusterView, collection: CollectionName, factor: int) -> Plan:
    """Give every shard `factor` replicas, also those that have lost some. Raises TooFewNodes."""
    state = view.state(collection)
    if factor < 1:
        raise InvalidRequest(f"invalid replication factor: at least 1 is needed: got {factor}")
    if len(view.takers) < factor:
        raise TooFewNodes(
            "failed to execute query: could not get replication scale plan: "
            f"not enough storage replicas: found {len(view.takers)} want {factor}"
        )
    view.check_quiet(collection)
    steps = StepList()
    if factor < state.factor:
        # First, so that nobody restores what the next steps drop.
        steps.add_barrier(SetFactor(collection, factor))
    placer = view.placer(collection)
    load = view.load_beside(collection) + Counter(state.replica_counts())
    for shard in state.shards:
        if len(shard.replicas) < factor:
            source = view.living_replica(shard)
            for choice in placer.place(Candidate(shard.name, factor, shard.replicas)).choices:
                steps.add(
                    CopyReplica(collection, shard.name, source, choice.node),
                    size=view.size(collection, shard.name),
                    why=str(choice),
                )
        for node, why in _least_needed(view, shard, len(shard.replicas) - factor, load):
            load[node] -= 1
            steps.add(DropReplica(collection, shard.name, node), why=why)
    if factor > state.factor:
        # Last: it is promised when it holds.
        steps.add_barrier(SetFactor(collection, factor))
    return steps.plan(f"scale {collection} from {state.factor} to {factor} replicas")


def plan_drain(view: ClusterView, node: NodeName) -> Plan:
    """Move everything off a node, which may go then. Raises TooFewNodes where it cannot."""
    facts = view.node(node)
    nodes = tuple(
        replace(other, is_draining=True) if other.name == node else other for other in view.nodes
    )
    drained = replace(view, nodes=nodes)
    steps, notes = _moves_off(drained, facts.name, target=None)
    return steps.plan(f"drain {node}", notes)


def plan_replace(view: ClusterView, lost: NodeName, new: NodeName) -> Plan:
    """Give `new` every replica of `lost`, whose data is gone: copied from the others.

    `new` may be `lost` itself, back with an empty disk: then it stops to be a replica before it is
    filled, because an empty replica that counts would answer for writes that it has lost.
    """
    for name in (lost, new):
        view.node(name)
    if new in view.dead:
        raise InvalidRequest(f"node {new} does not answer: it cannot take over")
    if new != lost:
        view = replace(view, dead=view.dead | {lost})
        steps, notes = _moves_off(view, lost, target=new)
        return steps.plan(f"replace {lost} by {new}", notes)
    steps, notes = StepList(), []
    for collection, shard in view.held_on(lost):
        others = tuple(node for node in shard.replicas if node != lost)
        if not any(node not in view.dead for node in others):
            notes.append(_lost_note(collection, shard, lost))
            continue
        source = view.living_replica(shard, beside=lost)
        steps.add(DropReplica(collection, shard.name, lost), why="it is empty and must not count")
        steps.add(
            CopyReplica(collection, shard.name, source, lost),
            size=view.size(collection, shard.name),
            why="filled again",
        )
    return steps.plan(f"fill {lost} again", notes)


def _moves_off(
    view: ClusterView, node: NodeName, *, target: NodeName | None
) -> tuple[StepList, list[str]]:
    """Moves of everything on `node`: to `target` where it may, else to the best place."""
    steps, notes = StepList(), []
    for collection in sorted(view.states):
        held = list(view.state(collection).held_on(node))
        if not held:
            continue
        view.check_quiet(collection)
        placer = view.placer(collection)
        for shard in held:
            others = tuple(other for other in shard.replicas if other != node)
            is_dead = node in view.dead
            if is_dead and all(other in view.dead for other in others):
                notes.append(_lost_note(collection, shard, node))
                continue
            source = view.living_replica(shard, beside=node) if is_dead else node
            if target is not None and target not in shard.holders:
                chosen, why = target, f"{node} is replaced by it"
            else:
                wish = Candidate(shard.name, len(others) + 1, others, frozenset({node}))
                try:
                    choice = placer.place(wish).choices[0]
                except TooFewNodes as error:
                    raise TooFewNodes(
                        f"{node} cannot give away shard {shard.name} of {collection}: {error}"
                    ) from None
                chosen, why = choice.node, str(choice)
            steps.add(
                MoveReplica(collection, shard.name, source, leaving=node, target=chosen),
                size=view.size(collection, shard.name),
                why=why,
            )
    return steps, notes


def _lost_note(collection: CollectionName, shard: PlacedShard, node: NodeName) -> str:
    return (
        f"shard {shard.name} of {collection} has no living replica beside {node}: its data is "
        "lost unless a node that holds it returns"
    )


def _least_needed(
    view: ClusterView, shard: PlacedShard, count: int, load: Counter[NodeName]
) -> Sequence[tuple[NodeName, str]]:
    """The `count` replicas of a shard that are missed least, each with the reason."""
    facts = {node.name: node for node in view.nodes}
    left = list(shard.replicas)
    gone: list[tuple[NodeName, str]] = []
    for _ in range(count):
        zones = Counter(facts[node].zone for node in left if node in facts)

        node = min(left, key=partial(_need, view, facts, zones, load))
        left.remove(node)
        gone.append((node, _why_gone(view, node, zones, load)))
    return gone


def _need(
    view: ClusterView,
    facts: Mapping[NodeName, NodeFacts],
    zones: Counter[str],
    load: Counter[NodeName],
    node: NodeName,
) -> tuple[bool, bool, int, int, NodeName]:
    """How much a replica is missed; the smallest goes first."""
    known = facts.get(node)
    return (
        known is not None and node not in view.dead,
        known is not None and not known.is_draining,
        -zones[known.zone] if known else 0,
        -load[node],
        node,
    )


def _why_gone(
    view: ClusterView, node: NodeName, zones: Counter[str], load: Counter[NodeName]
) -> str:
    facts = next((each for each in view.nodes if each.name == node), None)
    if facts is None or node in view.dead:
        return "it does not answer"
    if facts.is_draining:
        return "it is draining"
    if zones[facts.zone] > 1 and len(zones) > 1:
        return f"zone {facts.zone} has {zones[facts.zone]} replicas of the shard"
    return f"it holds {load[node]} replicas, the most of them"
