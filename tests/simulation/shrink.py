"""Makes a failing plan small: the fewest steps and faults that still break the same promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .checkers import Violation, check_all
from .faults import Fault
from .plan import Plan
from .run import Setting, play

RUNS_MAX = 80


@dataclass(slots=True)
class Shrinking:
    """A search by halves, bounded in runs."""

    fails: Callable[[Plan], bool]
    runs: int = 0

    def shrink(self, plan: Plan) -> Plan:
        """The smallest failing plan that was found. Requires: `plan` fails."""
        plan = self._fewer_steps(plan)
        plan = self._fewer_faults(plan)
        return self._fewer_steps(plan)

    def _fewer_steps(self, plan: Plan) -> Plan:
        """Bisect the length of the prefix. Where failing is not monotone, a longer one stays."""
        passing, failing = 0, len(plan.steps)
        while failing - passing > 1:
            middle = (passing + failing) // 2
            if self._fails(plan.cut(steps=middle)):
                failing = middle
            else:
                passing = middle
        return plan.cut(steps=failing)

    def _fewer_faults(self, plan: Plan) -> Plan:
        """Leave out faults, half of them at first, then ever smaller parts."""
        faults: list[Fault] = list(plan.faults)
        part = max(1, len(faults) // 2)
        while faults:
            start, is_smaller = 0, False
            while start < len(faults):
                without = faults[:start] + faults[start + part :]
                if self._fails(plan.cut(faults=without)):
                    faults, is_smaller = without, True
                else:
                    start += part
            if part == 1 and not is_smaller:
                break
            part = max(1, part // 2)
        return plan.cut(faults=faults)

    def _fails(self, plan: Plan) -> bool:
        if self.runs >= RUNS_MAX:
            return False
        self.runs += 1
        return self.fails(plan)


def shrink(plan: Plan, violation: Violation, setting: Setting) -> tuple[Plan, int]:
    """The smallest plan found that breaks the promise of `violation`, and how many runs it took."""

    def fails(candidate: Plan) -> bool:
        facts = play(candidate, setting).facts
        return any(other.checker == violation.checker for other in check_all(facts))

    search = Shrinking(fails)
    return search.shrink(plan), search.runs
