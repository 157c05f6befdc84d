"""Memory budget, load and recall of a real server, as the official client meets them."""

from __future__ import annotations

import time
import urllib.request
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
    from weaviate.exceptions import WeaviateBaseError

COUNT, DIM = 3_000, 16
ROWS = np.random.default_rng(1).standard_normal((COUNT, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("resources") / "data") as served:
        yield served


def connect(server: ServerProcess, **headers: str) -> Any:
    return weaviate.connect_to_local(
        port=server.http_port, grpc_port=server.grpc_port, headers=headers or None
    )


def objects(count: int, dim: int = DIM) -> list[Any]:
    rows = ROWS if dim == DIM else np.ones((count, dim), dtype=np.float32)
    return [wvc.data.DataObject({"n": n}, vector=rows[n].tolist()) for n in range(count)]


def metric(server: ServerProcess, name: str) -> float:
    url = f"http://127.0.0.1:{server.http_port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith((name + "{", name + " "))]
    return float(line.rsplit(" ", 1)[1])


def test_recall_is_asked_for_and_reported(server: ServerProcess) -> None:
    definition = {
        "class": "Art",
        "vectorIndexConfig": {"targetRecall": 0.95, "maxConnections": 8, "efConstruction": 32},
    }
    with connect(server) as client:
        art = client.collections.create_from_dict(definition)
        assert client.collections.export_config("Art").name == "Art"
        assert not art.data.insert_many(objects(COUNT)).has_errors
        until = time.monotonic() + 60
        achieved = None
        while achieved is None:
            assert time.monotonic() < until
            for row in ROWS[:60] + np.float32(0.2):
                art.query.near_vector(row.tolist(), limit=10)
            time.sleep(0.2)
            try:
                achieved = metric(server, "weftdb_recall_achieved")
            except ValueError:
                continue
        assert achieved >= 0.95
        assert metric(server, "weftdb_recall_target") == 0.95
        assert metric(server, "weftdb_memory_used_bytes") > 10 * 2**20
        stats = client.cluster.nodes(output="verbose")[0]
        assert stats.shards is not None
        assert stats.shards[0].vector_queue_length == 0


def test_a_single_search_asks_by_header(server: ServerProcess) -> None:
    with connect(server, **{"weft-target-recall": "0.9"}) as client:
        client.collections.delete("Note")
        note = client.collections.create("Note")
        note.data.insert_many(objects(20))
        assert len(note.query.near_vector(ROWS[0].tolist(), limit=5).objects) == 5
    with (
        connect(server, **{"weft-target-recall": "much"}) as client,
        pytest.raises(WeaviateBaseError, match="no recall between 0 and 1"),
    ):
        client.collections.get("Note").query.near_vector(ROWS[0].tolist())


def test_a_budget_that_is_used_up(tmp_path: Any) -> None:
    budget = {"GOMEMLIMIT": "1MiB"}
    with ServerProcess(tmp_path / "data", budget) as served, connect(served) as client:
        note = client.collections.create("Note")
        with pytest.raises(WeaviateBaseError, match="not enough memory"):
            note.data.insert_many(objects(10))
        with pytest.raises(WeaviateBaseError, match="503"):
            note.data.insert({"n": 1}, vector=ROWS[0].tolist())
        assert note.query.near_vector(ROWS[0].tolist()).objects == []
        assert metric(served, "weftdb_memory_budget_bytes") == 2**20
