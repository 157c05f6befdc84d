"""Turns what a caller wants to be near to (an object, a text) into query vectors.

After `resolve_near` every target has a name that the collection knows and a float32 vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import InvalidRequest, ObjectNotFound, SchemaViolation
from weftdb.core.query import Move, Near, NearObject, NearText, NearVector, Target, Threshold
from weftdb.core.schema import Collection, Metric, VectorConfig
from weftdb.core.types import UNNAMED, ObjectId, Row, VectorName, format_object_id
from weftdb.engine.steps import EmbedCall, Steps
from weftdb.index.targets import distance_of
from weftdb.modules.ports import Vectorizers
from weftdb.modules.text import move_away, move_towards


class VectorReader(Protocol):
    """Reads stored vectors of one shard."""

    def vector_of(self, object_id: ObjectId, name: VectorName) -> NDArray[np.float32] | None:
        """The vector, or None if the object has none. Raises ObjectNotFound."""
        ...


def resolve_targets(schema: Collection, targets: Sequence[Target]) -> tuple[Target, ...]:
    """Give every target its name; without targets the only vector is meant.

    Raises SchemaViolation for unknown names and where the only vector is not only.
    """
    if not targets:
        targets = (Target(name=_only_vector(schema)),)
    return tuple(_with_known_name(schema, target) for target in targets)


def _only_vector(schema: Collection) -> VectorName:
    name = schema.only_vector
    if name is None:
        if not schema.vectors:
            raise SchemaViolation(f"class {schema.name} has no vector index to search")
        raise SchemaViolation(
            f"class {schema.name} has multiple vectors, but no target vectors were provided"
        )
    return name


def _with_known_name(schema: Collection, target: Target) -> Target:
    name = _known_name(schema, target.name)
    return target if name == target.name else replace(target, name=name)


def _known_name(schema: Collection, name: VectorName) -> VectorName:
    if name == UNNAMED:
        return _only_vector(schema)
    if not schema.is_named or name not in schema.vector_by_name:
        known = " ".join(sorted(schema.vector_by_name)) if schema.is_named else ""
        raise SchemaViolation(
            f"class {schema.name} does not have named vector {name} configured. "
            f"Available named vectors [{known}]"
        )
    return name


def distance_limit(threshold: Threshold, config: VectorConfig) -> float | None:
    """The largest distance that is still a hit; None is open. Raises InvalidRequest."""
    if threshold.distance is not None and threshold.certainty is not None:
        raise InvalidRequest("cannot provide distance and certainty")
    if threshold.certainty is None:
        return threshold.distance
    if config.multi_vector:
        raise InvalidRequest(
            "can't compute and return certainty of a multi-vector: its distance is no cosine"
        )
    if config.metric is not Metric.COSINE:
        raise InvalidRequest(
            "can't compute and return certainty when vector index is configured with "
            f"{config.metric.value} distance"
        )
    return distance_of(threshold.certainty)


def resolve_near(
    near: Near, schema: Collection, vectors: VectorReader, vectorizers: Vectorizers
) -> Steps[NearVector]:
    """Fill in names and query vectors. Raises as its parts do."""
    if isinstance(near, NearVector):
        return check_near(near, schema)
    targets = resolve_targets(schema, near.targets)
    if isinstance(near, NearObject):
        filled = tuple(_from_object(near, target, vectors) for target in targets)
    else:
        filled_list = []
        for target in targets:
            vector = yield from _from_text(near, target, schema, vectors, vectorizers)
            filled_list.append(replace(target, vector=vector))
        filled = tuple(filled_list)
    return NearVector(filled, near.combination, near.threshold, near.mmr)


def check_near(near: NearVector, schema: Collection) -> NearVector:
    """Fill in names; the vectors are there. Raises InvalidRequest, SchemaViolation."""
    targets = resolve_targets(schema, near.targets)
    for target in targets:
        _check_vector(schema, target)
    if all(given is named for given, named in zip(near.targets, targets, strict=False)):
        return near if near.targets else replace(near, targets=targets)
    return replace(near, targets=targets)


def _check_vector(schema: Collection, target: Target) -> None:
    vector = target.vector
    if vector is None or vector.size == 0:
        raise InvalidRequest("near_vector: vector is required")
    if not np.isfinite(vector).all():
        raise InvalidRequest("near_vector: the vector holds NaN or infinite numbers")
    is_multi = schema.vector_by_name[target.name].multi_vector
    if is_multi and vector.ndim != 2:
        raise InvalidRequest(
            "near_vector: provided vector is a regular vector but "
            "vector index supports multi vectors"
        )
    if not is_multi and vector.ndim != 1:
        raise InvalidRequest(
            "near_vector: provided vector is a multi vector but "
            "vector index supports regular vectors"
        )


def _from_object(near: NearObject, target: Target, vectors: VectorReader) -> Target:
    try:
        vector = vectors.vector_of(near.id, target.name)
    except ObjectNotFound:
        raise ObjectNotFound(
            f"near_object: vector not found: there is no object {format_object_id(near.id)}"
        ) from None
    if vector is None:
        raise InvalidRequest(
            f"near_object: search-object with id {format_object_id(near.id)} has no vector"
            + (f" {target.name}" if target.name else "")
        )
    return replace(target, vector=vector)


def _from_text(
    near: NearText,
    target: Target,
    schema: Collection,
    vectors: VectorReader,
    vectorizers: Vectorizers,
) -> Steps[Row]:
    query = yield from embed_query(near.concepts, target.name, schema, vectorizers)
    for move, shift in ((near.move_to, move_towards), (near.move_away, move_away)):
        if move is None or move.force == 0 or not (move.concepts or move.objects):
            continue
        aim = yield from _aim(move, target.name, schema, vectors, vectorizers)
        query = shift(query, aim, move.force)
    return query


def _aim(
    move: Move,
    name: VectorName,
    schema: Collection,
    vectors: VectorReader,
    vectorizers: Vectorizers,
) -> Steps[Row]:
    rows: list[Row] = []
    if move.concepts:
        rows.append((yield from embed_query(move.concepts, name, schema, vectorizers)))
    for object_id in move.objects:
        vector = vectors.vector_of(object_id, name)
        if vector is None:
            raise InvalidRequest(f"move: object {format_object_id(object_id)} has no vector")
        rows.append(vector)
    mean: Row = np.mean(np.stack(rows), axis=0, dtype=np.float32)
    return mean


def embed_query(
    texts: Sequence[str], name: VectorName, schema: Collection, vectorizers: Vectorizers
) -> Steps[Row]:
    """The mean of the texts' vectors. Raises SchemaViolation without a vectorizer."""
    config = schema.vector_by_name[name]
    if config.vectorizer == "none":
        raise SchemaViolation(
            f"VectorFromInput was called without vectorizer on class {schema.name} "
            f"for input {' '.join(texts)}"
        )
    rows = yield EmbedCall(vectorizers.get(config.vectorizer), tuple(texts), config)
    mean: Row = np.mean(rows, axis=0, dtype=np.float32)
    return mean
