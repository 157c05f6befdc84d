"""Routes and figures of vector indexes: dropping one, what is compressed, what does not suit."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.unit.engine.samples import uid
from weftdb.core.types import format_object_id

DOC = {
    "class": "Doc",
    "vectorConfig": {
        "a": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"},
        "b": {"vectorizer": {"none": {}}, "vectorIndexType": "flat"},
    },
}


def test_a_vector_index_can_be_dropped(client: TestClient) -> None:
    client.post("/schema", json=DOC)
    assert client.delete("/schema/doc/vectors/a/index").status_code == 200
    config = client.get("/schema/Doc").json()["vectorConfig"]
    assert config["a"]["vectorIndexConfig"]["skip"] is True
    assert client.delete("/schema/Doc/vectors/a/index").status_code == 200
    for path, words in (
        ("/schema/Doc/vectors/b/index", "cannot be deleted"),
        ("/schema/Doc/vectors/c/index", "not found"),
        ("/schema/Nothing/vectors/a/index", "Nothing"),
    ):
        reply = client.delete(path)
        assert reply.status_code == 422
        assert words in reply.json()["error"][0]["message"]


def test_nodes_tell_what_is_compressed(client: TestClient) -> None:
    for name, settings in (("Plain", {}), ("Coded", {"rq": {"enabled": True}})):
        client.post("/schema", json={"class": name, "vectorIndexConfig": settings})
        client.post("/objects", json={"class": name, "id": object_id(1), "vector": [1, 2, 3]})
        shard = client.get(f"/nodes/{name}?output=verbose").json()["nodes"][0]["shards"][0]
        assert shard["compressed"] is (name == "Coded")


def test_segments_that_do_not_divide_are_an_error_of_the_object(client: TestClient) -> None:
    pq = {"enabled": True, "segments": 2}
    client.post("/schema", json={"class": "Doc", "vectorIndexConfig": {"pq": pq}})
    reply = client.post("/objects", json={"class": "Doc", "id": object_id(1), "vector": [1, 2, 3]})
    assert reply.status_code == 422
    assert "2 segments, vectors of length 3" in reply.json()["error"][0]["message"]
    assert client.get(f"/objects/Doc/{object_id(1)}").status_code == 404


def object_id(number: int) -> str:
    return format_object_id(uid(number))
