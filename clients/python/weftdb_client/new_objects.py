"""Puts an object together as the transports take it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .ids import UuidInput, id_text
from .requests import Vector
from .transport import NewObject
from .values import to_json

VectorInput: TypeAlias = Vector | Mapping[str, Vector]


@dataclass(frozen=True)
class DataObject:
    """An element of `insert_many` with its own id or vector."""

    properties: Mapping[str, Any] | None = None
    uuid: UuidInput | None = None
    vector: VectorInput | None = None


def new_object(
    properties: Mapping[str, Any] | None,
    object_id: UuidInput | None,
    vector: VectorInput | None,
    *,
    keep_null: bool = False,
) -> NewObject:
    """Check and convert. Raises ValueError (id), TypeError (a value without JSON form)."""
    given = properties or {}
    if not isinstance(given, Mapping):
        raise TypeError(f"properties must be a mapping, got a {type(given).__name__}")
    return NewObject(
        object_id=id_text(object_id) if object_id is not None else str(uuid.uuid4()),
        properties={
            str(name): to_json(value)
            for name, value in given.items()
            if keep_null or value is not None
        },
        vectors=_vectors(vector),
    )


def _vectors(vector: VectorInput | None) -> dict[str, Vector]:
    if vector is None:
        return {}
    if isinstance(vector, Mapping):
        return {str(name): row for name, row in vector.items()}
    return {"": vector}
