"""Operands of filters: from the value that a caller gave to the bytes that the index holds.

A value of the wrong type is refused with the words that clients know; whole numbers may come as
numbers or as text, because callers of gRPC send them so.
"""

from __future__ import annotations

import re

from weftdb.core.codec import (
    encode_boolean,
    encode_date,
    encode_int,
    encode_number,
    encode_uuid,
)
from weftdb.core.errors import InvalidRequest
from weftdb.core.query import Comparison, GeoRange, ScalarValue, ValueKind
from weftdb.core.schema import DataType, Property

_EXPECTED = {
    DataType.TEXT: ValueKind.TEXT,
    DataType.INT: ValueKind.INT,
    DataType.NUMBER: ValueKind.NUMBER,
    DataType.BOOLEAN: ValueKind.BOOLEAN,
    DataType.DATE: ValueKind.DATE,
    DataType.UUID: ValueKind.TEXT,
}


def scalar_operand(comparison: Comparison) -> ScalarValue:
    """The single value of a comparison. Raises InvalidRequest for a list or a place."""
    value = comparison.value
    if isinstance(value, (tuple, GeoRange)):
        kind = "a list" if isinstance(value, tuple) else "a geo range"
        raise InvalidRequest(
            f"operator {comparison.operator.value} on '{comparison.path[0]}' takes a single value, "
            f"got {kind}"
        )
    return value


def list_operand(comparison: Comparison) -> tuple[ScalarValue, ...]:
    """The values of a Contains comparison. Raises InvalidRequest for a single or no value."""
    value = comparison.value
    if not isinstance(value, tuple):
        raise InvalidRequest(
            f"operator {comparison.operator.value} on '{comparison.path[0]}' takes a list: "
            f"value type should be a list but is {comparison.kind.value}"
        )
    if not value:
        raise InvalidRequest(
            f"operator {comparison.operator.value} on '{comparison.path[0]}' got an empty list"
        )
    return value


def encode_operand(item: Property, value: ScalarValue, kind: ValueKind) -> bytes:
    """Encode a value to compare with a property that is no text. Raises InvalidRequest."""
    match item.data_type:
        case DataType.INT if not isinstance(value, bool):
            return encode_int(_whole(item, value, kind))
        case DataType.NUMBER if not isinstance(value, bool):
            return encode_number(_number(item, value, kind))
        case DataType.BOOLEAN if isinstance(value, bool):
            return encode_boolean(value)
        case DataType.DATE if isinstance(value, str):
            return encode_date(value)
        case DataType.UUID if isinstance(value, str):
            return encode_uuid(value)
    raise wrong_kind(item, kind)


def wrong_kind(item: Property, kind: ValueKind) -> InvalidRequest:
    """The error for a value of another type than the property's."""
    suffix = "[]" if item.is_array else ""
    return InvalidRequest(
        f'data type filter cannot use "{kind.value}" on type "{item.data_type.value}{suffix}", '
        f'use "{_EXPECTED[item.data_type].value}" instead'
    )


def _number(item: Property, value: str | int | float, kind: ValueKind) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise wrong_kind(item, kind) from None


def _whole(item: Property, value: str | int | float, kind: ValueKind) -> int:
    if isinstance(value, int):
        return value
    number = _number(item, value, kind)
    if not number.is_integer():
        raise InvalidRequest(
            f"expected an integer value for '{item.name}', got {value!r}"
        ) from None
    return int(value) if isinstance(value, str) and value.lstrip("+-").isdigit() else int(number)


def encode_time(value: ScalarValue) -> bytes:
    """Encode a value to compare with a time of the object. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest(f"a time is compared with an RFC3339 text, got {value!r}")
    return encode_date(value)


def like_pattern(term: str) -> re.Pattern[str]:
    """Compile a Like term: `?` is one letter, `*` any number."""
    collapsed = re.sub(r"\*+", "*", term)
    parts = [_WILDCARDS.get(letter) or re.escape(letter) for letter in collapsed]
    return re.compile("".join(parts), re.DOTALL)


_WILDCARDS = {"*": ".*", "?": "."}


def like_prefix(term: str) -> str:
    """What a Like term fixes of the beginning."""
    return re.split(r"[*?]", term, maxsplit=1)[0]
