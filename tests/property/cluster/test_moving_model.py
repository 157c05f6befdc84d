"""No acknowledged write is lost while replicas move: the whole protocol over one key, as a model.

Six nodes hold one shard. A seed chooses what happens (not Hypothesis: a life is a matter of a
millisecond here, and what has to be found is rare): writes and reads at QUORUM by any node
with whatever sharding state it knows, messages that are lost, a part of the nodes cut off from the
others and from the metadata, steps of changes, disks that are lost with their node. A read at
QUORUM has to see the newest acknowledged write.

Canaries leave one rule out each (operation.py, told.py, sharding.py) and have to be found.
"""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from weftdb.cluster.rebalance.changes import (
    Change,
    CopyReplica,
    DropReplica,
    MoveReplica,
    OperationState,
    entered,
    path_of,
)
from weftdb.cluster.rebalance.told import Told
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import CollectionName, NodeName, ShardName

DOC, A = CollectionName("Doc"), ShardName("A")
NODES = tuple(NodeName(f"n{number}") for number in range(1, 7))
QUORUM = ConsistencyLevel.QUORUM
NOTHING = -1
STEPS = 100


class Moving:
    """One key of one shard; values are numbers that count up with every write."""

    waits_until_told = True
    refuses_older_states = True
    counts_joining = True
    pulls_from_enough = True
    hands_over = True

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # Lives differ in what happens often: a write that is lost is seen only until the next one.
        self.weights = [self.random.choice([0, 1, 5]), 6, self.random.choice([0, 1]), 3, 10, 1]
        first = ShardingState.create((PlacedShard(A, NODES[:3]),), factor=3)
        self.states = [first]
        self.knows = dict.fromkeys(NODES, 0)
        self.holds = dict.fromkeys(NODES, NOTHING)
        self.cut_off: set[NodeName] = set()
        self.change: Change | None = None
        self.done = OperationState.READY
        self.told: Told | None = None
        self.lost: NodeName | None = None
        self.written = 0
        self.acknowledged = NOTHING
        self.has_pulled = False
        self.apply(set(NODES[:2]), first.shards[0])

    def step(self) -> None:
        """Let something happen."""
        names = ["write", "hear", "cut", "begin", "carry_on", "lose_a_disk"]
        (name,) = self.random.choices(names, weights=self.weights)
        getattr(self, name)()
        self.check_reads()

    def somebody(self) -> NodeName:
        return self.random.choice(NODES)

    def some(self, probability: float) -> set[NodeName]:
        return {node for node in NODES if self.random.random() < probability}

    # --- the world -------------------------------------------------------------------------------

    @property
    def shard(self) -> PlacedShard:
        """The shard by the newest state."""
        return self.states[-1].shards[0]

    @property
    def living(self) -> set[NodeName]:
        """Who reaches the metadata and whoever carries out changes."""
        return set(NODES) - self.cut_off

    def learn(self, node: NodeName, revision: int) -> None:
        self.knows[node] = max(self.knows[node], revision)
        self.report()

    def report(self) -> None:
        for node in self.living:
            if self.told:
                self.told = self.told.with_known(node, self.knows[node])

    def is_told(self) -> bool:
        return self.told is None or not self.waits_until_told or self.told.is_told(self.living)

    def reach(self, asking: NodeName, wanted: set[NodeName]) -> set[NodeName] | None:
        """Who of `wanted` takes a request; None where somebody knows a newer state."""
        side = self.cut_off if asking in self.cut_off else self.living
        reached = (wanted & side) - {self.lost}
        newest = max((self.knows[node] for node in reached), default=0)
        if newest > self.knows[asking] and self.refuses_older_states:
            self.learn(asking, newest)
            return None
        for node in reached:
            self.learn(node, self.knows[asking])
        return reached

    # --- clients ---------------------------------------------------------------------------------

    def write(self) -> None:
        asking, delivered = self.somebody(), self.some(self.random.choice([0.5, 0.8]))
        for _ in range(len(self.states) + 1):
            shard = self.states[self.knows[asking]].shards[0]
            reached = self.reach(asking, delivered & set(shard.holders))
            if reached is not None:
                break
        else:
            raise AssertionError("a writer learned more states than there are")
        self.apply(reached, shard)

    def apply(self, reached: set[NodeName], shard: PlacedShard) -> None:
        """Hold a new write, which is acknowledged if enough do."""
        self.written += 1
        for node in reached:
            self.holds[node] = self.written
        groups = shard.write_groups if self.counts_joining else (shard.replicas,)
        if WriteTargets(groups, QUORUM).is_reached(reached):
            self.acknowledged = self.written

    def check_reads(self) -> None:
        """Every read at QUORUM that anybody could make now sees the newest acknowledged write."""
        for side in (self.cut_off, self.living):
            for revision in {self.knows[node] for node in side}:
                replicas = self.states[revision].shards[0].replicas
                reached = sorted((side & set(replicas)) - {self.lost})
                for asked in combinations(reached, QUORUM.required(len(replicas))):
                    newest = max(self.knows[node] for node in asked)
                    if newest <= revision or not self.refuses_older_states:
                        seen = max(self.holds[node] for node in asked)
                        assert seen >= self.acknowledged, f"{asked} of {replicas} lost a write"

    # --- the metadata and changes ----------------------------------------------------------------

    def hear(self) -> None:
        """Some hear of the newest state; one hears little."""
        often = self.some(0.6) - {NODES[-1]} if self.random.random() < 0.9 else set(NODES)
        for node in often & self.living:
            self.learn(node, len(self.states) - 1)

    def cut(self) -> None:
        """Others are cut off: nobody, one who hears little anyway, or some."""
        self.cut_off = self.random.choice([set(), {NODES[-1]}, self.some(0.3)])
        self.report()

    def begin(self) -> None:
        """Register a change; a lost disk is filled first, because of some writes there is one
        replica less."""
        replicas = self.shard.replicas
        if self.change:
            return
        kind = self.random.choice(["copy", "move", "drop"])
        node, other = self.random.choice(replicas), self.somebody()
        if self.lost:
            kind, other = "copy", self.lost
        is_free = other not in self.shard.holders
        source = next((each for each in replicas if each in self.living and each != node), node)
        if kind == "copy" and is_free:
            self.change = CopyReplica(DOC, A, node, other)
        elif kind == "move" and is_free:
            self.change = MoveReplica(DOC, A, source, leaving=node, target=other)
        elif kind == "drop" and len(replicas) > 1:
            self.change = DropReplica(DOC, A, node)
        self.done = OperationState.REGISTERED

    def lose_a_disk(self) -> None:
        """The node notices, takes nothing until it is filled again, and is dropped meanwhile."""
        if self.change or self.lost:
            return
        node = self.random.choice(self.shard.replicas)
        if len(self.shard.replicas) > 2:
            self.lost = node
            self.holds[node] = NOTHING
            self.change, self.done = DropReplica(DOC, A, node), OperationState.REGISTERED

    def carry_on(self) -> None:
        """Take the change one state on, if that may be."""
        change = self.change
        if change is None:
            return
        path = path_of(change)
        if self.done is path[-1]:
            self.change = None
            return
        if not self.is_told() or not self.has_happened(change):
            return
        into = path[path.index(self.done) + 1]
        after = entered(self.states[-1], change, into)
        if after != self.states[-1]:
            self.told = Told(self.states[-1], after, revision=len(self.states))
            self.states.append(after)
            self.report()
        self.done, self.has_pulled = into, False

    def has_happened(self, change: Change) -> bool:
        """Do what the present state of the change is for, if the nodes reach each other."""
        match change, self.done:
            case (CopyReplica() | MoveReplica(), OperationState.HYDRATING):
                if not {change.source, change.target} <= self.living:
                    return False
                if self.lost == change.target:
                    self.lost = None
                self.holds[change.target] = max(
                    self.holds[change.target], self.holds[change.source]
                )
            case (CopyReplica() | MoveReplica(), OperationState.FINALIZING):
                reached = self.living & set(self.shard.replicas)
                enough = QUORUM.shared(len(self.shard.replicas))
                if change.target not in self.living or len(reached) < enough:
                    return False
                if self.has_pulled:
                    return True  # Some time after.
                self.has_pulled = True
                if self.pulls_from_enough:
                    pulled = sorted(reached)[:enough]
                    self.holds[change.target] = max(
                        self.holds[node] for node in [*pulled, change.target]
                    )
                return False
            case (MoveReplica(leaving=gone) | DropReplica(node=gone), OperationState.DEHYDRATING):
                return self.hand_over(gone)
        return True

    def hand_over(self, gone: NodeName) -> bool:
        """Give a majority of those who stay what the leaving one has; if it is gone for good, what
        they have among themselves."""
        staying = sorted((self.living & set(self.shard.replicas)) - {self.lost})
        majority = QUORUM.required(len(self.shard.replicas))
        if len(staying) < majority:
            return False
        is_there = gone in self.living and gone != self.lost
        if self.hands_over:
            givers = [gone] if is_there else staying[:majority]
            given = max(self.holds[node] for node in givers)
            for node in staying[:majority]:
                self.holds[node] = max(self.holds[node], given)
        self.holds[gone] = NOTHING
        return True


class DeletesAtOnce(Moving):
    """What leaves deletes what it has without a look at the others."""

    hands_over = False


def play(machine: type[Moving], seeds: range) -> None:
    """Live through each seed's life."""
    for seed in seeds:
        life = machine(seed)
        try:
            for _ in range(STEPS):
                life.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


class ActsOnStatesFarApart(Moving):
    """Goes on before the others know."""

    waits_until_told = False


class TakesOlderStates(Moving):
    """Answers whoever asks, by whatever state."""

    refuses_older_states = False


class LeavesJoiningOut(Moving):
    """Counts only those who are replicas by now."""

    counts_joining = False


class CopiesFromOne(Moving):
    """Takes one replica for all."""

    pulls_from_enough = False


def test_no_acknowledged_write_is_lost_while_replicas_move() -> None:
    play(Moving, range(1_500))


@pytest.mark.parametrize(
    "machine",
    [ActsOnStatesFarApart, TakesOlderStates, LeavesJoiningOut, CopiesFromOne, DeletesAtOnce],
)
def test_a_rule_that_is_left_out_is_found(machine: type[Moving]) -> None:
    with pytest.raises(AssertionError, match="lost a write"):
        play(machine, range(20_000))
