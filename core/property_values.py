"""Checks of single values: one function a property, compiled once from the schema.

A check takes a value in its JSON form and returns the stored form, or raises SchemaViolation with
the words that clients know. Stored forms: int for `int` (|value| beyond 2^53 rounded as a double),
float for `number`, RFC3339 text as it was given for `date`, canonical text for `uuid`, base64 text
for `blob`, dicts for the rest.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from weftdb.core.errors import SchemaViolation, Unsupported
from weftdb.core.phone_numbers import enrich_phone_number
from weftdb.core.schema import DataType, Property

Check: TypeAlias = Callable[[Any], Any]

INT_EXACT_MAX = 2**53
INT_MAX = 2**63
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DATE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


class Numbers(Enum):
    """How whole numbers arrive."""

    JSON = "json"
    """`5` and `5.0` are told apart; only the first is an int."""
    DOUBLES = "doubles"
    """Everything is a double (protobuf); `5.0` is an int."""


def compile_check(item: Property, collection: str, numbers: Numbers) -> Check:
    """Return the check of one property of `collection`."""
    return _compile(item, item.name, collection, numbers)


def type_name(value: Any) -> str:
    """Name the type of a JSON value as messages do."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "json.Number"
    if value is None:
        return "<nil>"
    return "[]interface {}" if isinstance(value, (list, tuple)) else "map[string]interface {}"


def shown(value: Any) -> str:
    """Write a value as messages do: lists in brackets, without commas."""
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(shown(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def is_date(value: Any) -> bool:
    """Whether `value` is a text in RFC3339 format that names a day that exists."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def canonical_uuid(value: Any) -> str | None:
    """The canonical small form of a uuid in any usual form, or None."""
    if not isinstance(value, str):
        return None
    if _UUID.fullmatch(value):
        return value
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


def _compile(item: Property, path: str, collection: str, numbers: Numbers) -> Check:
    label = f"'{path}' on class '{collection}'"
    kind = item.data_type
    if kind is DataType.REFERENCE:
        return _reference(label)
    if kind is DataType.OBJECT:
        fields = _fields(item, path, collection, numbers)
        return _objects(label, fields) if item.is_array else _object(label, fields)
    make_scalar = {
        DataType.TEXT: _text,
        DataType.INT: _int_of_double if numbers is Numbers.DOUBLES else _int_of_json,
        DataType.NUMBER: _number,
        DataType.BOOLEAN: _boolean,
        DataType.DATE: _date,
        DataType.UUID: _uuid,
        DataType.BLOB: _blob,
        DataType.GEO: _geo,
        DataType.PHONE: _phone,
    }.get(kind)
    if make_scalar is None:
        return _unsupported(f"data type '{kind.value}' of property {label}")
    if not item.is_array:
        return make_scalar(label)
    name = {DataType.INT: "integer"}.get(kind, kind.value)
    return _array(label, name, make_scalar(label), strings=kind is DataType.TEXT)


def _text(label: str) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, str):
            return value
        raise SchemaViolation(
            f"invalid text property {label}: not a string, but {type_name(value)}"
        )

    return check


def _whole(value: int, label: str) -> int:
    if -INT_EXACT_MAX <= value <= INT_EXACT_MAX:
        return value
    rounded = int(float(value))
    if not -INT_MAX <= rounded < INT_MAX:
        raise SchemaViolation(
            f"invalid integer property {label}: the JSON number '{value}' could not be "
            "converted to an int"
        )
    return rounded


def _int_of_json(label: str) -> Check:
    def check(value: Any) -> int:
        if type(value) is int:
            return _whole(value, label)
        if isinstance(value, float):
            raise SchemaViolation(
                f"invalid integer property {label}: the JSON number '{value}' could not be "
                "converted to an int"
            )
        raise SchemaViolation(
            f"invalid integer property {label}: requires an integer, "
            f"the given value is '{shown(value)}'"
        )

    return check


def _int_of_double(label: str) -> Check:
    of_json = _int_of_json(label)

    def check(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return int(of_json(value))

    return check


def _number(label: str) -> Check:
    def check(value: Any) -> float:
        if type(value) is float or type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        raise SchemaViolation(
            f"invalid number property {label}: requires a float, "
            f"the given value is '{shown(value)}'"
        )

    return check


def _boolean(label: str) -> Check:
    def check(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        raise SchemaViolation(
            f"invalid boolean property {label}: not a bool, but {type_name(value)}"
        )

    return check


def _date(label: str) -> Check:
    def check(value: Any) -> str:
        if is_date(value):
            return str(value)
        raise SchemaViolation(
            f"invalid date property {label}: requires a string with a RFC3339 formatted date, "
            f"but the given value is '{shown(value)}'"
        )

    return check


def _uuid(label: str) -> Check:
    def check(value: Any) -> str:
        canonical = canonical_uuid(value)
        if canonical is not None:
            return canonical
        raise SchemaViolation(
            f"invalid uuid property {label}: requires a string of UUID format, "
            f"but the given value is '{shown(value)}'"
        )

    return check


def _blob(label: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise SchemaViolation(
                f"invalid blob property {label}: not a blob base64 string, but {type_name(value)}"
            )
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise SchemaViolation(
                f"invalid blob property {label}: not a valid blob base64 string"
            ) from None
        return value

    return check


def _geo(label: str) -> Check:
    blame = f"invalid geoCoordinates property {label}: "
    bounds = {"latitude": 90.0, "longitude": 180.0}

    def check(value: Any) -> dict[str, float]:
        if not isinstance(value, Mapping):
            raise SchemaViolation(
                f"{blame}geoCoordinates must be a map, but got: {type_name(value)}"
            )
        out = {}
        for key, bound in bounds.items():
            number = value.get(key)
            if number is None:
                raise SchemaViolation(f"{blame}geoCoordinates is missing required field '{key}'")
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise SchemaViolation(
                    f"{blame}{key} must be a number, but got: {type_name(number)}"
                )
            if not abs(number) <= bound:
                raise SchemaViolation(f"{blame}{key} {number} is not between ±{bound:g} degrees")
            out[key] = float(number)
        return out

    return check


def _phone(label: str) -> Check:
    blame = f"invalid phoneNumber property {label}: "

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise SchemaViolation(f"{blame}phoneNumber must be a map, but got: {type_name(value)}")
        text, country = value.get("input"), value.get("defaultCountry") or ""
        if text is None:
            raise SchemaViolation(f"{blame}phoneNumber is missing required field 'input'")
        for key, part in (("input", text), ("defaultCountry", country)):
            if not isinstance(part, str):
                raise SchemaViolation(f"{blame}{key} must be a string, but got: {type_name(part)}")
        try:
            return enrich_phone_number(text, country)
        except SchemaViolation as error:
            raise SchemaViolation(f"{blame}{error}") from None

    return check


def _array(label: str, name: str, check_item: Check, *, strings: bool) -> Check:
    blame = f"invalid {name} array property {label}: "
    article = "an" if name == "integer" else "a"

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise SchemaViolation(f"{blame}not {article} {name} array, but {type_name(value)}")
        if strings:
            for item in value:
                if not isinstance(item, str):
                    raise SchemaViolation(f"{blame}invalid {name} array value: {shown(value)}")
            return value
        try:
            return [check_item(item) for item in value]
        except SchemaViolation:
            raise SchemaViolation(f"{blame}invalid {name} array value: {shown(value)}") from None

    return check


def _fields(item: Property, path: str, collection: str, numbers: Numbers) -> Check:
    """Return the check of the inside of an object."""
    checks = {
        inner.name: _compile(inner, f"{path}.{inner.name}", collection, numbers)
        for inner in item.nested
    }

    def check(value: Mapping[str, Any]) -> dict[str, Any]:
        out = {}
        for name, part in value.items():
            if part is None:
                continue
            check_part = checks.get(name)
            if check_part is None:
                raise SchemaViolation(
                    f"property '{path}': no such nested prop with name '{name}' found in "
                    f"'{path}' on class '{collection}'"
                )
            try:
                out[name] = check_part(part)
            except SchemaViolation as error:
                raise SchemaViolation(f"property '{path}.{name}': {error}") from None
        return out

    return check


def _object(label: str, fields: Check) -> Check:
    blame = f"invalid object property {label}: "

    def check(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise SchemaViolation(f"{blame}object must be a map, but got: {type_name(value)}")
        try:
            return fields(value)
        except SchemaViolation as error:
            raise SchemaViolation(f"{blame}{error}") from None

    return check


def _objects(label: str, fields: Check) -> Check:
    blame = f"invalid object[] property {label}: "

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise SchemaViolation(f"{blame}not an object array, but {type_name(value)}")
        out = []
        for position, item in enumerate(value):
            if not isinstance(item, Mapping):
                raise SchemaViolation(
                    f"{blame}element [{position}]: object must be a map, but got: {type_name(item)}"
                )
            try:
                out.append(fields(item))
            except SchemaViolation as error:
                raise SchemaViolation(f"{blame}element [{position}]: {error}") from None
        return out

    return check


def _reference(label: str) -> Check:
    def check(value: Any) -> Any:
        if value == []:
            return []
        raise Unsupported(f"cross references are not supported yet: property {label}")

    return check


def _unsupported(what: str) -> Check:
    def check(_value: Any) -> Any:
        raise Unsupported(f"{what} is not supported yet")

    return check
