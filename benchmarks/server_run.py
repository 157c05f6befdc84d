"""Our server on one set of vectors: imports, searches over gRPC, memory, restart after SIGKILL."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import weaviate
from weaviate.classes.init import AdditionalConfig, Timeout

from tests.server_process import ServerProcess

from .loadgen import Load, LoadGenerator, build_load_generator, write_messages
from .material import Vectors
from .server_client import NeverIndexed, ServerClient, collection_definition
from .wire import (
    BATCH_OBJECTS,
    SEARCH,
    batch_errors,
    batch_requests,
    found_numbers,
    object_id,
    vector_requests,
)

COLLECTION = "Bench"
PROPERTIES = {"name": "text", "number": "int"}
IMPORT_STREAMS = 4
EF_SWEEP = (24, 32, 48, 64, 80, 96, 128, 192, 256, 384)
RECALL_WANTED = 0.95


@dataclass(frozen=True)
class Import:
    """One import: objects per second until acknowledged, and until every vector is linked."""

    objects: int
    acknowledged_per_s: float
    indexed_per_s: float


@dataclass(frozen=True)
class ServerPoint:
    """One ef over gRPC: eight in flight and one at a time."""

    ef: int
    recall: float
    eight: Load
    one: Load


@dataclass(frozen=True)
class Restart:
    """One way back after SIGKILL, until a search answers."""

    objects: int
    seconds: float
    pending_before: int
    """Vectors that were not linked yet when the server died."""
    is_right: bool


@dataclass
class ServerResult:
    """What the server reached on one set of vectors."""

    raw_import: Import
    client_import: Import | None = None
    points: list[ServerPoint] = field(default_factory=list)
    resident_bytes: int = 0
    anonymous_bytes: int = 0
    raw_bytes: int = 0

    @property
    def best_point(self) -> ServerPoint:
        """The measured point nearest to the wanted recall."""
        return min(self.points, key=lambda item: abs(item.recall - RECALL_WANTED))


def object_properties(count: int, first: int = 0) -> list[dict[str, str | int]]:
    """Two properties for each object."""
    return [{"name": f"object number {n}", "number": n} for n in range(first, first + count)]


def raw_import(
    server: ServerProcess,
    requests: Path,
    objects: int,
) -> Import:
    """Send serialised BatchObjects requests, `IMPORT_STREAMS` in flight; check every reply."""
    client = ServerClient(server)
    load = LoadGenerator(build_load_generator(), f"127.0.0.1:{server.grpc_port}")
    began = time.perf_counter()
    answer = load.run(
        BATCH_OBJECTS, requests, in_flight=IMPORT_STREAMS, seconds=1800, keep_replies=True
    )
    acknowledged_s = time.perf_counter() - began
    assert answer.errors == 0, answer.first_error
    for reply in answer.replies:
        assert reply is not None
        assert not batch_errors(reply), batch_errors(reply)[:3]
    client.wait_indexed()
    return Import(objects, objects / acknowledged_s, objects / (time.perf_counter() - began))


def client_import(server: ServerProcess, vectors: Vectors, collection: str, count: int) -> Import:
    """Import the first `count` vectors through the official client's batches."""
    properties = object_properties(count)
    rows = vectors.rows[:count].tolist()
    client = weaviate.connect_to_local(
        host="127.0.0.1",
        port=server.http_port,
        grpc_port=server.grpc_port,
        additional_config=AdditionalConfig(timeout=Timeout(insert=300)),
    )
    try:
        target = client.collections.get(collection)
        began = time.perf_counter()
        with target.batch.fixed_size(batch_size=1000, concurrent_requests=2) as batch:
            for number, values in enumerate(properties):
                batch.add_object(values, uuid=object_id(number), vector=rows[number])
        acknowledged_s = time.perf_counter() - began
        assert not target.batch.failed_objects, target.batch.failed_objects[:1]
    finally:
        client.close()
    ServerClient(server).wait_indexed()
    return Import(count, count / acknowledged_s, count / (time.perf_counter() - began))


def measure_points(
    server: ServerProcess,
    vectors: Vectors,
    collection: str,
    properties: Sequence[str],
    *,
    seconds: float,
    sweep: Sequence[int] = EF_SWEEP,
) -> list[ServerPoint]:
    """Raise ef until the wanted recall is passed; recall is taken from the replies themselves."""
    client = ServerClient(server)
    load = LoadGenerator(build_load_generator(), f"127.0.0.1:{server.grpc_port}")
    points: list[ServerPoint] = []
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        requests = Path(scratch) / "requests"
        write_messages(requests, vector_requests(collection, vectors.queries, properties))
        for ef in sweep:
            client.set_ef(collection, ef)
            once = load.run(SEARCH, requests, in_flight=2, seconds=120, keep_replies=True)
            assert once.errors == 0, once.first_error
            recall = vectors.recall([found_numbers(reply) for reply in once.replies])
            if recall < RECALL_WANTED - 0.06 and ef != sweep[-1]:
                continue
            eight = load.best_of_three(SEARCH, requests, in_flight=8, seconds=seconds)
            one = load.best_of_three(SEARCH, requests, in_flight=1, seconds=seconds)
            points.append(ServerPoint(ef, recall, eight, one))
            if recall >= RECALL_WANTED:
                break
    return points


def measure_restart(server: ServerProcess, vectors: Vectors, collection: str) -> Restart:
    """SIGKILL, start, ask until a search answers; then look whether answers are right."""
    pending = ServerClient(server).pending()
    server.kill()
    load_binary = build_load_generator()
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        requests = Path(scratch) / "requests"
        write_messages(requests, vector_requests(collection, vectors.rows[:20], []))
        began = time.perf_counter()
        server.start()
        load = LoadGenerator(load_binary, f"127.0.0.1:{server.grpc_port}")
        load.run(SEARCH, requests, in_flight=1, seconds=60, count=1)
        seconds = time.perf_counter() - began
        answer = load.run(SEARCH, requests, in_flight=1, seconds=60, keep_replies=True)
    found = [found_numbers(reply) for reply in answer.replies]
    right = sum(bool(items) and items[0] == number for number, items in enumerate(found))
    return Restart(len(vectors.rows), seconds, pending, answer.errors == 0 and right >= 19)


def create(server: ServerProcess, name: str, properties: Mapping[str, str], **more: str) -> None:
    """Create a collection for a run."""
    definition = collection_definition(name, properties, **more)
    ServerClient(server).call("POST", "/schema", definition)


def measure_server(
    vectors: Vectors,
    scratch: Path,
    *,
    seconds: float,
    client_objects: int,
    tell: Callable[[str], None],
) -> ServerResult:
    """Everything over one server with one collection, then the client's import into another."""
    requests = scratch / "batches"
    count = len(vectors.rows)
    write_messages(requests, batch_requests(COLLECTION, object_properties(count), vectors.rows))
    with ServerProcess(scratch / "server") as server:
        create(server, COLLECTION, PROPERTIES)
        result = ServerResult(raw_import(server, requests, count), raw_bytes=vectors.raw_bytes)
        requests.unlink()
        tell(f"raw import {result.raw_import}")
        result.points = measure_points(
            server, vectors, COLLECTION, list(PROPERTIES), seconds=seconds
        )
        tell(f"searches {result.best_point}")
        result.resident_bytes = server.resident_bytes()
        result.anonymous_bytes = server.anonymous_bytes()
        create(server, "BenchClient", PROPERTIES)
        result.client_import = client_import(
            server, vectors, "BenchClient", min(client_objects, count)
        )
        tell(f"client import {result.client_import}")
        ServerClient(server).call("DELETE", "/schema/BenchClient")
    return result


def measure_restarts(
    vectors: Vectors, scratch: Path, *, tell: Callable[[str], None]
) -> dict[str, Restart]:
    """Import everything; SIGKILL right after it, and again when the graph has been saved."""
    requests = scratch / "batches"
    properties = object_properties(len(vectors.rows))
    write_messages(requests, batch_requests(COLLECTION, properties, vectors.rows))
    server = ServerProcess(scratch / "restart", timeout_s=600).start()
    try:
        create(server, COLLECTION, PROPERTIES)
        tell(f"restart import {raw_import(server, requests, len(vectors.rows))}")
        requests.unlink()
        at_once = measure_restart(server, vectors, COLLECTION)
        tell(f"right after the import: {at_once}")
        ServerClient(server).wait_indexed()
        wait_for_snapshot(server.data, len(vectors.rows) * vectors.rows.shape[1] * 4)
        settled = measure_restart(server, vectors, COLLECTION)
        tell(f"settled: {settled}")
    finally:
        server.kill()
    return {"right after the import": at_once, "settled": settled}


def wait_for_snapshot(data: Path, bytes_min: int, timeout_s: float = 300.0) -> None:
    """Wait until about the whole graph lies beside the store: in its snapshot and the log of it."""
    began = time.perf_counter()
    while time.perf_counter() - began < timeout_s:
        if sum(path.stat().st_size for path in data.rglob("*.snapshot*")) >= bytes_min * 0.9:
            return
        time.sleep(1.0)
    raise NeverIndexed(f"no snapshot of {bytes_min} bytes below {data} after {timeout_s} s")
