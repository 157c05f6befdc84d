"""Plan: all that is decided before a run begins, drawn from its seed; a value that can be cut.

What the network and the disks do later comes from dice of their own, which the seed fixes, too.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import ObjectId

from .changes import Change, draw_changes
from .faults import Fault, FaultKind, FaultRates, plan_faults
from .history import Verb
from .network import Weather

SKEW_S_MAX = 300.0
DRIFT_MAX = 0.0005
GRACE_S = 3600.0
"""Of deletions; longer than any run."""
FORGETFUL_S = 128.0
"""The same, of runs in which they are forgotten."""
LEVELS = (ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL)


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node, and how wrong its clocks are."""

    name: str
    offset_s: float
    drift: float
    joins_at: float = 0.0
    """When it joins the cluster; one that joins later is given nothing at first."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a client does next, `think_s` after its last answer."""

    client: int
    think_s: float
    verb: Verb
    key: ObjectId
    level: ConsistencyLevel
    coordinator: str


@dataclass(frozen=True, slots=True)
class Size:
    """How big a run is."""

    steps: int = 160
    clients: int = 4
    keys: int = 6


USUAL = Size()


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    nodes: tuple[NodePlan, ...]
    factor: int
    shards: int
    weather: Weather
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    seconds_max: float
    """By then every client has stopped, answered or not."""
    outlives_grace: bool = False
    """Whether the run goes on until deletions are forgotten."""
    strategy: DeletionStrategy = DeletionStrategy.TIME_BASED_RESOLUTION
    grace_s: float = GRACE_S
    """How long deletions are remembered; mostly longer than the run."""
    lag_s: float = 0.005
    """How late nodes hear of what is agreed, in the median."""
    changes: tuple[Change, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes, by name."""
        return tuple(node.name for node in self.nodes)

    @property
    def is_forgetful(self) -> bool:
        """Whether deletions, and hints, are forgotten during the run."""
        return self.grace_s < GRACE_S

    def cut(self, *, steps: int | None = None, faults: Sequence[Fault] | None = None) -> Plan:
        """The same with the first `steps` steps, with other faults, or both."""
        return replace(
            self,
            steps=self.steps if steps is None else self.steps[:steps],
            faults=self.faults if faults is None else tuple(faults),
        )

    def __str__(self) -> str:
        skews = ", ".join(f"{node.name} {node.offset_s:+.1f} s" for node in self.nodes)
        return (
            f"seed {self.seed}: {len(self.nodes)} nodes, factor {self.factor}, "
            f"{self.shards} shards, {len(self.steps)} steps, {len(self.faults)} faults, "
            f"changes {', '.join(map(str, self.changes)) or 'none'}; {self.strategy.value}; "
            f"delay {self.weather.delay_s * 1000:g} ms, loss {self.weather.loss:g}, "
            f"duplication {self.weather.duplication:g}; clocks {skews}"
        )


def draw_plan(seed: int, size: Size, kind: str = "") -> Plan:
    """Draw a run: shards move in half of them; in one of eight a node is away for longer than
    deletions are remembered; the others have three or five nodes and stay as they are."""
    dice = random.Random(f"{seed}/plan")
    drawn = dice.choices(["still", "moving", "forgetful"], [3, 4, 1])[0]
    strategies = list(DeletionStrategy)
    strategy = dice.choices(strategies, [1, 1, 4])[0]
    match kind or drawn:
        case "moving":
            return _draw_moving(dice, seed, size, strategy)
        case "forgetful":
            return _draw_forgetful(dice, seed, size, strategy)
        case _:
            return _draw_still(dice, seed, size, strategy)


def _draw_still(dice: random.Random, seed: int, size: Size, strategy: DeletionStrategy) -> Plan:
    """Most have three nodes; one in four has five, of which a shard is on three or on all."""
    count = dice.choice([3, 3, 3, 5])
    factor = 3 if count == 3 else dice.choice([3, 5])
    names = [f"n{number}" for number in range(1, count + 1)]
    pace_s = dice.choice([0.02, 0.1, 0.5])
    seconds = size.steps / size.clients * (pace_s + 0.02)
    return Plan(
        seed=seed,
        nodes=tuple(_draw_node(dice, name) for name in names),
        factor=factor,
        shards=dice.choice([1, 1, 3]),
        weather=_draw_weather(dice),
        steps=_draw_steps(dice, names, size, pace_s),
        faults=plan_faults(
            dice, names, rates=_draw_rates(dice), seconds=seconds, wipes_max=(factor - 1) // 2
        ),
        seconds_max=60.0 + size.steps / size.clients * 4.0,
        outlives_grace=dice.random() < 0.2,
        strategy=strategy,
    )


def _draw_moving(dice: random.Random, seed: int, size: Size, strategy: DeletionStrategy) -> Plan:
    """Four to six nodes with three replicas of each shard; some nodes join later."""
    count = dice.choice([4, 5, 6])
    names = [f"n{number}" for number in range(1, count + 1)]
    pace_s = dice.choice([0.1, 0.5])
    seconds = size.steps / size.clients * (pace_s + 0.02)
    rates = _draw_rates(dice)
    if dice.random() < 0.25:
        rates = FaultRates(ambushes=dice.choice([0.0, 2.0]))
    late = dice.sample(names[3:], dice.randint(0, len(names) - 3))
    nodes = tuple(
        replace(
            _draw_node(dice, name),
            joins_at=dice.uniform(0.0, seconds / 2) if name in late else 0.0,
        )
        for name in names
    )
    return Plan(
        seed=seed,
        nodes=nodes,
        factor=3,
        shards=dice.choice([1, 2, 3]),
        weather=_draw_weather(dice),
        steps=_draw_steps(dice, names, size, pace_s),
        faults=plan_faults(dice, names, rates=rates, seconds=seconds, wipes_max=1),
        seconds_max=60.0 + size.steps / size.clients * 4.0,
        strategy=strategy,
        lag_s=dice.choice([0.001, 0.02, 0.2, 1.0]),
        changes=draw_changes(dice, seconds),
    )


def _draw_forgetful(dice: random.Random, seed: int, size: Size, strategy: DeletionStrategy) -> Plan:
    """Three nodes, of which one is away until others have forgotten deletions without it. Clocks
    differ by no more than a grace so short allows."""
    names = ["n1", "n2", "n3"]
    pace_s, away = 10.0, dice.choice(names)
    seconds = size.steps / size.clients * pace_s
    begins = dice.uniform(0.05, 0.2) * seconds
    long = Fault(FaultKind.CRASH, begins, dice.uniform(1.2, 3.0) * FORGETFUL_S, away)
    rates = FaultRates(
        crashes=dice.choice([0.0, 2.0]), partitions=dice.choice([0.0, 1.0]), lasts_s=5.0
    )
    short = plan_faults(dice, names, rates=rates, seconds=seconds, wipes_max=0)
    return Plan(
        seed=seed,
        nodes=tuple(NodePlan(name, dice.uniform(-2.0, 2.0), 0.0) for name in names),
        factor=3,
        shards=dice.choice([1, 2]),
        weather=_draw_weather(dice),
        steps=_draw_steps(dice, names, size, pace_s),
        # The one that is away is not started by the end of another fault.
        faults=tuple(sorted((long, *(f for f in short if f.node != away)), key=lambda f: f.at)),
        seconds_max=60.0 + size.steps / size.clients * (pace_s + 4.0),
        strategy=strategy,
        grace_s=FORGETFUL_S,
    )


def _draw_node(dice: random.Random, name: str) -> NodePlan:
    offset = dice.choice([0.0, 0.0, dice.uniform(-0.5, 0.5), dice.uniform(-SKEW_S_MAX, SKEW_S_MAX)])
    return NodePlan(name, offset, dice.uniform(-DRIFT_MAX, DRIFT_MAX))


def _draw_weather(dice: random.Random) -> Weather:
    return Weather(
        delay_s=dice.choice([0.0005, 0.002, 0.02]),
        spread=dice.choice([0.2, 0.5, 1.5]),
        loss=dice.choice([0.0, 0.0, 0.01, 0.05]),
        duplication=dice.choice([0.0, 0.05]),
    )


def _draw_rates(dice: random.Random) -> FaultRates:
    """Each kind of fault is left out of many runs, so that the others show what they do alone."""

    def some(mean: float) -> float:
        return dice.choice([0.0, mean, 2 * mean])

    return FaultRates(
        crashes=some(1.5),
        wipes=dice.choice([0.0, 0.0, 0.0, 1.0]),
        pauses=some(1.0),
        partitions=some(1.5),
        slow=some(1.0),
        lossy=some(1.0),
        clock_steps=some(0.5),
        cut_offs=some(0.7),
        ambushes=some(1.0),
        blackouts=dice.choice([0.0, 0.0, 1.0]),
        lasts_s=dice.choice([1.0, 4.0]),
    )


def _draw_steps(
    dice: random.Random, names: Sequence[str], size: Size, pace_s: float
) -> tuple[Step, ...]:
    """Clients prefer a coordinator, but not only that one: what one wrote, another must find."""
    keys = [ObjectId(dice.randbytes(16)) for _ in range(dice.choice([1, 2, size.keys]))]
    weights = dice.choice([(0, 1, 0), (0, 1, 0), (1, 3, 1), (1, 1, 1)])
    reads = dice.choice([0.3, 0.5, 0.7])
    home = {client: dice.choice(names) for client in range(size.clients)}
    steps = []
    for number in range(size.steps):
        client = number % size.clients
        drawn = dice.random()
        verb = Verb.READ if drawn < reads else Verb.DELETE if drawn > 0.9 else Verb.PUT
        steps.append(
            Step(
                client=client,
                think_s=dice.expovariate(1 / pace_s),
                verb=verb,
                key=dice.choice(keys),
                level=dice.choices(LEVELS, weights)[0],
                coordinator=home[client] if dice.random() < 0.6 else dice.choice(names),
            )
        )
    return tuple(steps)
