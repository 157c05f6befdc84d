"""Value bytes are on disk: these stay as they are, or old indexes answer wrongly."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.core import codec
from weftdb.index.fields import length_field, presence_field, value_field

UUID = "00112233-4455-6677-8899-AABBCCDDEEFF"


@pytest.mark.parametrize(
    ("encode", "value", "written"),
    [
        (codec.encode_int, -(2**63), "0000000000000000"),
        (codec.encode_int, -1, "7fffffffffffffff"),
        (codec.encode_int, 1, "8000000000000001"),
        (codec.encode_number, float("-inf"), "000fffffffffffff"),
        (codec.encode_number, -1.5, "4007ffffffffffff"),
        (codec.encode_number, -0.0, "8000000000000000"),
        (codec.encode_number, 1.5, "bff8000000000000"),
        (codec.encode_boolean, False, "00"),
        (codec.encode_boolean, True, "01"),
        (codec.encode_date, "0001-01-01T00:00:00Z", "7ffffff1886e090000000000"),
        (codec.encode_date, "1970-01-01T00:00:00.5Z", "80000000000000001dcd6500"),
        (codec.encode_date, "2024-02-29T12:00:00+02:00", "8000000065e055a000000000"),
        (codec.encode_uuid, UUID, UUID.replace("-", "").lower()),
        (codec.encode_text, "Größe", "4772c3b6c39f65"),
    ],
)  # fmt: skip
def test_values_are_written_as_ever(encode: Any, value: Any, written: str) -> None:
    assert encode(value).hex() == written


@pytest.mark.parametrize(
    ("latitude", "longitude", "written"),
    [
        (52.37, 4.9, "0302000002000301000303030301020242517ae1409ccccd"),
        (-90.0, -180.0, "00000000000000000000000000000000c2b40000c3340000"),
        (90.0, 180.0, "0202020202020202020202020202020242b4000043340000"),
    ],
)
def test_places_are_written_as_ever(latitude: float, longitude: float, written: str) -> None:
    assert codec.encode_geo(latitude, longitude).hex() == written


def test_long_terms_are_written_as_ever() -> None:
    written = codec.encode_text("a" * 40_000)
    assert (len(written), written[-20:].hex()) == (
        32_768,
        "61616161f59186955995f7e5c4e63d4ea3ac9746",
    )


def test_fields_are_named_as_ever() -> None:
    assert value_field("größe") == b"gr\xc3\xb6\xc3\x9fe\x00v"
    assert length_field("a") == b"a\x00l"
    assert presence_field("a") == b"a\x00p"
