"""One seed, one run: play its plan and check its promises; many seeds, on all cores."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from .canaries import CANARIES
from .checkers import Violation, check_all, outcomes, undecided
from .engine_replica import EngineNodes
from .plan import USUAL, Plan, Size, draw_plan
from .world import Parts, Run, World


def _engine_parts() -> Parts:
    nodes = EngineNodes()
    return Parts(replica=nodes.replica, close=nodes.close)


REPLICAS: Mapping[str, Callable[[], Parts]] = {"model": Parts, "engine": _engine_parts}


@dataclass(frozen=True, slots=True)
class Setting:
    """What is simulated: how big, with which replica, with which planted bug."""

    size: Size = USUAL
    replica: str = "engine"
    canary: str = ""

    def plan(self, seed: int) -> Plan:
        """The plan of a seed."""
        return (
            CANARIES[self.canary].plan(seed, self.size)
            if self.canary
            else draw_plan(seed, self.size)
        )

    def parts(self) -> Parts:
        """What the cluster is made of."""
        sound = REPLICAS[self.replica]()
        return CANARIES[self.canary].plant(sound) if self.canary else sound

    def command(self, seed: int) -> str:
        """The command that plays a seed again."""
        words = ["python -m tests.simulation --seed", str(seed), "--replica", self.replica]
        if self.size != USUAL:
            size = self.size
            words += [f"--steps {size.steps} --clients {size.clients} --keys {size.keys}"]
        if self.canary:
            words += ["--canary", self.canary]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Result:
    """What a seed showed, small enough to cross processes."""

    seed: int
    violations: tuple[Violation, ...]
    outcomes: Counter[str]
    undecided: int
    digest: str
    virtual_s: float
    events: int


def play(plan: Plan, setting: Setting) -> Run:
    """Play a plan to its end."""
    return World(plan, setting.parts()).play()


def play_seed(seed: int, setting: Setting) -> Result:
    """Play the plan of a seed and check it."""
    run = play(setting.plan(seed), setting)
    return Result(
        seed=seed,
        violations=tuple(check_all(run.facts)),
        outcomes=outcomes(run.facts),
        undecided=len(undecided(run.facts)),
        digest=run.journal.digest(),
        virtual_s=run.virtual_s,
        events=run.events,
    )


def play_seeds(seeds: Iterable[int], setting: Setting, *, processes: int) -> Iterator[Result]:
    """Play many seeds, in their order."""
    one = partial(play_seed, setting=setting)
    if processes == 1:
        yield from map(one, seeds)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        yield from pool.map(one, seeds, chunksize=4)
