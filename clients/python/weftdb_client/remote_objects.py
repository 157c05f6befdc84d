"""Objects as wire messages, in (batches) and out (search results).

Scalars travel in a Struct, where every number is a double; lists have messages by type.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from ._proto import batch_pb2, values_pb2, vectors_pb2
from .errors import RequestRefused
from .transport import NewObject
from .values import date_of_text

INT_EXACT_MAX = 2**53
"""Larger whole numbers do not survive the way through a double."""


def wire_object(collection: str, item: NewObject) -> batch_pb2.BatchObject:
    """One object of a batch. Raises RequestRefused for what the wire cannot carry."""
    message = batch_pb2.BatchObject(uuid=item.object_id, collection=collection)
    _fill(message.properties, item.properties)
    for name, row in item.vectors.items():
        if name:
            message.vectors.append(wire_vector(name, row))
        else:
            message.vector_bytes = vector_bytes(row)
    return message


def wire_vector(name: str, row: Any) -> vectors_pb2.Vectors:
    """A named vector; rows of rows are a multi-vector. Raises RequestRefused."""
    if (len(row) and isinstance(row[0], Sequence)) or getattr(row, "ndim", 1) == 2:
        if len({len(part) for part in row}) > 1:
            raise RequestRefused(f"the rows of the multi-vector {name!r} differ in length")
        rows = b"".join(vector_bytes(part) for part in row)
        head = struct.pack("<H", len(row[0]))
        kind = vectors_pb2.Vectors.VECTOR_TYPE_MULTI_FP32
        return vectors_pb2.Vectors(name=name, vector_bytes=head + rows, type=kind)
    kind = vectors_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32
    return vectors_pb2.Vectors(name=name, vector_bytes=vector_bytes(row), type=kind)


def vector_bytes(row: Any) -> bytes:
    """Little-endian float32. Raises RequestRefused for what is no list of numbers."""
    values = row.tolist() if hasattr(row, "tolist") else row
    try:
        return struct.pack(f"<{len(values)}f", *values)
    except (struct.error, OverflowError, TypeError) as error:
        raise RequestRefused(f"the vector is no list of float32 numbers: {error}") from None


def _fill(message: Any, values: Mapping[str, Any]) -> None:
    """Put property values into a message of `BatchObject.Properties` or a nested object."""
    for name, value in values.items():
        if isinstance(value, list):
            _add_list(message, name, value)
        elif isinstance(value, Mapping) and not _is_plain(value):
            nested = message.object_properties.add(prop_name=name)
            nested.value.SetInParent()
            _fill(nested.value, value)
        elif isinstance(value, Mapping):
            message.non_ref_properties.get_or_create_struct(name).update(value)
        else:
            message.non_ref_properties[name] = _scalar(name, value)


_PLAIN_KEYS = (
    {"latitude", "longitude"},
    {"input", "defaultCountry"},
    {"input"},
)


def _is_plain(value: Mapping[str, Any]) -> bool:
    """Geo coordinates and phone numbers travel inside the Struct."""
    return set(value) in _PLAIN_KEYS


def _scalar(name: str, value: Any) -> Any:
    if type(value) is int and abs(value) > INT_EXACT_MAX:
        raise RequestRefused(
            f"property {name!r}: {value} does not travel exactly in a batch; insert it singly"
        )
    return value


def _add_list(message: Any, name: str, values: list[Any]) -> None:
    kinds = {type(value) for value in values}
    if not values:
        message.empty_list_props.append(name)
    elif kinds == {str}:
        message.text_array_properties.add(prop_name=name, values=values)
    elif kinds == {bool}:
        message.boolean_array_properties.add(prop_name=name, values=values)
    elif kinds == {int}:
        message.int_array_properties.add(prop_name=name, values=values)
    elif kinds <= {int, float}:
        data = struct.pack(f"<{len(values)}d", *values)
        message.number_array_properties.add(prop_name=name, values_bytes=data)
    elif all(issubclass(kind, Mapping) for kind in kinds):
        array = message.object_array_properties.add(prop_name=name)
        for value in values:
            _fill(array.values.add(), value)
    else:
        raise RequestRefused(f"property {name!r}: a list of mixed types: {values!r}")


def read_properties(message: values_pb2.Properties) -> dict[str, Any]:
    """The properties that have a value."""
    return {
        name: read_value(value)
        for name, value in message.fields.items()
        if value.WhichOneof("kind") not in (None, "null_value")
    }


def _geo(value: values_pb2.GeoCoordinate) -> dict[str, float]:
    return {"latitude": value.latitude, "longitude": value.longitude}


def _phone(value: values_pb2.PhoneNumber) -> dict[str, Any]:
    return {
        "countryCode": value.country_code,
        "defaultCountry": value.default_country,
        "input": value.input,
        "internationalFormatted": value.international_formatted,
        "national": value.national,
        "nationalFormatted": value.national_formatted,
        "valid": value.valid,
    }


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "date_value": date_of_text,
    "uuid_value": UUID,
    "geo_value": _geo,
    "phone_value": _phone,
    "object_value": read_properties,
}


def read_value(value: values_pb2.Value) -> Any:
    """One value in its Python form."""
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    assert kind is not None
    held = getattr(value, kind)
    if kind == "list_value":
        return _read_list(held)
    return _SCALARS[kind](held) if kind in _SCALARS else held


def _read_list(message: values_pb2.ListValue) -> list[Any]:
    kind = message.WhichOneof("kind")
    if kind is None:
        return []
    values = getattr(message, kind).values
    if kind == "number_values":
        return list(struct.unpack(f"<{len(values) // 8}d", values))
    if kind == "int_values":
        return list(struct.unpack(f"<{len(values) // 8}q", values))
    readers: dict[str, Callable[[Any], Any]] = {
        "date_values": date_of_text,
        "uuid_values": UUID,
        "object_values": read_properties,
    }
    read = readers.get(kind)
    return [read(value) for value in values] if read else list(values)
