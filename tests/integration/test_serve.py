"""`weftdb serve` starts, says so, stops when asked, and fails with the status it promises."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest

from tests.server_process import ServerProcess, child_environment
from weftdb.proto.v1 import health_pb2, search_pb2
from weftdb.server.main import Exit


def run(data: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected to end by itself."""
    command = [sys.executable, "-m", "weftdb", "serve", "--data", str(data), *more]
    return subprocess.run(
        command,
        env=child_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def health(port: int) -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        raw = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)
    return health_pb2.WeaviateHealthCheckResponse.FromString(raw).status


def test_it_serves_both_doors_and_keeps_data_over_a_restart(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as served:
        base = f"http://127.0.0.1:{served.http_port}"
        assert "is ready: REST" in served.tail()
        assert health(served.grpc_port) == health_pb2.WeaviateHealthCheckResponse.SERVING
        assert httpx.post(f"{base}/v1/schema", json={"class": "Kept"}).status_code == 200
        assert httpx.post(f"{base}/v1/objects", json={"class": "Kept"}).status_code == 200
        assert 'weftdb_objects{collection="Kept"} 1.0' in httpx.get(f"{base}/metrics").text
        begun = time.monotonic()
        assert served.stop() == Exit.OK
        assert time.monotonic() - begun < 10
    with ServerProcess(tmp_path / "data") as served:
        base = f"http://127.0.0.1:{served.http_port}"
        objects = httpx.get(f"{base}/v1/objects", params={"class": "Kept"}).json()["objects"]
        assert len(objects) == 1


def test_an_idle_connection_is_left_to_the_client_to_close(tmp_path: Path) -> None:
    """Clients keep theirs for 5 s (httpx): a server that closes then meets their next request."""
    with ServerProcess(tmp_path / "data") as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.http_port, timeout=10)
        connection.connect()
        first = connection.sock
        for idle_s in (0, 7):
            time.sleep(idle_s)
            connection.request("GET", "/v1/meta")
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
        assert connection.sock is first
        connection.close()
        begun = time.monotonic()
        assert served.stop() == Exit.OK
        assert time.monotonic() - begun < 10


def test_what_a_second_server_and_broken_clients_meet(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(data) as served:
        second = run(data, {}, "--port", "0", "--grpc-port", "0")
        assert second.returncode == Exit.HELD
        assert f"held by process {served.pid}" in second.stderr
        third = run(tmp_path / "other", {}, "--port", str(served.http_port), "--grpc-port", "0")
        assert third.returncode == Exit.ADDRESS
        assert f"127.0.0.1:{served.http_port}" in third.stderr
        with grpc.insecure_channel(f"127.0.0.1:{served.grpc_port}") as channel:
            search = channel.unary_unary("/weaviate.v1.Weaviate/Search")
            with pytest.raises(grpc.RpcError) as caught:
                search(b"\xff\xff\xff", timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            assert "SearchRequest" in caught.value.details()
            request = search_pb2.SearchRequest(collection="Nope").SerializeToString()
            with pytest.raises(grpc.RpcError, match="could not find class Nope in schema"):
                search(request, timeout=5)


def test_bad_settings_start_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path / "data", {"QUERY_DEFAULTS_LIMIT": "none"})
    assert ended.returncode == Exit.USAGE
    assert "QUERY_DEFAULTS_LIMIT='none': expected a whole number" in ended.stderr
    assert not (tmp_path / "data").exists()
