"""The search for an order of calls: known histories, and random ones beside brute force."""

from __future__ import annotations

import math
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from .linearizability import Call, Verdict, judge


def write(number: int, begun: float, ended: float = math.inf, *, again: bool = False) -> Call:
    return Call(number, True, number, begun, ended, again)


def read(value: int | None, begun: float, ended: float) -> Call:
    return Call(1000 + int(begun * 10), False, value, begun, ended)


def test_a_read_sees_what_was_written_before() -> None:
    assert judge([write(1, 0, 1), read(1, 2, 3)]) is Verdict.LINEAR
    assert judge([write(1, 0, 1), read(None, 2, 3)]) is Verdict.NOT_LINEAR
    assert judge([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)]) is Verdict.NOT_LINEAR


def test_calls_that_overlap_may_take_effect_in_either_order() -> None:
    assert judge([write(1, 0, 4), read(None, 1, 2), read(1, 3, 4)]) is Verdict.LINEAR
    assert judge([write(1, 0, 4), read(1, 1, 2), read(None, 3, 4)]) is Verdict.NOT_LINEAR


def test_a_write_without_an_answer_may_come_later_or_never() -> None:
    assert judge([write(1, 0), read(None, 1, 2), read(None, 3, 4)]) is Verdict.LINEAR
    assert judge([write(1, 0), read(None, 1, 2), read(1, 3, 4)]) is Verdict.LINEAR
    assert judge([write(1, 0), read(1, 1, 2), read(None, 3, 4)]) is Verdict.NOT_LINEAR


def test_only_a_write_that_was_stamped_anew_may_take_effect_twice() -> None:
    seen = [read(1, 1, 2), write(2, 3, 4), read(2, 5, 6), read(1, 7, 8)]
    assert judge([write(1, 0, 9), *seen]) is Verdict.NOT_LINEAR
    assert judge([write(1, 0, 9, again=True), *seen]) is Verdict.LINEAR
    assert judge([write(1, 0, 2, again=True), *seen]) is Verdict.NOT_LINEAR, "it was over by then"


def test_a_search_that_takes_too_long_says_so() -> None:
    calls = [write(number, 0, 100) for number in range(12)] + [read(99, 101, 102)]
    assert judge(calls, states_max=50) is Verdict.UNDECIDED


def brute_force(calls: list[Call]) -> bool:
    """Every order of every choice of what took effect."""
    answered = [call for call in calls if math.isfinite(call.ended)]
    silent = [call for call in calls if math.isinf(call.ended)]
    for mask in range(1 << len(silent)):
        chosen = answered + [call for bit, call in enumerate(silent) if mask >> bit & 1]
        for order in permutations(chosen):
            value: int | None = None
            latest = 0.0
            for call in order:
                latest = max(latest, call.begun)
                if call.ended < latest or (not call.is_write and call.value != value):
                    break
                value = call.value if call.is_write else value
            else:
                return True
    return False


@st.composite
def histories(draw: st.DrawFn) -> list[Call]:
    calls = []
    for number in range(draw(st.integers(1, 5))):
        begun = draw(st.integers(0, 8))
        ended = begun + draw(st.integers(0, 4))
        if draw(st.booleans()):
            is_silent = draw(st.integers(0, 3)) == 0
            calls.append(write(number, begun, math.inf if is_silent else ended))
        else:
            seen = draw(st.one_of(st.none(), st.integers(0, 4)))
            calls.append(Call(number, False, seen, begun, ended))
    return calls


@settings(max_examples=150, deadline=None)
@given(histories())
def test_it_finds_an_order_where_there_is_one(calls: list[Call]) -> None:
    expected = Verdict.LINEAR if brute_force(calls) else Verdict.NOT_LINEAR
    assert judge(calls) is expected
