"""Filters over random objects select what a look at every object selects."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from weftdb.core.codec import nanoseconds_of
from weftdb.core.definition import parse_collection
from weftdb.core.query import (
    And,
    Aspect,
    Comparison,
    Filter,
    GeoRange,
    Not,
    Operator,
    Or,
    ValueKind,
)
from weftdb.core.types import DocId, ObjectId
from weftdb.index.analysis import CollectionAnalysis, Entry
from weftdb.index.filter_plan import FilterReaders, haversine_m
from weftdb.index.filters import evaluate
from weftdb.index.memory_fields import MemoryFields

COLLECTION = parse_collection(
    {
        "class": "Thing",
        "invertedIndexConfig": {
            "indexNullState": True,
            "indexPropertyLength": True,
            "indexTimestamps": True,
            "stopwords": {"preset": "none"},
        },
        "properties": [
            {"name": "words", "dataType": ["text"]},
            {"name": "code", "dataType": ["text"], "tokenization": "field"},
            {"name": "dark", "dataType": ["text"], "indexSearchable": False},
            {"name": "count", "dataType": ["int"]},
            {"name": "size", "dataType": ["number"]},
            {"name": "lift", "dataType": ["boolean"]},
            {"name": "built", "dataType": ["date"]},
            {"name": "floors", "dataType": ["int[]"]},
            {"name": "place", "dataType": ["geoCoordinates"]},
        ],
    }
)
ANALYSIS = CollectionAnalysis(COLLECTION)

WORDS = st.lists(st.sampled_from(["a", "ab", "b", "北京", "Ça"]), min_size=1, max_size=3).map(
    " ".join
)
INTS = st.integers(-3, 3)
NUMBERS = st.sampled_from([-1e300, -1.5, -0.0, 0.0, 0.5, 2.0, math.inf])
DATES = st.sampled_from(
    [
        "0001-01-01T00:00:00Z",
        "1931-05-01T00:00:00+02:00",
        "1931-04-30T22:00:00Z",
        "9999-01-01T00:00:00.5Z",
    ]
)
PLACES = st.tuples(
    st.floats(-90, 90, width=32, allow_subnormal=False),
    st.floats(-180, 180, width=32, allow_subnormal=False),
)

OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "words": WORDS,
        "code": WORDS,
        "dark": WORDS,
        "count": INTS,
        "size": NUMBERS,
        "lift": st.booleans(),
        "built": DATES,
        "floors": st.lists(INTS, max_size=3),
        "place": PLACES.map(lambda place: {"latitude": place[0], "longitude": place[1]}),
    },
)

ORDERED: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: lambda held, asked: held == asked,
    Operator.GREATER_THAN: lambda held, asked: held > asked,
    Operator.GREATER_THAN_EQUAL: lambda held, asked: held >= asked,
    Operator.LESS_THAN: lambda held, asked: held < asked,
    Operator.LESS_THAN_EQUAL: lambda held, asked: held <= asked,
}
PLAIN = st.sampled_from([*ORDERED, Operator.NOT_EQUAL])
LISTS = st.sampled_from([Operator.CONTAINS_ANY, Operator.CONTAINS_ALL, Operator.CONTAINS_NONE])
KINDS = {
    "words": (WORDS, ValueKind.TEXT),
    "code": (WORDS, ValueKind.TEXT),
    "dark": (WORDS, ValueKind.TEXT),
    "count": (INTS, ValueKind.INT),
    "size": (NUMBERS, ValueKind.NUMBER),
    "floors": (INTS, ValueKind.INT),
    "lift": (st.booleans(), ValueKind.BOOLEAN),
    "built": (DATES, ValueKind.TEXT),
}


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    name = draw(st.sampled_from(sorted(KINDS)))
    values, kind = KINDS[name]
    match draw(st.sampled_from(["plain", "plain", "list", "null", "length", "geo", "like"])):
        case "list":
            asked = tuple(draw(st.lists(values, min_size=1, max_size=3)))
            return Comparison(draw(LISTS), (name,), asked, kind)
        case "null":
            return Comparison(Operator.IS_NULL, (name,), draw(st.booleans()), ValueKind.BOOLEAN)
        case "length":
            name = draw(st.sampled_from(["words", "floors"]))
            length = draw(st.integers(0, 4))
            return Comparison(draw(PLAIN), (name,), length, ValueKind.INT, Aspect.LENGTH)
        case "geo":
            latitude, longitude = draw(PLACES)
            metres = draw(st.sampled_from([0.0, 1e3, 1e5, 3e6, 1.5e7, 3e7]))
            circle = GeoRange(latitude, longitude, metres)
            return Comparison(Operator.WITHIN_GEO_RANGE, ("place",), circle, ValueKind.GEO)
        case "like":
            pattern = draw(st.sampled_from(["a*", "?", "*b", "*", "a?*", "北*"]))
            return Comparison(Operator.LIKE, ("words",), pattern, ValueKind.TEXT)
    return Comparison(draw(PLAIN), (name,), draw(values), kind)


FILTERS: st.SearchStrategy[Filter] = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: And(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: Or(tuple(items))),
    ),
    max_leaves=5,
)


class NoIds:
    """These filters do not ask for ids."""

    def doc_ids_of(self, ids: Sequence[ObjectId]) -> list[DocId | None]:
        raise AssertionError(ids)

    def scan_ids(self, start: ObjectId) -> Iterator[tuple[ObjectId, DocId]]:
        raise AssertionError(start)


@settings(max_examples=250, deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=8), st.sets(st.integers(0, 7)), FILTERS)
def test_filters_select_what_a_look_at_every_object_selects(
    objects: list[dict[str, Any]], dead: set[int], condition: Filter
) -> None:
    fields = MemoryFields()
    entries = [Entry(DocId(doc), item, 0, 0) for doc, item in enumerate(objects)]
    ANALYSIS.write(entries, fields)
    live = BitMap(set(range(len(objects))) - dead)
    readers = FilterReaders(fields.filterable, fields.searchable, NoIds(), live)
    before = BitMap(live)
    found = evaluate(condition, COLLECTION, readers)
    assert set(found) == {doc for doc in live if holds(condition, objects[doc])}
    assert live == before, "an evaluation changes nothing that it is given"


def holds(condition: Filter, item: dict[str, Any]) -> bool:
    match condition:
        case And(operands):
            return all(holds(operand, item) for operand in operands)
        case Or(operands):
            return any(holds(operand, item) for operand in operands)
        case Not(operand):
            return not holds(operand, item)
    return compare(condition, item)


def compare(condition: Comparison, item: dict[str, Any]) -> bool:
    name, operator, asked = condition.path[0], condition.operator, condition.value
    value = item.get(name)
    if operator is Operator.IS_NULL:
        return (value is None or value == []) == asked
    if operator is Operator.WITHIN_GEO_RANGE:
        assert isinstance(asked, GeoRange)
        return value is not None and within(value, asked)
    if operator is Operator.NOT_EQUAL:
        return not one(Operator.EQUAL, condition, value, asked)
    if operator is Operator.CONTAINS_ANY:
        return any(one(Operator.EQUAL, condition, value, each) for each in asked)
    if operator is Operator.CONTAINS_ALL:
        return all(one(Operator.EQUAL, condition, value, each) for each in asked)
    if operator is Operator.CONTAINS_NONE:
        return not any(one(Operator.EQUAL, condition, value, each) for each in asked)
    return one(operator, condition, value, asked)


def one(operator: Operator, condition: Comparison, value: Any, asked: Any) -> bool:
    name = condition.path[0]
    if condition.aspect is Aspect.LENGTH:
        return ORDERED[operator](len(value or ()), asked)
    if value is None:
        return False
    if name in ("words", "dark"):
        terms = cut(value)
        if operator is Operator.LIKE:
            pattern = asked.replace("*", ".*").replace("?", ".")
            # An ideograph before the star is a term of its own.
            return any(re.fullmatch(pattern.replace("北.*", "北"), term) for term in terms)
        return all(any(ORDERED[operator](held, term) for held in terms) for term in cut(asked))
    if name == "built":
        return ORDERED[operator](nanoseconds_of(value), nanoseconds_of(asked))
    if name == "floors":
        return any(ORDERED[operator](held, asked) for held in value)
    return ORDERED[operator](value, asked)


def cut(text: str) -> list[str]:
    terms = []
    for word in text.lower().split():
        terms += ["北", "京", "北京"] if word == "北京" else [word]
    return terms


def within(value: dict[str, float], circle: GeoRange) -> bool:
    latitude, longitude = np.float32(value["latitude"]), np.float32(value["longitude"])
    away = haversine_m(circle.latitude, circle.longitude, float(latitude), float(longitude))
    return away <= circle.distance_m


PLACED = st.lists(PLACES, min_size=1, max_size=60)


@settings(max_examples=80, deadline=None)
@given(PLACED, PLACES, st.floats(0, 2.1e7))
def test_circles_hold_every_place_within_their_radius(
    places: list[tuple[float, float]], centre: tuple[float, float], metres: float
) -> None:
    fields = MemoryFields()
    entries = [
        Entry(DocId(doc), {"place": {"latitude": a, "longitude": b}}, 0, 0)
        for doc, (a, b) in enumerate(places)
    ]
    ANALYSIS.write(entries, fields)
    circle = GeoRange(*centre, metres)
    condition = Comparison(Operator.WITHIN_GEO_RANGE, ("place",), circle, ValueKind.GEO)
    live = BitMap(range(len(places)))
    readers = FilterReaders(fields.filterable, fields.searchable, NoIds(), live)
    wanted = {d for d, (a, b) in enumerate(places) if haversine_m(*centre, a, b) <= metres}
    assert set(evaluate(condition, COLLECTION, readers)) == wanted
