"""Auto schema: finds out from values what a collection is missing, and adds it.

JSON numbers become `number` (never int: the next value may have a fraction), texts that are dates
or uuids become those, maps with latitude and longitude geo coordinates, maps with `input` phone
numbers, other maps objects. A null counts as text, an empty list as a list of texts.

Pure: from a `Collection` to the wider one. The caller holds the schema lock and stores the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weftdb.core.config import SchemaConfig
from weftdb.core.definition import add_property, replace_property
from weftdb.core.errors import SchemaViolation
from weftdb.core.property_values import canonical_uuid, is_date
from weftdb.core.schema import Collection, DataType, Property, canonical_property_name

Json = dict[str, Any]

NEW_VECTOR_NAME = "default"


def infer_collection(name: str, config: SchemaConfig, note: str) -> Json:
    """Return the definition of a collection that nobody described, without properties yet.

    `note` becomes its description.
    """
    return {
        "class": name,
        "description": note,
        "vectorConfig": {NEW_VECTOR_NAME: {"vectorizer": {config.default_vectorizer: {}}}},
    }


def is_covered(collection: Collection, values: Mapping[str, Any]) -> bool:
    """Whether the schema knows every property in `values`, so that there is nothing to add."""
    known = collection.property_by_name
    for given, value in values.items():
        item = known.get(given) or known.get(canonical_property_name(given))
        if item is None or not _covers(item, value):
            return False
    return True


def widen(
    collection: Collection, objects: Iterable[Mapping[str, Any]], config: SchemaConfig, note: str
) -> Collection:
    """Return `collection` with what `objects` (their properties) need; itself if nothing.

    Raises SchemaViolation: a bad name, a list of several types.
    """
    for values in objects:
        for given, value in values.items():
            name = canonical_property_name(given)
            item = collection.property_by_name.get(name)
            label = f"property '{name}' on class '{collection.name}'"
            if item is None:
                body = infer_property(name, value, label, config, note)
                if body is not None:
                    collection = add_property(collection, body, config)
            elif not _covers(item, value):
                rendered = next(
                    known for known in collection.definition["properties"] if known["name"] == name
                )
                body = _widened(rendered, item, value, label, config, note)
                collection = replace_property(collection, body, config)
    return collection


def infer_property(
    name: str,
    value: Any,
    label: str,
    config: SchemaConfig,
    note: str,
    *,
    is_nested: bool = False,
) -> Json | None:
    """Return the definition of a property that holds `value`; None for an empty object.

    `label` names the property in messages; `is_nested` says that it is a field of an object.
    """
    data_type = _type_of(value, label, config, is_nested=is_nested)
    body: Json = {"name": name, "dataType": [data_type], "description": note}
    if data_type.startswith("object"):
        nested = _nested(value, label, config, note)
        if not nested:
            return None
        body["nestedProperties"] = nested
    return body


def _covers(item: Property, value: Any) -> bool:
    """Whether every field inside `value` is known. Wrong types are the validator's business."""
    if item.data_type is not DataType.OBJECT:
        return True
    known = {inner.name: inner for inner in item.nested}
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, Mapping):
            continue
        for name, inner in part.items():
            if name not in known or not _covers(known[name], inner):
                return False
    return True


def _type_of(value: Any, label: str, config: SchemaConfig, *, is_nested: bool) -> str:
    if value is None:
        return config.auto_schema_text
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return config.auto_schema_number
    if isinstance(value, str):
        if is_date(value):
            return config.auto_schema_date
        return "uuid" if canonical_uuid(value) else config.auto_schema_text
    if isinstance(value, Mapping):
        if not is_nested and {"latitude", "longitude"} <= value.keys():
            return "geoCoordinates"
        return "phoneNumber" if not is_nested and "input" in value else "object"
    return _type_of_list(value, label, config)


def _type_of_list(values: Any, label: str, config: SchemaConfig) -> str:
    if not isinstance(values, list):
        raise SchemaViolation(f"{label}: a value of type {type(values).__name__} has no data type")
    found: str | None = None
    for position, value in enumerate(values):
        if value is None or isinstance(value, list):
            what = "null" if value is None else "a list in a list"
            raise SchemaViolation(f"{label}: element [{position}]: {what} has no data type")
        # Inside a list a map is an object: there are no lists of coordinates or phone numbers.
        kind = _type_of(value, label, config, is_nested=True)
        if found is not None and kind != found:
            raise SchemaViolation(
                f"{label}: element [{position}]: mismatched data type - "
                f"'{found}' expected, got '{kind}'"
            )
        found = kind
    return f"{found or config.auto_schema_text}[]"


def _nested(value: Any, label: str, config: SchemaConfig, note: str) -> list[Json]:
    """Return the fields of an object, or of all objects of a list."""
    fields: dict[str, Json] = {}
    for part in value if isinstance(value, list) else [value]:
        for name, inner in part.items():
            body = infer_property(name, inner, f"{label}.{name}", config, note, is_nested=True)
            if body is None:
                continue
            known = fields.get(name)
            if known is not None and "nestedProperties" in known and "nestedProperties" in body:
                body = _merged(known, body)
            elif known is not None:
                body = known
            fields[name] = body
    return list(fields.values())


def _merged(known: Json, more: Json) -> Json:
    """Join the fields of two definitions of one object property."""
    fields = {item["name"]: item for item in known["nestedProperties"]}
    for item in more["nestedProperties"]:
        before = fields.get(item["name"])
        if before is None:
            fields[item["name"]] = item
        elif "nestedProperties" in before and "nestedProperties" in item:
            fields[item["name"]] = _merged(before, item)
    return {**known, "nestedProperties": list(fields.values())}


def _widened(
    rendered: Json, item: Property, value: Any, label: str, config: SchemaConfig, note: str
) -> Json:
    """Return the definition of an object property with the fields that `value` has more."""
    parts = [part for part in (value if isinstance(value, list) else [value]) if part is not None]
    maps = [part for part in parts if isinstance(part, Mapping)]
    more = {**rendered, "nestedProperties": _nested(maps, label, config, note)}
    return _merged(rendered, more)
