"""An object as the engine takes it and gives it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from weftdb.core.types import DocId, ObjectId, PropertyValue, VectorName, Version


@dataclass(slots=True)
class ObjectDraft:
    """An object on its way in, already validated against its collection.

    `vectors` maps a vector's name to float32[dim] (or float32[rows, dim] for a multi-vector); the
    name is `UNNAMED` for the vector of a collection without named vectors.
    """

    id: ObjectId
    properties: dict[str, PropertyValue]
    vectors: dict[VectorName, NDArray[np.float32]] = field(default_factory=dict)
    created_ms: int | None = None
    """Set only when a client gives the creation time itself."""


@dataclass(frozen=True, slots=True)
class Object:
    """A stored object, decoded."""

    id: ObjectId
    doc_id: DocId
    properties: dict[str, PropertyValue]
    created_ms: int
    updated_ms: int
    version: Version
    vectors: Mapping[VectorName, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectState:
    """One version of an object, or of its absence, as replicas pass it on.

    Doc ids are a replica's own and do not travel. `properties` and `vectors` are as in `Object`;
    of a deletion they are empty and the times 0. Two states of an object with the same version are
    the same state.
    """

    id: ObjectId
    version: Version
    is_deleted: bool = False
    created_ms: int = 0
    updated_ms: int = 0
    properties: Mapping[str, PropertyValue] = field(default_factory=dict)
    vectors: Mapping[VectorName, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """What a replica holds of an object, without its content. Ordered as states win: by version."""

    version: Version
    is_deleted: bool = False
