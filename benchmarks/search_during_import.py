"""`python -m benchmarks.search_during_import`: searches over gRPC beside an import at full speed.

    python -m benchmarks.search_during_import [--scale small|full] [--set NAME=VALUE] [--save NAME]

One server, one collection. First searches alone, then the same searches while a process of its own
imports more objects with the official client at full speed, and, as a floor, while that process
burns its processor without talking to us. The wanted: p95 during an import within twice idle.

The importing client shares our processors at usual priority, as a client on the same machine does.
The load generator does not compete for them: it measures the server, and its own wait for a
processor is none of the server's. In every phase alike it runs in real time (`chrt -r 1`) where
that is permitted; where it is not, its waits are in the numbers, and output and page say so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tests.server_process import ServerProcess

from .floors import Floor
from .loadgen import build_load_generator, write_messages
from .machine import describe_machine
from .material import clustered
from .report import write_report
from .server_client import ServerClient, collection_definition
from .server_run import COLLECTION, PROPERTIES, object_properties, raw_import
from .wire import SEARCH, batch_requests, vector_requests

SCALES = {"small": (20_000, 4.0), "full": (200_000, 20.0)}
DIMENSIONS = 100
IN_FLIGHT = (1, 8)
RATIO_WANTED = 2.0
_REAL_TIME = ("chrt", "-r", "1")

IMPORTER = """
import sys, uuid, numpy as np, weaviate
from weaviate.classes.init import AdditionalConfig, Timeout
http, grpc, rows, requests = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
rows = np.load(rows).tolist()
client = weaviate.connect_to_local(
    port=http, grpc_port=grpc, additional_config=AdditionalConfig(timeout=Timeout(insert=300))
)
target = client.collections.get("Bench")
print("go", flush=True)
with target.batch.fixed_size(batch_size=1000, concurrent_requests=requests) as batch:
    while True:
        for number, row in enumerate(rows):
            batch.add_object({"name": f"object number {number}", "number": number}, vector=row)
"""
BURNER = """
print("go", flush=True)
while True:
    sum(range(1000))
"""


@dataclass(frozen=True)
class Latency:
    """Searches of one phase at one number in flight."""

    phase: str
    in_flight: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    imported_per_s: float = 0.0
    """Objects, meanwhile."""


@cache
def undisturbed() -> tuple[str, ...]:
    """What to put before a command so that it gets a processor whenever it wants one; empty where
    this user may not ask for it."""
    if shutil.which(_REAL_TIME[0]) is None:
        return ()
    tried = subprocess.run([*_REAL_TIME, "true"], capture_output=True, timeout=10, check=False)
    return _REAL_TIME if tried.returncode == 0 else ()


def priority() -> str:
    """How the load generator runs, in words."""
    if undisturbed():
        return f"in real time ({' '.join(_REAL_TIME)}), in all phases"
    return "at usual priority (real time is not permitted here): its own waits are in the numbers"


def measure(
    server: ServerProcess, requests: Path, phase: str, in_flight: int, seconds: float
) -> Latency:
    """Search for `seconds`, closed loop."""
    command = [
        *undisturbed(), str(build_load_generator()), "run",
        "-addr", f"127.0.0.1:{server.grpc_port}", "-method", SEARCH,
        "-in", str(requests), "-streams", str(in_flight),
        "-duration", f"{seconds}s", "-count", "10000000", "-json",
    ]  # fmt: skip
    client = ServerClient(server)
    before, began = _objects(client), time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 120, check=True
    )
    imported_per_s = (_objects(client) - before) / (time.perf_counter() - began)
    result = json.loads(done.stdout)
    assert not result["errors"], result["first_error"]
    figures = [round(float(result[name]), 3) for name in ("rps", "p50_ms", "p95_ms", "p99_ms")]
    return Latency(phase, in_flight, *figures, round(imported_per_s))


def _beside(
    command: list[str], work: list[Latency], runs: list[tuple[str, int]], **how: object
) -> None:
    """Run searches while `command` runs."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(2.0)
        for phase, in_flight in runs:
            work.append(measure(phase=phase, in_flight=in_flight, **how))
            print(" ", work[-1], flush=True)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def run(count: int, seconds: float, scratch: Path, environment: dict[str, str]) -> list[Latency]:
    """All phases on one server."""
    vectors = clustered(count, DIMENSIONS)
    batches, searches, rows = scratch / "batches", scratch / "searches", scratch / "rows.npy"
    write_messages(batches, batch_requests(COLLECTION, object_properties(count), vectors.rows))
    write_messages(searches, vector_requests(COLLECTION, vectors.queries, list(PROPERTIES)))
    np.save(rows, vectors.rows[:20_000])
    found: list[Latency] = []
    with ServerProcess(scratch / "server", environment) as server:
        client = ServerClient(server)
        client.call("POST", "/schema", collection_definition(COLLECTION, PROPERTIES))
        print(f"  {raw_import(server, batches, count)}", flush=True)
        how = {"server": server, "requests": searches, "seconds": seconds}
        for in_flight in IN_FLIGHT:
            found.append(measure(server, searches, "idle", in_flight, seconds))
            print(" ", found[-1], flush=True)
        runs = [("burner", in_flight) for in_flight in IN_FLIGHT]
        _beside([sys.executable, "-c", BURNER], found, runs, **how)
        command = [
            sys.executable, "-W", "ignore", "-c", IMPORTER,
            str(server.http_port), str(server.grpc_port), str(rows), "2",
        ]  # fmt: skip
        runs = [("import", in_flight) for in_flight in IN_FLIGHT]
        _beside(command, found, runs, **how)
        print(f"  {client.pending()} pending")
    return found


def _objects(client: ServerClient) -> int:
    nodes = client.call("GET", "/nodes?output=verbose")["nodes"]
    return int(nodes[0]["stats"]["objectCount"])


def floors_of(found: list[Latency]) -> list[Floor]:
    """The promise at each number in flight."""
    by_key = {(item.phase, item.in_flight): item for item in found}
    floors = []
    for in_flight in IN_FLIGHT:
        idle, burner = by_key["idle", in_flight], by_key["burner", in_flight]
        beside_import = by_key["import", in_flight]
        floors.append(
            Floor(
                f"p95 during an import beside idle, {in_flight} in flight",
                beside_import.p95_ms / idle.p95_ms,
                RATIO_WANTED,
                at_most=True,
                detail=f"{beside_import.p95_ms} against {idle.p95_ms} ms; beside a busy processor "
                f"{burner.p95_ms / idle.p95_ms:.2f} x; {beside_import.imported_per_s:,.0f} "
                "objects/s meanwhile",
            )
        )
    return floors


def main() -> int:
    """Measure and print; the exit status says whether the wanted ratio was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=sorted(SCALES), default="small")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="environment of the server"
    )
    parser.add_argument("--save", help="write results/NAME.md and .json")
    chosen = parser.parse_args()
    environment = dict(item.split("=", 1) for item in chosen.set)
    print(f"  the load generator runs {priority()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="weft-during-") as scratch:
        found = run(*SCALES[chosen.scale], Path(scratch), environment)
    floors = floors_of(found)
    for floor in floors:
        print(floor)
    if chosen.save:
        phases = {f"{item.phase}, {item.in_flight} in flight": item for item in found}
        machine = {
            **describe_machine(),
            "load generator": priority(),
            "importing client": "the official one, 2 requests at a time, at usual priority",
            "server": " ".join(chosen.set) or "default settings",
        }
        page = write_report(chosen.save, machine=machine, results=phases, floors=floors)
        print(f"written: {page}")
    return 0 if all(floor.is_met for floor in floors) else 1


if __name__ == "__main__":
    sys.exit(main())
