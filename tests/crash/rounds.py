"""Rounds: start, check what the last crash left, write, SIGKILL at a random moment, again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.server_process import ServerProcess

from .checker import Violation, check_all
from .door import collection_of, connect, create_collection
from .ledger import Ledger
from .observer import observe
from .writer import Writer

WRITERS = 5
WRITE_S_MIN = 0.15
WRITE_S_MAX = 1.2
JOIN_S = 3.0


@dataclass
class Report:
    """What the rounds showed. `violations` are pairs of round number and broken promise."""

    seed: int
    rounds: int = 0
    acknowledged: int = 0
    in_flight: int = 0
    start_s_max: float = 0.0
    violations: list[tuple[int, Violation]] = field(default_factory=list)
    complaints: list[tuple[int, str]] = field(default_factory=list)
    """Errors that a writer got while its server was up."""

    @property
    def is_clean(self) -> bool:
        """True when every promise was kept."""
        return not self.violations and not self.complaints

    def __str__(self) -> str:
        outcome = "every promise kept" if self.is_clean else "PROMISES BROKEN"
        lines = [
            f"{self.rounds} rounds, seed {self.seed}: {self.acknowledged} acknowledged writes, "
            f"{self.in_flight} in flight at a kill, slowest restart {self.start_s_max:.2f} s: "
            f"{outcome}"
        ]
        lines += [f"  round {number}: {item}" for number, item in self.violations[:40]]
        lines += [f"  round {number}: writer: {item}" for number, item in self.complaints[:10]]
        return "\n".join(lines)


def play(
    data: Path, *, rounds: int, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Play `rounds` crashes over one data directory; stops at the first broken round."""
    dice = random.Random(seed)
    server = ServerProcess(data)
    ledger = Ledger()
    report = Report(seed)
    try:
        for number in range(1, rounds + 1):
            began = time.monotonic()
            server.start()
            report.start_s_max = max(report.start_s_max, server.start_s)
            if not check(server, ledger, report, number - 1):
                return report
            write_and_kill(server, ledger, report, number, dice)
            report.rounds = number
            tell(
                f"round {number}: {report.acknowledged} acknowledged, {report.in_flight} in flight"
                f" so far, {len(ledger.entries)} keys, {time.monotonic() - began:.1f} s"
            )
        server.start()
        check(server, ledger, report, rounds)
    finally:
        server.kill()
    return report


def check(server: ServerProcess, ledger: Ledger, report: Report, number: int) -> bool:
    """Hold the restarted server against the ledger; False when a promise is broken."""
    client = connect(server)
    try:
        create_collection(client)
        observation = observe(collection_of(client), ledger)
    finally:
        client.close()
    violations = check_all(
        ledger.entries,
        observation.sightings,
        strangers=observation.strangers,
        counted=observation.counted,
    )
    report.violations += [(number, item) for item in violations]
    if report.is_clean:
        ledger.settle({key: item.stored for key, item in observation.sightings.items()})
    return report.is_clean


def write_and_kill(
    server: ServerProcess, ledger: Ledger, report: Report, number: int, dice: random.Random
) -> None:
    """Let the writers loose and kill the server in the middle."""
    before = ledger.acknowledged_count
    writers = [Writer(item, server, ledger, dice.getrandbits(64)) for item in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(dice.uniform(WRITE_S_MIN, WRITE_S_MAX))
    early = [writer for writer in writers if writer.error is not None]
    report.complaints += [(number, f"{item.name}: {item.error!r}") for item in early]
    server.kill()
    for writer in writers:
        writer.stopping.set()
    deadline = time.monotonic() + JOIN_S
    for writer in writers:
        writer.join(max(0.05, min(0.5, deadline - time.monotonic())))
    ledger.freeze()
    for writer in writers:
        writer.close()
    report.acknowledged += ledger.acknowledged_count - before
    report.in_flight += sum(item.in_flight is not None for item in ledger.entries.values())
