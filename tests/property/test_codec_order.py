"""Encoded values sort as the values do, and come back unchanged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.core import codec
from weftdb.core.errors import InvalidRequest
from weftdb.core.limits import TERM_BYTES_MAX

INTS = st.integers(codec.INT_MIN, codec.INT_MAX)
NUMBERS = st.floats(allow_nan=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NANOSECONDS = st.integers(-62_135_596_800, 253_402_300_799).flatmap(
    lambda seconds: st.integers(0, codec.NANOSECONDS - 1).map(
        lambda rest: seconds * codec.NANOSECONDS + rest
    )
)


@settings(max_examples=200)
@given(INTS, INTS)
def test_ints_keep_their_order(left: int, right: int) -> None:
    assert (codec.encode_int(left) < codec.encode_int(right)) == (left < right)
    assert codec.decode_int(codec.encode_int(left)) == left


@settings(max_examples=200)
@given(NUMBERS, NUMBERS)
def test_numbers_keep_their_order(left: float, right: float) -> None:
    assert (codec.encode_number(left) < codec.encode_number(right)) == (left < right)
    assert (codec.encode_number(left) == codec.encode_number(right)) == (left == right)
    assert codec.decode_number(codec.encode_number(left)) == left


@settings(max_examples=200)
@given(NANOSECONDS, NANOSECONDS)
def test_dates_keep_their_order_and_nanoseconds(left: int, right: int) -> None:
    left_text, right_text = codec.format_instant(left), codec.format_instant(right)
    left_bytes, right_bytes = codec.encode_date(left_text), codec.encode_date(right_text)
    assert (left_bytes < right_bytes) == (left < right)
    assert codec.decode_instant(left_bytes) == left
    assert codec.decode_date(left_bytes) == left_text


@settings(max_examples=100)
@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_offsets_are_taken_into_account(local: datetime, minutes: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    away = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    exact = (away.days * 86_400 + away.seconds) * 10**9 + away.microseconds * 1000
    assert codec.nanoseconds_of(moment.isoformat()) == exact


@settings(max_examples=200)
@given(TEXTS, TEXTS)
def test_texts_keep_their_order(left: str, right: str) -> None:
    # Python compares code points, and so does UTF-8.
    assert (codec.encode_text(left) < codec.encode_text(right)) == (left < right)
    assert codec.decode_text(codec.encode_text(left)) == left


@given(st.booleans(), st.booleans())
def test_booleans_keep_their_order(left: bool, right: bool) -> None:
    assert (codec.encode_boolean(left) < codec.encode_boolean(right)) == (left < right)
    assert codec.decode_boolean(codec.encode_boolean(left)) == left


@settings(max_examples=100)
@given(st.uuids())
def test_uuids_come_back_canonical(value: object) -> None:
    assert codec.decode_uuid(codec.encode_uuid(str(value).upper())) == str(value)


@settings(max_examples=200)
@given(st.floats(-90, 90, width=32), st.floats(-180, 180, width=32))
def test_places_come_back_and_lie_in_their_cell(latitude: float, longitude: float) -> None:
    encoded = codec.encode_geo(latitude, longitude)
    assert codec.decode_geo(encoded) == (latitude, longitude)
    centre = codec.geo_cell_centre(encoded[: codec.GEO_LEVELS])
    assert abs(centre[0] - latitude) <= 90.0 / 2**codec.GEO_LEVELS + 1e-9
    east = abs(centre[1] - longitude) % 360.0
    assert min(east, 360.0 - east) <= 180.0 / 2**codec.GEO_LEVELS + 1e-9


def test_places_past_the_pole_are_the_same_place() -> None:
    assert codec.geo_cell(95.0, 0.0) == codec.geo_cell(85.0, 180.0)
    assert codec.geo_cell(10.0, 190.0) == codec.geo_cell(10.0, -170.0)


def test_long_terms_differ_though_they_begin_alike() -> None:
    left = codec.encode_text("a" * (TERM_BYTES_MAX + 1))
    right = codec.encode_text("a" * (TERM_BYTES_MAX + 2))
    assert left != right
    assert len(left) == len(right) == TERM_BYTES_MAX
    assert len(codec.encode_text("a" * TERM_BYTES_MAX)) == TERM_BYTES_MAX


@pytest.mark.parametrize(
    "text",
    [
        "", "1931", "1931-05-01", "1931-05-01T00:00:00", "1931-13-01T00:00:00Z", "yesterday",
        "1931-02-29T00:00:00Z", "1931-05-01T24:00:00Z", "1931-05-01T00:00:00+24:00",
        "1931-05-01 00:00:00Z", "0000-01-01T00:00:00Z", "1931-05-01T00:00:00.Z",
        "١٩٣١-05-01T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="RFC3339"):
        codec.encode_date(text)


def test_first_and_last_year_work() -> None:
    first = codec.encode_date("0001-01-01T00:00:00+14:00")
    last = codec.encode_date("9999-12-31T23:59:59.999999999-12:00")
    assert first < codec.encode_date("0001-01-01T00:00:00Z") < last
    assert codec.nanoseconds_of("1970-01-01T00:00:00.1234567899Z") == 123_456_789


def test_other_bad_values_are_refused() -> None:
    for call in (
        lambda: codec.encode_int(2**63),
        lambda: codec.encode_number(float("nan")),
        lambda: codec.encode_uuid("abc"),
        lambda: codec.encode_text("\ud800"),
        lambda: codec.encode_geo(float("inf"), 0.0),
    ):
        with pytest.raises(InvalidRequest):
            call()
