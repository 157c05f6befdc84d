"""Reads a collection's module settings: typed values out of the JSON that a client sent.

Numbers and booleans may come as text, as the reference allows. A value of another type and a key
that the module does not know are refused when the collection is created; the reference falls back
to the default without a word, and a typing mistake then embeds with the wrong model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weftdb.core.errors import SchemaViolation

COMMON_KEYS = ("properties", "vectorizeClassName")
"""Keys of every text module; modules/text.py reads them."""

_BOOLEANS = {"true": True, "false": False}


def check_keys(settings: Mapping[str, Any], known: Iterable[str], *, module: str) -> None:
    """Refuse unknown keys. Raises SchemaViolation naming the ones there are."""
    allowed = {*known, *COMMON_KEYS}
    unknown = sorted(set(settings) - allowed)
    if unknown:
        raise SchemaViolation(
            f"module '{module}': unknown setting {unknown[0]!r}, "
            f"known settings are: {', '.join(sorted(allowed))}"
        )


def read_bool(settings: Mapping[str, Any], key: str, *, default: bool) -> bool:
    """The boolean under `key`. Raises SchemaViolation if it is none."""
    value = settings.get(key)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS:
        return _BOOLEANS[value.strip().lower()]
    raise SchemaViolation(f"module setting {key!r} must be true or false, got {value!r}")


def read_text(settings: Mapping[str, Any], key: str, *, default: str = "") -> str:
    """The text under `key`, trimmed. Raises SchemaViolation if it is none."""
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise SchemaViolation(f"module setting {key!r} must be text, got {value!r}")
    return value.strip()


def read_count(settings: Mapping[str, Any], key: str) -> int | None:
    """The positive whole number under `key`, None if absent. Raises SchemaViolation."""
    value = settings.get(key)
    if value is None:
        return None
    number: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        number = int(value)
    if number is None or number != int(number) or number < 1:
        raise SchemaViolation(f"module setting {key!r} must be a positive number, got {value!r}")
    return int(number)


def check_common(settings: Mapping[str, Any], *, module: str) -> None:
    """Check the keys that every text module has. Raises SchemaViolation."""
    read_bool(settings, "vectorizeClassName", default=True)
    properties = settings.get("properties")
    if properties is None:
        return
    if not isinstance(properties, list | tuple):
        raise SchemaViolation(
            f"module '{module}': properties field needs to be of array type, "
            f"got: {type(properties).__name__}"
        )
    if not properties:
        raise SchemaViolation(
            f"module '{module}': properties field needs to have at least 1 property defined"
        )
    for name in properties:
        if not isinstance(name, str):
            raise SchemaViolation(
                f"module '{module}': properties field value: {name!r} must be a string"
            )
