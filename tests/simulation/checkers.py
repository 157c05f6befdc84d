"""The promises of the cluster, each as a function from what happened to what was broken.

Pure: they read a history and the end of a run, and know nothing of how the cluster works.

1. no acknowledged write is lost           while a minority of its replicas lost its data
2. replicas agree                          after healing and one repair cycle
3. nothing is resurrected                  an acknowledged deletion stays
4. reads see writes, and do not go back    where both levels together cover more than all replicas
5. objects are linearizable registers      at QUORUM and ALL (linearizability.py says what of it)
6. a majority is enough                    QUORUM succeeds while one is up and in touch
7. hints are kept and played back          for every write whose coordinator lived long enough
8. changes come to their end               moves, plans, rebuilding, once everything is healed
9. data lies where it was agreed           there and nowhere else, once changes have ended
10. nothing breaks                         no task of the server ends with an unexpected error

Deletion strategies other than TimeBasedResolution promise less about objects that are deleted
(cluster/replication/merge.py): under DeleteOnConflict a deletion may take effect again later, under
NoAutomatedResolution a minority of the replicas may stay as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import ObjectId, Version

from .history import Facts, Holding, Operation, Outcome, Verb, brief
from .linearizability import Call, Verdict, judge

STORY = 12
"""Operations that a broken history is told with, the last ones."""
STRONG = (ConsistencyLevel.QUORUM, ConsistencyLevel.ALL)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise. `key` is the object it was broken for, where there is one."""

    checker: str
    text: str
    key: ObjectId | None = None

    def __str__(self) -> str:
        where = "" if self.key is None else f" [{self.key.hex()[:8]}]"
        return f"{self.checker}{where}: {self.text}"


def check_all(facts: Facts) -> list[Violation]:
    """Every broken promise, by checker."""
    return [violation for check in CHECKERS.values() for violation in check(facts)]


def lost_writes(facts: Facts) -> Iterator[Violation]:
    """Promise 1: every replica ends with the newest acknowledged state, or a newer one.

    Where no replica lost its data, or moved, that holds of writes at ONE as well. Where conflicts
    stay as they are, a majority of the replicas has it.
    """
    for key, operations in facts.by_key().items():
        shard = operations[0].shard
        replicas = facts.replicas[shard]
        if len(facts.wiped & set(replicas)) * 2 >= len(replicas):
            continue  # A majority lost its data: nothing was promised of it.
        kept_all = not facts.wiped & set(replicas) and not facts.has_changes
        levels = (*STRONG, ConsistencyLevel.ONE) if kept_all else STRONG
        newest = _newest(_acknowledged(operations, levels))
        if newest is None:
            continue
        assert newest.version is not None
        lacking = [
            (node, content.get(key))
            for node, content in facts.end_of(shard).contents.items()
            if _lacks(facts, operations, content.get(key), newest.version)
        ]
        if _keeps_conflicts(facts, operations) and len(lacking) * 2 < len(replicas):
            continue
        for node, held in lacking:
            has = "nothing" if held is None else f"only {brief(held.version)}"
            yield Violation("lost_writes", f"{node} has {has} of {newest}", key)


def divergence(facts: Facts) -> Iterator[Violation]:
    """Promise 2: equal contents and equal roots on all replicas of a shard."""
    keeps_conflicts = facts.strategy is DeletionStrategy.NO_AUTOMATED_RESOLUTION
    for end in facts.ends:
        keys = sorted({key for content in end.contents.values() for key in content})
        states = [[content.get(key) for content in end.contents.values()] for key in keys]
        is_excused = keeps_conflicts and any(map(_is_conflict, states))
        is_excused = is_excused or any(_is_half_forgotten(facts, held) for held in states)
        if len(set(end.roots.values())) > 1 and not is_excused:
            roots = {node: root.hex()[:8] for node, root in end.roots.items()}
            yield Violation("divergence", f"roots of {end.shard} differ: {roots}")
        for key in keys:
            held = {node: content.get(key) for node, content in end.contents.items()}
            if keeps_conflicts and _is_conflict(list(held.values())):
                continue
            if _is_half_forgotten(facts, list(held.values())):
                continue
            if len(set(held.values())) > 1:
                text = ", ".join(f"{node} {_tell(state)}" for node, state in held.items())
                yield Violation("divergence", f"{end.shard}: {text}", key)


def resurrections(facts: Facts) -> Iterator[Violation]:
    """Promise 3: what lives at the end was written above every acknowledged deletion."""
    for key, operations in facts.by_key().items():
        deletions = [one for one in _acknowledged(operations) if one.verb is Verb.DELETE]
        newest = _newest(deletions)
        if newest is None:
            continue
        assert newest.version is not None
        contents = facts.end_of(newest.shard).contents
        alive = {
            node: held
            for node, content in contents.items()
            if (held := content.get(key)) is not None
            and not held.is_deleted
            and held.version < newest.version
        }
        if not _keeps_conflicts(facts, operations) or len(alive) * 2 >= len(contents):
            for node, held in alive.items():
                yield Violation("resurrections", f"{node} has {_tell(held)} after {newest}", key)
        for read in operations:
            is_later = read.verb is Verb.READ and read.begun > newest.ended
            if not is_later or read.outcome is not Outcome.DONE or read.value is None:
                continue
            assert read.version is not None
            if _overlap(facts, newest, read) and read.version < newest.version:
                yield Violation("resurrections", f"{read} after {newest}", key)


def stale_reads(facts: Facts) -> Iterator[Violation]:
    """Promise 4: a read whose replicas overlap those of an earlier write sees it or a newer one,
    and one at QUORUM or ALL sees what an earlier one at QUORUM or ALL saw."""
    for key, operations in facts.by_key().items():
        reads = [one for one in operations if one.verb is Verb.READ and _is_done(one)]
        for read in reads:
            for earlier in operations:
                if not _is_done(earlier) or earlier.ended >= read.begun:
                    continue
                if earlier.version is None:
                    continue  # A read that saw absence.
                if earlier.verb.is_write and not _overlap(facts, earlier, read):
                    continue
                if not earlier.verb.is_write and (
                    not _both_strong(earlier, read) or _keeps_conflicts(facts, operations)
                ):
                    continue
                if _is_below(facts, operations, read, earlier.version):
                    yield Violation("stale_reads", f"{read} after {earlier}", key)
                    break


def nonlinear_objects(facts: Facts) -> Iterator[Violation]:
    """Promise 5, of values alone: whatever versions say, one order explains what clients saw."""
    for key, operations in facts.by_key().items():
        calls = calls_of(facts, operations)
        verdict = judge(calls)
        if verdict is Verdict.NOT_LINEAR:
            numbers = operations_by_number(operations)
            story = "; ".join(str(numbers[call.number]) for call in _first_broken(calls)[-STORY:])
            yield Violation("nonlinear_objects", f"no order explains what ends with {story}", key)


def refusals(facts: Facts) -> Iterator[Violation]:
    """Promise 6: with a majority up and in touch, QUORUM (and ONE) succeeds."""
    for one in facts.operations:
        if one.is_calm and one.level is not ConsistencyLevel.ALL and not _is_done(one):
            yield Violation("refusals", f"{one}, though a majority was there", one.key)


def missed_hints(facts: Facts) -> Iterator[Violation]:
    """Promise 7: hints alone bring an acknowledged write to every replica that kept its data."""
    if facts.loses_hints:
        return
    for key, operations in facts.by_key().items():
        for one in _acknowledged(operations):
            if one.number in facts.unhinted:
                continue
            assert one.version is not None
            for node, content in facts.hinted_of(one.shard).contents.items():
                held = content.get(key)
                has_it = held is not None and held.version >= one.version
                if has_it or node in facts.wiped or one.coordinator in facts.wiped:
                    continue
                if held is None and _is_forgotten(facts, operations, one.version):
                    continue
                yield Violation("missed_hints", f"{node} has {_tell(held)} of {one}", key)


def unfinished_changes(facts: Facts) -> Iterator[Violation]:
    """Promise 8: whatever was on its way has arrived, or was given up."""
    for text in facts.unfinished:
        yield Violation("unfinished_changes", text)


def stray_replicas(facts: Facts) -> Iterator[Violation]:
    """Promise 9: each shard lies on its replicas, and on no other node."""
    if facts.unfinished:
        return
    for shard, nodes in facts.lies.items():
        if set(nodes) != set(facts.replicas[shard]):
            agreed = " ".join(sorted(facts.replicas[shard]))
            yield Violation("stray_replicas", f"{shard} lies on {' '.join(nodes)}, not {agreed}")


def broken_tasks(facts: Facts) -> Iterator[Violation]:
    """Promise 10: what goes wrong is foreseen."""
    for text in facts.broken:
        yield Violation("broken_tasks", text)


CHECKERS: Mapping[str, Callable[[Facts], Iterator[Violation]]] = {
    "lost_writes": lost_writes,
    "divergence": divergence,
    "resurrections": resurrections,
    "stale_reads": stale_reads,
    "nonlinear_objects": nonlinear_objects,
    "refusals": refusals,
    "missed_hints": missed_hints,
    "unfinished_changes": unfinished_changes,
    "stray_replicas": stray_replicas,
    "broken_tasks": broken_tasks,
}


def calls_of(facts: Facts, operations: Sequence[Operation]) -> list[Call]:
    """The operations of one object as calls on a register.

    A write at ONE is known to few: it may take effect later than its answer, or never. A read at
    ONE promises nothing. Where conflicts stay as they are, a deleted object is no register; where
    they delete, a deletion may come back, and go by without having been seen.
    """
    if _keeps_conflicts(facts, operations):
        return []
    deletes_again = facts.strategy is DeletionStrategy.DELETE_ON_CONFLICT
    calls = []
    for one in operations:
        if not one.verb.is_write:
            if _is_done(one) and one.level in STRONG:
                calls.append(Call(one.number, False, one.value, one.begun, one.ended))
            continue
        if not one.stamps:
            continue  # It never left its coordinator.
        is_known = _is_done(one) and one.level in STRONG
        value = one.value if one.verb is Verb.PUT else None
        comes_back = deletes_again and one.verb is Verb.DELETE
        ended = one.ended if is_known and not comes_back else math.inf
        repeats = comes_back or len(set(one.stamps)) > 1
        calls.append(Call(one.number, True, value, one.begun, ended, repeats))
    return calls


def undecided(facts: Facts) -> list[ObjectId]:
    """Objects whose history was too entangled to judge in time: a run that has any says so."""
    verdicts = {key: judge(calls_of(facts, ops)) for key, ops in facts.by_key().items()}
    return [key for key, verdict in verdicts.items() if verdict is Verdict.UNDECIDED]


def outcomes(facts: Facts) -> Counter[str]:
    """How often each kind of operation ended how: a run without any proves nothing."""
    return Counter(f"{one.verb.value} {one.outcome.value}" for one in facts.operations)


def operations_by_number(operations: Sequence[Operation]) -> dict[int, Operation]:
    """The same, by number."""
    return {one.number: one for one in operations}


def _first_broken(calls: Sequence[Call]) -> list[Call]:
    """The calls up to the first moment at which no order explains them any more."""
    moments = sorted(call.ended for call in calls if math.isfinite(call.ended))
    good, bad = 0, len(moments) - 1
    while good < bad:
        middle = (good + bad) // 2
        if judge(_until(calls, moments[middle])) is Verdict.NOT_LINEAR:
            bad = middle
        else:
            good = middle + 1
    return sorted(_until(calls, moments[bad]), key=lambda call: (call.begun, call.number))


def _until(calls: Sequence[Call], moment: float) -> list[Call]:
    """What was known at a moment: a write that runs may or may not have happened."""
    begun = [call for call in calls if call.begun <= moment]
    known = [call for call in begun if call.ended <= moment]
    running = [call for call in begun if call.ended > moment and call.is_write]
    return known + [replace(call, ended=math.inf) for call in running]


def _is_done(one: Operation) -> bool:
    return one.outcome is Outcome.DONE


def _acknowledged(
    operations: Sequence[Operation], levels: Sequence[ConsistencyLevel] = STRONG
) -> list[Operation]:
    return [
        one for one in operations if one.verb.is_write and _is_done(one) and one.level in levels
    ]


def _newest(operations: Sequence[Operation]) -> Operation | None:
    def version_of(one: Operation) -> Version:
        assert one.version is not None, one
        return one.version

    return max(operations, key=version_of, default=None)


def _overlap(facts: Facts, write: Operation, read: Operation) -> bool:
    """True where the replicas of both levels must have one in common. While shards move, what was
    written at ONE may leave with its replica for a moment."""
    if facts.has_changes:
        return write.level is ConsistencyLevel.ALL or _both_strong(write, read)
    return facts.required(write) + facts.required(read) > len(facts.replicas[write.shard])


def _both_strong(one: Operation, other: Operation) -> bool:
    return one.level in STRONG and other.level in STRONG


def _is_below(
    facts: Facts, operations: Sequence[Operation], read: Operation, version: Version
) -> bool:
    """True where a read saw less than `version`; absence is less, unless a deletion explains it:
    a later one, or under DeleteOnConflict any, which takes effect again above what it meets."""
    if read.version is not None:
        return read.version < version
    deletes_again = facts.strategy is DeletionStrategy.DELETE_ON_CONFLICT
    return not any(
        one.verb is Verb.DELETE and any(deletes_again or stamp >= version for stamp in one.stamps)
        for one in operations
    )


def _is_forgotten(facts: Facts, operations: Sequence[Operation], version: Version) -> bool:
    """True where a deletion at `version` or above may have been forgotten: its grace is over."""
    return any(
        stamp >= version and facts.ended_ms - stamp.time_ms >= facts.grace_ms
        for one in operations
        if one.verb is Verb.DELETE
        for stamp in one.stamps
    )


def _lacks(
    facts: Facts, operations: Sequence[Operation], held: Holding | None, version: Version
) -> bool:
    """True where a replica should have `version`, or a newer one, and has not."""
    if held is None:
        return not _is_forgotten(facts, operations, version)
    return held.version < version


def _keeps_conflicts(facts: Facts, operations: Sequence[Operation]) -> bool:
    """True of an object whose replicas may stay different: nobody resolves its deletions."""
    return facts.strategy is DeletionStrategy.NO_AUTOMATED_RESOLUTION and any(
        one.verb is Verb.DELETE for one in operations
    )


def _is_conflict(held: Sequence[Holding | None]) -> bool:
    """True where a deletion stands against an object."""
    return len({one.is_deleted for one in held if one is not None}) > 1


def _is_half_forgotten(facts: Facts, held: Sequence[Holding | None]) -> bool:
    """True of one deletion whose grace is over: each replica forgets it in its own time."""
    states = {one for one in held if one is not None}
    return len(states) == 1 and all(
        one.is_deleted and facts.ended_ms - one.version.time_ms >= facts.grace_ms for one in states
    )


def _tell(held: Holding | None) -> str:
    if held is None:
        return "nothing"
    what = "deleted" if held.is_deleted else f"= {held.value}"
    return f"{what} at {brief(held.version)}"
