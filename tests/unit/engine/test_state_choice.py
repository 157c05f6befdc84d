"""Which states of a batch are taken: the greatest version of each id, and true answers to all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from weftdb.core.errors import DimensionMismatch, RequestError, SchemaViolation
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.types import ObjectId, Version
from weftdb.engine.state_choice import Outcome, StateChoice

A, B = ObjectId(b"a" * 16), ObjectId(b"b" * 16)


def of(object_id: ObjectId, time_ms: int, *, is_deleted: bool = False) -> ObjectState:
    return ObjectState(object_id, Version(time_ms), is_deleted)


def decide(
    states: Sequence[ObjectState],
    held: Mapping[ObjectId, Digest] | None = None,
    *,
    refused: Mapping[int, RequestError] | None = None,
    wrong: Mapping[int, RequestError] | None = None,
) -> tuple[list[int], list[Outcome]]:
    """Positions that are taken, and what is said of each. `wrong` refuses by the time."""
    choice = StateChoice(states, refused or {})
    taken = choice.take(
        [(held or {}).get(one) for one in choice.ids],
        is_wanted=lambda state, before: True,
        refusal=lambda state: (wrong or {}).get(state.version.time_ms),
    )
    return taken, choice.outcomes()


def test_what_is_unknown_is_taken() -> None:
    assert decide([of(A, 5), of(B, 1, is_deleted=True)]) == ([0, 1], [None, None])


@pytest.mark.parametrize(
    ("held", "taken", "said"),
    [(4, [0], None), (5, [], None), (6, [], Version(6))],
)
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_greater_version_wins(
    held: int, taken: list[int], said: Version | None, is_deleted: bool
) -> None:
    before = {A: Digest(Version(held), is_deleted)}
    assert decide([of(A, 5)], before) == (taken, [said])
    assert decide([of(A, 5, is_deleted=True)], before) == (taken, [said])


def test_of_an_id_twice_the_greatest_counts_wherever_it_stands() -> None:
    assert decide([of(A, 5), of(A, 7), of(A, 6)]) == ([1], [Version(7), None, Version(7)])
    assert decide([of(A, 7), of(A, 7)]) == ([0], [None, None])
    before = {A: Digest(Version(6))}
    assert decide([of(A, 5), of(A, 6)], before) == ([], [Version(6), None])


def test_a_refused_state_leaves_its_place_to_the_next() -> None:
    error = SchemaViolation("no")
    assert decide([of(A, 5), of(A, 7)], refused={1: error}) == ([0], [None, error])
    assert decide([of(A, 5)], refused={0: error}) == ([], [error])


def test_what_vectors_refuse_is_not_called_held() -> None:
    error = DimensionMismatch("no")
    assert decide([of(A, 5), of(A, 7)], wrong={7: error}) == ([], [error, error])
    before = {A: Digest(Version(6))}
    said = decide([of(A, 5), of(A, 6), of(A, 7)], before, wrong={7: error})
    assert said == ([], [Version(6), None, error])


def test_what_is_not_wanted_is_as_good_as_held() -> None:
    choice = StateChoice([of(A, 5, is_deleted=True)], {})
    taken = choice.take([None], is_wanted=lambda state, before: False, refusal=lambda state: None)
    assert (taken, choice.outcomes()) == ([], [None])
