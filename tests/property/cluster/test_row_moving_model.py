"""No acknowledged write is lost while a row of virtual shards goes to another shard and back.

As `test_moving_model.py`: one key, which lies in the row; seeds choose what happens. Nodes hold the
key once for each shard of which they have a replica. A read at QUORUM of the shard that owns the
row has to see the newest acknowledged write. What a replica has of a row that is not its shard's
any more it gives to the owner and removes whenever it likes, after a look at the state that it
knows (giving serves writes at ONE, which this does not follow).

Canaries leave one rule out each and have to be found.
"""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest

from weftdb.cluster.rebalance.changes import MoveRow, OperationState, entered, path_of
from weftdb.cluster.rebalance.told import Told
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import CollectionName, NodeName, ShardName

DOC, A, B = CollectionName("Doc"), ShardName("A"), ShardName("B")
NODES = tuple(NodeName(f"n{number}") for number in range(1, 6))
QUORUM = ConsistencyLevel.QUORUM
NOTHING = -1
STEPS = 100
ROW = 0
"""The virtual shard of the key."""


class RowMoving:
    """One key; values are numbers that count up with every write."""

    waits_until_told = True
    refuses_older_states = True
    writes_to_both = True
    collects = True
    fills_all = True
    asks_anew = True

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.weights = [self.random.choice([1, 5]), 6, self.random.choice([0, 1]), 10, 3]
        placed = (PlacedShard(A, NODES[:3]), PlacedShard(B, NODES[2:]))
        self.states = [ShardingState.create(placed, factor=3)]
        self.knows = dict.fromkeys(NODES, 0)
        self.holds = {(shard.name, node): NOTHING for shard in placed for node in shard.replicas}
        self.looked = dict.fromkeys(self.holds, False)
        """Whether who removes leftovers has looked, and found that they are."""
        self.cut_off: set[NodeName] = set()
        self.change: MoveRow | None = None
        self.done = OperationState.READY
        self.told: Told | None = None
        self.written = 0
        self.acknowledged = NOTHING
        self.apply({A: set(NODES[:2])}, self.states[0])

    def step(self) -> None:
        """Let something happen."""
        names = ["write", "hear", "cut", "carry_on", "sweep"]
        (name,) = self.random.choices(names, weights=self.weights)
        getattr(self, name)()
        self.check_reads()

    # --- the world -------------------------------------------------------------------------------

    @property
    def state(self) -> ShardingState:
        return self.states[-1]

    @property
    def living(self) -> set[NodeName]:
        return set(NODES) - self.cut_off

    def learn(self, node: NodeName, revision: int) -> None:
        self.knows[node] = max(self.knows[node], revision)
        self.report()

    def report(self) -> None:
        for node in self.living:
            if self.told:
                self.told = self.told.with_known(node, self.knows[node])

    def reach(self, asking: NodeName, wanted: set[NodeName]) -> set[NodeName] | None:
        """Who of `wanted` takes a request; None where somebody knows a newer state."""
        side = self.cut_off if asking in self.cut_off else self.living
        reached = wanted & side
        newest = max((self.knows[node] for node in reached), default=0)
        if newest > self.knows[asking] and self.refuses_older_states:
            self.learn(asking, newest)
            return None
        for node in reached:
            self.learn(node, self.knows[asking])
        return reached

    def kept(self, shard: ShardName, revision: int) -> bool:
        """Whether a replica may hold the key by that state."""
        state = self.states[revision]
        token = state.moving_range(state.moving[0]).start if state.moving else 0
        return any(token in each for each in state.kept_ranges(shard))

    # --- clients ---------------------------------------------------------------------------------

    def shards_of_write(self, state: ShardingState) -> set[ShardName]:
        owner = state.shards[int(state.table.owners[ROW])].name
        targets = {state.shards[move.target].name for move in state.moving}
        return {owner, *targets} if self.writes_to_both else {owner}

    def write(self) -> None:
        asking = self.random.choice(NODES)
        probability = self.random.choice([0.5, 0.8, 1.0])
        delivered = {pair for pair in self.holds if self.random.random() < probability}
        for _ in range(len(self.states) + 1):
            state = self.states[self.knows[asking]]
            names = self.shards_of_write(state)
            wanted = {node for shard, node in delivered if shard in names}
            reached = self.reach(asking, wanted)
            if reached is not None:
                break
        else:
            raise AssertionError("a writer learned more states than there are")
        there = {
            name: {node for shard, node in delivered if shard == name and node in reached}
            for name in names
        }
        self.apply(there, state)

    def apply(self, reached: dict[ShardName, set[NodeName]], state: ShardingState) -> None:
        self.written += 1
        is_acknowledged = True
        for name, nodes in reached.items():
            for node in nodes:
                self.holds[name, node] = self.written
            placed = state.shard(name)
            assert placed is not None
            targets = WriteTargets(placed.write_groups, QUORUM)
            is_acknowledged = is_acknowledged and targets.is_reached(nodes)
        if is_acknowledged:
            self.acknowledged = self.written

    def check_reads(self) -> None:
        for side in (self.cut_off, self.living):
            for revision in {self.knows[node] for node in side}:
                state = self.states[revision]
                owner = state.shards[int(state.table.owners[ROW])]
                reached = sorted(side & set(owner.replicas))
                for asked in combinations(reached, QUORUM.required(len(owner.replicas))):
                    newest = max(self.knows[node] for node in asked)
                    if newest <= revision or not self.refuses_older_states:
                        seen = max(self.holds[owner.name, node] for node in asked)
                        assert seen >= self.acknowledged, f"{asked} of {owner} lost a write"

    # --- the metadata, the change, what is left over ---------------------------------------------

    def hear(self) -> None:
        often = {node for node in NODES[:-1] if self.random.random() < 0.6}
        often = often if self.random.random() < 0.7 else set(NODES)
        for node in often & self.living:
            self.learn(node, len(self.states) - 1)

    def cut(self) -> None:
        some = {node for node in NODES if self.random.random() < 0.3}
        self.cut_off = self.random.choice([set(), {NODES[-1]}, {NODES[0]}, some])
        self.report()

    def carry_on(self) -> None:
        """Take the change one state on, if that may be; there and back again."""
        if self.change is None:
            names = [shard.name for shard in self.state.shards]
            owner = int(self.state.table.owners[ROW])
            source, target = names[owner], names[1 - owner]
            self.change, self.done = MoveRow(DOC, source, target, ROW, 1), OperationState.REGISTERED
        path = path_of(self.change)
        if self.done is path[-1]:
            self.change = None
            return
        is_told = self.told is None or not self.waits_until_told or self.told.is_told(self.living)
        if not is_told or not self.has_happened(self.change):
            return
        into = path[path.index(self.done) + 1]
        after = entered(self.state, self.change, into)
        if after != self.state:
            self.told = Told(self.state, after, revision=len(self.states))
            self.states.append(after)
            self.report()
        self.done = into

    def has_happened(self, change: MoveRow) -> bool:
        """Do what the present state of the change is for, if the nodes reach each other."""
        placed = {shard.name: shard.replicas for shard in self.state.shards}
        sources, targets = placed[change.source], placed[change.target]
        match self.done:
            case OperationState.REGISTERED:
                held = [self.holds[change.target, node] for node in targets]
                return set(targets) <= self.living and set(held) == {NOTHING}
            case OperationState.HYDRATING:
                return True  # What is copied by now is copied again.
            case OperationState.FINALIZING:
                return self.fill(change, sources, targets)
            case OperationState.DEHYDRATING:
                pairs = [(change.source, node) for node in sources if node in self.living]
                return all(self.holds[pair] == NOTHING for pair in pairs)
        return True

    def fill(
        self, change: MoveRow, sources: tuple[NodeName, ...], targets: tuple[NodeName, ...]
    ) -> bool:
        majority = QUORUM.required(len(sources))
        living = [node for node in self.random.sample(sources, 3) if node in self.living]
        wanted = set(targets) if self.fills_all else set(targets[:1])
        if len(living) < majority or not wanted <= self.living:
            return False
        for node in (*living, *wanted):  # Who is asked by the newest state knows it.
            self.learn(node, len(self.states) - 1)
        collected = living[:majority] if self.collects else living[:1]
        value = max(self.holds[change.source, node] for node in collected)
        for node in wanted:
            pair = (change.target, node)
            self.holds[pair] = max(self.holds[pair], value)
        return True

    def sweep(self) -> None:
        """A node looks for leftovers; some time later it removes them, if they still are."""
        name, node = pair = self.random.choice(sorted(self.holds))
        is_left_over = not self.kept(name, self.knows[node])
        if not self.looked[pair]:
            self.looked[pair] = is_left_over and self.hand_over(name, node)
            return
        self.looked[pair] = False
        if is_left_over or not self.asks_anew:
            self.holds[pair] = NOTHING

    def hand_over(self, name: ShardName, node: NodeName) -> bool:
        if node in self.cut_off:
            return False
        state = self.states[self.knows[node]]
        owner = state.shards[int(state.table.owners[ROW])]
        reached = sorted(set(owner.replicas) & self.living)
        if len(reached) < QUORUM.required(len(owner.replicas)):
            return False
        for each in reached:
            held = max(self.holds[owner.name, each], self.holds[name, node])
            self.holds[owner.name, each] = held
        return True


def play(machine: type[RowMoving], seeds: range) -> int:
    """Live through each seed's life; how often the row moved."""
    moved = 0
    for seed in seeds:
        life = machine(seed)
        try:
            for _ in range(STEPS):
                life.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        owners = [int(state.table.owners[ROW]) for state in life.states]
        moved += sum(was != now for was, now in pairwise(owners))
    return moved


class ActsOnStatesFarApart(RowMoving):
    """Goes on before the others know."""

    waits_until_told = False


class TakesOlderStates(RowMoving):
    """Answers whoever asks, by whatever state."""

    refuses_older_states = False


class WritesToTheOwner(RowMoving):
    """Leaves the shard out that the row goes to or comes from."""

    writes_to_both = False


class CopiesFromOne(RowMoving):
    """Takes one replica of the source for all."""

    collects = False


class FillsOne(RowMoving):
    """Fills one replica of the target, and calls that filled."""

    fills_all = False


class RemovesByAnOldLook(RowMoving):
    """Removes what was left over when it looked."""

    asks_anew = False


def test_no_acknowledged_write_is_lost_while_a_row_moves() -> None:
    assert play(RowMoving, range(1_500)) > 1_000


@pytest.mark.parametrize(
    "machine",
    [
        ActsOnStatesFarApart,
        TakesOlderStates,
        WritesToTheOwner,
        CopiesFromOne,
        FillsOne,
        RemovesByAnOldLook,
    ],
)
def test_a_rule_that_is_left_out_is_found(machine: type[RowMoving]) -> None:
    with pytest.raises(AssertionError, match="lost a write"):
        play(machine, range(20_000))
