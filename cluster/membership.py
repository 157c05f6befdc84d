"""Membership: which nodes are alive, concluded from leases and from calls that succeed or fail.

    ALIVE  ──several failures, over some time──▶  SUSPECT  ──no answer for long──▶  UNAVAILABLE
      ▲  ▲──────────────an answer──────────────────┘                                    │
      └─────────────────an answer, or a new life───────────────────────────────────────┘
    LEFT: it said goodbye; only a new life ends that.

Fed with events and the time (monotonic seconds), it returns what the driver should do: `Changed`
tells of a node's new state, `Probe` asks to call a node, to find out whether it is back. It holds
no opinion that needs a majority: each node judges for itself, from what it can reach.

- A failure counts once in `failure_gap_s`, so that a hundred calls lost with one connection are one
  failure; and not when the node has answered since the call began. One slow call is one failure.
- Losing its lease makes a node suspect, never more: etcd may be what is out of reach. Calls decide.
- Every life of a node has a greater generation. Events of a former life change nothing, so a late
  failure of the process that died does not shadow the one that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftdb.core.types import NodeName


class Liveness(Enum):
    """What a node is taken for."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    """Asked last; still counted as a holder of its shards."""
    UNAVAILABLE = "unavailable"
    """Not asked; its writes become hints at once."""
    LEFT = "left"


class NodeStatus(Enum):
    """The words of `/v1/nodes`."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    UNAVAILABLE = "UNAVAILABLE"
    TIMEOUT = "TIMEOUT"


class Failure(Enum):
    """How a call failed."""

    TIMEOUT = "timeout"
    """No answer in time: the node may be busy, paused or cut off."""
    REFUSED = "refused"
    """Nobody listens, or the connection broke: the process is likely gone."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """When a node is given up. The defaults suit nodes in one building."""

    failures_min: int = 3
    failure_gap_s: float = 0.2
    unavailable_after_s: float = 5.0
    """Without any answer, since it became suspect."""
    probe_gap_s: float = 0.5
    probe_gap_s_max: float = 2.0
    """Probes of a node that stays away become rarer by half each time, down to one in this."""

    def __post_init__(self) -> None:
        assert self.failures_min >= 2, "one slow call must never make a node suspect"
        assert self.failure_gap_s > 0, self.failure_gap_s
        assert 0 < self.probe_gap_s <= self.probe_gap_s_max


@dataclass(frozen=True, slots=True)
class Changed:
    """A node has another liveness, or began a new life."""

    node: NodeName
    old: Liveness | None
    """None of a node that was not known."""
    new: Liveness
    generation: int
    why: str


@dataclass(frozen=True, slots=True)
class Probe:
    """Call the node, and feed back how that went."""

    node: NodeName


Effect: TypeAlias = Changed | Probe
Effects: TypeAlias = tuple[Effect, ...]


@dataclass(slots=True)
class _Member:
    """What is known of one node in its present life."""

    generation: int
    liveness: Liveness
    failures: int = 0
    failed_s: float = float("-inf")
    """When the last failure counted."""
    last_failure: Failure | None = None
    answered_s: float = float("-inf")
    suspect_s: float = 0.0
    probe_s: float = 0.0
    probe_gap_s: float = 0.0


class Membership:
    """The other nodes, as this one sees them. Concurrency: one caller at a time."""

    def __init__(self, suspicion: Suspicion | None = None) -> None:
        self._rules = suspicion or Suspicion()
        self._members: dict[NodeName, _Member] = {}

    # --- events ----------------------------------------------------------------------------------

    def on_lease(self, node: NodeName, generation: int, *, now_s: float) -> Effects:
        """A node holds a lease of the metadata store, for its life `generation`."""
        member, effects = self._in_life(node, generation, now_s, "its lease")
        if member is None or member.liveness is Liveness.LEFT:
            return effects
        if member.liveness is Liveness.ALIVE:
            return effects
        # The same life is back at the metadata store: soon it answers here, too.
        member.probe_gap_s = self._rules.probe_gap_s
        return (*effects, self._probe(node, member, now_s))

    def on_lease_lost(self, node: NodeName, generation: int, *, now_s: float) -> Effects:
        """The lease of that life ran out."""
        member = self._members.get(node)
        if member is None or member.generation != generation or member.liveness is Liveness.LEFT:
            return ()
        if member.liveness is not Liveness.ALIVE:
            return ()
        return self._suspect(node, member, now_s, "its lease ran out")

    def on_left(self, node: NodeName, generation: int, *, now_s: float) -> Effects:
        """The node said that it leaves, in that life."""
        member, effects = self._in_life(node, generation, now_s, "its goodbye")
        if member is None or member.liveness is Liveness.LEFT:
            return effects
        return (*effects, self._become(node, member, Liveness.LEFT, "it said goodbye"))

    def on_answer(self, node: NodeName, generation: int, *, now_s: float) -> Effects:
        """The node answered a call, in that life: whatever the answer, it is alive."""
        member, effects = self._in_life(node, generation, now_s, "its answer")
        if member is None or member.liveness is Liveness.LEFT:
            return effects
        member.failures = 0
        member.last_failure = None
        member.answered_s = now_s
        if member.liveness is Liveness.ALIVE:
            return effects
        return (*effects, self._become(node, member, Liveness.ALIVE, "it answered"))

    def on_failure(
        self, node: NodeName, failure: Failure, *, began_s: float, now_s: float
    ) -> Effects:
        """A call to the node, begun at `began_s`, failed."""
        assert began_s <= now_s, (began_s, now_s)
        member = self._members.get(node)
        if member is None or member.liveness is Liveness.LEFT or member.answered_s >= began_s:
            return ()
        member.last_failure = failure
        if now_s - member.failed_s < self._rules.failure_gap_s:
            return ()
        member.failures += 1
        member.failed_s = now_s
        if member.liveness is not Liveness.ALIVE or member.failures < self._rules.failures_min:
            return ()
        why = f"{member.failures} calls failed in a row, the last one: {failure.value}"
        return self._suspect(node, member, now_s, why)

    def on_forgotten(self, node: NodeName) -> None:
        """The node was removed from the cluster: nothing is known of it any more."""
        self._members.pop(node, None)

    def on_time(self, *, now_s: float) -> Effects:
        """Conclude what follows from time alone; to be called at `wake_s`."""
        effects: list[Effect] = []
        for node, member in sorted(self._members.items()):
            if member.liveness not in (Liveness.SUSPECT, Liveness.UNAVAILABLE):
                continue
            waited_s = now_s - member.suspect_s
            is_over = waited_s >= self._rules.unavailable_after_s
            if member.liveness is Liveness.SUSPECT and is_over:
                why = f"no answer for {waited_s:g} s since it became suspect"
                effects.append(self._become(node, member, Liveness.UNAVAILABLE, why))
            if now_s >= member.probe_s:
                effects.append(self._probe(node, member, now_s))
        return tuple(effects)

    # --- what is known ---------------------------------------------------------------------------

    @property
    def wake_s(self) -> float | None:
        """When `on_time` is due; None while nothing depends on time."""
        times = []
        for member in self._members.values():
            if member.liveness is Liveness.SUSPECT:
                times.append(member.suspect_s + self._rules.unavailable_after_s)
            if member.liveness in (Liveness.SUSPECT, Liveness.UNAVAILABLE):
                times.append(member.probe_s)
        return min(times, default=None)

    def liveness_of(self, node: NodeName) -> Liveness:
        """What the node is taken for; one that was never heard of is unavailable."""
        member = self._members.get(node)
        return member.liveness if member else Liveness.UNAVAILABLE

    def generation_of(self, node: NodeName) -> int | None:
        """The node's present life, if it was ever heard of."""
        member = self._members.get(node)
        return member.generation if member else None

    def status_of(self, node: NodeName) -> NodeStatus:
        """The node in the words of `/v1/nodes`: a suspect whose last call was not answered in time
        is TIMEOUT, any other suspect UNHEALTHY."""
        member = self._members.get(node)
        if member is None or member.liveness in (Liveness.UNAVAILABLE, Liveness.LEFT):
            return NodeStatus.UNAVAILABLE
        if member.liveness is Liveness.ALIVE:
            return NodeStatus.HEALTHY
        is_slow = member.last_failure is Failure.TIMEOUT
        return NodeStatus.TIMEOUT if is_slow else NodeStatus.UNHEALTHY

    def members(self) -> Mapping[NodeName, Liveness]:
        """Every node that is known, by name."""
        return {node: member.liveness for node, member in sorted(self._members.items())}

    # --- changes ---------------------------------------------------------------------------------

    def _in_life(
        self, node: NodeName, generation: int, now_s: float, by: str
    ) -> tuple[_Member | None, Effects]:
        """The member in that life, begun if it is new; None where that life is over."""
        member = self._members.get(node)
        if member is not None and member.generation == generation:
            return member, ()
        if member is not None and member.generation > generation:
            return None, ()
        old = member.liveness if member else None
        fresh = _Member(generation, Liveness.ALIVE, answered_s=now_s)
        self._members[node] = fresh
        why = f"life {generation} is known by {by}"
        return fresh, (Changed(node, old, Liveness.ALIVE, generation, why),)

    def _suspect(self, node: NodeName, member: _Member, now_s: float, why: str) -> Effects:
        member.suspect_s = now_s
        member.probe_gap_s = self._rules.probe_gap_s
        changed = self._become(node, member, Liveness.SUSPECT, why)
        return (changed, self._probe(node, member, now_s))

    def _become(self, node: NodeName, member: _Member, new: Liveness, why: str) -> Changed:
        old, member.liveness = member.liveness, new
        return Changed(node, old, new, member.generation, why)

    def _probe(self, node: NodeName, member: _Member, now_s: float) -> Probe:
        member.probe_s = now_s + member.probe_gap_s
        member.probe_gap_s = min(2 * member.probe_gap_s, self._rules.probe_gap_s_max)
        return Probe(node)
