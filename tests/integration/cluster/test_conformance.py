"""What a real Weaviate answered, replayed against one node and against each of three nodes.

The recordings are of one node. Where three nodes must answer something else, the step is named
here with the reason; every other step that passes on one node passes through each of three. What
does not pass on one node (features that are not built) is not looked at here, except in the
subjects `nodes` and `schema`, of which every step passes there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cluster_trio import ClusterTrio
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

ROOT = Path(__file__).resolve().parents[3]
REPLAY = Path(os.environ.get("WEFTDB_SHARED", ROOT.parent / "shared")) / "conformance/replay.py"
NAMES = ("node1", "node2", "node3")
SERVER = {"QUERY_DEFAULTS_LIMIT": "25", "OBJECTS_TTL_DELETE_SCHEDULE": "@every 1s"}
STATE = ("nodes", "schema")
DATA = (
    "batch-grpc", "batch-rest", "batch-stream", "objects",
    "search-bm25", "search-fetch", "search-hybrid", "search-targets", "search-vector",
)  # fmt: skip
REPLAY_S_MAX = 300.0

THREE = "three nodes are listed, and each says what it holds"
ENOUGH = "three nodes can hold three replicas; one cannot"
COUNTS = "the collection has as many shards as there are nodes"
WIDTHS = "a shard learns the width of vectors from the first that it gets; others may differ"
ONE_SHARD: Mapping[str, str] = {
    "nodes/nodes#01": THREE,
    "nodes/nodes#02": THREE,
    "nodes/nodes#03": THREE,
    "nodes/nodes#08": THREE,
    "nodes/nodes#09": THREE,
    "nodes/nodes#10": THREE,
    "nodes/nodes#12": THREE,
    "nodes/cluster#01": "three nodes agree on the metadata",
    "nodes/cluster#03": "replicas can be moved",
    "schema/sharding-replication#02": "the three shards lie on three nodes",
    "schema/sharding-replication#09": ENOUGH,
    "schema/update#21": ENOUGH,
    "schema/update#23": "what the change before was refused for is possible here",
    "objects/bad-requests#35": "a node that is asked by name has to be there",
}
THREE_SHARDS: Mapping[str, str] = {
    "batch-grpc/objects#06": WIDTHS,
    "batch-grpc/objects#07": WIDTHS,
    "batch-grpc/objects#09": COUNTS,
    "batch-grpc/vectors#04": WIDTHS,
    "batch-rest/objects#14": COUNTS,
    "objects/auto-schema#02": COUNTS,
    "objects/auto-schema#04": COUNTS,
    "objects/auto-schema#11": COUNTS,
    "objects/bad-requests#13": WIDTHS,
    "objects/bad-requests#14": WIDTHS,
    "objects/bad-requests#16": WIDTHS,
    "objects/bad-requests#34": "the object lies on another node than the one that is named",
    "objects/bad-requests#35": "a node that is asked by name has to be there",
    "objects/named-vectors#15": WIDTHS,
    "search-bm25/parameters#07": COUNTS,
}


@pytest.fixture(scope="module", autouse=True)
def _recordings() -> None:
    if not REPLAY.exists():
        pytest.skip(f"no recordings at {REPLAY.parent}; set WEFTDB_SHARED")


@pytest.fixture(scope="module")
def on_one_node(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The steps that fail on a single node."""
    folder = tmp_path_factory.mktemp("one")
    server = ServerProcess(folder / "node1", {**SERVER, "CLUSTER_HOSTNAME": "node1"})
    try:
        return failing(server.start(), (*DATA, *STATE), folder)
    finally:
        server.kill()


@pytest.fixture(scope="module", params=[1, 3], ids=["one-shard", "three-shards"])
def trio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ClusterTrio, int]]:
    """Three nodes whose collections have so many shards unless they ask for a number."""
    extra = {**SERVER, "DEFAULT_SHARDING_COUNT": str(request.param)}
    made = ClusterTrio(tmp_path_factory.mktemp("trio"), NAMES, extra)
    try:
        made.start()
        yield made, request.param
    finally:
        made.close()


def failing(server: ServerProcess, subjects: tuple[str, ...], folder: Path) -> set[str]:
    """Replay subjects; the steps whose answers differ from the recorded ones."""
    report = folder / f"report-{server.http_port}.json"
    command = [
        sys.executable, str(REPLAY), "--report", str(report),
        "--rest", f"http://{server.host}:{server.http_port}",
        "--grpc", f"{server.host}:{server.grpc_port}",
        *(part for subject in subjects for part in ("--only", subject)),
    ]  # fmt: skip
    # 0 is without, 1 with differences, anything else a run that could not be made.
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=REPLAY_S_MAX)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    steps = json.loads(report.read_text())
    assert {step["scenario"].split("/")[0] for step in steps} == set(subjects)
    return {f"{step['scenario']}#{step['step']}" for step in steps if not step["passed"]}


def test_nodes_and_schema_pass_on_one_node(on_one_node: set[str]) -> None:
    assert {step for step in on_one_node if step.startswith(STATE)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_node_answers_as_one(
    trio: tuple[ClusterTrio, int], on_one_node: set[str], name: str, tmp_path: Path
) -> None:
    cluster, shards = trio
    subjects = DATA if shards > 1 else (*DATA, *STATE)
    differs = THREE_SHARDS if shards > 1 else ONE_SHARD
    assert failing(cluster.servers[name], subjects, tmp_path) - on_one_node == set(differs)
