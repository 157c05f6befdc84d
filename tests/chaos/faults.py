"""Faults: what is done to one node at a time, by a plan that a seed makes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.cluster import ChaosCluster

KINDS = ("kill", "pause", "partition", "skew", "wipe")
DOWN_S = (3.0, 10.0)
REST_S = (3.0, 6.0)
SKEW_MS = 300_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind on one node: after `rest_s`, for `down_s` (a restart comes on top)."""

    kind: str
    node: str
    rest_s: float
    down_s: float
    offset_ms: int = 0

    def __str__(self) -> str:
        offset = f" by {self.offset_ms / 1000:+.0f} s" if self.offset_ms else ""
        return f"{self.kind} {self.node}{offset}, {self.down_s:.0f} s"


def plan(names: tuple[str, ...], kinds: tuple[str, ...], seed: int) -> Iterator[Fault]:
    """Faults without end; each kind comes once before one comes again, in any order."""
    chance = random.Random(f"{seed} faults")
    while True:
        for kind in chance.sample(kinds, len(kinds)):
            yield Fault(
                kind,
                chance.choice(names),
                rest_s=chance.uniform(*REST_S),
                down_s=chance.uniform(*DOWN_S),
                offset_ms=chance.choice((-SKEW_MS, SKEW_MS)) if kind == "skew" else 0,
            )


def inflict(fault: Fault, cluster: ChaosCluster) -> None:
    """Do it, wait, and undo it. A node with a wrong clock must answer; the others need not."""
    if fault.kind == "skew":
        cluster.set_clock(fault.node, fault.offset_ms)
        time.sleep(fault.down_s)
        cluster.set_clock(fault.node, 0)
        return
    cluster.begin_fault(fault.node, fault.kind)
    if fault.kind == "pause":
        cluster.pause(fault.node)
        time.sleep(fault.down_s)
        cluster.resume(fault.node)
    elif fault.kind == "partition":
        assert cluster.namespaces is not None, "only namespaces can be cut off"
        cluster.namespaces.cut(fault.node)
        time.sleep(fault.down_s)
        cluster.namespaces.heal(fault.node)
    else:
        cluster.kill(fault.node)
        if fault.kind == "wipe":
            cluster.wipe(fault.node)
        time.sleep(fault.down_s)
        cluster.restart(fault.node)
    _wait_until_it_is_there(fault.node, cluster)
    cluster.end_fault()


THERE_S_MAX = 60.0


def _wait_until_it_is_there(node: str, cluster: ChaosCluster) -> None:
    """Until the node sees every other one, vouches for its replicas, and every node reaches every
    other one: only then is one more node down no more than a minority. Connections that were cut
    are made anew within some seconds. What does not come to be shows in the requests."""
    until = time.monotonic() + THERE_S_MAX
    while time.monotonic() < until:
        status, body = cluster.ask(node, "GET", "/cluster/statistics")
        is_whole = status == 200 and body["synchronized"] and not cluster.unvouched(node)
        if is_whole and all(cluster.reaches_all(each) for each in cluster.names):
            return
        time.sleep(0.2)
