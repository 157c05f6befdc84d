"""Each checker on histories made by hand: it is silent on good ones and objects to bad ones."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import ObjectId, ShardName, Version

from .canaries import CANARIES
from .checkers import CHECKERS
from .history import Facts, Holding, Operation, Outcome, ShardEnd, Verb

KEY = ObjectId(bytes(16))
SHARD = ShardName("s0")
NODES = ("n1", "n2", "n3")
QUORUM, ONE, ALL = ConsistencyLevel.QUORUM, ConsistencyLevel.ONE, ConsistencyLevel.ALL


def put(number: int, begun: float, ended: float, stamp: int, level: ConsistencyLevel = QUORUM):
    return Operation(
        number, 0, "n1", Verb.PUT, KEY, SHARD, level, begun, ended, Outcome.DONE, number,
        Version(stamp), [Version(stamp)],
    )  # fmt: skip


def delete(number: int, begun: float, ended: float, stamp: int):
    return Operation(
        number, 0, "n1", Verb.DELETE, KEY, SHARD, QUORUM, begun, ended, Outcome.DONE, None,
        Version(stamp), [Version(stamp)],
    )  # fmt: skip


def read(number: int, begun: float, ended: float, value: int | None, stamp: int | None = None,
         level: ConsistencyLevel = QUORUM):  # fmt: skip
    version = None if stamp is None else Version(stamp)
    return Operation(
        number, 1, "n2", Verb.READ, KEY, SHARD, level, begun, ended, Outcome.DONE, value, version
    )


def live(value: int, stamp: int) -> Holding:
    return Holding(Version(stamp), False, value)


def gone(stamp: int) -> Holding:
    return Holding(Version(stamp), True, None)


def facts(
    *operations: Operation,
    held: Holding | Mapping[str, Holding | None] | None = None,
    hinted: Mapping[str, Holding | None] | None = None,
    roots: Mapping[str, bytes] | None = None,
    wiped: tuple[str, ...] = (),
    ended_ms: int = 1000,
    strategy: DeletionStrategy = DeletionStrategy.TIME_BASED_RESOLUTION,
    unfinished: tuple[str, ...] = (),
    broken: tuple[str, ...] = (),
    lies: tuple[str, ...] = NODES,
    has_changes: bool = False,
) -> Facts:
    def end(states: Mapping[str, Holding | None]) -> ShardEnd:
        contents = {n: {} if one is None else {KEY: one} for n, one in states.items()}
        return ShardEnd(SHARD, contents, roots or dict.fromkeys(NODES, b"root"))

    states = held if isinstance(held, Mapping) else dict.fromkeys(NODES, held)
    return Facts(
        operations=operations,
        ends=(end(states),),
        hinted=(end(states if hinted is None else hinted),),
        replicas={SHARD: NODES},
        wiped=frozenset(wiped),
        unhinted=frozenset(),
        grace_ms=10_000,
        ended_ms=ended_ms,
        strategy=strategy,
        unfinished=unfinished,
        broken=broken,
        lies={SHARD: lies},
        has_changes=has_changes,
    )


def objects_to(name: str, seen: Facts) -> bool:
    return bool(list(CHECKERS[name](seen)))


def test_a_history_without_faults_breaks_nothing() -> None:
    done = (put(1, 0, 1, 10), read(2, 2, 3, 1, 10), delete(3, 4, 5, 20), read(4, 6, 7, None))
    seen = facts(*done, held=gone(20))
    assert [name for name in CHECKERS if objects_to(name, seen)] == []


def test_lost_writes() -> None:
    partly = {"n1": live(1, 10), "n2": live(2, 20), "n3": live(2, 20)}
    assert objects_to("lost_writes", facts(put(1, 0, 1, 10), put(2, 2, 3, 20), held=partly))
    assert objects_to("lost_writes", facts(put(1, 0, 1, 10), held=None))
    assert not objects_to("lost_writes", facts(put(1, 0, 1, 10), held=live(2, 20)))
    assert objects_to("lost_writes", facts(put(1, 0, 1, 10, ONE), held=None))
    assert not objects_to("lost_writes", facts(put(1, 0, 1, 10, ONE), held=None, wiped=("n1",)))
    assert not objects_to("lost_writes", facts(put(1, 0, 1, 10), wiped=("n1", "n2")))
    assert not objects_to("lost_writes", facts(delete(1, 0, 1, 10), ended_ms=20_000))
    assert objects_to("lost_writes", facts(delete(1, 0, 1, 10), ended_ms=5_000))


def test_divergence() -> None:
    same_version = {"n1": live(1, 10), "n2": live(1, 10), "n3": live(2, 10)}
    assert objects_to("divergence", facts(put(1, 0, 1, 10), held=same_version))
    roots = {"n1": b"a", "n2": b"a", "n3": b"b"}
    assert objects_to("divergence", facts(put(1, 0, 1, 10), held=live(1, 10), roots=roots))
    assert not objects_to("divergence", facts(put(1, 0, 1, 10), held=live(1, 10)))


def test_resurrections() -> None:
    back = facts(put(1, 0, 1, 10), delete(2, 2, 3, 20), held=live(1, 10))
    assert objects_to("resurrections", back)
    seen = facts(
        put(1, 0, 1, 10), delete(2, 2, 3, 20), read(3, 4, 5, 1, 10), held=gone(20)
    )  # fmt: skip
    assert objects_to("resurrections", seen)
    anew = facts(put(1, 0, 1, 10), delete(2, 2, 3, 20), put(3, 4, 5, 30), held=live(3, 30))
    assert not objects_to("resurrections", anew)


def test_stale_reads() -> None:
    written = (put(1, 0, 1, 10), put(2, 2, 3, 20))
    assert objects_to("stale_reads", facts(*written, read(3, 4, 5, 1, 10), held=live(2, 20)))
    assert objects_to("stale_reads", facts(*written, read(3, 4, 5, None), held=live(2, 20)))
    one = read(3, 4, 5, 1, 10, ONE)
    assert not objects_to("stale_reads", facts(*written, one, held=live(2, 20)))
    everywhere = put(4, 3, 3.5, 30, ALL)
    assert objects_to("stale_reads", facts(*written, everywhere, one, held=live(4, 30)))


def test_reads_at_quorum_do_not_go_back() -> None:
    timed_out = put(1, 0, 1, 10)
    timed_out.outcome = Outcome.UNKNOWN
    back = facts(timed_out, read(2, 2, 3, 1, 10), read(3, 4, 5, None), held=live(1, 10))
    assert objects_to("stale_reads", back)


def test_nonlinear_objects() -> None:
    """Versions may look right and the value be wrong all the same."""
    seen = facts(
        put(1, 0, 1, 30), put(2, 2, 3, 20), read(3, 4, 5, 1, 30), held=live(1, 30)
    )  # fmt: skip
    assert objects_to("nonlinear_objects", seen)
    assert not objects_to("stale_reads", seen)


def test_refusals() -> None:
    refused = put(1, 0, 1, 10)
    refused.outcome, refused.is_calm = Outcome.FAILED, True
    assert objects_to("refusals", facts(refused, held=live(1, 10)))
    refused.is_calm = False
    assert not objects_to("refusals", facts(refused, held=live(1, 10)))


def test_missed_hints() -> None:
    missing = {"n1": live(1, 10), "n2": live(1, 10), "n3": None}
    assert objects_to("missed_hints", facts(put(1, 0, 1, 10), held=live(1, 10), hinted=missing))
    assert not objects_to("missed_hints", facts(put(1, 0, 1, 10), held=live(1, 10)))


def test_unfinished_changes() -> None:
    assert objects_to("unfinished_changes", facts(unfinished=("a move is INTEGRATING",)))
    assert not objects_to("unfinished_changes", facts())


def test_stray_replicas() -> None:
    assert objects_to("stray_replicas", facts(lies=(*NODES, "n4")))
    assert objects_to("stray_replicas", facts(lies=NODES[:2]))
    assert not objects_to("stray_replicas", facts())


def test_broken_tasks() -> None:
    assert objects_to("broken_tasks", facts(broken=("an operation broke",)))
    assert not objects_to("broken_tasks", facts())


def test_a_deletion_that_is_half_forgotten_is_no_divergence() -> None:
    half = {"n1": gone(10), "n2": None, "n3": None}
    roots = {"n1": b"a", "n2": b"b", "n3": b"b"}
    assert objects_to("divergence", facts(delete(1, 0, 1, 10), held=half, roots=roots))
    late = facts(delete(1, 0, 1, 10), held=half, roots=roots, ended_ms=20_000)
    assert not objects_to("divergence", late)
    other = {**half, "n2": live(1, 5)}
    assert objects_to("divergence", facts(delete(1, 0, 1, 10), held=other, ended_ms=20_000))


def test_conflicts_that_nobody_resolves_may_stay_on_a_minority() -> None:
    none = DeletionStrategy.NO_AUTOMATED_RESOLUTION
    history = (put(1, 0, 1, 10), delete(2, 2, 3, 20))
    few = {"n1": live(1, 10), "n2": gone(20), "n3": gone(20)}
    many = {"n1": live(1, 10), "n2": live(1, 10), "n3": gone(20)}
    for name in ("lost_writes", "divergence", "resurrections"):
        assert objects_to(name, facts(*history, held=few))
        assert not objects_to(name, facts(*history, held=few, strategy=none))
    for name in ("lost_writes", "resurrections"):
        assert objects_to(name, facts(*history, held=many, strategy=none))
    partly = {"n1": live(1, 10), "n2": live(2, 20), "n3": live(2, 20)}
    assert objects_to("divergence", facts(put(1, 0, 1, 10), held=partly, strategy=none))


def test_a_conflict_may_delete_again() -> None:
    again = DeletionStrategy.DELETE_ON_CONFLICT
    history = (put(1, 0, 1, 10), delete(2, 2, 3, 20), put(3, 4, 5, 30), read(4, 6, 7, None))
    assert objects_to("nonlinear_objects", facts(*history, held=gone(31)))
    assert not objects_to("nonlinear_objects", facts(*history, held=gone(31), strategy=again))
    assert objects_to("stale_reads", facts(*history, held=gone(31)))
    assert not objects_to("stale_reads", facts(*history, held=gone(31), strategy=again))
    never = (put(1, 0, 1, 10), read(2, 2, 3, None), delete(3, 4, 5, 20))
    assert objects_to("nonlinear_objects", facts(*never, held=gone(20), strategy=again))
    kept = (put(1, 0, 1, 10), read(2, 2, 3, None))
    assert objects_to("stale_reads", facts(*kept, held=live(1, 10), strategy=again))


def test_what_was_written_at_one_may_leave_with_its_replica() -> None:
    history = (put(1, 0, 1, 10, ONE), read(2, 2, 3, None, level=ALL))
    assert objects_to("stale_reads", facts(*history, held=live(1, 10)))
    assert not objects_to("stale_reads", facts(*history, held=live(1, 10), has_changes=True))


@pytest.mark.parametrize("name", CHECKERS)
def test_every_checker_is_caught_by_a_canary(name: str) -> None:
    assert name in {canary.catches for canary in CANARIES.values()}
