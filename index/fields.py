"""Fields: the names under which values stand in the inverted index, and their encoders.

    field  := property NUL aspect
    aspect := "v"  its value: one entry an array element; terms for text
            | "l"  its length (int): characters of text, elements of arrays; none if there is none
            | "p"  "is present" (boolean, only true): not missing, no empty array

Presence is written, absence is not: objects older than a property lack it without a new entry.
Times stand under `_creationTimeUnix` and `_lastUpdateTimeUnix` as dates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weftdb.core.codec import (
    encode_boolean,
    encode_date,
    encode_geo,
    encode_int,
    encode_number,
    encode_text,
    encode_uuid,
)
from weftdb.core.schema import DataType, Property

CREATED = "_creationTimeUnix"
UPDATED = "_lastUpdateTimeUnix"
OBJECT_ID = "_id"

Encode = Callable[[Any], bytes]


def value_field(name: str) -> bytes:
    """The field of a property's values."""
    return name.encode() + b"\x00v"


def length_field(name: str) -> bytes:
    """The field of a property's lengths."""
    return name.encode() + b"\x00l"


def presence_field(name: str) -> bytes:
    """The field that tells which objects have the property."""
    return name.encode() + b"\x00p"


def _encode_place(value: Any) -> bytes:
    return encode_geo(float(value["latitude"]), float(value["longitude"]))


VALUE_ENCODERS: dict[DataType, Encode] = {
    DataType.INT: encode_int,
    DataType.NUMBER: encode_number,
    DataType.BOOLEAN: encode_boolean,
    DataType.DATE: encode_date,
    DataType.UUID: encode_uuid,
    DataType.GEO: _encode_place,
    DataType.TEXT: encode_text,
}
"""How one value of each indexed type is encoded; of text, how one term is."""

_WITHOUT_PRESENCE = frozenset({DataType.GEO, DataType.PHONE, DataType.REFERENCE})


def has_values(item: Property) -> bool:
    """Whether the property's values can be filtered, by any of its indexes."""
    if item.data_type not in VALUE_ENCODERS:
        return False
    if item.data_type is DataType.TEXT:
        return item.filterable or item.searchable
    return item.filterable or item.range_filters


def has_length(item: Property) -> bool:
    """Whether the property has a length that can be asked."""
    return item.data_type is DataType.TEXT or (item.is_array and item.data_type in VALUE_ENCODERS)


def has_presence(item: Property) -> bool:
    """Whether null can be asked; places and phone numbers are neither null nor not null."""
    return item.data_type not in _WITHOUT_PRESENCE
