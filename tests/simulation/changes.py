"""Changes: shards that move, nodes that join and leave, while clients go on.

What is planned is the product's (`cluster/rebalance`), and so is who carries it out (repair.py has
the movers); here somebody asks for it at a moment of the run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from weftdb.cluster.placement import NodeFacts
from weftdb.cluster.rebalance.changes import Change as Rebalancing
from weftdb.cluster.rebalance.replicas import (
    TransferType,
    plan_drain,
    plan_replace,
    plan_scale,
    transfer,
)
from weftdb.cluster.rebalance.spread import plan_spread
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.core.errors import WeftError
from weftdb.core.types import CollectionName, NodeName

from .agreed import Metadata
from .node import SimulatedNode
from .repair import Repair

POLL_S = 1.0


class ChangeKind(Enum):
    """What somebody asks for."""

    MOVE = "move"
    COPY = "copy"
    SPREAD = "spread"
    """Even out, mostly after a node has joined."""
    LEAVE = "leave"
    """Drain a node; it stops for good when it is empty."""
    SCALE = "scale"
    REPLACE = "replace"
    """Give what a dead node had to another one."""
    CANCEL = "cancel"
    """Take back whatever is under way."""
    SCHEMA = "schema"
    """A new version of the definition, which says the same."""


@dataclass(frozen=True, slots=True)
class Change:
    """One request to change something, at the virtual second `at`."""

    kind: ChangeKind
    at: float
    pick: int
    """Chooses among what is possible then."""

    def __str__(self) -> str:
        return f"{self.kind.value} [{self.at:.3f}]"


def draw_changes(dice: random.Random, seconds: float) -> tuple[Change, ...]:
    """Draw what is asked for in a run of `seconds`."""
    kinds = dice.choices(
        list(ChangeKind), weights=[5, 2, 3, 2, 1, 2, 1, 2], k=dice.choice([1, 2, 4, 6])
    )
    drawn = [
        Change(kind, dice.uniform(0.0, 0.8 * seconds), dice.randrange(1 << 16)) for kind in kinds
    ]
    return tuple(sorted(drawn, key=lambda change: change.at))


class Changes:
    """Asks for changes, as people do: through any node that is there."""

    def __init__(
        self,
        collection: CollectionName,
        metadata: Metadata,
        nodes: Mapping[str, SimulatedNode],
        repairs: Mapping[str, Repair],
        *,
        living: Callable[[], Sequence[NodeName]],
        members: Callable[[], frozenset[NodeName]],
        note: Callable[[str, str], None],
    ) -> None:
        self._collection = collection
        self._metadata = metadata
        self._nodes = nodes
        self._repairs = repairs
        self._living = living
        self._members = members
        self._note = note
        self.draining: set[NodeName] = set()
        self.gone: set[NodeName] = set()
        """Nodes that have left for good."""

    def ask(self, change: Change) -> None:
        """Ask for it; what is not possible now is refused, as people are told."""
        if change.kind is ChangeKind.SCHEMA:
            self._metadata.change_schema()
            return
        door = next((name for name in self._living() if self._is_open(name)), None)
        if door is None:
            self._note("refuses", f"{change}: nobody is there")
            return
        try:
            self._ask(change, self._repairs[door])
        except WeftError as error:
            self._note("refuses", f"{change}: {error}")
        else:
            self._note("asks", str(change))

    def let_go(self) -> None:
        """Stop nodes that are drained."""
        for name in sorted(self.draining - self.gone):
            node = self._nodes[name]
            is_given = any(True for _ in self._metadata.state.held_on(name))
            if node.is_up and not is_given and not node.replicas and not self._is_busy():
                self.gone.add(name)
                self._note("leaves", name)
                node.crash(wipe=False)

    def unfinished(self) -> list[str]:
        """Operations and plans that are not over."""
        found = [
            f"{each.id} is {each.state.value}: {each.change}"
            for each in self._metadata.operations()
            if not each.is_over
        ]
        for repair in self._repairs.values():
            running = [plan for plan in repair.plans.all() if plan.state == "RUNNING"]
            return found + [f"plan {plan.id}: {plan.plan.purpose}" for plan in running]
        return found

    def _is_open(self, name: NodeName) -> bool:
        node = self._nodes[name]
        return node.is_up and not node.is_paused and not node.is_cut_off

    def _is_busy(self) -> bool:
        return bool(self.unfinished())

    def _view(self) -> ClusterView:
        living = set(self._living())
        facts = tuple(
            NodeFacts(name, is_draining=name in self.draining) for name in sorted(self._members())
        )
        dead = frozenset(name for name in self._members() if name not in living)
        return ClusterView(facts, {self._collection: self._metadata.state}, dead=dead)

    def _ask(self, change: Change, repair: Repair) -> None:
        view, dice = self._view(), random.Random(change.pick)
        match change.kind:
            case ChangeKind.MOVE | ChangeKind.COPY:
                repair.board.register(self._transfer(view, change.kind, dice))
            case ChangeKind.SPREAD:
                repair.plans.add(plan_spread(view))
            case ChangeKind.LEAVE:
                name = NodeName(dice.choice([node.name for node in view.nodes]))
                plan = plan_drain(view, name)
                self.draining.add(name)
                repair.plans.add(plan)
            case ChangeKind.SCALE:
                factor = dice.choice([3, 3, 4, 5])
                repair.plans.add(plan_scale(view, self._collection, factor))
            case ChangeKind.REPLACE:
                dead = sorted(view.dead) or [dice.choice(view.nodes).name]
                new = dice.choice([node.name for node in view.takers])
                repair.plans.add(plan_replace(view, NodeName(dice.choice(dead)), new))
            case ChangeKind.CANCEL:
                repair.board.delete_all(where=lambda each: each.is_cancelable)

    def _transfer(self, view: ClusterView, kind: ChangeKind, dice: random.Random) -> Rebalancing:
        placed = dice.choice(view.state(self._collection).shards)
        return transfer(
            view,
            self._collection,
            placed.name,
            source=dice.choice(placed.replicas),
            target=dice.choice(
                [node.name for node in view.takers if node.name not in placed.holders]
                or [view.nodes[0].name]
            ),
            kind=TransferType.MOVE if kind is ChangeKind.MOVE else TransferType.COPY,
        )
