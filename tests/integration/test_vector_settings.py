"""Every setting of a vector index through the official client: created, read back, changed,
refused, obeyed by searches, and kept over a restart."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.server_process import ServerProcess

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import weaviate
    import weaviate.classes as wvc
    from weaviate.exceptions import (
        UnexpectedStatusCodeError,
        WeaviateInvalidInputError,
        WeaviateQueryError,
    )

Configure, Reconfigure = wvc.config.Configure, wvc.config.Reconfigure
Index, Quantizer = Configure.VectorIndex, Configure.VectorIndex.Quantizer
NewIndex, NewQuantizer = Reconfigure.VectorIndex, Reconfigure.VectorIndex.Quantizer
Distance = wvc.config.VectorDistances
Strategy = wvc.config.VectorFilterStrategy

ROWS = np.random.default_rng(8).normal(size=(400, 8)).astype(np.float32)


class Served:
    """A server and a client of it, which can be restarted."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.client = self._connect()

    def restart(self) -> None:
        self.client.close()
        self.process.stop()
        self.process.start()
        self.client = self._connect()

    def _connect(self) -> Any:
        return weaviate.connect_to_local(
            port=self.process.http_port, grpc_port=self.process.grpc_port
        )

    def create(self, collection: str, index: Any, **more: Any) -> Any:
        self.client.collections.delete(collection)
        vector = Configure.Vectors.self_provided(vector_index_config=index, **more)
        return self.client.collections.create(collection, vector_config=vector)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("settings") / "data"
    with ServerProcess(data, environment={"ASYNC_INDEXING": "true"}) as process:
        running = Served(process)
        yield running
        running.client.close()


def index_of(collection: Any, name: str = "default") -> Any:
    return collection.config.get().vector_config[name].vector_index_config


def change(collection: Any, index: Any, name: str | None = None) -> None:
    update = Reconfigure.Vectors.update(name=name, vector_index_config=index)
    collection.config.update(vector_config=update)


def fill(collection: Any, count: int = len(ROWS), start: int = 0) -> None:
    objects = [
        wvc.data.DataObject({"number": n}, vector=ROWS[n].tolist()) for n in range(start, count)
    ]
    assert not collection.data.insert_many(objects).has_errors


def nearest(collection: Any, row: int, **more: Any) -> list[int]:
    found = collection.query.near_vector(ROWS[row].tolist(), limit=3, **more)
    return [int(one.properties["number"]) for one in found.objects]


def test_hnsw_in_full(served: Served) -> None:
    wanted: dict[str, Any] = {
        "cleanup_interval_seconds": 10,
        "distance_metric": Distance.MANHATTAN,
        "dynamic_ef_factor": 5,
        "dynamic_ef_max": 300,
        "dynamic_ef_min": 50,
        "ef": 99,
        "ef_construction": 64,
        "filter_strategy": Strategy.SWEEPING,
        "flat_search_cutoff": 7,
        "max_connections": 16,
        "vector_cache_max_objects": 1_000,
    }
    collection = served.create("Graph", Index.hnsw(**wanted))
    known = index_of(collection)
    assert {name: getattr(known, name) for name in wanted} == wanted
    changes: dict[str, Any] = {
        "dynamic_ef_factor": 4,
        "dynamic_ef_max": 200,
        "dynamic_ef_min": 40,
        "ef": -1,
        "filter_strategy": Strategy.ACORN,
        "flat_search_cutoff": 9,
        "vector_cache_max_objects": 2_000,
    }
    change(collection, NewIndex.hnsw(**changes))
    known = index_of(collection)
    assert {name: getattr(known, name) for name in wanted} == {**wanted, **changes}
    fill(collection)
    assert nearest(collection, 5)[0] == 5


QUANTIZERS = {
    "pq": Quantizer.pq(
        segments=8,
        centroids=16,
        training_limit=5_000,
        encoder_type=wvc.config.PQEncoderType.TILE,
        encoder_distribution=wvc.config.PQEncoderDistribution.NORMAL,
    ),
    "bq": Quantizer.bq(),
    "sq": Quantizer.sq(rescore_limit=30, training_limit=4_000),
    "rq": Quantizer.rq(rescore_limit=25),
    "rq 4": Quantizer.rq(bits=4),
    "rq 1": Quantizer.rq(bits=1),
}


@pytest.mark.parametrize("name", list(QUANTIZERS))
def test_quantizers_of_a_graph(served: Served, name: str) -> None:
    collection = served.create("Packed", Index.hnsw(quantizer=QUANTIZERS[name]))
    quantizer = index_of(collection).quantizer
    assert quantizer is not None
    match name:
        case "pq":
            assert (quantizer.segments, quantizer.centroids) == (8, 16)
            assert quantizer.training_limit == 5_000
            assert quantizer.encoder.type_ is wvc.config.PQEncoderType.TILE
            assert quantizer.encoder.distribution is wvc.config.PQEncoderDistribution.NORMAL
        case "sq":
            assert (quantizer.rescore_limit, quantizer.training_limit) == (30, 4_000)
        case "rq":
            assert (quantizer.bits, quantizer.rescore_limit) == (8, 25)
        case "rq 4":
            assert (quantizer.bits, quantizer.rescore_limit) == (4, 20)
        case "rq 1":
            assert (quantizer.bits, quantizer.rescore_limit) == (1, 512)
    fill(collection)
    assert nearest(collection, 11)[0] == 11


def test_the_quantizer_of_the_call_itself(served: Served) -> None:
    collection = served.create("Packed", Index.hnsw(), quantizer=Quantizer.bq())
    assert type(index_of(collection).quantizer).__name__ == "_BQConfig"


@pytest.mark.parametrize("switched", ["rq", "sq", "bq", "pq"])
def test_a_quantizer_is_switched_on_and_off_while_objects_are_there(
    served: Served, switched: str
) -> None:
    collection = served.create("Switched", Index.hnsw())
    fill(collection)
    make = getattr(NewQuantizer, switched)
    tile = wvc.config.PQEncoderType.TILE
    settings = {"segments": 8, "centroids": 16, "encoder_type": tile} if switched == "pq" else {}
    change(collection, NewIndex.hnsw(quantizer=make(**settings)))
    quantizer = index_of(collection).quantizer
    assert quantizer is not None
    assert switched != "pq" or quantizer.encoder.type_ is tile
    assert nearest(collection, 40)[0] == 40
    change(collection, NewIndex.hnsw(quantizer=make(enabled=False)))
    assert index_of(collection).quantizer is None
    assert nearest(collection, 40)[0] == 40


@pytest.mark.parametrize("name", ["none", "bq", "rq"])
def test_flat(served: Served, name: str) -> None:
    options = {
        "none": None,
        "bq": Quantizer.bq(cache=True, rescore_limit=100),
        "rq": Quantizer.rq(cache=True, bits=4, rescore_limit=50),
    }
    collection = served.create(
        "Scanned",
        Index.flat(
            distance_metric=Distance.DOT, vector_cache_max_objects=5, quantizer=options[name]
        ),
    )
    known = index_of(collection)
    assert (known.distance_metric, known.vector_cache_max_objects) == (Distance.DOT, 5)
    if name == "bq":
        assert (known.quantizer.cache, known.quantizer.rescore_limit) == (True, 100)
    elif name == "rq":
        assert (known.quantizer.bits, known.quantizer.cache) == (4, True)
        assert known.quantizer.rescore_limit == 50
    else:
        assert known.quantizer is None
    fill(collection)
    found = collection.query.near_vector(
        ROWS[3].tolist(), limit=1, return_metadata=wvc.query.MetadataQuery(distance=True)
    ).objects[0]
    best = int(np.argmax(ROWS @ ROWS[3]))
    assert found.properties["number"] == best
    assert found.metadata.distance == pytest.approx(-float(ROWS[best] @ ROWS[3]), rel=1e-5)
    change(collection, NewIndex.flat(vector_cache_max_objects=9))
    assert index_of(collection).vector_cache_max_objects == 9


@pytest.mark.parametrize("quantizer", [Quantizer.pq(), Quantizer.sq()], ids=["pq", "sq"])
def test_flat_refuses_what_it_does_not_have(served: Served, quantizer: Any) -> None:
    with pytest.raises(UnexpectedStatusCodeError, match="not currently supported for flat"):
        served.create("Refused", Index.flat(quantizer=quantizer))
    assert not served.client.collections.exists("Refused")


def test_dynamic_passes_its_threshold(served: Served) -> None:
    collection = served.create(
        "Growing",
        Index.dynamic(
            distance_metric=Distance.L2_SQUARED,
            threshold=300,
            hnsw=Index.hnsw(ef=80, quantizer=Quantizer.rq()),
            flat=Index.flat(vector_cache_max_objects=77, quantizer=Quantizer.bq()),
        ),
    )
    known = index_of(collection)
    assert (known.threshold, known.distance_metric) == (300, Distance.L2_SQUARED)
    assert known.hnsw.ef == 80
    assert known.flat.vector_cache_max_objects == 77
    assert type(known.hnsw.quantizer).__name__ == "_RQConfig"
    assert type(known.flat.quantizer).__name__ == "_BQConfig"
    fill(collection, 250)
    assert nearest(collection, 249)[0] == 249
    fill(collection, start=250)
    for row in (0, 249, 250, 399):
        assert nearest(collection, row)[0] == row
    change(
        collection,
        NewIndex.dynamic(
            threshold=900, hnsw=NewIndex.hnsw(ef=33), flat=NewIndex.flat(vector_cache_max_objects=3)
        ),
    )
    known = index_of(collection)
    assert (known.threshold, known.hnsw.ef, known.flat.vector_cache_max_objects) == (900, 33, 3)
    assert nearest(collection, 250)[0] == 250


def test_dynamic_needs_async_indexing(tmp_path: Any) -> None:
    with ServerProcess(tmp_path / "data") as process:
        running = Served(process)
        with running.client, pytest.raises(UnexpectedStatusCodeError, match="async indexing"):
            running.create("Growing", Index.dynamic())


def test_hfresh(served: Served) -> None:
    collection = served.create(
        "Fresh", Index.hfresh(max_posting_size_kb=64, replicas=2, search_probe=128)
    )
    known = index_of(collection)
    assert (known.max_posting_size_kb, known.replicas, known.search_probe) == (64, 2, 128)
    fill(collection)
    assert nearest(collection, 17)[0] == 17
    change(collection, NewIndex.hfresh(max_posting_size_kb=32, search_probe=64))
    known = index_of(collection)
    assert (known.max_posting_size_kb, known.search_probe) == (32, 64)
    with pytest.raises(UnexpectedStatusCodeError, match="HFresh only supports"):
        served.create("Refused", Index.hfresh(distance_metric=Distance.DOT))


def test_no_index_and_one_that_is_built_later(served: Served) -> None:
    collection = served.create("Bare", Index.none())
    assert index_of(collection).skip
    fill(collection)
    got = collection.query.fetch_objects(limit=1, include_vector=True).objects[0]
    assert got.vector["default"] == pytest.approx(ROWS[int(got.properties["number"])].tolist())
    with pytest.raises(WeaviateQueryError, match="not indexed"):
        nearest(collection, 1)
    # The client has no call for it; a definition that it read, changed and sent back does it.
    body = served.client._connection.get(path="/schema/Bare", error_msg="").json()
    body["vectorConfig"]["default"]["vectorIndexConfig"]["skip"] = False
    served.client._connection.put(path="/schema/Bare", weaviate_object=body, error_msg="")
    assert not index_of(collection).skip
    assert nearest(collection, 1)[0] == 1
    fill_more = collection.data.insert({"number": 1_000}, vector=(ROWS[0] * 9).tolist())
    assert collection.data.exists(fill_more)
    assert nearest(collection, 399)[0] == 399


@pytest.mark.parametrize(
    ("key", "value"),
    [("distance", "dot"), ("efConstruction", 64), ("maxConnections", 8)],
)
def test_what_may_not_change(served: Served, key: str, value: Any) -> None:
    collection = served.create("Firm", Index.hnsw())
    body = served.client._connection.get(path="/schema/Firm", error_msg="").json()
    before = index_of(collection)
    body["vectorConfig"]["default"]["vectorIndexConfig"][key] = value
    answer = served.client._connection.put(path="/schema/Firm", weaviate_object=body, error_msg="")
    assert answer.status_code == 422
    assert f"{key} is immutable" in answer.text
    assert index_of(collection) == before


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (Index.hnsw(ef_construction=3), "efConstruction must be a positive integer"),
        (Index.hnsw(max_connections=3), "maxConnections must be a positive integer"),
        (Index.hnsw(max_connections=2_048), "maxConnections must be less than 2048"),
        (Index.hnsw(quantizer=Quantizer.rq(bits=3)), "bits"),
        (Index.hnsw(quantizer=Quantizer.pq(centroids=300)), "centroids"),
        (Index.dynamic(threshold=0), "threshold must be a positive integer"),
        (Index.hfresh(max_posting_size_kb=4), "maxPostingSizeKB must be between 8 and 1024"),
        (Index.hfresh(replicas=11), "replicas must be between 1 and 10"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_out_of_bounds(served: Served, index: Any, message: str) -> None:
    with pytest.raises(UnexpectedStatusCodeError, match=message):
        served.create("Refused", index)
    assert not served.client.collections.exists("Refused")


def test_what_may_not_change_in_the_graph_of_a_dynamic_index(served: Served) -> None:
    collection = served.create("Firm", Index.dynamic())
    body = served.client._connection.get(path="/schema/Firm", error_msg="").json()
    before = index_of(collection)
    body["vectorConfig"]["default"]["vectorIndexConfig"]["hnsw"]["maxConnections"] = 8
    answer = served.client._connection.put(path="/schema/Firm", weaviate_object=body, error_msg="")
    assert answer.status_code == 422
    assert "maxConnections is immutable" in answer.text
    assert index_of(collection) == before


def test_a_second_quantizer_is_refused(served: Served) -> None:
    collection = served.create("Packed", Index.hnsw(quantizer=Quantizer.sq()))
    with pytest.raises(WeaviateInvalidInputError):
        change(collection, NewIndex.hnsw(quantizer=NewQuantizer.bq()))
    body = served.client._connection.get(path="/schema/Packed", error_msg="").json()
    body["vectorConfig"]["default"]["vectorIndexConfig"]["bq"] = {"enabled": True}
    answer = served.client._connection.put(
        path="/schema/Packed", weaviate_object=body, error_msg=""
    )
    assert answer.status_code == 422
    assert "more than a single compression" in answer.text


def test_each_named_vector_has_its_own(served: Served) -> None:
    served.client.collections.delete("Named")
    provided = Configure.Vectors.self_provided
    collection = served.client.collections.create(
        "Named",
        vector_config=[
            provided(name="near", vector_index_config=Index.flat()),
            provided(name="dot", vector_index_config=Index.hnsw(distance_metric=Distance.DOT)),
            provided(
                name="l2",
                vector_index_config=Index.dynamic(
                    threshold=50, distance_metric=Distance.L2_SQUARED
                ),
            ),
            provided(name="bare", vector_index_config=Index.none()),
            Configure.MultiVectors.self_provided(
                name="many", encoding=Index.MultiVector.Encoding.muvera(ksim=3, repetitions=5)
            ),
        ],
    )
    vectors = ("near", "dot", "l2", "bare")
    for n in range(60):
        own = {name: ROWS[n].tolist() for name in vectors}
        collection.data.insert({"number": n}, vector={**own, "many": ROWS[n : n + 2].tolist()})
    query = ROWS[100].astype(np.float64)
    held = ROWS[:60].astype(np.float64)
    expected = {
        "near": 1 - held @ query / np.linalg.norm(held, axis=1) / np.linalg.norm(query),
        "dot": -held @ query,
        "l2": ((held - query) ** 2).sum(axis=1),
    }
    for name, distances in expected.items():
        found = collection.query.near_vector(
            query.tolist(),
            target_vector=name,
            limit=5,
            return_metadata=wvc.query.MetadataQuery(distance=True),
        ).objects
        assert [one.properties["number"] for one in found] == np.argsort(distances)[:5].tolist()
        got = [one.metadata.distance for one in found]
        assert got == pytest.approx(np.sort(distances)[:5].tolist(), rel=1e-4, abs=1e-5)
    with pytest.raises(WeaviateQueryError, match="not indexed"):
        collection.query.near_vector(query.tolist(), target_vector="bare", limit=1)
    muvera = index_of(collection, "many").multi_vector.encoding
    assert (muvera.ksim, muvera.repetitions) == (3, 5)

    change(collection, NewIndex.hnsw(ef=55), "dot")
    assert index_of(collection, "dot").ef == 55
    assert index_of(collection, "l2").threshold == 50


def test_a_vector_is_added_to_a_collection_with_objects(served: Served) -> None:
    collection = served.create("Wider", Index.flat(), name="first")
    own = collection.data.insert({"number": 1}, vector={"first": ROWS[1].tolist()})
    added = Configure.Vectors.self_provided(
        name="second", vector_index_config=Index.hnsw(distance_metric=Distance.L2_SQUARED)
    )
    collection.config.add_vector(vector_config=added)
    assert index_of(collection, "second").distance_metric is Distance.L2_SQUARED
    other = ROWS[2][:5].tolist()
    collection.data.update(own, vector={"second": other})
    collection.data.insert({"number": 3}, vector={"second": ROWS[3][:5].tolist()})
    for target, query, count in (("first", ROWS[1].tolist(), 1), ("second", other, 2)):
        found = collection.query.near_vector(query, target_vector=target, limit=9).objects
        assert [found[0].uuid, len(found)] == [own, count]
    with pytest.raises(UnexpectedStatusCodeError):
        collection.config.add_vector(vector_config=Configure.Vectors.self_provided(name="bad name"))


def test_the_old_calls(served: Served) -> None:
    """`vectorizer_config` with named vectors, and the single unnamed one."""
    served.client.collections.delete("Old")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        named = Configure.NamedVectors.none("v", vector_index_config=Index.flat())
        collection = served.client.collections.create("Old", vectorizer_config=[named])
        update = Reconfigure.NamedVectors.update(
            "v", vector_index_config=NewIndex.flat(vector_cache_max_objects=4)
        )
        collection.config.update(vectorizer_config=[update])
        assert index_of(collection, "v").vector_cache_max_objects == 4

        served.client.collections.delete("Old")
        collection = served.client.collections.create(
            "Old",
            vectorizer_config=Configure.Vectorizer.none(),
            vector_index_config=Index.hnsw(ef=12),
        )
        collection.config.update(vectorizer_config=NewIndex.hnsw(ef=13))
        assert collection.config.get().vector_index_config.ef == 13


def test_everything_is_there_after_a_restart(served: Served) -> None:
    collection = served.create(
        "Kept", Index.dynamic(threshold=100, hnsw=Index.hnsw(ef=44, quantizer=Quantizer.sq()))
    )
    fill(collection)
    change(collection, NewIndex.dynamic(threshold=120, hnsw=NewIndex.hnsw(ef=45)))
    before = index_of(collection)
    served.restart()
    collection = served.client.collections.use("Kept")
    assert index_of(collection) == before
    assert (before.threshold, before.hnsw.ef) == (120, 45)
    for row in (0, 200, 399):
        assert nearest(collection, row)[0] == row
