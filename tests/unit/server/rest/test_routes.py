"""What the REST routes answer: good requests, and every way in which a request can be bad."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from weftdb.core.config import SchemaConfig
from weftdb.engine.catalogue import Catalogue
from weftdb.server.rest.app import make_app
from weftdb.server.rest.context import RestContext
from weftdb.server.rest.later_routes import FEATURES

BOOK = {
    "class": "Book",
    "properties": [
        {"name": "title", "dataType": ["text"]},
        {"name": "pages", "dataType": ["int"]},
    ],
}


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def book(number: int, **properties: Any) -> dict[str, Any]:
    return {"class": "Book", "id": uid(number), "properties": properties}


@pytest.fixture
def books(client: TestClient) -> TestClient:
    assert client.post("/schema", json=BOOK).status_code == 200
    for number in range(1, 6):
        body = book(number, title=f"t{number}", pages=number * 10)
        assert client.post("/objects", json=body).status_code == 200
    return client


class TestMeta:
    def test_probes(self, client: TestClient) -> None:
        for path in ("live", "ready"):
            reply = client.get(f"/.well-known/{path}")
            assert (reply.status_code, reply.content) == (200, b"")
        assert client.get("/.well-known/openid-configuration").status_code == 404

    def test_not_ready(self, context: RestContext) -> None:
        draining = replace(context, is_ready=lambda: False)
        client = TestClient(make_app(draining), base_url="http://node/v1")
        assert client.get("/.well-known/ready").status_code == 503
        assert client.get("/.well-known/live").status_code == 200

    def test_meta(self, client: TestClient) -> None:
        body = client.get("/meta").json()
        assert body["version"] == "1.39.0"
        assert body["modules"] == {}
        assert client.get("/").json()["links"]

    def test_bugs_are_answered(self, context: RestContext, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken() -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(context.catalogue, "all", broken)
        app = make_app(context)
        client = TestClient(app, base_url="http://node/v1", raise_server_exceptions=False)
        reply = client.get("/schema")
        assert reply.status_code == 500
        assert "bug" in reply.json()["error"][0]["message"]

    def test_unknown_paths_and_methods(self, client: TestClient) -> None:
        missing = client.get("/no-such-path")
        assert missing.status_code == 404
        assert missing.json() == {"code": 404, "message": "path /v1/no-such-path was not found"}
        wrong = client.put("/schema", json={})
        assert wrong.status_code == 405
        assert wrong.json()["message"] == "method PUT is not allowed, but [GET,POST] are"


class TestBodies:
    @pytest.mark.parametrize(
        ("raw", "status", "code"),
        [
            ('{"class": "Book"', 400, 400),
            ("[]", 400, 400),
            ('{"class": 5}', 400, 400),
            ("", 422, 602),
            ("  ", 422, 602),
            ('{"class": "Book", "id": "x"}', 422, 601),
            ('{"class": "Book", "vector": "abc"}', 400, 400),
            ('{"class": "Book", "vector": [1e60]}', 422, None),
            ('{"properties": {}}', 422, None),
            ('{"class": "Book", "properties": []}', 422, None),
        ],
    )
    def test_bad_bodies_write_nothing(
        self, client: TestClient, raw: str, status: int, code: int | None
    ) -> None:
        client.post("/schema", json=BOOK)
        headers = {"Content-Type": "application/json"}
        reply = client.post("/objects", content=raw, headers=headers)
        assert reply.status_code == status, reply.text
        if code is None:
            assert reply.json()["error"][0]["message"]
        else:
            assert reply.json()["code"] == code
        assert client.get("/objects").json()["objects"] == []

    def test_another_content_type(self, client: TestClient) -> None:
        reply = client.post("/schema", content="{}", headers={"Content-Type": "text/plain"})
        assert (reply.status_code, reply.json()["code"]) == (415, 415)

    def test_a_body_beyond_the_limit(self, client: TestClient) -> None:
        big = b'{"class": "Book", "description": "' + b"x" * 100_001 + b'"}'
        headers = {"Content-Type": "application/json"}
        assert client.post("/schema", content=big, headers=headers).status_code == 422
        chunks = client.post("/schema", content=iter([big]), headers=headers)
        assert chunks.status_code == 422
        assert "limit" in chunks.json()["error"][0]["message"]
        assert client.get("/schema").json() == {"classes": []}


class TestSchema:
    def test_life(self, client: TestClient) -> None:
        made = client.post("/schema", json=BOOK).json()
        assert made["class"] == "Book"
        assert client.get("/schema/book").json() == made
        assert client.get("/schema").json() == {"classes": [made]}
        changed = client.put("/schema/Book", json={**made, "description": "d"})
        assert changed.json()["description"] == "d"
        added = client.post("/schema/Book/properties", json={"name": "n", "dataType": ["int"]})
        assert added.json()["name"] == "n"
        index = "/schema/Book/properties/title/index/searchable"
        assert client.delete(index).status_code == 200
        title = client.get("/schema/Book").json()["properties"][0]
        assert title["indexSearchable"] is False
        assert client.delete("/schema/Book").status_code == 200
        assert client.delete("/schema/Book").status_code == 200
        assert client.get("/schema/Book").status_code == 404

    def test_names_that_are_taken(self, client: TestClient) -> None:
        client.post("/schema", json=BOOK)
        for name, words in (("book", "already exists"), ("BOOK", "similar")):
            reply = client.post("/schema", json={"class": name})
            assert reply.status_code == 422
            assert words in reply.json()["error"][0]["message"]

    def test_unknown_collections(self, client: TestClient) -> None:
        assert client.put("/schema/Nothing", json={"class": "Nothing"}).status_code == 404
        body = {"name": "p", "dataType": ["text"]}
        assert client.post("/schema/Nothing/properties", json=body).status_code == 422
        path = "/schema/Nothing/properties/p/index/searchable"
        assert client.delete(path).status_code == 422

    def test_unknown_modules(self, client: TestClient) -> None:
        reply = client.post("/schema", json={"class": "A", "vectorizer": "text2vec-x"})
        assert reply.status_code == 422
        assert "text2vec-x" in reply.json()["error"][0]["message"]


class TestObjects:
    def test_life(self, books: TestClient) -> None:
        path = f"/objects/Book/{uid(1)}"
        assert books.head(path).status_code == 204
        read = books.get(path).json()
        assert read["properties"] == {"title": "t1", "pages": 10}
        assert read["vectorWeights"] is None
        assert books.patch(path, json={"properties": {"pages": None}}).status_code == 204
        assert books.get(path).json()["properties"] == {"title": "t1"}
        replaced = books.put(path, json={**book(1, title="new"), "vector": [1, 2]})
        assert replaced.json()["vector"] == [1, 2]
        assert "vectorWeights" not in replaced.json()
        assert books.get(path).json().get("vector") is None
        assert books.get(f"{path}?include=vector").json()["vector"] == [1, 2]
        assert books.delete(path).status_code == 204
        assert books.delete(path).status_code == 204
        assert books.get(path).status_code == 404
        assert books.head(path).status_code == 404
        assert books.put(path, json=book(1)).status_code == 404
        assert books.patch(path, json=book(1)).status_code == 404

    def test_without_class(self, books: TestClient) -> None:
        path = f"/objects/{uid(2)}"
        assert books.head(path).status_code == 204
        assert books.get(path).json()["class"] == "Book"
        assert books.put(path, json=book(2, title="x")).status_code == 200
        assert books.patch(path, json=book(2, pages=1)).status_code == 204
        assert books.delete(path).status_code == 204
        assert books.delete(path).status_code == 404

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (book(2), "'id' is immutable"),
            ({"class": "Book", "properties": {}}, "'id' is immutable"),
            ({"class": "Other", "id": uid(1)}, "'class' is immutable"),
            ({"id": uid(1)}, "class is empty"),
            (book(1, pages="many"), "invalid object: invalid integer property"),
        ],
    )
    def test_bad_replacements(self, books: TestClient, body: Any, words: str) -> None:
        reply = books.put(f"/objects/Book/{uid(1)}", json=body)
        assert reply.status_code == 422
        assert words in reply.json()["error"][0]["message"]
        assert books.get(f"/objects/Book/{uid(1)}").json()["properties"]["title"] == "t1"

    def test_bad_merges(self, books: TestClient) -> None:
        path = f"/objects/Book/{uid(1)}"
        for body in (book(2), {"class": "Other"}, {"properties": {"pages": 1.5}}):
            assert books.patch(path, json=body).status_code == 422
        assert books.patch("/objects/Nothing/" + uid(1), json={}).status_code == 404

    def test_bad_parameters(self, books: TestClient) -> None:
        path = f"/objects/Book/{uid(1)}"
        for query in ("include=nothing", "consistency_level=SOME"):
            assert books.get(f"{path}?{query}").status_code == 400
        assert books.get("/objects/Book/x").json()["code"] == 601
        assert books.get(f"{path}?tenant=t").status_code == 422
        assert books.get(f"/objects/Nothing/{uid(1)}").status_code == 404

    def test_taken_ids(self, books: TestClient) -> None:
        reply = books.post("/objects", json=book(1))
        assert reply.status_code == 422
        assert "already exists" in reply.json()["error"][0]["message"]

    def test_validation_stores_nothing(self, books: TestClient) -> None:
        path = "/objects/validate"
        assert books.post(path, json=book(9, title="x")).status_code == 200
        assert books.head(f"/objects/Book/{uid(9)}").status_code == 404
        bad = [
            book(9, pages="x"),
            book(9, unknown=1),
            {"class": "Book"},
            {"class": "Nothing", "id": uid(9)},
        ]
        for body in bad:
            assert books.post(path, json=body).status_code == 422

    def test_auto_schema(self, client: TestClient) -> None:
        made = client.post("/objects", json={"class": "thing", "properties": {"Size": 1}})
        assert made.json()["properties"] == {"size": 1}
        client.post("/objects", json={"class": "Thing", "properties": {"colour": "red"}})
        names = [item["name"] for item in client.get("/schema/Thing").json()["properties"]]
        assert names == ["size", "colour"]
        bad = client.post("/objects", json={"class": "Thing", "properties": {"a b": 1}})
        assert bad.status_code == 422

    def test_without_auto_schema(self, context: RestContext) -> None:
        schema = SchemaConfig(auto_schema=False)
        catalogue = Catalogue(context.database, schema, context.vectorizers, context.env)
        context = replace(context, catalogue=catalogue)
        client = TestClient(make_app(context), base_url="http://node/v1")
        assert client.post("/objects", json={"class": "Thing"}).status_code == 422
        client.post("/schema", json=BOOK)
        assert client.post("/objects", json=book(1, other=1)).status_code == 422
        results = client.post("/batch/objects", json={"objects": [book(1, other=1), book(2)]})
        statuses = [item["result"]["status"] for item in results.json()]
        assert statuses == ["FAILED", "SUCCESS"]


class TestLists:
    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            ("", [1, 2, 3, 4, 5]),
            ("limit=2", [1, 2]),
            ("limit=2&offset=3", [4, 5]),
            ("limit=0", []),
            ("offset=9", []),
            (f"limit=2&after={uid(3)}", [4, 5]),
            ("limit=2&after=", [1, 2]),
            ("sort=pages&order=desc&limit=2", [5, 4]),
            ("sort=Pages", [1, 2, 3, 4, 5]),
        ],
    )
    def test_pages(self, books: TestClient, query: str, numbers: list[int]) -> None:
        body = books.get(f"/objects?class=Book&{query}").json()
        assert [item["id"] for item in body["objects"]] == [uid(number) for number in numbers]
        assert body.get("totalResults", 0) == len(numbers)

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("class=Nothing", 404),
            ("class=Book&limit=some", 422),
            ("class=Book&limit=99999999999999999999", 422),
            ("class=Book&limit=20000", 422),
            ("class=Book&offset=-1", 422),
            ("class=Book&sort=nothing", 422),
            (f"class=Book&after={uid(1)}", 422),
            (f"class=Book&limit=1&offset=1&after={uid(1)}", 422),
            (f"class=Book&limit=1&sort=pages&after={uid(1)}", 422),
            ("class=Book&limit=1&after=x", 422),
            (f"limit=1&after={uid(1)}", 422),
            ("class=Book&include=x", 400),
        ],
    )
    def test_bad_pages(self, books: TestClient, query: str, status: int) -> None:
        assert books.get(f"/objects?{query}").status_code == status

    def test_all_collections(self, books: TestClient) -> None:
        books.post("/objects", json={"class": "Zoo", "id": uid(9), "properties": {}})
        found = books.get("/objects?limit=3&offset=3&include=vector").json()["objects"]
        assert [item["class"] for item in found] == ["Book", "Book", "Zoo"]


class TestBatches:
    def test_each_object_has_its_result(self, books: TestClient) -> None:
        objects = [
            {**book(11, title="good"), "vector": [1, 2]},
            book(12, pages="many"),
            {"properties": {}},
            {**book(13), "vector": "abc"},
            {**book(14), "vector": [1, 2, 3]},
            {**book(15), "tenant": "t"},
        ]
        reply = books.post("/batch/objects", json={"objects": objects})
        assert reply.status_code == 200
        statuses = [item["result"]["status"] for item in reply.json()]
        assert statuses == ["SUCCESS"] + ["FAILED"] * 5
        for item in reply.json()[1:]:
            assert item["result"]["errors"]["error"][0]["message"]
        assert books.head(f"/objects/Book/{uid(11)}").status_code == 204
        for number in range(12, 16):
            assert books.head(f"/objects/Book/{uid(number)}").status_code == 404

    def test_one_bad_value_does_not_stop_auto_schema(self, client: TestClient) -> None:
        objects = [
            {"class": "New", "properties": {"n": 1}},
            {"class": "New", "properties": {"mixed": [1, "a"]}},
        ]
        reply = client.post("/batch/objects", json={"objects": objects})
        assert [item["result"]["status"] for item in reply.json()] == ["SUCCESS", "FAILED"]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 422),
            ({"objects": []}, 422),
            ({"objects": {}}, 400),
            ({"objects": [5]}, 400),
            ({"objects": [book(11), {"class": "Book", "id": "bad"}]}, 422),
            ([], 400),
        ],
    )
    def test_bad_batches_write_nothing(self, books: TestClient, body: Any, status: int) -> None:
        assert books.post("/batch/objects", json=body).status_code == status
        assert books.head(f"/objects/Book/{uid(11)}").status_code == 404

    def test_delete(self, books: TestClient) -> None:
        where = {"path": ["pages"], "operator": "GreaterThan", "valueInt": 30}
        body = {"match": {"class": "book", "where": where}, "output": "verbose"}
        dry = books.request("DELETE", "/batch/objects", json={**body, "dryRun": True}).json()
        assert dry["results"]["objects"] == [
            {"id": uid(4), "status": "DRYRUN"},
            {"id": uid(5), "status": "DRYRUN"},
        ]
        assert dry["results"]["successful"] == 0
        done = books.request("DELETE", "/batch/objects", json=body).json()
        assert done["match"] == {"class": "Book", "where": {**where, "operands": None}}
        assert (done["results"]["matches"], done["results"]["successful"]) == (2, 2)
        assert books.head(f"/objects/Book/{uid(4)}").status_code == 404

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"match": 5},
            {"match": {"class": "Book"}},
            {"match": {"class": "Nothing", "where": {"operator": "Equal"}}},
            {"match": {"class": "Book", "where": {"operator": "Near", "path": ["pages"]}}},
            {"match": {"class": "Book", "where": 5}},
        ],
    )
    def test_bad_deletes_delete_nothing(self, books: TestClient, body: Any) -> None:
        reply = books.request("DELETE", "/batch/objects", json=body)
        assert reply.status_code in (400, 422)
        assert len(books.get("/objects?class=Book").json()["objects"]) == 5

    @pytest.mark.parametrize("more", [{"output": "loud"}, {"dryRun": "yes"}])
    def test_bad_options(self, books: TestClient, more: Any) -> None:
        where = {"path": ["pages"], "operator": "GreaterThan", "valueInt": 0}
        body = {"match": {"class": "Book", "where": where}, **more}
        assert books.request("DELETE", "/batch/objects", json=body).status_code in (400, 422)
        assert len(books.get("/objects?class=Book").json()["objects"]) == 5


class TestNodes:
    def test_state(self, books: TestClient) -> None:
        node = books.get("/nodes").json()["nodes"][0]
        assert (node["name"], node["status"], node["shards"]) == ("node1", "HEALTHY", None)
        verbose = books.get("/nodes/book?output=verbose").json()["nodes"][0]
        assert verbose["stats"] == {"objectCount": 5, "shardCount": 1}
        shard = books.get("/schema/Book/shards").json()[0]["name"]
        assert verbose["shards"][0]["name"] == shard
        books.post("/schema", json={"class": "Wide", "shardingConfig": {"desiredCount": 3}})
        names = [item["name"] for item in books.get("/schema/Wide/shards").json()]
        assert len(set(names)) == 3
        other = books.get("/nodes?output=verbose&shardName=x").json()["nodes"][0]
        assert other["shards"] is None

    def test_bad_requests(self, books: TestClient) -> None:
        assert books.get("/nodes?output=everything").status_code == 422
        assert books.get("/nodes/Nothing").status_code == 404
        assert books.get("/schema/Nothing/shards").status_code == 404
        shard = books.get("/schema/Book/shards").json()[0]["name"]
        path = f"/schema/Book/shards/{shard}"
        assert books.put(path, json={"status": "READY"}).json() == {"status": "READY"}
        assert books.put(path, json={"status": "SLEEPING"}).status_code == 422
        assert books.put("/schema/Book/shards/x", json={"status": "READY"}).status_code == 404

    def test_cluster(self, client: TestClient) -> None:
        assert client.get("/cluster/statistics").json()["synchronized"] is True
        assert client.get("/tasks").status_code == 200


@pytest.mark.parametrize(("feature", "methods", "path"), FEATURES)
def test_what_is_not_there_says_so(
    client: TestClient, feature: str, methods: str, path: str
) -> None:
    filled = path.replace("{id}", uid(1)).replace("{", "").replace("}", "")
    for method in methods.split():
        reply = client.request(method, filled)
        assert reply.status_code == 501, (method, filled, reply.text)
        if method != "HEAD":
            assert feature in reply.json()["error"][0]["message"]
