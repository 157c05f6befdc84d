"""Membership, any order of events: an answer is life, one failure is never death."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from weftdb.cluster.membership import (
    Changed,
    Effects,
    Failure,
    Liveness,
    Membership,
    NodeStatus,
    Suspicion,
)
from weftdb.core.types import NodeName

N2 = NodeName("n2")
RULES = Suspicion()


class MembershipMachine(RuleBasedStateMachine):
    """One node that lives, fails, leaves and is born again, told in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.membership = Membership(RULES)
        self.now_s = 0.0
        self.known = Liveness.UNAVAILABLE
        self.failed_at: list[float] = []
        self.lost_lease = False

    def told(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, Changed):
                assert effect.old in (None, self.known), "changes are told without a gap"
                assert effect.generation == self.membership.generation_of(N2)
                self.known = effect.new
                if effect.new is Liveness.SUSPECT:
                    assert self.lost_lease or len(self.failed_at) >= RULES.failures_min
                if effect.new is Liveness.ALIVE:
                    self.failed_at, self.lost_lease = [], False

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.told(self.membership.on_time(now_s=self.now_s))

    @rule(generation=st.integers(1, 3))
    def lease(self, generation: int) -> None:
        self.told(self.membership.on_lease(N2, generation, now_s=self.now_s))

    @rule(generation=st.integers(1, 3))
    def lease_lost(self, generation: int) -> None:
        if self.membership.generation_of(N2) == generation:
            self.lost_lease = True
        self.told(self.membership.on_lease_lost(N2, generation, now_s=self.now_s))

    @rule(generation=st.integers(1, 3))
    def left(self, generation: int) -> None:
        self.told(self.membership.on_left(N2, generation, now_s=self.now_s))

    @rule(ago=st.sampled_from([0.0, 0.2, 30.0]), failure=st.sampled_from(Failure))
    def failure(self, ago: float, failure: Failure) -> None:
        began_s = self.now_s - ago
        self.failed_at.append(self.now_s)
        effects = self.membership.on_failure(N2, failure, began_s=began_s, now_s=self.now_s)
        self.told(effects)

    @rule(generation=st.integers(1, 3))
    def answer(self, generation: int) -> None:
        known = self.membership.generation_of(N2)
        has_left = self.membership.liveness_of(N2) is Liveness.LEFT and known == generation
        self.told(self.membership.on_answer(N2, generation, now_s=self.now_s))
        if (known is None or generation >= known) and not has_left:
            self.failed_at, self.lost_lease = [], False
            assert self.membership.liveness_of(N2) is Liveness.ALIVE

    @invariant()
    def what_was_told_is_what_is(self) -> None:
        assert self.membership.liveness_of(N2) is self.known
        wake_s = self.membership.wake_s
        is_waiting = self.known in (Liveness.SUSPECT, Liveness.UNAVAILABLE)
        assert (wake_s is not None) == (is_waiting and bool(self.membership.members()))
        is_healthy = self.membership.status_of(N2) is NodeStatus.HEALTHY
        assert is_healthy == (self.known is Liveness.ALIVE)


MembershipMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
TestMembership = MembershipMachine.TestCase
