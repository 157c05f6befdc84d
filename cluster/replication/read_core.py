"""Decides what a replicated read knows, what it lacks, and which replicas are stale.

Pure accounting for one read of many objects; `read.py` has the conversation. An object may be
answered when `required` replicas have said what they hold, the winner's content is here, and
`required` replicas hold the winner or something newer (after repair, if need be). The last makes
reads at QUORUM monotonic: what one of them has answered, no later one goes behind.

A content that who asks has already, or does not want, is needed only where replicas have differed:
there it may have to be sent to one that lacks it.

A replica that fails at any moment is forgotten with all that it said, and another takes its place:
an answer rests on replicas that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from weftdb.cluster.replication.merge import (
    DeletionStrategy,
    Verdict,
    deletion_state,
    digest_of,
    is_stale,
    resolve,
)
from weftdb.cluster.replication.messages import Digest
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ObjectId, Version


@dataclass(slots=True)
class ReadCore:
    """What the replicas have said of `ids`; objects go by their position in `ids`."""

    ids: tuple[ObjectId, ...]
    required: int
    strategy: DeletionStrategy
    wants_contents: bool = True
    at_hand: tuple[Digest | None, ...] = ()
    """What who asks has the content of already, in the order of the ids; empty for nothing."""
    _held: dict[NodeName, list[Digest | None]] = field(default_factory=dict)
    _states: dict[tuple[int, Version], ObjectState] = field(default_factory=dict)
    _disagreed: set[int] = field(default_factory=set)
    """The objects about which replicas have ever said different things: all others hold the same
    everywhere, and need neither repair nor care."""
    _verdicts: dict[int, Verdict] = field(default_factory=dict)
    """Of the objects about which nothing was learned since."""

    def __post_init__(self) -> None:
        assert self.required >= 1, self.required
        assert len(self.at_hand) in (0, len(self.ids)), (len(self.at_hand), len(self.ids))

    def learn_digests(self, node: NodeName, digests: Sequence[Digest | None]) -> None:
        """Record what `node` holds of every object."""
        assert len(digests) == len(self.ids), (len(digests), len(self.ids))
        self._held[node] = list(digests)
        self._compare(range(len(self.ids)))

    def learn_states(
        self, node: NodeName, positions: Sequence[int], states: Sequence[ObjectState | None]
    ) -> None:
        """Record contents: of every object, or of some about which `node` has spoken before."""
        digests = [digest_of(state) for state in states]
        if node not in self._held:
            self.learn_digests(node, digests)
        held = self._held[node]
        for position, state, digest in zip(positions, states, digests, strict=True):
            held[position] = digest
            if state is not None:
                self._states[position, state.version] = state
        self._compare(positions)

    def learn_applied(self, node: NodeName, position: int, digest: Digest) -> None:
        """Record that a repair was taken, or was not needed any more: `node` holds `digest`."""
        if node in self._held and is_stale(self._held[node][position], digest):
            self._held[node][position] = digest
            self._verdicts.pop(position, None)

    def forget(self, node: NodeName) -> None:
        """Drop what `node` said: it failed."""
        if self._held.pop(node, None) is not None:
            self._verdicts.clear()

    @property
    def answered(self) -> int:
        """How many replicas have said what they hold."""
        return len(self._held)

    @property
    def is_enough(self) -> bool:
        """Whether as many have as the level asks for."""
        return len(self._held) >= self.required

    def verdict(self, position: int) -> Verdict:
        """What comes of comparing the replicas about one object."""
        verdict = self._verdicts.get(position)
        if verdict is None:
            verdict = resolve((held[position] for held in self._held.values()), self.strategy)
            self._verdicts[position] = verdict
        return verdict

    def lacking(self) -> dict[int, list[NodeName]]:
        """The objects whose winner's content is needed and not here, and who holds it."""
        found: dict[int, list[NodeName]] = {}
        for position in range(len(self.ids)):
            answer = self.verdict(position).answer
            if answer is None or not self._is_needed(position, answer):
                continue
            if self._content(position, answer) is not None:
                continue
            found[position] = [
                node for node, held in self._held.items() if held[position] == answer
            ]
        return found

    def repairs(self) -> dict[NodeName, list[int]]:
        """The replicas that hold less than they should, where what they lack is here."""
        stale: dict[NodeName, list[int]] = {}
        for position in sorted(self._disagreed):
            target = self.verdict(position).target
            if target is None or self._content(position, target) is None:
                continue
            for node, held in self._held.items():
                if is_stale(held[position], target):
                    stale.setdefault(node, []).append(position)
        return stale

    def repair_state(self, position: int) -> ObjectState:
        """What a stale replica is sent. Requires: `repairs` named the position."""
        target = self.verdict(position).target
        assert target is not None, position
        state = self._content(position, target)
        assert state is not None, position
        return state

    @property
    def is_safe(self) -> bool:
        """Whether every winner is held by as many replicas as the level asks for."""
        return self.is_enough and all(map(self._is_safe, self._disagreed))

    def states(self) -> tuple[ObjectState | None, ...]:
        """The answer: in the order of the ids, None for what is deleted or unknown, and where the
        content is at hand or not wanted (`winners` tells).

        Requires: nothing is lacking.
        """
        found: list[ObjectState | None] = []
        for position in range(len(self.ids)):
            answer = self.verdict(position).answer
            if answer is None or answer.is_deleted:
                found.append(None)
                continue
            state = self._content(position, answer)
            assert state is not None or not self._is_needed(position, answer), position
            found.append(state)
        return tuple(found)

    def winners(self) -> tuple[Digest | None, ...]:
        """What is answered of each object, deletions included."""
        return tuple(self.verdict(position).answer for position in range(len(self.ids)))

    def agreement(self) -> tuple[bool, ...]:
        """Whether the replicas said the same of each object, before any repair."""
        return tuple(position not in self._disagreed for position in range(len(self.ids)))

    def _compare(self, positions: Iterable[int]) -> None:
        """Note the objects about which the replicas have said different things."""
        first, *others = self._held.values()
        for position in positions:
            self._verdicts.pop(position, None)
            for other in others:
                if other[position] != first[position]:
                    self._disagreed.add(position)

    def _is_safe(self, position: int) -> bool:
        target = self.verdict(position).target
        if target is None:
            return True
        stale = [is_stale(held[position], target) for held in self._held.values()]
        return stale.count(False) >= self.required

    def _is_needed(self, position: int, answer: Digest) -> bool:
        """Whether the content has to be asked for."""
        if position in self._disagreed:
            return True
        return self.wants_contents and not (self.at_hand and self.at_hand[position] == answer)

    def _content(self, position: int, digest: Digest) -> ObjectState | None:
        if digest.is_deleted:
            return deletion_state(self.ids[position], digest)
        return self._states.get((position, digest.version))
