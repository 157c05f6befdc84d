"""Searches off the wire: what they mean, and what is refused before anything runs."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format

from weftdb.core.config import QueryConfig, SchemaConfig
from weftdb.core.definition import parse_collection
from weftdb.core.errors import InvalidRequest, LimitExceeded, RequestError, Unsupported
from weftdb.core.query import (
    And,
    Aspect,
    Combination,
    Comparison,
    Fusion,
    GeoRange,
    Mmr,
    NearObject,
    NearText,
    NearVector,
    Not,
    Operator,
    Search,
    TermOperator,
    ValueKind,
)
from weftdb.core.schema import Collection
from weftdb.core.types import UNNAMED, VectorName
from weftdb.engine.planner import plan_search
from weftdb.proto.v1 import filters_pb2, near_pb2, search_pb2, vectors_pb2
from weftdb.server.grpc.filters import parse_filter
from weftdb.server.grpc.search_request import parse_search
from weftdb.server.grpc.vectors import decode_matrix

ID = "00000000-0000-4000-8000-000000000001"


def collection(body: dict[str, Any] | None = None) -> Collection:
    properties = [
        {"name": "title", "dataType": ["text"]},
        {"name": "rooms", "dataType": ["int"]},
        {"name": "ref", "dataType": ["uuid"]},
    ]
    body = body or {"class": "Flat", "vectorIndexConfig": {}, "vectorizer": "none"}
    return parse_collection({"properties": properties, **body}, SchemaConfig(), None)


NAMED = {
    "class": "Flat",
    "vectorConfig": {"image": {"vectorizer": {"none": {}}}, "title": {"vectorizer": {"none": {}}}},
}


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def matrix(*rows: tuple[float, ...]) -> bytes:
    return struct.pack("<H", len(rows[0])) + b"".join(floats(*row) for row in rows)


def parse(body: dict[str, Any] | None = None, **fields: Any) -> Search:
    request = search_pb2.SearchRequest(collection="Flat", **fields)
    return parse_search(request, collection(body), QueryConfig())


def near(**fields: Any) -> near_pb2.NearVector:
    return near_pb2.NearVector(**fields)


@pytest.mark.parametrize(
    "wire",
    [
        near(vectors=[vectors_pb2.Vectors(vector_bytes=floats(1, 2))]),
        near(
            vectors=[vectors_pb2.Vectors(vector_bytes=floats(1, 2), type="VECTOR_TYPE_SINGLE_FP32")]
        ),
        near(vector_bytes=floats(1, 2)),
        near(vector=[1, 2]),
    ],
)
def test_every_form_of_one_vector_means_the_same(wire: near_pb2.NearVector) -> None:
    search = parse(near_vector=wire)
    assert isinstance(search.near, NearVector)
    (target,) = search.near.targets
    assert target.name == UNNAMED
    assert target.vector is not None
    assert target.vector.tolist() == [1, 2]
    assert search.limit == QueryConfig().default_limit


@pytest.mark.parametrize(
    "combination", ["COMBINATION_METHOD_TYPE_SUM", "COMBINATION_METHOD_TYPE_MIN"]
)
def test_targets_with_vectors_of_their_own(combination: str) -> None:
    wire = near(
        targets=vectors_pb2.Targets(target_vectors=["image", "title"], combination=combination),
        vector_for_targets=[
            vectors_pb2.VectorForTarget(
                name="title", vectors=[vectors_pb2.Vectors(vector_bytes=floats(3))]
            ),
            vectors_pb2.VectorForTarget(name="image", vector_bytes=floats(1, 2)),
        ],
    )
    search = parse(NAMED, near_vector=wire)
    assert isinstance(search.near, NearVector)
    assert [target.name for target in search.near.targets] == ["image", "title"]
    assert [target.vector.tolist() for target in search.near.targets] == [[1, 2], [3]]
    by_map = near(
        targets=vectors_pb2.Targets(target_vectors=["image", "title"]),
        vector_per_target={"image": floats(1, 2), "title": floats(3)},
    )
    search = parse(NAMED, near_vector=by_map)
    assert isinstance(search.near, NearVector)
    assert search.near.combination is Combination.MINIMUM
    assert [target.vector.tolist() for target in search.near.targets] == [[1, 2], [3]]


def test_rows_of_a_matrix_are_queries_with_weights_of_their_own() -> None:
    wire = near(
        targets=vectors_pb2.Targets(
            target_vectors=["image", "image", "title"],
            combination="COMBINATION_METHOD_TYPE_MANUAL",
            weights_for_targets=[
                vectors_pb2.WeightsForTarget(target="image", weight=1.0),
                vectors_pb2.WeightsForTarget(target="image", weight=0.25),
                vectors_pb2.WeightsForTarget(target="title", weight=0.5),
            ],
        ),
        vector_for_targets=[
            vectors_pb2.VectorForTarget(
                name="image",
                vectors=[
                    vectors_pb2.Vectors(
                        vector_bytes=matrix((1, 2), (3, 4)), type="VECTOR_TYPE_MULTI_FP32"
                    )
                ],
            ),
            vectors_pb2.VectorForTarget(
                name="title", vectors=[vectors_pb2.Vectors(vector_bytes=floats(5))]
            ),
        ],
    )
    search = parse(NAMED, near_vector=wire)
    assert isinstance(search.near, NearVector)
    facts = [(t.name, t.weight, np.asarray(t.vector).tolist()) for t in search.near.targets]
    assert facts == [("image", 1.0, [1, 2]), ("image", 0.25, [3, 4]), ("title", 0.5, [5])]


def test_near_object_and_near_text() -> None:
    search = parse(near_object=near_pb2.NearObject(id=ID, certainty=0.9))
    assert isinstance(search.near, NearObject)
    assert (search.near.targets, search.near.threshold.certainty) == ((), 0.9)
    move = near_pb2.NearTextSearch.Move(force=0.5, concepts=["sea"], uuids=[ID])
    wire = near_pb2.NearTextSearch(query=["a", "b"], distance=0.0, move_to=move)
    search = parse(near_text=wire)
    assert isinstance(search.near, NearText)
    assert search.near.concepts == ("a", "b")
    assert search.near.threshold.distance == 0.0
    assert search.near.move_to is not None
    assert search.near.move_to.concepts == ("sea",)
    assert search.near.move_away is None


def test_keyword_and_hybrid() -> None:
    options = near_pb2.SearchOperatorOptions(operator="OPERATOR_AND")
    keyword = parse(
        bm25_search=near_pb2.BM25(query="x", properties=["Title^2"], search_operator=options)
    ).keyword
    assert keyword is not None
    assert keyword.properties == (("title", 2.0),)
    assert keyword.operator is TermOperator.AND
    hybrid = parse(hybrid_search=near_pb2.Hybrid(query="x", use_alpha_param=True)).hybrid
    assert hybrid is not None
    assert (hybrid.alpha, hybrid.fusion, hybrid.near) == (0.75, Fusion.RELATIVE_SCORE, None)
    wire = near_pb2.Hybrid(
        query="x",
        alpha=0.25,
        fusion_type="FUSION_TYPE_RANKED",
        vector_bytes=floats(1, 2),
        targets=vectors_pb2.Targets(target_vectors=["image"]),
        vector_distance=0.5,
    )
    hybrid = parse(NAMED, hybrid_search=wire).hybrid
    assert hybrid is not None
    assert (hybrid.alpha, hybrid.fusion) == (0.25, Fusion.RANKED)
    assert hybrid.vector_distance_max == 0.5
    assert isinstance(hybrid.near, NearVector)
    assert hybrid.near.targets[0].name == VectorName("image")
    assert parse(hybrid_search=near_pb2.Hybrid(query="x")).hybrid.alpha == 0.0


def test_the_page_the_order_and_the_rest() -> None:
    search = parse(
        limit=5,
        offset=2,
        tenant="t",
        autocut=2,
        sort_by=[
            search_pb2.SortBy(path=["Title"], ascending=True),
            search_pb2.SortBy(path=["_id"]),
        ],
        metadata=search_pb2.MetadataRequest(explain_score=True),
    )
    assert (search.limit, search.offset, search.tenant, search.autocut) == (5, 2, "t", 2)
    assert [(sort.path, sort.ascending) for sort in search.sort] == [
        (("title",), True),
        (("_id",), False),
    ]
    assert search.explain
    assert parse(after=ID, limit=3).after is not None
    assert parse(after="").after is None


VECTOR = near(vector=[1])
REFUSED: list[tuple[dict[str, Any], type[RequestError], str]] = [
    ({"near_vector": near()}, InvalidRequest, "vector is required"),
    ({"near_vector": near(vector_bytes=b"12345")}, InvalidRequest, "not a multiple"),
    (
        {"near_vector": near(vector=[1], certainty=0.5, distance=0.5)},
        InvalidRequest,
        "cannot provide",
    ),
    ({"near_object": near_pb2.NearObject()}, InvalidRequest, "id is required"),
    ({"near_object": near_pb2.NearObject(id="abc")}, InvalidRequest, "invalid UUID"),
    ({"near_text": near_pb2.NearTextSearch()}, InvalidRequest, "query is required"),
    ({"near_image": near_pb2.NearImageSearch(image="x")}, Unsupported, "near_image"),
    (
        {"near_vector": VECTOR, "bm25_search": near_pb2.BM25(query="x")},
        InvalidRequest,
        "one search",
    ),
    (
        {"near_vector": VECTOR, "sort_by": [search_pb2.SortBy(path=["title"])]},
        InvalidRequest,
        "sorting cannot be",
    ),
    ({"sort_by": [search_pb2.SortBy(path=["nope"])]}, RequestError, "position 0: no such prop"),
    ({"sort_by": [search_pb2.SortBy(path=["ref"])]}, RequestError, "sorting by uuid"),
    ({"sort_by": [search_pb2.SortBy()]}, RequestError, "exactly one"),
    ({"bm25_search": near_pb2.BM25()}, InvalidRequest, "must have query set"),
    ({"bm25_search": near_pb2.BM25(query="x", properties=["title^a"])}, InvalidRequest, "boost"),
    ({"hybrid_search": near_pb2.Hybrid(query="x", alpha=1.5)}, InvalidRequest, "alpha"),
    ({"limit": 10_001}, LimitExceeded, "query maximum results exceeded"),
    ({"limit": 9_999, "offset": 2}, LimitExceeded, "QUERY_MAXIMUM_RESULTS"),
    ({"after": "abc"}, InvalidRequest, "not a valid uuid"),
    ({"after": ID, "offset": 1}, InvalidRequest, "offset cannot be set with after"),
    ({"after": ID, "near_vector": VECTOR}, InvalidRequest, "other params cannot be set with after"),
    ({"rerank": search_pb2.Rerank(property="title")}, Unsupported, "rerank"),
    ({"boost": search_pb2.Boost()}, Unsupported, "boost"),
    ({"group_by": search_pb2.GroupBy(path=["title"])}, InvalidRequest, "needs a search"),
    (
        {"near_vector": VECTOR, "group_by": search_pb2.GroupBy(path=["title", "ref"])},
        InvalidRequest,
        "only have one entry",
    ),
    (
        {"near_vector": VECTOR, "group_by": search_pb2.GroupBy(path=["nope"])},
        RequestError,
        "no such prop",
    ),
    (
        {
            "near_vector": near(
                vector=[1], selection=vectors_pb2.Selection(mmr=vectors_pb2.Selection.MMR(limit=11))
            )
        },
        InvalidRequest,
        "MMR limit",
    ),
    (
        {
            "near_vector": near(
                vector=[1],
                selection=vectors_pb2.Selection(mmr=vectors_pb2.Selection.MMR(balance=1.5)),
            )
        },
        InvalidRequest,
        "MMR balance",
    ),
    ({"near_vector": near(vector=[1], selection=vectors_pb2.Selection())}, InvalidRequest, "mmr"),
]


def test_pages_and_diversity_are_judged_by_the_engine_alone() -> None:
    """One place, so that the words are the recorded ones whatever door a read comes through."""
    query = parse(limit=9_999, offset=2)
    with pytest.raises(LimitExceeded, match=r"offset '2' and limit '9999'.* may be an underflow"):
        plan_search(query, QueryConfig())
    mmr = vectors_pb2.Selection(mmr=vectors_pb2.Selection.MMR(limit=11, balance=1.5))
    assert parse(near_vector=near(vector=[1], selection=mmr)).near.mmr == Mmr(11, 1.5)
    assert parse(after=ID, offset=1).offset == 1


@pytest.mark.parametrize(("fields", "error", "words"), REFUSED)
def test_what_makes_no_sense_is_refused(
    fields: dict[str, Any], error: type[RequestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan_search(parse(**fields), QueryConfig())


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (
            near(
                targets=vectors_pb2.Targets(target_vectors=["image"]),
                vector_for_targets=[
                    vectors_pb2.VectorForTarget(name="title", vector_bytes=floats(1))
                ],
            ),
            "image is required",
        ),
        (
            near(
                targets=vectors_pb2.Targets(target_vectors=["image", "title"]),
                vector_for_targets=[
                    vectors_pb2.VectorForTarget(name="title", vector_bytes=floats(1))
                ],
            ),
            "same lengths",
        ),
        (
            near(
                targets=vectors_pb2.Targets(target_vectors=["image"]),
                vector_for_targets=[
                    vectors_pb2.VectorForTarget(name="image", vector_bytes=floats(1))
                ]
                * 2,
            ),
            "same lengths",
        ),
        (
            near(
                targets=vectors_pb2.Targets(
                    target_vectors=["image"], combination="COMBINATION_METHOD_TYPE_MANUAL"
                ),
                vector=[1],
            ),
            "number of weights",
        ),
    ],
)
def test_targets_that_do_not_fit_are_refused(wire: near_pb2.NearVector, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parse(NAMED, near_vector=wire)


@pytest.mark.parametrize("raw", [b"\x01", b"\x02\x00abc", b"\x00\x00abcd"])
def test_bytes_that_are_no_matrix(raw: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no matrix"):
        decode_matrix(raw)


def filters(body: dict[str, Any]) -> filters_pb2.Filters:
    return json_format.ParseDict(body, filters_pb2.Filters())


def test_filters_of_every_form() -> None:
    equal = {"operator": "OPERATOR_EQUAL", "target": {"property": "title"}, "value_text": "x"}
    assert parse_filter(filters(equal)) == Comparison(
        Operator.EQUAL, ("title",), "x", ValueKind.TEXT
    )
    nested = {
        "operator": "OPERATOR_AND",
        "filters": [equal, {"operator": "OPERATOR_NOT", "filters": [equal]}],
    }
    parsed = parse_filter(filters(nested))
    assert isinstance(parsed, And)
    assert isinstance(parsed.operands[1], Not)
    length = {
        "operator": "OPERATOR_GREATER_THAN",
        "target": {"property": "len(title)"},
        "value_int": 3,
    }
    assert parse_filter(filters(length)) == Comparison(
        Operator.GREATER_THAN, ("title",), 3, ValueKind.INT, Aspect.LENGTH
    )
    anyof = {
        "operator": "OPERATOR_CONTAINS_ANY",
        "on": ["rooms"],
        "value_int_array": {"values": [1, 2]},
    }
    assert parse_filter(filters(anyof)) == Comparison(
        Operator.CONTAINS_ANY, ("rooms",), (1, 2), ValueKind.INT
    )
    geo = {"latitude": 1, "longitude": 2, "distance": 3}
    within = {
        "operator": "OPERATOR_WITHIN_GEO_RANGE",
        "target": {"property": "p"},
        "value_geo": geo,
    }
    assert parse_filter(filters(within)) == Comparison(
        Operator.WITHIN_GEO_RANGE, ("p",), GeoRange(1, 2, 3), ValueKind.GEO
    )
    target = {
        "multi_target": {"on": "by", "target_collection": "author", "target": {"property": "name"}}
    }
    through = {"operator": "OPERATOR_LIKE", "target": target, "value_text": "J*"}
    assert parse_filter(filters(through)) == Comparison(
        Operator.LIKE, ("by", "Author", "name"), "J*", ValueKind.TEXT
    )
    counted = {"operator": "OPERATOR_EQUAL", "target": {"count": {"on": "by"}}, "value_int": 2}
    assert parse_filter(filters(counted)) == Comparison(
        Operator.EQUAL, ("by",), 2, ValueKind.INT, Aspect.COUNT
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"target": {"property": "a"}, "value_int": 3}, "unknown filter operator OPERATOR_UNSPEC"),
        ({"operator": "OPERATOR_EQUAL", "target": {"property": "a"}}, "has no value"),
        ({"operator": "OPERATOR_EQUAL", "value_int": 3}, "uneven number"),
        ({"operator": "OPERATOR_AND"}, "no operands"),
        ({"operator": "OPERATOR_NOT"}, "no operands"),
    ],
)
def test_filters_that_say_nothing_are_refused(body: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parse_filter(filters(body))


def test_filters_are_bounded_in_depth() -> None:
    wire = filters({"operator": "OPERATOR_EQUAL", "on": ["a"], "value_int": 1})
    for _ in range(70):
        wire = filters_pb2.Filters(operator="OPERATOR_NOT", filters=[wire])
    with pytest.raises(LimitExceeded, match="deeper"):
        parse_filter(wire)
