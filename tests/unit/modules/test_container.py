"""Embedding by a container: the exact request, and every way in which a service can fail."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import ModuleFailure, SchemaViolation
from weftdb.modules.http.address import guard_address
from weftdb.modules.http.container import ContainerClient
from weftdb.modules.model2vec import Model2VecVectorizer
from weftdb.modules.transformers import TransformersVectorizer

pytest.importorskip("httpx")

Answer = tuple[int, bytes, dict[str, str]]


class _QuietServer(ThreadingHTTPServer):
    """A server that does not print when a client gives up."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: a client that hangs up is what some tests are about."""


class Service:
    """A container on loopback that answers as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[dict[str, Any]], Answer] = lambda body: (
            200,
            json.dumps({"vector": [float(len(body["text"])), 1.0]}).encode(),
            {},
        )
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                service.requests.append((self.path, body))
                status, data, headers = service.answer(body)
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def service() -> Iterator[Service]:
    started = Service()
    yield started
    started.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(pauses: list[float]) -> Iterator[ContainerClient]:
    made = ContainerClient("text2vec-x", ModulesConfig(timeout_s=5), sleep=pauses.append)
    yield made
    made.close()


def test_transformers_sends_the_documented_body(service: Service) -> None:
    made = TransformersVectorizer(ModulesConfig(transformers_url=service.address + "/"))
    rows = made.embed(["abc"], {"dimensions": "384"}, is_query=False)
    np.testing.assert_array_equal(rows, [[3, 1]])
    made.embed(["q"], {"poolingStrategy": "cls"}, is_query=True)
    config = {"pooling_strategy": "masked_mean", "task_type": "passage", "dimensions": 384}
    body = {"text": "abc", "dims": 0, "vector": None, "error": "", "config": config}
    assert service.requests[0] == ("/vectors", body)
    assert service.requests[1][1]["config"] == {"pooling_strategy": "cls", "task_type": "query"}
    made._container.close()


def test_model2vec_calls_the_collections_address_in_order(service: Service) -> None:
    made = Model2VecVectorizer(ModulesConfig(model2vec_url="http://127.0.0.1:1"))
    texts = ["x" * length for length in range(1, 30)]
    rows = made.embed(texts, {"inferenceUrl": service.address}, is_query=False)
    assert rows[:, 0].tolist() == [float(length) for length in range(1, 30)]
    assert "pooling_strategy" not in service.requests[0][1]["config"]
    made._container.close()


def test_passage_and_query_may_have_their_own_services(service: Service) -> None:
    settings = {
        "passageInferenceUrl": service.address + "/passage",
        "queryInferenceUrl": service.address + "/query",
    }
    made = TransformersVectorizer(ModulesConfig())
    made.embed(["a"], settings, is_query=False)
    made.embed(["a"], settings, is_query=True)
    assert [path for path, _ in service.requests] == ["/passage/vectors", "/query/vectors"]
    made._container.close()


def test_tries_again_and_honours_retry_after(
    service: Service, client: ContainerClient, pauses: list[float]
) -> None:
    answers: list[Answer] = [
        (503, b"busy", {}),
        (429, b"{}", {"Retry-After": "2"}),
        (200, b'{"vector": [1.0]}', {}),
    ]
    service.answer = lambda body: answers.pop(0)
    assert client.vectors(service.address, ["a"], {}).tolist() == [[1.0]]
    assert pauses == [0.05, 2.0]


def test_gives_up_after_the_bound(
    service: Service, client: ContainerClient, pauses: list[float]
) -> None:
    service.answer = lambda body: (500, b'{"error": "no memory"}', {})
    with pytest.raises(ModuleFailure) as caught:
        client.vectors(service.address, ["a"], {})
    assert str(caught.value) == (
        f"module 'text2vec-x': {service.address}: "
        "fail with status 500: no memory (after 3 attempts)"
    )
    assert len(service.requests) == 3


def test_a_final_error_is_not_repeated(service: Service, client: ContainerClient) -> None:
    service.answer = lambda body: (400, b'{"error": "too long"}', {})
    with pytest.raises(ModuleFailure, match="fail with status 400: too long"):
        client.vectors(service.address, ["a"], {})
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("status", "data", "text"),
    [
        (200, b"<html>", "reply is not JSON"),
        (200, b"[1]", "reply is a list"),
        (200, b"{}", "holds no vector"),
        (200, b'{"vector": []}', "shape"),
        (200, b'{"vector": [[1.0]]}', "shape"),
        (200, b'{"vector": ["a"]}', "holds no vector"),
        (200, b'{"vector": [NaN]}', "NaN"),
        (302, b"", "fail with status 302"),
        (404, b'{"error": {"code": 1}}', "fail with status 404"),
    ],
)
def test_useless_replies_name_the_address(
    service: Service, client: ContainerClient, status: int, data: bytes, text: str
) -> None:
    service.answer = lambda body: (status, data, {})
    with pytest.raises(ModuleFailure, match=text) as caught:
        client.vectors(service.address, ["a"], {})
    assert service.address in str(caught.value)


def test_rows_of_different_lengths_are_refused(service: Service, client: ContainerClient) -> None:
    service.answer = lambda body: (
        200,
        json.dumps({"vector": [1.0] * len(body["text"])}).encode(),
        {},
    )
    with pytest.raises(ModuleFailure, match="different lengths"):
        client.vectors(service.address, ["a", "bb"], {})


def test_a_service_that_is_away_fails_with_its_address(client: ContainerClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ModuleFailure, match=f"{address}: ConnectError"):
            client.vectors(address, ["a"], {})


def test_a_slow_service_is_given_up_at_the_deadline(service: Service) -> None:
    release = threading.Event()

    def slow(body: dict[str, Any]) -> Answer:
        release.wait(5)
        return 200, b'{"vector": [1.0]}', {}

    service.answer = slow
    client = ContainerClient("text2vec-x", ModulesConfig(timeout_s=0.2))
    with pytest.raises(ModuleFailure, match="ReadTimeout"):
        client.vectors(service.address, ["a"], {})
    release.set()
    client.close()


def test_no_texts_no_call(service: Service, client: ContainerClient) -> None:
    assert client.vectors(service.address, [], {}).shape == (0, 0)
    assert service.requests == []


@pytest.mark.parametrize(
    "address", ["ftp://host", "host:80", "http://", "http://host:99999", "http://host:0"]
)
def test_addresses_must_be_addresses(address: str) -> None:
    for made in (
        Model2VecVectorizer(ModulesConfig()),
        TransformersVectorizer(ModulesConfig()),
    ):
        with pytest.raises(SchemaViolation, match="inferenceUrl"):
            made.validate({"inferenceUrl": address})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"inferenceUrl": "http://a", "queryInferenceUrl": "http://b"}, "not both"),
        ({"queryInferenceUrl": "http://b"}, "passageInferenceUrl is empty"),
        ({"passageInferenceUrl": "http://b"}, "queryInferenceUrl is empty"),
        ({"inferenceUrl": "http://a", "poolingStrategy": "max"}, "poolingStrategy 'max'"),
        ({"inferenceUrl": "http://a", "dimensions": 0}, "dimensions"),
        ({"inferenceUrl": "http://a", "dimensions": True}, "dimensions"),
        ({"inferenceUrl": "http://a", "dimension": 3}, "unknown setting 'dimension'"),
        ({}, "set inferenceUrl, or TRANSFORMERS_INFERENCE_API"),
    ],
)
def test_transformers_settings_are_checked(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(SchemaViolation, match=text):
        TransformersVectorizer(ModulesConfig()).validate(settings)


def test_node_addresses_are_checked_at_the_start() -> None:
    config = ModulesConfig(transformers_url="http://a", transformers_query_url="http://b")
    with pytest.raises(SchemaViolation, match="not both"):
        TransformersVectorizer(config)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("http://example.org", "must use HTTPS"),
        ("https://localhost", "internal"),
        ("https://db.internal", "internal"),
        ("https://127.0.0.1:8000", "internal"),
        ("https://10.1.2.3", "internal"),
        ("https://[::1]", "internal"),
    ],
)
def test_the_guard_refuses_internal_addresses(address: str, text: str) -> None:
    with pytest.raises(SchemaViolation, match=text):
        guard_address(address, module="m")


def test_the_guard_stands_before_the_call_but_not_before_the_nodes_own(
    service: Service,
) -> None:
    config = ModulesConfig(model2vec_url=service.address, validate_urls=True)
    made = Model2VecVectorizer(config)
    assert len(made.embed(["a"], {}, is_query=False)) == 1
    with pytest.raises(SchemaViolation, match="must use HTTPS"):
        made.embed(["a"], {"inferenceUrl": "http://127.0.0.1:9"}, is_query=False)
    made._container.close()


def test_meta_tells_where_vectors_come_from() -> None:
    remote = ModulesConfig(model2vec_url="http://a", transformers_url="http://b")
    assert Model2VecVectorizer(remote).meta() == {"type": "http", "url": "http://a"}
    assert TransformersVectorizer(remote).meta() == {"type": "http", "url": "http://b"}
    assert Model2VecVectorizer(ModulesConfig()).meta()["type"] == "in-process"
    assert TransformersVectorizer(ModulesConfig()).meta()["type"] == "in-process"
    split = ModulesConfig(transformers_passage_url="http://p", transformers_query_url="http://q")
    assert TransformersVectorizer(split).meta()["query"] == {"url": "http://q"}
