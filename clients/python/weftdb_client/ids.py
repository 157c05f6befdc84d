"""Object ids as the caller may give them: UUID or text."""

from __future__ import annotations

import uuid
from typing import TypeAlias

UuidInput: TypeAlias = uuid.UUID | str


def id_text(value: UuidInput) -> str:
    """Write the canonical form. Raises ValueError for what is no UUID."""
    if isinstance(value, uuid.UUID):
        return str(value)
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"not a UUID: {value!r}") from None


def generate_uuid5(identifier: object, namespace: object = "") -> str:
    """Derive the same id from the same identifier every time."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, str(namespace) + str(identifier)))
