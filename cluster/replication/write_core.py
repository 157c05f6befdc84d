"""Decides when a write of one state has reached its level, and what each replica still lacks.

Pure accounting for one state of one object; `write.py` has the conversation. A replica either holds
the state, holds a newer one instead, has missed it (a hint is kept), refuses it, is spared because
membership says that it is away (a hint is kept at once), or is waited for. Only replicas that hold
the very version count: one with a newer state would win against this write in a later read, so the
writer stamps anew above it as long as the level is not reached.

Why that is enough at QUORUM: a newer state that was itself acknowledged at QUORUM before this write
began lies on a replica of every majority, so no majority can acknowledge this write without one
replica naming it.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from enum import Enum

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, Version


@dataclass(frozen=True, slots=True)
class WriteTargets:
    """Where a write goes, and in which sets of replicas it must reach its level.

    Ordinarily one set. While a replica of the shard moves there are two, the replicas before and
    after: whoever reads by either finds every write that was acknowledged meanwhile.
    """

    groups: tuple[tuple[NodeName, ...], ...]
    level: ConsistencyLevel
    required: tuple[int, ...] = field(init=False)
    """Of each set, how many the level asks for."""

    def __post_init__(self) -> None:
        assert self.groups, "a write goes somewhere"
        for group in self.groups:
            assert group, self.groups
            assert len(set(group)) == len(group), f"a replica is listed twice: {group}"
        required = tuple(self.level.required(len(group)) for group in self.groups)
        object.__setattr__(self, "required", required)

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """Every replica once, in the order given."""
        return tuple(dict.fromkeys(node for group in self.groups for node in group))

    def is_reached(self, nodes: Set[NodeName]) -> bool:
        """Whether `nodes` are enough, in every set."""
        return all(lacking <= 0 for lacking, _, _ in self._lacking(nodes))

    def shortfall(self, nodes: Set[NodeName]) -> tuple[int, int]:
        """(required, present) of the set that lacks most of `nodes`."""
        _, required, present = max(self._lacking(nodes))
        return required, present

    def _lacking(self, nodes: Set[NodeName]) -> Iterator[tuple[int, int, int]]:
        for group, required in zip(self.groups, self.required, strict=True):
            present = len(nodes & set(group))
            yield required - present, required, present


class Standing(Enum):
    """How a replica stands to one version of one state."""

    SPARED = "spared"
    """Not asked: membership says it is away. Its hint is kept."""
    WAITING = "waiting"
    HOLDS = "holds"
    NEWER = "newer"
    """It holds a newer state, and will never hold this one."""
    MISSED = "missed"
    """It failed or was silent. Its hint is kept."""
    REFUSED = "refused"
    """Its schema does not allow the state, or its shard takes no writes. No hint: sending it again
    does not help, or must not."""


@dataclass(slots=True)
class StateWrite:
    """One state on its way to the replicas. `standing` has every node of the targets."""

    targets: WriteTargets
    state: ObjectState
    standing: dict[NodeName, Standing]
    restamps: int = 0
    is_settled: bool = False
    """Reached its level, or given up: later news changes nothing for the caller."""
    _newest: Version | None = field(default=None)

    def learn_held(self, node: NodeName, version: Version) -> None:
        """Record that `node` holds `version` durably."""
        if version == self.state.version:
            self.standing[node] = Standing.HOLDS

    def learn_newer(self, node: NodeName, newer: Version) -> None:
        """Record that `node` holds `newer` instead; of an old stamp's answer, only what is news."""
        if newer > self.state.version:
            self.standing[node] = Standing.NEWER
            self._newest = newer if self._newest is None else max(self._newest, newer)

    def learn_refused(self, node: NodeName, version: Version) -> None:
        """Record that `node` will not take the state, whatever its version."""
        if version == self.state.version:
            self.standing[node] = Standing.REFUSED

    def learn_missed(self, node: NodeName, version: Version) -> bool:
        """Record that `node` will not answer for `version`; True when a hint is due."""
        if version != self.state.version or self.standing[node] is not Standing.WAITING:
            return False
        self.standing[node] = Standing.MISSED
        return True

    @property
    def is_reached(self) -> bool:
        """Whether the level is reached."""
        return self._is_enough(Standing.HOLDS)

    @property
    def is_hopeless(self) -> bool:
        """Whether the level cannot be reached by those who hold the state or are waited for."""
        return not self._is_enough(Standing.HOLDS, Standing.WAITING)

    @property
    def is_refused(self) -> bool:
        """Whether nobody took the state, or may yet, and somebody refused it: it is at fault."""
        taken = self._nodes(Standing.HOLDS, Standing.WAITING, Standing.NEWER)
        return not taken and bool(self._nodes(Standing.REFUSED))

    @property
    def newer(self) -> Version | None:
        """What to stamp above; None where no replica objects, or the caller needs nothing more."""
        if self._newest is None or self.is_settled or self.is_reached:
            return None
        return self._newest

    @property
    def holders(self) -> set[NodeName]:
        """The replicas that acknowledged the present version."""
        return self._nodes(Standing.HOLDS)

    @property
    def spared(self) -> set[NodeName]:
        """The replicas that were not asked."""
        return self._nodes(Standing.SPARED)

    def restamp(self, version: Version) -> None:
        """Go on as `version`: who was reachable is waited for again, who was not stays hinted."""
        assert self._newest is not None, "nobody objected"
        assert version > self._newest, f"{version} does not win against {self._newest}"
        self.state = replace(self.state, version=version)
        self.restamps += 1
        self._newest = None
        for node, standing in self.standing.items():
            if standing in (Standing.HOLDS, Standing.NEWER):
                self.standing[node] = Standing.WAITING

    def hinted(self) -> list[NodeName]:
        """The replicas whose hints hold this state, in the order of the targets."""
        return [
            node
            for node, standing in self.standing.items()
            if standing in (Standing.SPARED, Standing.MISSED)
        ]

    def _is_enough(self, *standings: Standing) -> bool:
        """Whether replicas that stand so are enough for the level."""
        required = self.targets.required
        if len(required) == 1:  # Asked thrice for every object that is written: no sets.
            present = list(self.standing.values())
            return sum(map(present.count, standings)) >= required[0]
        return self.targets.is_reached(self._nodes(*standings))

    def _nodes(self, *standings: Standing) -> set[NodeName]:
        return {node for node, standing in self.standing.items() if standing in standings}
