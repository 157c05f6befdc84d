"""Plan: changes in an order that keeps every replica that is promised, with what they cost.

A plan is data: it is shown, stored, carried out step by step and taken up again after a crash.
A step may begin when the steps that it comes `after` are READY; steps that do not wait for each
other may run side by side.

    plan := JSON {"format": 1, "purpose": text, "notes": [text …], "steps": [step …]}
    step := {…change (stored_change.py)…, "bytes": n, "objects": n, "after": [n …],
             "why": text, "state": text}                        # numbers are positions in steps
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

from weftdb.cluster.rebalance.changes import (
    AddShard,
    Change,
    CopyReplica,
    DropReplica,
    DropShard,
    MoveReplica,
    MoveRow,
    OperationState,
    path_of,
)
from weftdb.cluster.rebalance.stored_change import change_fields, read_change, read_state
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.stored_json import StoredJson
from weftdb.core.types import CollectionName

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Size:
    """What a shard holds, or what a step has to move; an estimate."""

    bytes: int = 0
    objects: int = 0

    def part(self, share: float) -> Size:
        """That part of it."""
        return Size(round(self.bytes * share), round(self.objects * share))

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.objects + other.objects)


Sizes: TypeAlias = Mapping[ShardRef, Size]
"""How much each shard holds; a shard that is not named counts as empty."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a plan."""

    change: Change
    size: Size = Size()
    """What it copies over the network; 0 of what only deletes or tells."""
    after: tuple[int, ...] = ()
    why: str = ""
    state: OperationState = OperationState.REGISTERED

    def __str__(self) -> str:
        cost = f" ({_format_size(self.size)})" if self.size != Size() else ""
        why = f": {self.why}" if self.why else ""
        return f"{describe(self.change)}{cost}{why}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in an order in which it may be done."""

    purpose: str
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    """What the operator should know: what cannot be done, what stays uneven."""

    def __post_init__(self) -> None:
        for at, step in enumerate(self.steps):
            assert all(0 <= before < at for before in step.after), f"step {at} waits for a later"

    @property
    def size(self) -> Size:
        """What all steps copy."""
        total = Size()
        for step in self.steps:
            total += step.size
        return total

    @property
    def is_done(self) -> bool:
        """Whether every step is READY."""
        return all(step.state is OperationState.READY for step in self.steps)

    def startable(self) -> tuple[int, ...]:
        """The steps that may begin now."""
        return tuple(
            at
            for at, step in enumerate(self.steps)
            if step.state is OperationState.REGISTERED
            and all(self.steps[before].state is OperationState.READY for before in step.after)
        )

    def with_state(self, at: int, state: OperationState) -> Plan:
        """The plan after step `at` went into `state`, which lies on the path of its change."""
        step = self.steps[at]
        assert state in (*path_of(step.change), OperationState.CANCELLED), f"{step} into {state}"
        return replace(
            self, steps=(*self.steps[:at], replace(step, state=state), *self.steps[at + 1 :])
        )

    def render(self) -> str:
        """The plan as lines for people."""
        count = len(self.steps)
        total = f", copies {_format_size(self.size)}" if self.size != Size() else ""
        lines = [f"{self.purpose}: {count or 'no'} step{'s' if count != 1 else ''}{total}"]
        for at, step in enumerate(self.steps):
            waits = f" [after {', '.join(str(before + 1) for before in step.after)}]"
            lines.append(f"{at + 1:4} {step}{waits if step.after else ''}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


class StepList:
    """Collects the steps of a plan; a step waits for the one before it on the same shard."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._last: dict[ShardRef, int] = {}
        self._barriers: dict[CollectionName, int] = {}

    def add(self, change: Change, *, size: Size = Size(), why: str = "") -> None:
        """Append a change of one shard (of a row: two), after what they wait for."""
        refs = _shards_of(change)
        before = {self._last[ref] for ref in refs if ref in self._last}
        before |= {
            self._barriers[ref.collection] for ref in refs if ref.collection in self._barriers
        }
        for ref in refs:
            self._last[ref] = len(self._steps)
        self._steps.append(Step(change, size, tuple(sorted(before)), why))

    def add_barrier(self, change: Change, *, why: str = "") -> None:
        """Append a change that waits for all steps of its collection, and they wait for it."""
        before = [at for at, step in enumerate(self._steps) if _in(step, change.collection)]
        self._barriers[change.collection] = len(self._steps)
        self._steps.append(Step(change, after=tuple(before), why=why))

    def plan(self, purpose: str, notes: Iterable[str] = ()) -> Plan:
        """The plan of all that was added."""
        return Plan(purpose, tuple(self._steps), tuple(notes))


def _in(step: Step, collection: CollectionName) -> bool:
    return step.change.collection == collection


def _shards_of(change: Change) -> tuple[ShardRef, ...]:
    match change:
        case MoveRow(collection=collection, source=source, target=target):
            return (ShardRef(collection, source), ShardRef(collection, target))
        case (
            CopyReplica(collection=collection, shard=shard)
            | MoveReplica(collection=collection, shard=shard)
            | DropReplica(collection=collection, shard=shard)
            | AddShard(collection=collection, shard=shard)
            | DropShard(collection=collection, shard=shard)
        ):
            return (ShardRef(collection, shard),)
        case _:
            return ()


def describe(change: Change) -> str:
    """Say what a change does."""
    match change:
        case CopyReplica(collection=collection, shard=shard, source=source, target=target):
            return f"copy {collection}/{shard} from {source} to {target}"
        case MoveReplica(collection=collection, shard=shard, leaving=leaving, target=target):
            copied = f", copied from {change.source}" if change.source != leaving else ""
            return f"move {collection}/{shard} from {leaving} to {target}{copied}"
        case DropReplica(collection=collection, shard=shard, node=node):
            return f"drop {collection}/{shard} on {node}"
        case MoveRow(collection=collection, source=source, target=target, length=length):
            return f"move {length} virtual shards of {collection} from {source} to {target}"
        case AddShard(collection=collection, shard=shard, replicas=replicas):
            return f"add shard {collection}/{shard} on {', '.join(replicas)}"
        case DropShard(collection=collection, shard=shard):
            return f"remove shard {collection}/{shard}, which is empty"
        case _:
            return _describe_number(change)


def _describe_number(change: Change) -> str:
    values = {item.name: getattr(change, item.name) for item in fields(change)}
    collection = values.pop("collection")
    (value,) = values.values()
    words = {
        "Refine": f"cut each virtual shard of {collection} into {value}",
        "SetFactor": f"set the replication factor of {collection} to {value}",
        "SetCount": f"set the shard count of {collection} to {value}",
    }
    return words[type(change).__name__]


def _format_size(size: Size) -> str:
    value, unit = float(size.bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    if not size.bytes:
        return f"{size.objects:,} objects"
    number = f"{value:.0f}" if unit == "B" else f"{value:.1f}"
    return f"about {number} {unit}, {size.objects:,} objects"


def encode_plan(plan: Plan) -> bytes:
    """Write the JSON form."""
    steps = []
    for step in plan.steps:
        steps.append(
            {
                **change_fields(step.change),
                "bytes": step.size.bytes,
                "objects": step.size.objects,
                "after": step.after,
                "why": step.why,
                "state": step.state.value,
            }
        )
    body = {"format": FORMAT, "purpose": plan.purpose, "notes": plan.notes, "steps": steps}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode_plan(value: bytes) -> Plan:
    """Read `encode_plan` back. Raises CorruptData that says what is wrong."""
    body = StoredJson(value, subject="a plan", format_version=FORMAT)
    steps: list[Step] = []
    for at, item in enumerate(body.items("steps")):
        where = f"step {at}"
        body.check(isinstance(item, dict), f"{where} is {item!r}")
        after = item.get("after")
        body.check(isinstance(after, list), f"{where} waits for {after!r}")
        why = item.get("why")
        body.check(isinstance(why, str), f"the reason of {where} is {why!r}")
        steps.append(
            Step(
                read_change(body, item, where),
                Size(
                    body.whole(item.get("bytes"), f"the bytes of {where}"),
                    body.whole(item.get("objects"), f"the objects of {where}"),
                ),
                tuple(body.whole(before, f"what {where} waits for", below=at) for before in after),
                str(why),
                read_state(body, item.get("state"), where),
            )
        )
    notes = body.items("notes")
    body.check(all(isinstance(note, str) for note in notes), f"a note of {notes} is no text")
    return Plan(body.text("purpose"), tuple(steps), tuple(notes))
