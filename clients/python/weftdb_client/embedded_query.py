"""Turns the client's reads into `core.query`, and the engine's hits into the client's objects."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.core import query
from weftdb.core.errors import InvalidRequest, SchemaViolation
from weftdb.core.schema import Collection, DataType, Property, canonical_property_name
from weftdb.core.types import UNNAMED, VectorName, parse_object_id
from weftdb.storage.object_codec import decode_object

from . import requests
from .filters import Condition, Filters, GeoRange, Joined, Junction, Plain
from .options import HybridFusion, KeywordOperator
from .requests import SearchRequest
from .results import MetadataReturn, Object
from .values import date_of_text

_BLOBS = (DataType.BLOB, DataType.BLOB_HASH)
ALPHA_DEFAULT = 0.75
"""The server's."""
DEFAULT_VECTOR = "default"
"""What callers call the vector of a collection without vector names."""


def core_search(request: SearchRequest, schema: Collection) -> query.Search:
    """Translate a read. Raises RequestError for what no collection could answer."""
    near, keyword, hybrid = None, None, None
    search = request.search
    if isinstance(search, requests.Keyword):
        keyword = query.Keyword(search.query, _boosts(search.properties), *_operator(search))
    elif isinstance(search, requests.Hybrid):
        hybrid = _hybrid(search)
    elif search is not None:
        near = _near(search)
    return query.Search(
        collection=schema.name,
        near=near,
        keyword=keyword,
        hybrid=hybrid,
        filter=core_filter(request.filters) if request.filters is not None else None,
        limit=_at_least(request.limit, 1, "limit") if request.limit is not None else None,
        offset=_at_least(request.offset, 0, "offset"),
        after=parse_object_id(request.after) if request.after else None,
        autocut=_at_least(request.auto_limit, 0, "auto_limit"),
        sort=tuple(query.Sort((key.name,), key.ascending) for key in request.sort),
        vectors=_vector_names(request.vectors, schema),
        ef=_reach(request),
        explain=request.metadata.explain_score,
    )


def _reach(request: SearchRequest) -> query.Reach:
    if request.target_recall is None:
        return None
    return query.recall_target(request.target_recall, "target_recall")


def _near(search: requests.NearVector | requests.NearObject | requests.NearText) -> query.Near:
    threshold = query.Threshold(search.threshold.distance, search.threshold.certainty)
    name = VectorName(search.target)
    if isinstance(search, requests.NearVector):
        target = query.Target(name, vector_array(search.vector, search.target))
        return query.NearVector((target,), threshold=threshold)
    targets = (query.Target(name),) if name else ()
    if isinstance(search, requests.NearObject):
        return query.NearObject(
            parse_object_id(search.object_id), targets=targets, threshold=threshold
        )
    return query.NearText(
        search.concepts,
        targets=targets,
        threshold=threshold,
        move_to=_move(search.move_to),
        move_away=_move(search.move_away),
    )


def _move(move: requests.MoveRequest | None) -> query.Move | None:
    if move is None:
        return None
    objects = tuple(parse_object_id(item) for item in move.objects)
    return query.Move(move.force, move.concepts, objects)


def _hybrid(search: requests.Hybrid) -> query.Hybrid:
    alpha = ALPHA_DEFAULT if search.alpha is None else search.alpha
    if not 0 <= alpha <= 1:
        raise InvalidRequest(f"alpha should be between 0.0 and 1.0: got {alpha}")
    operator, minimum_match = _operator(search)
    name = VectorName(search.target)
    near = None
    if search.vector is not None:
        target = query.Target(name, vector_array(search.vector, search.target))
        near = query.NearVector((target,))
    fusion = search.fusion or HybridFusion.RELATIVE_SCORE
    return query.Hybrid(
        query=search.query,
        near=near,
        properties=_boosts(search.properties),
        alpha=alpha,
        fusion=query.Fusion(fusion.value),
        operator=operator,
        minimum_match=minimum_match,
        vector_distance_max=search.vector_distance_max,
        targets=(query.Target(name),) if name else (),
    )


def _operator(search: requests.Keyword | requests.Hybrid) -> tuple[query.TermOperator, int]:
    chosen = search.operator or KeywordOperator("Or")
    return query.TermOperator(chosen.name), chosen.minimum_match


def _boosts(properties: Sequence[str]) -> tuple[tuple[str, float], ...]:
    return tuple(_boost(item) for item in properties)


def _boost(text: str) -> tuple[str, float]:
    name, mark, boost = text.partition("^")
    try:
        return canonical_property_name(name), float(boost) if mark else 1.0
    except ValueError:
        raise InvalidRequest(f"boost of property {name!r} is no number: {boost!r}") from None


def _at_least(value: int, least: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidRequest(f"{name} must be a whole number of at least {least}, got {value!r}")
    return value


def vector_array(row: Any, name: str) -> NDArray[np.float32]:
    """Make float32[dim] of what the caller gave. Raises InvalidRequest."""
    label = name or "the vector"
    try:
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(row, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{label} is no list of numbers: {error}") from None
    if array.ndim not in (1, 2):
        raise InvalidRequest(f"{label} has {array.ndim} axes")
    if not np.isfinite(array).all():
        raise InvalidRequest(f"{label} holds a value that is not a finite float32 number")
    return array


def core_filter(filters: Filters) -> query.Filter:
    """Translate a filter."""
    if isinstance(filters, Condition):
        return _comparison(filters)
    assert isinstance(filters, Joined), filters
    operands = tuple(core_filter(item) for item in filters.operands)
    if filters.junction is Junction.NOT:
        return query.Not(operands[0])
    return query.And(operands) if filters.junction is Junction.AND else query.Or(operands)


def _comparison(condition: Condition) -> query.Comparison:
    value = condition.value
    translated: query.FilterValue
    if isinstance(value, GeoRange):
        translated = query.GeoRange(value.latitude, value.longitude, value.distance)
        kind = query.ValueKind.GEO
    else:
        translated = value
        kind = _kind(value if isinstance(value, tuple) else (value,))
    return query.Comparison(
        operator=query.Operator(condition.operator.value),
        path=(condition.property_name,),
        value=translated,
        kind=kind,
        aspect=query.Aspect.LENGTH if condition.of_length else query.Aspect.VALUE,
    )


def _kind(values: Sequence[Plain]) -> query.ValueKind:
    """The type tag of a value; a list has one type."""
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return query.ValueKind.NUMBER
    if len(kinds) > 1:
        raise InvalidRequest(f"a filter's list mixes types: {values!r}")
    return {
        bool: query.ValueKind.BOOLEAN,
        int: query.ValueKind.INT,
        float: query.ValueKind.NUMBER,
    }.get(next(iter(kinds), str), query.ValueKind.TEXT)


def _vector_names(
    chosen: bool | tuple[str, ...],  # noqa: FBT001  # As the caller of the query gave it.
    schema: Collection,
) -> tuple[VectorName, ...]:
    if isinstance(chosen, bool):
        return tuple(schema.vector_by_name) if chosen else ()
    names = [_vector_name(name, schema) for name in chosen]
    return tuple(names)


def _vector_name(name: str, schema: Collection) -> VectorName:
    if not schema.is_named and name == DEFAULT_VECTOR and schema.vectors:
        return UNNAMED
    if name not in schema.vector_by_name or not name:
        raise SchemaViolation(
            f"class {schema.name} does not have named vector {name} configured. "
            f"Available named vectors [{' '.join(sorted(schema.vector_by_name))}]"
        )
    return VectorName(name)


def objects_of_hits(hits: query.Hits, request: SearchRequest, schema: Collection) -> list[Object]:
    """Decode hits, with the properties, metadata and vectors that were asked for."""
    readers = _readers(request.properties, schema)
    return [
        _object(hits, position, request, readers, schema) for position in range(len(hits.stored))
    ]


Readers = dict[str, Callable[[Any], Any]]


def _readers(chosen: tuple[str, ...] | None, schema: Collection) -> Readers:
    """How to read each property that goes out. Raises SchemaViolation for an unknown one."""
    if chosen is None:
        return {
            item.name: _reader(item)
            for item in schema.properties
            if item.data_type not in (*_BLOBS, DataType.REFERENCE)
        }
    readers: Readers = {}
    for given in chosen:
        name = canonical_property_name(given)
        item = schema.property_by_name.get(name)
        if item is None:
            raise SchemaViolation(
                f"no such prop with name '{name}' found in class '{schema.name}' in the schema. "
                "Check your schema files for which properties in this class are available"
            )
        readers[name] = _reader(item)
    return readers


def _reader(item: Property) -> Callable[[Any], Any]:
    read: Callable[[Any], Any]
    if item.data_type is DataType.DATE:
        read = date_of_text
    elif item.data_type is DataType.UUID:
        read = uuid.UUID
    elif item.data_type is DataType.OBJECT:
        read = partial(_read_nested, {part.name: _reader(part) for part in item.nested})
    else:
        return lambda value: value
    if item.is_array:
        return lambda values: [read(value) for value in values]
    return read


def _read_nested(readers: Readers, value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: readers[name](part) if name in readers else part for name, part in value.items()}


def _object(
    hits: query.Hits,
    position: int,
    request: SearchRequest,
    readers: Readers,
    schema: Collection,
) -> Object:
    wanted = request.metadata
    stored = decode_object(hits.stored[position])
    distance = hits.distances[position] if hits.distances is not None else None
    metadata = MetadataReturn(
        creation_time=_time(stored.created_ms) if wanted.creation_time else None,
        last_update_time=_time(stored.updated_ms) if wanted.last_update_time else None,
        distance=distance if wanted.distance else None,
        certainty=1 - distance / 2
        if wanted.certainty and hits.has_certainty and distance is not None
        else None,
        score=hits.scores[position] if wanted.score and hits.scores is not None else None,
        explain_score=hits.explanations[position]
        if wanted.explain_score and hits.explanations is not None
        else None,
    )
    vectors = {
        name or DEFAULT_VECTOR: row.tolist()
        for name, rows in hits.vectors.items()
        if (row := rows[position]) is not None
    }
    return Object(
        uuid=uuid.UUID(bytes=stored.id),
        properties=_properties(stored.properties, readers, request),
        metadata=metadata,
        vector=vectors,
        collection=schema.name,
    )


def _properties(
    stored: Mapping[str, Any], readers: Readers, request: SearchRequest
) -> dict[str, Any]:
    """Read the values; a property that was asked for by name and has none is None."""
    values: dict[str, Any] = {}
    for name, read in readers.items():
        value = stored.get(name)
        if value is not None:
            values[name] = read(value)
        elif request.properties is not None:
            values[name] = None
    return values


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
