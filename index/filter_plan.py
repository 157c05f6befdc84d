"""Filter plans: what a filter asks of the indexes, as data, and how that is answered.

`index/filters.py` compiles a `core.query.Filter` into these nodes; everything that can be wrong
with a filter has come up by then. Answers may name deleted docs until `run_plan` takes them out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pyroaring import BitMap

from weftdb.core.codec import GEO_LEVELS, decode_geo, decode_text, geo_cell_centre
from weftdb.core.query import GeoRange
from weftdb.core.types import DocId, ObjectId, format_object_id
from weftdb.index.ports import FieldReader, IdLookup

EARTH_RADIUS_M = 6_371_000.0

_ROUNDING_M = 0.01
"""A place may be put into the cell beside its own by this much."""

_CELLS_PER_RADIUS = 8
"""Cells on the rim of a circle are cut until they are this much smaller than its radius."""


class IdReader(IdLookup, Protocol):
    """From object ids to doc ids, one by one and in order."""

    def scan_ids(self, start: ObjectId) -> Iterator[tuple[ObjectId, DocId]]:
        """Live objects in the order of their ids, from `start` on."""
        ...


@dataclass(frozen=True, slots=True)
class FilterReaders:
    """What filters read: both sides of the inverted index, the ids, and the live docs."""

    filterable: FieldReader
    searchable: FieldReader
    ids: IdReader
    live: BitMap


@dataclass(frozen=True, slots=True)
class Place:
    """A field and the side of the index it stands on."""

    field: bytes
    is_searchable: bool = False

    def reader(self, readers: FilterReaders) -> FieldReader:
        """The side that has the field."""
        return readers.searchable if self.is_searchable else readers.filterable


@dataclass(frozen=True, slots=True)
class Nothing:
    """No doc."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """Docs that hold any of `values`."""

    place: Place
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Docs with a value in an interval; None is open."""

    place: Place
    low: bytes | None
    high: bytes | None
    low_inclusive: bool = True
    high_inclusive: bool = True


@dataclass(frozen=True, slots=True)
class Pattern:
    """Docs with a term that starts with `prefix` and matches as a whole."""

    place: Place
    prefix: bytes
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Present:
    """Docs that have any value in a field."""

    place: Place


@dataclass(frozen=True, slots=True)
class Within:
    """Docs with a place in a circle, its rim included."""

    place: Place
    circle: GeoRange


@dataclass(frozen=True, slots=True)
class HasId:
    """The docs of given ids."""

    ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class IdBetween:
    """Docs whose ids lie in [low, high)."""

    low: bytes
    high: bytes | None


@dataclass(frozen=True, slots=True)
class IdPattern:
    """Docs whose ids, written out, match as a whole."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Docs of every operand."""

    operands: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Docs of any operand."""

    operands: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Live docs that the operand does not have."""

    operand: Plan


Plan: TypeAlias = (
    Nothing
    | OneOf
    | Between
    | Pattern
    | Present
    | Within
    | HasId
    | IdBetween
    | IdPattern
    | AllOf
    | AnyOf
    | NoneOf
)

# What is likely small and quick is read first: an empty answer ends a conjunction.
_COST = {
    Nothing: 0, HasId: 1, OneOf: 2, AllOf: 3, Between: 4, AnyOf: 5, Present: 5, Within: 6,
    Pattern: 7, NoneOf: 8, IdBetween: 9, IdPattern: 9,
}  # fmt: skip


def run_plan(plan: Plan, readers: FilterReaders) -> BitMap:
    """The live docs that `plan` selects; the caller owns the bitmap."""
    return _run(plan, readers) & readers.live


def _run(plan: Plan, readers: FilterReaders) -> BitMap:
    match plan:
        case OneOf(place, values):
            reader = place.reader(readers)
            if len(values) == 1:
                return reader.docs_equal(place.field, values[0])
            return reader.docs_any(place.field, values)
        case Between(place, low, high, low_inclusive, high_inclusive):
            return place.reader(readers).docs_between(
                place.field, low, high, low_inclusive=low_inclusive, high_inclusive=high_inclusive
            )
        case AllOf(operands):
            return _run_all(operands, readers)
        case AnyOf(operands):
            return BitMap.union(*[_run(operand, readers) for operand in operands])
        case NoneOf(operand):
            return readers.live - _run(operand, readers)
        case Present(place):
            return place.reader(readers).docs_present(place.field)
        case Pattern():
            return _run_pattern(plan, readers)
        case Within(place, circle):
            return _run_within(place.field, circle, place.reader(readers))
        case Nothing():
            return BitMap()
        case _:
            return _run_ids(plan, readers.ids)


def _run_all(operands: tuple[Plan, ...], readers: FilterReaders) -> BitMap:
    """Intersect; complements are subtracted, so the live docs are not needed for them."""
    ordered = sorted(operands, key=lambda operand: _COST[type(operand)])
    found: BitMap | None = None
    for operand in ordered:
        if found is not None and not found:
            return found
        if found is not None and isinstance(operand, NoneOf):
            found = found - _run(operand.operand, readers)
            continue
        docs = _run(operand, readers)
        found = docs if found is None else found & docs
    assert found is not None, "a conjunction has operands"
    return found


def _run_pattern(plan: Pattern, readers: FilterReaders) -> BitMap:
    reader = plan.place.reader(readers)
    matches = plan.pattern.fullmatch
    values = [
        value
        for value in reader.values(plan.place.field, plan.prefix)
        if matches(decode_text(value))
    ]
    return reader.docs_any(plan.place.field, values) if values else BitMap()


def _run_ids(plan: HasId | IdBetween | IdPattern, ids: IdReader) -> BitMap:
    match plan:
        case HasId(wanted):
            return BitMap([doc for doc in ids.doc_ids_of(wanted) if doc is not None])
        case IdBetween(low, high):
            found = BitMap()
            for object_id, doc_id in ids.scan_ids(ObjectId(low)):
                if high is not None and object_id >= high:
                    break
                found.add(doc_id)
            return found
        case IdPattern(pattern):
            return BitMap(
                [
                    doc_id
                    for object_id, doc_id in ids.scan_ids(ObjectId(b""))
                    if pattern.fullmatch(format_object_id(object_id))
                ]
            )


def _run_within(field: bytes, circle: GeoRange, reader: FieldReader) -> BitMap:
    """Walk the quadtree of cells: take or drop a cell as a whole, look into those on the rim.

    A cell lies within `reach` of its centre: half its height along the meridian, then half its
    width along the parallel.
    """
    parts: list[BitMap] = []
    inside: list[bytes] = []
    cells = [b""]
    while cells:
        cell = cells.pop()
        latitude, longitude = geo_cell_centre(cell)
        away = haversine_m(circle.latitude, circle.longitude, latitude, longitude)
        reach = EARTH_RADIUS_M * math.radians(270.0 / (1 << len(cell)))
        if away - reach > circle.distance_m + _ROUNDING_M:
            continue
        if away + reach <= circle.distance_m - _ROUNDING_M:
            parts.append(_docs_in_cell(field, cell, reader))
        elif len(cell) < GEO_LEVELS and reach > circle.distance_m / _CELLS_PER_RADIUS:
            cells.extend(cell + bytes([step]) for step in range(4))
        else:
            inside.extend(v for v in reader.values(field, cell) if _is_within(circle, v))
    if inside:
        parts.append(reader.docs_any(field, inside))
    return BitMap.union(*parts) if parts else BitMap()


def _docs_in_cell(field: bytes, cell: bytes, reader: FieldReader) -> BitMap:
    if not cell:
        return reader.docs_present(field)
    after = cell[:-1] + bytes([cell[-1] + 1])
    return reader.docs_between(field, cell, after, low_inclusive=True, high_inclusive=False)


def _is_within(circle: GeoRange, value: bytes) -> bool:
    latitude, longitude = decode_geo(value)
    away = haversine_m(circle.latitude, circle.longitude, latitude, longitude)
    return away <= circle.distance_m


def haversine_m(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float
) -> float:
    """Metres between two places along the globe."""
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half_phi = math.sin((other_phi - phi) / 2.0)
    half_lambda = math.sin(math.radians(other_longitude - longitude) / 2.0)
    a = half_phi * half_phi + math.cos(phi) * math.cos(other_phi) * half_lambda * half_lambda
    return 2.0 * EARTH_RADIUS_M * math.asin(math.sqrt(min(max(a, 0.0), 1.0)))
