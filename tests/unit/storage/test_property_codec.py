"""Properties as bytes: what protobuf's own library writes and reads, without the library."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from weftdb.core.errors import CorruptData, InvalidRequest
from weftdb.core.schema import Collection, DataType, Property
from weftdb.proto.v1 import values_pb2 as pb
from weftdb.storage.property_codec import PropertyEncoder, decode_properties

PHONE = {
    "countryCode": 49, "defaultCountry": "DE", "input": "030 1234",
    "internationalFormatted": "+49 30 1234", "national": 301234,
    "nationalFormatted": "030 1234", "valid": True,
}  # fmt: skip
INNER = (
    Property("x", DataType.INT),
    Property("inner", DataType.OBJECT, nested=(Property("y", DataType.TEXT, is_array=True),)),
)
SCHEMA = Collection(
    "Thing",
    (
        Property("text", DataType.TEXT),
        Property("int", DataType.INT),
        Property("number", DataType.NUMBER),
        Property("boolean", DataType.BOOLEAN),
        Property("date", DataType.DATE),
        Property("uuid", DataType.UUID),
        Property("blob", DataType.BLOB),
        Property("geo", DataType.GEO),
        Property("phone", DataType.PHONE),
        Property("object", DataType.OBJECT, nested=INNER),
        Property("texts", DataType.TEXT, is_array=True),
        Property("ints", DataType.INT, is_array=True),
        Property("numbers", DataType.NUMBER, is_array=True),
        Property("booleans", DataType.BOOLEAN, is_array=True),
        Property("dates", DataType.DATE, is_array=True),
        Property("uuids", DataType.UUID, is_array=True),
        Property("objects", DataType.OBJECT, is_array=True, nested=INNER),
        Property("reference", DataType.REFERENCE, targets=("Other",)),
    ),
)
ENCODER = PropertyEncoder(SCHEMA)
DATE = "2024-02-29T12:00:00.123+01:00"
UUID = "12345678-1234-1234-1234-123456789abc"


def value(**kinds: Any) -> pb.Value:
    return pb.Value(**kinds)


def listed(**kinds: Any) -> pb.Value:
    return pb.Value(list_value=pb.ListValue(**kinds))


CASES: list[tuple[str, Any, pb.Value]] = [
    ("text", "", value(text_value="")),
    ("text", "héllo 🌍" * 40, value(text_value="héllo 🌍" * 40)),
    ("int", 0, value(int_value=0)),
    ("int", -1, value(int_value=-1)),
    ("int", 2**63 - 1, value(int_value=2**63 - 1)),
    ("int", -(2**63), value(int_value=-(2**63))),
    ("number", 1.5e300, value(number_value=1.5e300)),
    ("number", -0.0, value(number_value=-0.0)),
    ("boolean", False, value(bool_value=False)),
    ("boolean", True, value(bool_value=True)),
    ("date", DATE, value(date_value=DATE)),
    ("uuid", UUID, value(uuid_value=UUID)),
    ("blob", "aGk=" * 100, value(blob_value="aGk=" * 100)),
    ("texts", ["a", "", "ü"], listed(text_values=pb.TextValues(values=["a", "", "ü"]))),
    ("texts", [], listed(text_values=pb.TextValues())),
    ("ints", [1, -2, 2**62], listed(int_values=pb.IntValues(
        values=struct.pack("<3q", 1, -2, 2**62)))),
    ("numbers", [0.5, -1.0], listed(number_values=pb.NumberValues(
        values=struct.pack("<2d", 0.5, -1.0)))),
    ("booleans", [True, False, True], listed(bool_values=pb.BoolValues(
        values=[True, False, True]))),
    ("dates", [DATE], listed(date_values=pb.DateValues(values=[DATE]))),
    ("uuids", [UUID, UUID], listed(uuid_values=pb.UuidValues(values=[UUID, UUID]))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "expected"), CASES)
def test_bytes_are_protobufs_own(name: str, given: Any, expected: pb.Value) -> None:
    message = ENCODER.encode({name: given})
    parsed = pb.Properties.FromString(message)
    assert parsed.fields[name] == expected
    assert len(parsed.fields) == 1
    assert message == parsed.SerializeToString(deterministic=True) or given == []
    assert decode_properties(message) == {name: given}
    assert decode_properties(parsed.SerializeToString()) == {name: given}


def test_geo_is_float32_on_the_wire_and_short_in_json() -> None:
    given = {"latitude": 52.52, "longitude": -13.405}
    message = ENCODER.encode({"geo": given})
    geo = pb.Properties.FromString(message).fields["geo"].geo_value
    assert geo.latitude == struct.unpack("<f", struct.pack("<f", 52.52))[0]
    assert decode_properties(message)["geo"] == given
    for latitude in (0.0, 90.0, -33.333332, 1e-7, 12.345678):
        given = {"latitude": latitude, "longitude": 0.0}
        back = decode_properties(ENCODER.encode({"geo": given}))["geo"]["latitude"]
        assert struct.pack("<f", back) == struct.pack("<f", latitude)


def test_phone() -> None:
    message = ENCODER.encode({"phone": PHONE})
    phone = pb.Properties.FromString(message).fields["phone"].phone_value
    assert (phone.country_code, phone.national, phone.valid) == (49, 301234, True)
    assert (phone.input, phone.international_formatted) == ("030 1234", "+49 30 1234")
    assert (phone.national_formatted, phone.default_country) == ("030 1234", "DE")
    assert decode_properties(message) == {"phone": PHONE}
    assert decode_properties(pb.Properties.FromString(message).SerializeToString()) == {
        "phone": PHONE
    }
    sparse = decode_properties(ENCODER.encode({"phone": {"input": "1"}}))["phone"]
    assert sparse["valid"] is False
    assert sparse["countryCode"] == 0


def test_objects() -> None:
    given = {
        "object": {"x": 1, "inner": {"y": ["a", "b"]}},
        "objects": [{"x": -5}, {}, {"inner": {"y": []}}],
    }
    message = ENCODER.encode(given)
    fields = pb.Properties.FromString(message).fields
    assert fields["object"].object_value.fields["x"].int_value == 1
    inner = fields["object"].object_value.fields["inner"].object_value.fields["y"]
    assert inner.list_value.text_values.values == ["a", "b"]
    assert fields["objects"].list_value.object_values.values[0].fields["x"].int_value == -5
    assert decode_properties(message) == given


def test_nulls_unknown_names_and_references_are_left_out() -> None:
    given = {"text": None, "unknown": 5, "reference": [{"beacon": "x"}], "int": 3}
    assert decode_properties(ENCODER.encode(given)) == {"int": 3}
    assert ENCODER.encode({}) == b""
    assert decode_properties(b"") == {}


def test_a_null_in_a_message_reads_as_none() -> None:
    message = pb.Properties(fields={"a": value(null_value=0)}).SerializeToString()
    assert decode_properties(message) == {"a": None}


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        ENCODER.encode({"text": "\ud800"})


def whole() -> bytes:
    given = {name: item for name, item, _ in CASES}
    return ENCODER.encode({**given, "phone": PHONE, "object": {"x": 1}})


def test_cut_messages_never_crash() -> None:
    message = whole()
    for size in range(len(message)):
        try:
            decode_properties(message[:size])
        except CorruptData:
            continue


@pytest.mark.parametrize(
    "message",
    [
        b"\x12\x00",
        b"\x0a\x7f",
        b"\x0a\x04\x0a\x01a\x13",
        b"\x0a\x05\x0a\x01a\x12\x05",
        b"\x0a\x07\x0a\x01a\x12\x02\x7a\x00",
        b"\x0a\x09\x0a\x01a\x12\x04\x2a\x02\x7a\x00",
        b"\x0a\x08\x0a\x01a\x12\x03\x6a\x01\xff",
        b"\x0a" + b"\xff" * 12,
    ],
    ids=["tag", "end", "entry", "value", "kind", "list", "text", "varint"],
)
def test_other_bytes_are_refused(message: bytes) -> None:
    with pytest.raises(CorruptData, match="do not follow their format"):
        decode_properties(message)
