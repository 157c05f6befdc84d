"""Multi-vectors through the official client, REST and a crash: what an application sees."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server_process import ServerProcess

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import weaviate
    import weaviate.classes as wvc
    from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateQueryError

Configure = wvc.config.Configure
MultiVector = Configure.VectorIndex.MultiVector
NEAR = wvc.query.MetadataQuery(distance=True)
DOCS = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    [[0.6, 0.8, 0.0]],
    [[0.0, 0.0, 1.0], [0.1, 0.1, 0.9], [0.0, 1.0, 0.2]],
    [[0.5, 0.5, 0.5], [0.9, 0.1, 0.1]],
]
QUERY = [[1.0, 0.1, 0.0], [0.0, 0.9, 0.3]]
RANKED = [1, 4, 2, 3]
DISTANCES = [-1.9437205, -1.5379393, -1.4355719, -1.1213828]


def page_id(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("multi") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def client(served: ServerProcess) -> Iterator[Any]:
    with weaviate.connect_to_local(port=served.http_port, grpc_port=served.grpc_port) as connected:
        yield connected


def fill(collection: Any) -> None:
    result = collection.data.insert_many(
        [
            wvc.data.DataObject(
                uuid=page_id(number),
                properties={"title": f"page {number}", "size": number},
                vector={"colbert": matrix},
            )
            for number, matrix in enumerate(DOCS, start=1)
        ]
    )
    assert not result.has_errors, result.errors


@pytest.fixture(params=["rows", "muvera"])
def pages(client: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    encoding = (
        MultiVector.Encoding.muvera(ksim=3, dprojections=8, repetitions=12)
        if request.param == "muvera"
        else None
    )
    collection = client.collections.create(
        "Page",
        vector_config=[Configure.MultiVectors.self_provided(name="colbert", encoding=encoding)],
        properties=[
            wvc.config.Property(name="title", data_type=wvc.config.DataType.TEXT),
            wvc.config.Property(name="size", data_type=wvc.config.DataType.INT),
        ],
    )
    fill(collection)
    yield collection
    client.collections.delete("Page")


def ranked(response: Any) -> list[int]:
    return [item.uuid.int for item in response.objects]


def test_near_vector(pages: Any) -> None:
    found = pages.query.near_vector(
        near_vector={"colbert": QUERY},
        target_vector="colbert",
        return_metadata=NEAR,
        include_vector=True,
    )
    assert ranked(found) == RANKED
    distances = [item.metadata.distance for item in found.objects]
    assert distances == pytest.approx(DISTANCES, abs=1e-6)
    assert np.array(found.objects[0].vector["colbert"]).tolist() == DOCS[0]


def test_the_only_vector_is_meant_without_a_name(pages: Any) -> None:
    assert ranked(pages.query.near_vector(near_vector=QUERY)) == RANKED


def test_near_object_filter_distance_and_limit(pages: Any) -> None:
    assert ranked(pages.query.near_object(page_id(1), target_vector="colbert")) == [1, 2, 4, 3]
    large = wvc.query.Filter.by_property("size").greater_than(1)
    assert ranked(pages.query.near_vector(QUERY, filters=large)) == [4, 2, 3]
    assert ranked(pages.query.near_vector(QUERY, distance=-1.5)) == [1, 4]
    assert ranked(pages.query.near_vector(QUERY, offset=1, limit=2)) == [4, 2]


def test_hybrid(pages: Any) -> None:
    found = pages.query.hybrid(
        "3",
        vector={"colbert": QUERY},
        target_vector="colbert",
        alpha=0.5,
        return_metadata=["score"],
    )
    assert set(ranked(found)) == {1, 2, 3, 4}
    assert set(ranked(found)[:2]) == {1, 3}


def test_updates_and_deletions(pages: Any) -> None:
    pages.data.update(page_id(1), vector={"colbert": [[0.0, 0.0, -1.0]]})
    pages.data.replace(page_id(2), {"title": "new"}, vector={"colbert": [[1.0, 0.0, 0.0]] * 5})
    assert pages.data.delete_by_id(page_id(4))
    assert ranked(pages.query.near_vector(QUERY)) == [3, 2, 1]
    assert (
        len(pages.query.fetch_object_by_id(page_id(2), include_vector=True).vector["colbert"]) == 5
    )


def test_what_is_wrong_is_said_of_the_object(pages: Any) -> None:
    result = pages.data.insert_many(
        [
            wvc.data.DataObject(vector={"colbert": [[1.0, 0.0, 0.0]]}),
            wvc.data.DataObject(vector={"colbert": [[1.0, 0.0]]}),
            wvc.data.DataObject(vector={"colbert": [1.0, 0.0, 0.0]}),
            wvc.data.DataObject(vector={"colbert": [[1.0, float("nan"), 0.0]]}),
        ]
    )
    assert set(result.uuids) == {0}
    assert "multi vector with length 2" in result.errors[1].message
    assert "expected an array of token vectors" in result.errors[2].message
    assert "not a finite number" in result.errors[3].message
    with pytest.raises(UnexpectedStatusCodeError, match="multi vector with length 2"):
        pages.data.insert({}, vector={"colbert": [[1.0, 0.0]]})


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([1.0, 0.0, 0.0], "provided vector is a regular vector"),
        ([[1.0, 0.0]], "vector lengths don't match"),
    ],
)
def test_bad_queries(pages: Any, query: Any, message: str) -> None:
    with pytest.raises(WeaviateQueryError, match=message):
        pages.query.near_vector(query)


def test_two_targets(client: Any) -> None:
    both = client.collections.create(
        "Both",
        vector_config=[
            Configure.MultiVectors.self_provided(name="colbert"),
            Configure.Vectors.self_provided(name="plain"),
        ],
    )
    for number, matrix in enumerate(DOCS, start=1):
        both.data.insert(
            {}, uuid=page_id(number), vector={"colbert": matrix, "plain": [number, 1.0]}
        )
    found = both.query.near_vector(
        {"colbert": QUERY, "plain": [1.0, 1.0]},
        target_vector=wvc.query.TargetVectors.sum(["colbert", "plain"]),
        return_metadata=NEAR,
    )
    assert ranked(found)[0] == 1
    assert found.objects[0].metadata.distance == pytest.approx(DISTANCES[0], abs=1e-5)
    client.collections.delete("Both")


def test_settings_come_back(client: Any) -> None:
    settings = {
        "plain": Configure.MultiVectors.self_provided(name="m"),
        "encoded": Configure.MultiVectors.self_provided(
            name="m", encoding=MultiVector.Encoding.muvera(ksim=5, dprojections=8, repetitions=20)
        ),
        "quantized": Configure.MultiVectors.self_provided(
            name="m",
            quantizer=Configure.VectorIndex.Quantizer.rq(),
            multi_vector_config=MultiVector.multi_vector(
                aggregation=wvc.config.MultiVectorAggregation.MAX_SIM
            ),
            vector_index_config=Configure.VectorIndex.hnsw(ef=77, max_connections=16),
        ),
    }
    for name, config in settings.items():
        client.collections.create(name, vector_config=[config])
        read = client.collections.get(name).config.get().vector_config["m"].vector_index_config
        assert read.multi_vector.aggregation == "maxSim"
        fill_one = client.collections.get(name)
        fill_one.data.insert({}, vector={"m": DOCS[0]})
        assert len(fill_one.query.near_vector(QUERY).objects) == 1
        if name == "encoded":
            encoding = read.multi_vector.encoding
            assert (encoding.ksim, encoding.dprojections, encoding.repetitions) == (5, 8, 20)
        if name == "quantized":
            assert (read.ef, read.max_connections) == (77, 16)
            assert read.quantizer.bits == 8
        client.collections.delete(name)


def rest(served: ServerProcess, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{served.http_port}/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_rest(served: ServerProcess, pages: Any) -> None:
    new = {"class": "Page", "id": str(page_id(9)), "vectors": {"colbert": [[1, 2, 3], [4, 5, 6]]}}
    status, body = rest(served, "POST", "/objects", new)
    assert (status, body["vectors"]) == (200, new["vectors"])
    status, body = rest(served, "GET", f"/objects/Page/{page_id(9)}?include=vector")
    assert (status, body["vectors"]) == (200, new["vectors"])
    for matrix, message in (
        ([[1, 2, 3], [4, 5]], "differ in length"),
        ([[1, 2, 3], ["x", 5, 6]], "list of numbers"),
        ([[1e40, 2, 3]], "float32"),
    ):
        status, body = rest(
            served, "POST", "/objects", {"class": "Page", "vectors": {"colbert": matrix}}
        )
        assert status in (400, 422)
        assert message in json.dumps(body)
    batch = [
        {"class": "Page", "vectors": {"colbert": [[1, 2, 3]]}},
        {"class": "Page", "vectors": {"colbert": [[1, 2]]}},
    ]
    status, body = rest(served, "POST", "/batch/objects", {"objects": batch})
    assert status == 200
    assert [item["result"]["status"] for item in body] == ["SUCCESS", "FAILED"]


def test_a_killed_server_has_them_again(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data").start()
    try:
        with weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port) as first:
            made = first.collections.create(
                "Page", vector_config=[Configure.MultiVectors.self_provided(name="colbert")]
            )
            fill(made)
            made.data.delete_by_id(page_id(2))
        server.kill()
        server.start()
        with weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port) as again:
            found = again.collections.get("Page").query.near_vector(QUERY)
            assert ranked(found) == [1, 4, 3]
    finally:
        server.stop()
