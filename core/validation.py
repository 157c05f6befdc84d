"""ObjectValidator: checks objects against their collection and makes drafts of them.

Built once for each state of a collection; imports run every object through it, so the checks are a
table of functions and the common case costs a few microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import InvalidRequest, LimitExceeded, Malformed, SchemaViolation
from weftdb.core.limits import VECTOR_DIMENSIONS_MAX
from weftdb.core.objects import ObjectDraft
from weftdb.core.property_values import Check, Numbers, compile_check, shown
from weftdb.core.schema import Collection, canonical_property_name
from weftdb.core.types import UNNAMED, ObjectId, PropertyValue, VectorName

Vector = NDArray[np.float32]

LEGACY_VECTOR_NAME = "default"
"""Clients of today send the vector of an old collection under this name."""


class ObjectValidator:
    """Checks objects of one collection. Immutable; any number of threads may use it."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @cached_property
    def _json_checks(self) -> dict[str, Check]:
        return self._checks(Numbers.JSON)

    @cached_property
    def _typed_checks(self) -> dict[str, Check]:
        return self._checks(Numbers.DOUBLES)

    def draft(self, object_id: ObjectId, body: Mapping[str, Any]) -> ObjectDraft:
        """Make a draft of an object in REST form: `properties`, `vector`, `vectors`.

        Raises SchemaViolation, InvalidRequest, Malformed, LimitExceeded, Unsupported.
        """
        return ObjectDraft(
            id=object_id,
            properties=self.properties(body.get("properties")),
            vectors=self.json_vectors(body),
        )

    def properties(self, values: Any) -> dict[str, PropertyValue]:
        """Check properties in JSON form; nulls are dropped."""
        return _checked(self.collection, self._json_checks, values, keep_null=False)

    def changes(self, values: Any) -> dict[str, PropertyValue]:
        """Check the properties of a merge; nulls stay, they remove."""
        return _checked(self.collection, self._json_checks, values, keep_null=True)

    def typed_properties(self, values: Mapping[str, Any]) -> dict[str, PropertyValue]:
        """Check properties whose whole numbers may come as doubles; nulls are dropped."""
        return _checked(self.collection, self._typed_checks, values, keep_null=False)

    def json_vectors(self, body: Mapping[str, Any]) -> dict[VectorName, Vector]:
        """Read and check the keys `vector` and `vectors` of an object in REST form."""
        unnamed, named = body.get("vector"), body.get("vectors")
        if unnamed is None and named is None:
            return {}
        if named is not None and not isinstance(named, Mapping):
            raise Malformed("field vectors must be an object of vectors by name")
        return self.vectors(
            None if unnamed is None else vector_of_json(unnamed, "vector"),
            {
                name: vector_of_json(value, f"vectors.{name}")
                for name, value in (named or {}).items()
                if value is not None
            },
        )

    def vectors(
        self, unnamed: Vector | None, named: Mapping[str, Vector]
    ) -> dict[VectorName, Vector]:
        """Give every vector its place. Empty ones count as not given.

        `unnamed` on a collection with exactly one named vector goes there; `default` on a
        collection without names is its vector.
        """
        name = self.collection.name
        out: dict[VectorName, Vector] = {}
        if unnamed is not None and unnamed.size:
            target = self.collection.only_vector
            if target is None:
                raise SchemaViolation(
                    f"collection {name} configuration does not have single vector index"
                )
            out[target] = self._vector(target, unnamed)
        for key, vector in named.items():
            target = VectorName(key)
            if not self.collection.is_named and key == LEGACY_VECTOR_NAME:
                target = UNNAMED
            if target not in self.collection.vector_by_name or not key:
                raise SchemaViolation(
                    f"collection {name} does not have configuration for vector {key}"
                )
            if vector.size:
                out[target] = self._vector(target, vector)
        return out

    def _vector(self, name: VectorName, vector: Vector) -> Vector:
        is_multi = self.collection.vector_by_name[name].multi_vector
        label = f'vector "{name}" in collection "{self.collection.name}"'
        if is_multi and vector.ndim != 2:
            raise SchemaViolation(
                f"{label} is configured as multi-vector: expected an array of token vectors, "
                "got a single vector"
            )
        if not is_multi and vector.ndim != 1:
            raise SchemaViolation(
                f"{label} is not configured as multi-vector, but a multi-vector was provided"
            )
        if vector.shape[-1] > VECTOR_DIMENSIONS_MAX:
            raise LimitExceeded(
                f"{label} has {vector.shape[-1]} dimensions; at most {VECTOR_DIMENSIONS_MAX} "
                "are allowed"
            )
        # A sum in double precision is finite if and only if every element is; it is several times
        # cheaper than testing each.
        if not math.isfinite(float(np.add.reduce(vector, axis=None, dtype=np.float64))):
            raise InvalidRequest(f"{label} holds a value that is not a finite number")
        return vector

    def _checks(self, numbers: Numbers) -> dict[str, Check]:
        name = self.collection.name
        return {
            item.name: compile_check(item, name, numbers) for item in self.collection.properties
        }


def vector_of_json(value: Any, field: str) -> Vector:
    """Read a vector (list of numbers) or a multi-vector (list of equal lists of numbers).

    Raises Malformed for anything else, InvalidRequest for numbers beyond float32.
    """
    if not isinstance(value, list):
        raise Malformed(f"field {field} must be a list of numbers")
    if not value:
        return np.empty(0, np.float32)
    try:
        array = np.array(value)
    except ValueError:
        raise Malformed(f"field {field}: the rows of a multi-vector differ in length") from None
    if array.dtype.kind not in "fiu" or array.ndim > 2:
        raise Malformed(f"field {field} must be a list of numbers")
    with np.errstate(over="ignore"):
        vector = array.astype(np.float32)
    if not np.isfinite(vector).all():
        raise InvalidRequest(f"field {field} holds a number that float32 cannot hold")
    return vector


def unknown_property(name: str, collection: str) -> SchemaViolation:
    """Make the error for a property that the collection does not have."""
    return SchemaViolation(
        f"no such prop with name '{name}' found in class '{collection}' in the schema. "
        "Check your schema files for which properties in this class are available"
    )


def _checked(
    collection: Collection, checks: dict[str, Check], values: Any, *, keep_null: bool
) -> dict[str, PropertyValue]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise SchemaViolation(f"could not recognize object's properties: {shown(values)}")
    out: dict[str, PropertyValue] = {}
    for given, value in values.items():
        name = given
        check = checks.get(name)
        if check is None:
            name = canonical_property_name(given)
            check = checks.get(name)
        if value is None:
            if keep_null and check is not None:
                out[name] = None
            continue
        if check is None:
            raise unknown_property(name, collection.name)
        out[name] = check(value)
    return out
