"""Three real servers whose replicas come together: hints, a disk that was lost, comparisons."""

from __future__ import annotations

import shutil
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster_trio import NAMES, ClusterTrio, eventually

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

SOON_S = 90.0
COUNT = 60
BOOK = {
    "class": "Book",
    "properties": [{"name": "title", "dataType": ["text"]}],
    "replicationConfig": {
        "factor": 3,
        "asyncConfig": {"frequency": 2000, "frequencyWhilePropagating": 200, "propagationDelay": 0},
    },
    "shardingConfig": {"desiredCount": 2},
}


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterTrio]:
    made = ClusterTrio(tmp_path_factory.mktemp("convergence"))
    try:
        made.start()
        assert made.ask("n1", "POST", "/schema", BOOK)[0] == 200
        yield made
    finally:
        made.close()


def uid(number: int) -> str:
    return str(uuid.UUID(int=number))


def write(trio: ClusterTrio, node: str, number: int, title: str, *, level: str = "QUORUM") -> None:
    body = {"class": "Book", "id": uid(number), "properties": {"title": title}}
    body["vector"] = [float(number), 1.0]
    path = f"/objects/Book/{uid(number)}?consistency_level={level}"
    status, said = trio.ask(node, "PUT", path, body)
    if status == 404 or (status == 500 and "no object with id" in str(said)):
        status, said = trio.ask(node, "POST", f"/objects?consistency_level={level}", body)
    assert status == 200, (status, said)


def held_by(trio: ClusterTrio, node: str, number: int) -> Any:
    """The title that the replica on `node` has; None where it has none. Why it cannot be asked,
    until n1, which tries again once a second, is connected to it."""
    path = f"/objects/Book/{uid(number)}?node_name={node}"
    status, body = trio.ask("n1", "GET", path)
    if status == 404:
        return None
    if status == 503:
        return f"away: {body}"
    assert status == 200, (status, body)
    return body["properties"]["title"]


def metric(trio: ClusterTrio, node: str, name: str) -> float:
    """The sum of a metric over its labels."""
    url = f"http://127.0.0.1:{trio.servers[node].http_port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    assert found, name
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_who_was_killed_gets_what_it_missed(trio: ClusterTrio) -> None:
    for number in range(COUNT):
        write(trio, NAMES[number % 3], number, "first")
    trio.kill("n3")
    for number in range(COUNT):
        write(trio, NAMES[number % 2], number, "second")
    assert trio.ask("n1", "DELETE", f"/objects/Book/{uid(0)}")[0] == 204
    trio.start("n3")
    for number in range(1, COUNT):
        eventually(lambda n=number: held_by(trio, "n3", n) == "second", SOON_S)  # type: ignore[misc]
    eventually(lambda: held_by(trio, "n3", 0) is None, SOON_S)
    eventually(
        lambda: (
            metric(trio, "n1", "weftdb_hints_waiting") + metric(trio, "n2", "weftdb_hints_waiting")
            == 0
        ),
        SOON_S,
    )


def test_a_coordinator_that_is_killed_has_its_hints_when_it_is_back(trio: ClusterTrio) -> None:
    trio.kill("n3")
    for number in range(100, 100 + COUNT):
        write(trio, "n1", number, "hinted", level="ONE")
    trio.kill("n1")
    trio.kill("n2")
    trio.start(*NAMES)
    for number in range(100, 100 + COUNT):
        for node in NAMES:
            eventually(
                lambda n=number, at=node: held_by(trio, at, n) == "hinted",  # type: ignore[misc]
                SOON_S,
            )


def test_who_lost_its_disk_is_rebuilt(trio: ClusterTrio) -> None:
    for number in range(200, 200 + COUNT):
        write(trio, "n1", number, "kept")
    trio.kill("n2")
    for part in ("rocks", "derived"):
        shutil.rmtree(trio.servers["n2"].data / part, ignore_errors=True)
    write(trio, "n1", 199, "meanwhile")
    trio.start("n2")
    eventually(lambda: metric(trio, "n2", "weftdb_replicas_unvouched") == 0, SOON_S)
    eventually(lambda: metric(trio, "n2", "weftdb_rebuilds_total") == 2, SOON_S)
    eventually(lambda: held_by(trio, "n2", 199) == "meanwhile", SOON_S)
    for number in range(200, 200 + COUNT):
        assert held_by(trio, "n2", number) == "kept"
    assert held_by(trio, "n2", 0) is None, "a deletion was undone"
