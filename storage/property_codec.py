"""Properties of an object as bytes: exactly the `Properties` message of the gRPC reply.

A reply is put together from stored bytes, so they are written in the wire encoding of protobuf,
by hand: the library is no dependency of the embedded engine. The subset (field numbers are on
disk and on the wire: never renumber):

    Properties := (0x0a len entry)*           entry := 0x0a len name:utf8  0x12 len Value
    Value      := 0x09 f64 number | 0x18 bool | 0x22 len Properties object | 0x2a len List
                | 0x32 len date:utf8 | 0x3a len uuid:utf8 | 0x40 varint int | 0x4a len Geo
                | 0x52 len blob:base64 | 0x5a len Phone | 0x60 0 null | 0x6a len text:utf8
    List       := 0x12 len (0x0a len f64*) numbers | 0x1a len (0x0a len bool*)
                | 0x22 len (0x0a len Properties)* | 0x2a len (0x0a len date)*
                | 0x32 len (0x0a len uuid)* | 0x3a len (0x0a len i64*) | 0x42 len (0x0a len text)*
    Geo        := 0x0d f32 longitude 0x15 f32 latitude
    Phone      := fields 1 countryCode:varint 2 defaultCountry 3 input 4 internationalFormatted
                  5 national:varint 6 nationalFormatted 7 valid:bool
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from weftdb.core.errors import CorruptData, InvalidRequest
from weftdb.core.schema import Collection, DataType, Property
from weftdb.core.types import PropertyValue

Encoder: TypeAlias = Callable[[Any], bytes]
Encoders: TypeAlias = Mapping[str, tuple[bytes, Encoder]]
"""By property name: the encoded name field of its entry, and the encoder of its value."""

_pack_f64 = struct.Struct("<d").pack
_F32 = struct.Struct("<f")
_GEO = struct.Struct("<BfBf")
_pack_geo = _GEO.pack
_U64 = 2**64
_SMALL = [bytes((n,)) for n in range(128)]


def varint(number: int) -> bytes:
    """A non-negative number in protobuf's varint form."""
    if number < 128:
        return _SMALL[number]
    out = bytearray()
    while number > 127:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(tag: bytes, body: bytes) -> bytes:
    """A length-delimited field."""
    size = len(body)
    return tag + (_SMALL[size] if size < 128 else varint(size)) + body


def _text_field(tag: bytes) -> Encoder:
    return lambda value: delimited(tag, value.encode())


def _int(value: int) -> bytes:
    return b"\x40" + varint(value if value >= 0 else value + _U64)


def _geo(value: Mapping[str, float]) -> bytes:
    return b"\x4a\x0a" + _pack_geo(0x0D, value["longitude"], 0x15, value["latitude"])


def _phone(value: Mapping[str, Any]) -> bytes:
    body = b""
    for tag, key in ((b"\x08", "countryCode"), (b"\x28", "national"), (b"\x38", "valid")):
        if value.get(key):
            body += tag + varint(int(value[key]))
    for tag, key in (
        (b"\x12", "defaultCountry"),
        (b"\x1a", "input"),
        (b"\x22", "internationalFormatted"),
        (b"\x32", "nationalFormatted"),
    ):
        if value.get(key):
            body += delimited(tag, value[key].encode())
    return delimited(b"\x5a", body)


_SCALARS: Mapping[DataType, Encoder] = {
    DataType.TEXT: _text_field(b"\x6a"),
    DataType.INT: _int,
    DataType.NUMBER: lambda value: b"\x09" + _pack_f64(value),
    DataType.BOOLEAN: lambda value: b"\x18\x01" if value else b"\x18\x00",
    DataType.DATE: _text_field(b"\x32"),
    DataType.UUID: _text_field(b"\x3a"),
    DataType.BLOB: _text_field(b"\x52"),
    DataType.BLOB_HASH: _text_field(b"\x52"),
    DataType.GEO: _geo,
    DataType.PHONE: _phone,
}


def _text_list(tag: bytes) -> Encoder:
    return lambda values: delimited(
        b"\x2a", delimited(tag, b"".join([delimited(b"\x0a", v.encode()) for v in values]))
    )


def _packed_list(tag: bytes, code: str) -> Encoder:
    return lambda values: delimited(
        b"\x2a",
        delimited(tag, delimited(b"\x0a", struct.pack(f"<{len(values)}{code}", *values))),
    )


_LISTS: Mapping[DataType, Encoder] = {
    DataType.TEXT: _text_list(b"\x42"),
    DataType.INT: _packed_list(b"\x3a", "q"),
    DataType.NUMBER: _packed_list(b"\x12", "d"),
    DataType.BOOLEAN: _packed_list(b"\x1a", "?"),
    DataType.DATE: _text_list(b"\x2a"),
    DataType.UUID: _text_list(b"\x32"),
}


def _encoder_of(item: Property) -> Encoder:
    if item.data_type is DataType.OBJECT:
        nested = _table(item.nested)
        if item.is_array:
            return lambda values: delimited(
                b"\x2a",
                delimited(
                    b"\x22", b"".join([delimited(b"\x0a", _encode(v, nested)) for v in values])
                ),
            )
        return lambda value: delimited(b"\x22", _encode(value, nested))
    return _LISTS[item.data_type] if item.is_array else _SCALARS[item.data_type]


def _table(properties: tuple[Property, ...]) -> Encoders:
    return {
        item.name: (delimited(b"\x0a", item.name.encode()), _encoder_of(item))
        for item in properties
        if item.data_type is not DataType.REFERENCE
    }


def _encode(values: Mapping[str, PropertyValue], table: Encoders) -> bytes:
    parts = []
    for name, value in values.items():
        if value is None or name not in table:
            continue
        head, encode = table[name]
        encoded = encode(value)
        parts.append(delimited(b"\x0a", head + delimited(b"\x12", encoded)))
    return b"".join(parts)


class PropertyEncoder:
    """Encodes the properties of one collection's objects; made once a schema version."""

    __slots__ = ("_table",)

    def __init__(self, schema: Collection) -> None:
        self._table = _table(schema.properties)

    def encode(self, values: Mapping[str, PropertyValue]) -> bytes:
        """The `Properties` message. Values are validated already; None is left out.

        Raises InvalidRequest for a text that is not Unicode (half of a surrogate pair).
        """
        try:
            return _encode(values, self._table)
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"a text cannot be written as UTF-8: {error}") from error


def decode_properties(
    message: bytes, names: frozenset[str] | None = None
) -> dict[str, PropertyValue]:
    """Read a `Properties` message back into JSON values, or only those of `names`.

    Raises CorruptData.
    """
    try:
        return _properties(message, 0, len(message), names)
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise CorruptData(f"stored properties do not follow their format: {error}") from error


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    result, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        result |= (byte & 0x7F) << shift
        if byte < 128:
            return result, at + 1
        shift += 7
        if shift > 63:
            raise ValueError("a varint is too long")


def _span(data: bytes, at: int, end: int) -> tuple[int, int]:
    size, start = _read_varint(data, at)
    if start + size > end:
        raise ValueError(f"a field of {size} bytes passes the end")
    return start, start + size


def _properties(
    data: bytes, at: int, end: int, names: frozenset[str] | None = None
) -> dict[str, PropertyValue]:
    values: dict[str, PropertyValue] = {}
    while at < end:
        if data[at] != 0x0A:
            raise ValueError(f"unexpected tag {data[at]:#x}")
        at, stop = _span(data, at + 1, end)
        name_start, name_end = _span(data, at + 1, stop)
        value_start, value_end = _span(data, name_end + 1, stop)
        if data[at] != 0x0A or data[name_end] != 0x12 or value_end != stop:
            raise ValueError("an entry is not a name and a value")
        name = data[name_start:name_end].decode()
        if names is None or name in names:
            values[name] = _value(data, value_start, value_end)
        at = stop
    return values


def _shortest(number: float) -> float:
    """The number with the fewest digits that is the same float32: 52.52, not 52.52000045776367."""
    packed = _F32.pack(number)
    for digits in (6, 7, 8):
        short = float(f"{number:.{digits}g}")
        if _F32.pack(short) == packed:
            return short
    return float(f"{number:.9g}")


_TEXT_TAGS = frozenset((0x32, 0x3A, 0x52, 0x6A))


def _value(data: bytes, at: int, end: int) -> PropertyValue:
    tag = data[at]
    if tag in _TEXT_TAGS:
        start, stop = _span(data, at + 1, end)
        return data[start:stop].decode()
    if tag == 0x40:
        number, _ = _read_varint(data, at + 1)
        return number - _U64 if number >> 63 else number
    if tag == 0x09:
        return struct.unpack_from("<d", data, at + 1)[0]
    if tag == 0x18:
        return data[at + 1] != 0
    if tag == 0x60:
        return None
    start, stop = _span(data, at + 1, end)
    if tag == 0x22:
        return _properties(data, start, stop)
    if tag == 0x2A:
        return _list(data, start, stop)
    if tag == 0x4A:
        _, longitude, _, latitude = _GEO.unpack_from(data, start)
        return {"latitude": _shortest(latitude), "longitude": _shortest(longitude)}
    if tag == 0x5A:
        return _read_phone(data, start, stop)
    raise ValueError(f"unknown value tag {tag:#x}")


def _list(data: bytes, at: int, end: int) -> list[PropertyValue]:
    tag = data[at]
    at, end = _span(data, at + 1, end)
    bodies = []
    while at < end:
        if data[at] != 0x0A:
            raise ValueError(f"unexpected list tag {data[at]:#x}")
        start, stop = _span(data, at + 1, end)
        bodies.append((start, stop))
        at = stop
    if tag == 0x22:
        return [_properties(data, start, stop) for start, stop in bodies]
    packed = {0x12: ("d", 8), 0x3A: ("q", 8), 0x1A: ("?", 1)}.get(tag)
    if packed is None:
        if tag not in (0x2A, 0x32, 0x42):
            raise ValueError(f"unknown list tag {tag:#x}")
        return [data[start:stop].decode() for start, stop in bodies]
    code, size = packed
    out: list[PropertyValue] = []
    for start, stop in bodies:
        out.extend(struct.unpack(f"<{(stop - start) // size}{code}", data[start:stop]))
    return out


_PHONE_FIELDS = {
    1: "countryCode",
    2: "defaultCountry",
    3: "input",
    4: "internationalFormatted",
    5: "national",
    6: "nationalFormatted",
    7: "valid",
}


def _read_phone(data: bytes, at: int, end: int) -> dict[str, PropertyValue]:
    phone: dict[str, PropertyValue] = {
        "countryCode": 0, "input": "", "internationalFormatted": "",
        "national": 0, "nationalFormatted": "", "valid": False,
    }  # fmt: skip
    while at < end:
        tag = data[at]
        key = _PHONE_FIELDS[tag >> 3]
        if tag & 7 == 2:
            start, at = _span(data, at + 1, end)
            phone[key] = data[start:at].decode()
        else:
            number, at = _read_varint(data, at + 1)
            phone[key] = number != 0 if key == "valid" else number
    return phone
