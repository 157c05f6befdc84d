"""The table of deletion strategies, line by line."""

from __future__ import annotations

import pytest

from weftdb.cluster.replication.merge import (
    DeletionStrategy,
    deletion_state,
    digest_of,
    is_stale,
    newest,
    resolve,
)
from weftdb.cluster.replication.messages import Digest
from weftdb.core.definition.layout import DELETION_STRATEGIES
from weftdb.core.objects import ObjectState
from weftdb.core.types import ObjectId, Version
from weftdb.storage.versions import RESOLVED_BIT

TIME, DELETE, NONE = (
    DeletionStrategy.TIME_BASED_RESOLUTION,
    DeletionStrategy.DELETE_ON_CONFLICT,
    DeletionStrategy.NO_AUTOMATED_RESOLUTION,
)
OLD, NEW = Digest(Version(10, 0, 1)), Digest(Version(20, 0, 2))
OLD_DELETION = Digest(Version(10, 0, 1), is_deleted=True)
NEW_DELETION = Digest(Version(20, 0, 2), is_deleted=True)
ABOVE_NEW = Digest(Version(20, 0, 2 | RESOLVED_BIT), is_deleted=True)


@pytest.mark.parametrize("strategy", DeletionStrategy)
@pytest.mark.parametrize(
    ("held", "winner"),
    [
        ([], None),
        ([None, None], None),
        ([OLD, None], OLD),
        ([OLD, NEW], NEW),
        ([NEW, OLD, None], NEW),
        ([NEW, NEW], NEW),
        ([OLD_DELETION, None], OLD_DELETION),
        ([OLD_DELETION, NEW_DELETION], NEW_DELETION),
    ],
)
def test_without_conflict_the_newest_wins_under_every_strategy(
    strategy: DeletionStrategy, held: list[Digest | None], winner: Digest | None
) -> None:
    verdict = resolve(held, strategy)
    assert (verdict.answer, verdict.target) == (winner, winner)


@pytest.mark.parametrize(
    ("strategy", "held", "answer", "target"),
    [
        (TIME, [OLD_DELETION, NEW], NEW, NEW),
        (TIME, [OLD, NEW_DELETION], NEW_DELETION, NEW_DELETION),
        (DELETE, [OLD_DELETION, NEW], ABOVE_NEW, ABOVE_NEW),
        (DELETE, [OLD, NEW_DELETION], NEW_DELETION, NEW_DELETION),
        (NONE, [OLD_DELETION, NEW], NEW, None),
        (NONE, [OLD, NEW_DELETION], NEW_DELETION, None),
        (NONE, [OLD, NEW_DELETION, None], NEW_DELETION, None),
    ],
)
def test_a_deletion_against_an_object(
    strategy: DeletionStrategy, held: list[Digest | None], answer: Digest, target: Digest | None
) -> None:
    for order in (held, held[::-1]):
        verdict = resolve(order, strategy)
        assert (verdict.answer, verdict.target) == (answer, target)


def test_a_made_deletion_stands_above_the_object_and_below_the_next_tick() -> None:
    assert NEW.version < ABOVE_NEW.version
    assert ABOVE_NEW.version < Version(20, 1, 0)
    assert resolve([NEW, ABOVE_NEW], DELETE).target == ABOVE_NEW, "resolving again changes nothing"


def test_stale_is_what_has_less() -> None:
    assert is_stale(None, OLD)
    assert is_stale(OLD, NEW)
    assert not is_stale(NEW, NEW)
    assert not is_stale(NEW, OLD)


def test_states_and_digests() -> None:
    state = ObjectState(ObjectId(bytes(16)), Version(5))
    assert digest_of(None) is None
    assert digest_of(state) == Digest(Version(5))
    deletion = deletion_state(state.id, NEW_DELETION)
    assert deletion.is_deleted
    assert digest_of(deletion) == NEW_DELETION
    assert newest([None, OLD, NEW_DELETION]) == NEW_DELETION
    with pytest.raises(AssertionError):
        deletion_state(state.id, NEW)


def test_names_are_those_of_the_schema() -> None:
    assert {item.value for item in DeletionStrategy} == set(DELETION_STRATEGIES)
