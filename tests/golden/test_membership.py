"""Membership as conversations: `membership/` has the scripts.

<seconds> lease|gone|left|answer <node> <generation>
<seconds> fail <node> timeout|refused [began <seconds>]
<seconds> time
status                      # words of /v1/nodes, and when time is due
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from weftdb.cluster.membership import Changed, Effects, Failure, Membership
from weftdb.core.types import NodeName

from .script import Execute

SCRIPTS = sorted((Path(__file__).parent / "membership").iterdir())


class Conversation:
    """A membership that is spoken to in lines."""

    def __init__(self) -> None:
        self.membership = Membership()

    def execute(self, line: str) -> str:
        if line == "status":
            return self._status()
        when, verb, *rest = line.split()
        return "\n".join(self._render(self._feed(float(when), verb, rest)))

    def _feed(self, now_s: float, verb: str, rest: list[str]) -> Effects:
        if verb == "time":
            return self.membership.on_time(now_s=now_s)
        node = NodeName(rest[0])
        if verb == "fail":
            began_s = float(rest[3]) if rest[2:] else now_s
            failure = Failure(rest[1])
            return self.membership.on_failure(node, failure, began_s=began_s, now_s=now_s)
        events = {
            "lease": self.membership.on_lease,
            "gone": self.membership.on_lease_lost,
            "left": self.membership.on_left,
            "answer": self.membership.on_answer,
        }
        return events[verb](node, int(rest[1]), now_s=now_s)

    def _render(self, effects: Effects) -> list[str]:
        lines = []
        for effect in effects:
            if isinstance(effect, Changed):
                old = effect.old.value if effect.old else "unknown"
                lines.append(f"{effect.node}: {old} -> {effect.new.value}: {effect.why}")
            else:
                lines.append(f"probe {effect.node}")
        return lines or ["-"]

    def _status(self) -> str:
        words = [
            f"{node} {self.membership.status_of(node).value}" for node in self.membership.members()
        ]
        wake_s = self.membership.wake_s
        due = "no time is due" if wake_s is None else f"time is due at {wake_s:g}"
        return "; ".join([*words, due])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script(script: Path, golden: Callable[[Path, Execute], None]) -> None:
    golden(script, Conversation().execute)
