"""Objects on the wire: what can travel, what cannot, what comes back."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from weftdb.client.errors import RequestRefused
from weftdb.client.transport import NewObject

pytest.importorskip("google.protobuf")

from weftdb.client._proto import values_pb2, vectors_pb2
from weftdb.client.remote_objects import read_value, wire_object, wire_vector

ONE = "00000000-0000-0000-0000-000000000001"


def sent(properties: dict[str, Any]) -> Any:
    return wire_object("Note", NewObject(object_id=ONE, properties=properties)).properties


def test_lists_travel_by_their_type() -> None:
    message = sent(
        {
            "empty": [],
            "ints": [1, 2],
            "mixed": [1, 2.5],
            "parts": [{"a": 1, "deep": {"b": ["c"]}}],
            "place": {"latitude": 1.0, "longitude": 2.0},
        }
    )
    assert list(message.empty_list_props) == ["empty"]
    assert list(message.int_array_properties[0].values) == [1, 2]
    assert struct.unpack("<2d", message.number_array_properties[0].values_bytes) == (1.0, 2.5)
    part = message.object_array_properties[0].values[0]
    assert part.non_ref_properties["a"] == 1
    assert part.object_properties[0].value.text_array_properties[0].values == ["c"]
    assert message.non_ref_properties["place"]["longitude"] == 2.0


@pytest.mark.parametrize("value", [["a", 1], [None], [["nested"]]])
def test_lists_of_several_types_do_not_travel(value: Any) -> None:
    with pytest.raises(RequestRefused, match="a list of mixed types"):
        sent({"p": value})


def test_a_whole_number_travels_exactly_or_not_at_all() -> None:
    assert sent({"n": 2**53}).non_ref_properties["n"] == 2**53
    with pytest.raises(RequestRefused, match="does not travel exactly"):
        sent({"n": 2**53 + 1})


@pytest.mark.parametrize("row", [["a"], [1e300], [None]])
def test_a_vector_holds_float32_numbers(row: Any) -> None:
    with pytest.raises(RequestRefused, match="no list of float32 numbers"):
        wire_vector("v", row)


def test_rows_of_rows_are_a_multi_vector() -> None:
    message = wire_vector("v", [[1.0, 2.0], [3.0, 4.0]])
    assert message.type == vectors_pb2.Vectors.VECTOR_TYPE_MULTI_FP32
    assert struct.unpack("<H4f", message.vector_bytes) == (2, 1.0, 2.0, 3.0, 4.0)


def test_values_come_back() -> None:
    phone = values_pb2.PhoneNumber(country_code=49, input="030 1", national=301, valid=True)
    values: list[tuple[values_pb2.Value, Any]] = [
        (values_pb2.Value(), None),
        (values_pb2.Value(list_value=values_pb2.ListValue()), []),
        (values_pb2.Value(uuid_value=ONE), UUID(ONE)),
        (values_pb2.Value(date_value="2020-01-01T00:00:00Z"), datetime(2020, 1, 1, tzinfo=UTC)),
        (
            values_pb2.Value(phone_value=phone),
            {
                "countryCode": 49,
                "defaultCountry": "",
                "input": "030 1",
                "internationalFormatted": "",
                "national": 301,
                "nationalFormatted": "",
                "valid": True,
            },
        ),
    ]
    for message, expected in values:
        assert read_value(message) == expected
