"""Plans as an operator sees them: `plans/` has the scripts.

node <name> [zone] [free GiB]        # a node more
drain|replace|spread|scale|reshard … # show that plan, and carry it out
kill|revive <name>                   # a node stops to answer, or comes back
create <collection> <shards> <factor>
show                                 # where everything lies
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.cluster.rebalance.clusters import carry_out, sizes_of
from weftdb.cluster.placement import NodeFacts, place_new
from weftdb.cluster.rebalance.plan import Plan
from weftdb.cluster.rebalance.replicas import plan_drain, plan_replace, plan_scale
from weftdb.cluster.rebalance.shards import plan_reshard
from weftdb.cluster.rebalance.spread import plan_spread
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.errors import WeftError
from weftdb.core.types import CollectionName, NodeName, ShardName

from .script import Execute

SCRIPTS = sorted((Path(__file__).parent / "plans").iterdir())


class Operator:
    """A cluster that is spoken to in lines."""

    def __init__(self) -> None:
        self.view = ClusterView((), {})
        self.names = 0

    def execute(self, line: str) -> str:
        verb, *rest = line.split()
        try:
            return str(getattr(self, f"do_{verb}")(*rest))
        except WeftError as error:
            return f"{type(error).__name__}: {error}"

    def do_node(self, name: str, zone: str = "", free: str = "100") -> str:
        node = NodeFacts(NodeName(name), zone, int(free) * 2**30)
        self.view = replace(self.view, nodes=(*self.view.nodes, node))
        return ""

    def do_kill(self, name: str) -> str:
        self.view = replace(self.view, dead=self.view.dead | {NodeName(name)})
        return ""

    def do_revive(self, name: str) -> str:
        self.view = replace(self.view, dead=self.view.dead - {NodeName(name)})
        return ""

    def do_create(self, collection: str, shards: str, factor: str) -> str:
        load = sum(
            (Counter(state.replica_counts()) for state in self.view.states.values()), Counter()
        )
        names = [self._name() for _ in range(int(shards))]
        placed = place_new(self.view.takers, names, factor=int(factor), load=load)
        state = ShardingState.create(
            [PlacedShard(each.shard, each.replicas) for each in placed], factor=int(factor)
        )
        self._keep({**self.view.states, CollectionName(collection): state})
        return "\n".join(f"{each.shard}: {choice}" for each in placed for choice in each.choices)

    def do_drain(self, node: str) -> str:
        nodes = tuple(
            replace(each, is_draining=True) if each.name == node else each
            for each in self.view.nodes
        )
        self.view = replace(self.view, nodes=nodes)
        return self._carry_out(plan_drain(self.view, NodeName(node)))

    def do_replace(self, lost: str, new: str) -> str:
        return self._carry_out(plan_replace(self.view, NodeName(lost), NodeName(new)))

    def do_spread(self) -> str:
        return self._carry_out(plan_spread(self.view))

    def do_scale(self, collection: str, factor: str) -> str:
        return self._carry_out(plan_scale(self.view, CollectionName(collection), int(factor)))

    def do_reshard(self, collection: str, count: str) -> str:
        present = len(self.view.state(CollectionName(collection)).shards)
        names = [self._name() for _ in range(max(0, int(count) - present))]
        return self._carry_out(
            plan_reshard(self.view, CollectionName(collection), int(count), names=names)
        )

    def do_show(self) -> str:
        return "\n".join(
            f"{collection}/{shard.name}: {' '.join(shard.replicas)} "
            f"({state.table.counts(len(state.shards))[at]}/{state.table.count})"
            for collection, state in sorted(self.view.states.items())
            for at, shard in enumerate(state.shards)
        )

    def _carry_out(self, plan: Plan) -> str:
        ends = carry_out(plan, self.view.states)
        self._keep({collection: states[-1] for collection, states in ends.items()})
        return plan.render()

    def _keep(self, states: dict[CollectionName, ShardingState]) -> None:
        self.view = replace(self.view, states=states, sizes=sizes_of(states))

    def _name(self) -> ShardName:
        self.names += 1
        return ShardName(f"s{self.names}")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script(script: Path, golden: Callable[[Path, Execute], None]) -> None:
    golden(script, Operator().execute)
