"""Faults: what goes wrong in a run, when, and for how long; planned from the seed beforehand.

At the end of a run everything heals: a fault that still lasts is over then.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product

from .network import Link


class FaultKind(Enum):
    """What goes wrong."""

    CRASH = "crash"
    """SIGKILL and loss of power: what was not synced may be gone. The node starts again."""
    WIPE = "wipe"
    """A crash whose disk comes back empty."""
    PAUSE = "pause"
    """SIGSTOP: messages queue up, and time has gone on when the node does."""
    PARTITION = "partition"
    """Links are cut, in one or both directions."""
    SLOW = "slow"
    """Links take `amount` times as long."""
    LOSSY = "lossy"
    """Links lose `amount` of their messages."""
    CLOCK = "clock"
    """A wall clock is set by `amount` seconds."""
    CUT_OFF = "cut off"
    """A node neither reaches the metadata nor hears of it; clients and other nodes reach it."""
    AMBUSH = "ambush"
    """Who has a part in a move is killed `amount` seconds after the move came into a state. Its
    `node` is `STATE role`; it waits from `at` on, and happens once."""


AMBUSHED = ("HYDRATING", "FINALIZING", "INTEGRATING", "INTEGRATING", "DEHYDRATING", "DEHYDRATING")
ROLES = ("target", "leaving", "source", "other")
NODE_FAULTS = (FaultKind.CRASH, FaultKind.WIPE, FaultKind.PAUSE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, from the virtual second `at` for `lasts` seconds."""

    kind: FaultKind
    at: float
    lasts: float
    node: str = ""
    """Of a fault of a node."""
    links: tuple[Link, ...] = ()
    """Of a fault of the network."""
    amount: float = 0.0

    @property
    def until(self) -> float:
        """When it is over."""
        return self.at + self.lasts

    def touches(self, begun: float, ended: float) -> bool:
        """True where the fault and the time between two moments overlap."""
        return self.at <= ended and begun <= self.until

    def __str__(self) -> str:
        where = self.node or " ".join(f"{source}>{target}" for source, target in self.links)
        amount = f" {self.amount:g}" if self.amount else ""
        return f"{self.kind.value}{amount} {where} [{self.at:.3f}, {self.until:.3f}]"


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How many faults of a kind a run has on average, and how long they last."""

    crashes: float = 0.0
    wipes: float = 0.0
    pauses: float = 0.0
    partitions: float = 0.0
    slow: float = 0.0
    lossy: float = 0.0
    clock_steps: float = 0.0
    cut_offs: float = 0.0
    ambushes: float = 0.0
    blackouts: float = 0.0
    """Every node loses power at the same moment."""
    lasts_s: float = 8.0


def plan_faults(
    dice: random.Random, nodes: Sequence[str], *, rates: FaultRates, seconds: float, wipes_max: int
) -> tuple[Fault, ...]:
    """Draw the faults of a run of `seconds`, in the order of time; at most `wipes_max` wipes."""
    faults: list[Fault] = []

    def times(mean: float) -> list[tuple[float, float]]:
        whole = int(mean) + (dice.random() < mean % 1)
        return [
            (dice.uniform(0.0, seconds), rates.lasts_s * dice.lognormvariate(0, 0.7))
            for _ in range(whole)
        ]

    for at, lasts in times(rates.crashes):
        faults.append(Fault(FaultKind.CRASH, at, lasts, dice.choice(nodes)))
    for at, lasts in times(rates.blackouts):
        faults += [Fault(FaultKind.CRASH, at, lasts, node) for node in nodes]
    for at, lasts in times(rates.wipes)[:wipes_max]:
        faults.append(Fault(FaultKind.WIPE, at, lasts, dice.choice(nodes)))
    for at, lasts in times(rates.pauses):
        faults.append(Fault(FaultKind.PAUSE, at, lasts, dice.choice(nodes)))
    for at, lasts in times(rates.partitions):
        faults.append(Fault(FaultKind.PARTITION, at, lasts, links=_partition(dice, nodes)))
    for at, lasts in times(rates.slow):
        factor = dice.choice([10.0, 100.0, 1000.0])
        faults.append(Fault(FaultKind.SLOW, at, lasts, links=_links(dice, nodes), amount=factor))
    for at, lasts in times(rates.lossy):
        share = dice.choice([0.1, 0.5, 0.9])
        faults.append(Fault(FaultKind.LOSSY, at, lasts, links=_links(dice, nodes), amount=share))
    for at, _ in times(rates.clock_steps):
        step = dice.uniform(-300.0, 300.0)
        faults.append(Fault(FaultKind.CLOCK, at, 0.0, dice.choice(nodes), amount=step))
    for at, lasts in times(rates.cut_offs):
        faults.append(Fault(FaultKind.CUT_OFF, at, lasts, dice.choice(nodes)))
    for _, lasts in times(rates.ambushes):
        when = f"{dice.choice(AMBUSHED)} {dice.choice(ROLES)}"
        delay = dice.choice([0.0, 0.05, 0.5, 2.0]) * dice.random()
        faults.append(Fault(FaultKind.AMBUSH, 0.0, lasts, when, amount=delay))
    return tuple(sorted(faults, key=lambda fault: fault.at))


def _partition(dice: random.Random, nodes: Sequence[str]) -> tuple[Link, ...]:
    """Cut off some of the nodes: both ways, or only what they send, or only what they get."""
    shuffled = dice.sample(nodes, len(nodes))
    size = dice.randint(1, max(1, len(nodes) // 2))
    inside, outside = shuffled[:size], shuffled[size:]
    outward, inward = list(product(inside, outside)), list(product(outside, inside))
    chosen = dice.choice([outward + inward, outward + inward, outward, inward])
    return tuple(sorted(chosen))


def _links(dice: random.Random, nodes: Sequence[str]) -> tuple[Link, ...]:
    """All links of one node, or one of them."""
    node = dice.choice(nodes)
    others = [other for other in nodes if other != node]
    if dice.random() < 0.5:
        return ((node, dice.choice(others)),)
    return tuple(sorted([(node, other) for other in others] + [(other, node) for other in others]))
