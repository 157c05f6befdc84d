"""Property values between Python and JSON: dates are datetime, uuids are UUID, the rest is JSON.

Geo coordinates are dicts with latitude and longitude, phone numbers dicts with input and
defaultCountry.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def date_text(value: datetime) -> str:
    """Write a point in time as RFC 3339; without a zone it counts as UTC."""
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return aware.isoformat(timespec="microseconds" if aware.microsecond else "seconds")


def date_of_text(text: str) -> datetime:
    """Read RFC 3339; digits past microseconds are cut, Python's datetime has none."""
    text = text.replace("Z", "+00:00").replace("z", "+00:00")
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = f"{head}.{digits[:6].ljust(6, '0')}{rest[len(digits) :]}"
    return datetime.fromisoformat(text)


def to_json(value: Any) -> Any:
    """Turn a property value into its JSON form. Raises TypeError naming what has none."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return date_text(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return to_json(item())
    raise TypeError(f"a {type(value).__name__} cannot be stored as a property: {value!r}")
