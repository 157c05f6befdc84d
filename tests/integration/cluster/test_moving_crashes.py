"""SIGKILL of who takes part in a move, in its last states, while clients write at QUORUM.

Four nodes, three replicas. Whose part a state is (what joins in INTEGRATING, what leaves in
DEHYDRATING) is stopped when the state is seen, so that the kill comes inside of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster_moves import Load, counts, fill, finished, make, places
from tests.cluster_trio import ClusterTrio, eventually

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

NAMES = ("n1", "n2", "n3", "n4")
THING = "Thing"
SEEN_S_MAX = 60.0
TRIES = 5
"""Moves that are begun until one is caught in its state."""


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterTrio]:
    made = ClusterTrio(tmp_path_factory.mktemp("crashes"), NAMES)
    try:
        made.start()
        make(made, THING, factor=3)
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Move:
    """A drain of one node that has become a move, held in a state."""

    plan: str
    operation: str
    roles: Mapping[str, str]
    """source (it leaves), target, coordinator (it goes on with the plan), witness."""

    def worker(self, state: str) -> str:
        return self.roles["target" if state == "INTEGRATING" else "source"]


def begun(four: ClusterTrio) -> Move:
    """Drain a replica that is not on the coordinator: the first of the living nodes."""
    ((_, held),) = places(four, THING).items()
    (target,) = [name for name in NAMES if name not in held]
    coordinator = min(NAMES)
    if target == coordinator:  # It is to take no other part: bring it in, without a crash.
        move = drained(four, held[0])
        finished(four, move.plan)
        give_back(four, held[0])
        return begun(four)
    source = next(name for name in held if name != coordinator)
    move = drained(four, source)
    (witness,) = set(NAMES) - {target, coordinator, source}
    roles = {"source": source, "target": target, "coordinator": coordinator, "witness": witness}
    return Move(move.plan, move.operation, roles)


def drained(four: ClusterTrio, node: str) -> Move:
    before = {each["id"] for each in operations(four, "n2")}
    status, plan = four.ask("n2", "POST", "/cluster/weftdb/plans", {"kind": "drain", "node": node})
    assert status == 200, plan
    until = time.monotonic() + SEEN_S_MAX
    while not (new := [e for e in operations(four, "n2") if e["id"] not in before]):
        assert time.monotonic() < until, "the plan does not begin"
        time.sleep(0.02)
    return Move(plan["id"], new[0]["id"], {})


def give_back(four: ClusterTrio, node: str) -> None:
    status, body = four.ask("n2", "PUT", f"/cluster/weftdb/nodes/{node}", {"draining": False})
    assert status == 200, body


def operations(four: ClusterTrio, asked: str) -> list[dict[str, Any]]:
    status, found = four.ask(asked, "GET", f"/replication/replicate/list?collection={THING}")
    assert status == 200, found
    listed: list[dict[str, Any]] = found
    return listed


def state_of(four: ClusterTrio, move: Move) -> str:
    status, found = four.ask(
        move.roles["witness"], "GET", f"/replication/replicate/{move.operation}"
    )
    assert status == 200, found
    return str(found["status"]["state"])


def held_in(four: ClusterTrio, state: str) -> Move:
    """A move whose worker is stopped in that state."""
    for _ in range(TRIES):
        move = begun(four)
        until = time.monotonic() + SEEN_S_MAX
        while (seen := state_of(four, move)) not in (state, "READY"):
            assert time.monotonic() < until, f"the move stays {seen}"
        pid = four.servers[move.worker(state)].pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)  # What it had sent before arrives.
        if state_of(four, move) == state:
            return move
        os.kill(pid, signal.SIGCONT)
        finished(four, move.plan)
        give_back(four, move.roles["source"])
    raise AssertionError(f"no move was caught in {state}")


@pytest.mark.parametrize("victim", ["source", "target", "coordinator"])
@pytest.mark.parametrize("state", ["INTEGRATING", "DEHYDRATING"])
def test_a_crash_in_the_last_states_loses_nothing(
    four: ClusterTrio, state: str, victim: str
) -> None:
    ids = fill(four, THING, 100)
    move = held_in(four, state)
    worker, killed = move.worker(state), move.roles[victim]
    loads = [Load(four, THING, name) for name in NAMES if name not in (worker, killed)]
    try:
        four.kill(killed)
        if worker != killed:
            os.kill(four.servers[worker].pid, signal.SIGCONT)
        time.sleep(3)
        four.start(killed)
        finished(four, move.plan)
    finally:
        for load in loads:
            load.stop()
    assert [load.failures for load in loads] == [[]] * len(loads)
    assert all(len(load.written) > 5 for load in loads)
    ((_, held),) = places(four, THING).items()
    assert move.roles["source"] not in held
    assert move.roles["target"] in held
    assert len(held) == 3
    assert state_of(four, move) == "READY"
    give_back(four, move.roles["source"])
    # Then all nodes are reached again, too; a read at ALL needs every one.
    eventually(lambda: is_equal(four), 90.0)
    for one in ids + [one for load in loads for one in load.written]:
        path = f"/objects/{THING}/{one}?consistency_level=ALL"
        status, body = four.ask(move.roles["witness"], "GET", path)
        assert status == 200, (one, body)
    everything = {node: count for node, count in counts(four, THING).items() if count}
    assert set(everything) == set(held)
    assert len(set(everything.values())) == 1


def is_equal(four: ClusterTrio) -> bool:
    """Whether all replicas have one digest."""
    asked = {"collection": THING, "dryRun": True}
    status, body = four.ask("n2", "POST", "/cluster/weftdb/repair", asked)
    return status == 200 and all(each["converged"] for each in body)
