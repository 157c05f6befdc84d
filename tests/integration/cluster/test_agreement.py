"""Three real servers become a cluster: one schema on all, through deaths and absences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.cluster_trio import NAMES, ClusterTrio, eventually
from tests.server_process import ServerDidNotStart, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

BOOK = {"class": "Book", "replicationConfig": {"factor": 3}}


@pytest.fixture(autouse=True)
def _clean(trio: ClusterTrio) -> Iterator[None]:
    yield
    for item in trio.ask("n1", "GET", "/schema")[1]["classes"]:
        assert trio.ask("n1", "DELETE", f"/schema/{item['class']}")[0] == 200


def definition(trio: ClusterTrio, node: str, name: str = "Book") -> Any:
    return trio.ask(node, "GET", f"/schema/{name}")[1]


def has_properties(trio: ClusterTrio, node: str, names: list[str]) -> bool:
    return [item["name"] for item in definition(trio, node)["properties"]] == names


def test_what_one_node_makes_is_on_all_at_once(trio: ClusterTrio) -> None:
    assert trio.ask("n1", "POST", "/schema", BOOK)[0] == 200
    first = definition(trio, "n1")
    assert [definition(trio, name) for name in NAMES] == [first] * 3
    assert first["shardingConfig"]["actualCount"] == 3
    word = {"name": "word", "dataType": ["text"]}
    for number, node in enumerate(NAMES):
        added = {**word, "name": f"word{number}"}
        assert trio.ask(node, "POST", "/schema/Book/properties", added)[0] == 200
    names = ["word0", "word1", "word2"]
    for node in NAMES:
        eventually(partial(has_properties, trio, node, names))
    assert trio.ask("n2", "DELETE", "/schema/Book")[0] == 200
    eventually(lambda: all(trio.ask(n, "GET", "/schema/Book")[0] == 404 for n in NAMES))


def test_more_replicas_than_nodes_are_refused(trio: ClusterTrio) -> None:
    status, body = trio.ask("n1", "POST", "/schema", {**BOOK, "replicationConfig": {"factor": 4}})
    assert status == 422
    assert "3 available, 4 requested" in body["error"][0]["message"]


def test_a_node_that_was_killed_makes_up_for_what_it_missed(trio: ClusterTrio) -> None:
    assert trio.ask("n1", "POST", "/schema", BOOK)[0] == 200
    assert definition(trio, "n3")["class"] == "Book"
    trio.kill("n3")
    assert trio.ask("n2", "DELETE", "/schema/Book")[0] == 200
    made = trio.ask("n2", "POST", "/schema", {**BOOK, "description": "another one"})
    assert made[0] == 200, "a majority agrees"
    trio.start("n3")
    assert definition(trio, "n3")["description"] == "another one"


def test_without_a_majority_the_schema_stands_and_changes_are_refused(trio: ClusterTrio) -> None:
    assert trio.ask("n1", "POST", "/schema", BOOK)[0] == 200
    trio.kill("n2")
    trio.kill("n3")
    try:
        eventually(lambda: trio.ask("n1", "POST", "/schema", {"class": "Other"})[0] == 503)
        assert definition(trio, "n1")["class"] == "Book"
        assert trio.ask("n1", "GET", "/schema/Other")[0] == 404
    finally:
        trio.start("n2", "n3")
    eventually(lambda: trio.ask("n1", "POST", "/schema", {"class": "Other"})[0] in (200, 422))


def test_a_second_process_of_a_nodes_name_without_its_data_takes_over(trio: ClusterTrio) -> None:
    """Names must differ: the one that came later stands, and the first one stops by itself."""
    taken = trio.servers["n3"]
    log = taken.log.read_bytes()
    port = trio.servers["n1"].environment["RAFT_INTERNAL_RPC_PORT"]
    environment = dict(taken.environment) | {
        "CLUSTER_METADATA": "etcd",
        "WEFTDB_ETCD_ENDPOINTS": f"127.0.0.1:{port}",
        "CLUSTER_DATA_BIND_PORT": "65001",
    }
    double = ServerProcess(taken.data.parent / "double", environment, timeout_s=60.0)
    try:
        double.start()
        eventually(lambda: b"another process has taken the name n3" in taken.log.read_bytes())
        assert b"another process" not in log
    finally:
        double.kill()
        taken.kill()
        trio.start("n3")


def test_the_data_of_a_cluster_is_no_single_nodes(trio: ClusterTrio) -> None:
    trio.servers["n3"].stop()
    alone = ServerProcess(trio.servers["n3"].data, {}, timeout_s=60.0)
    try:
        with pytest.raises(ServerDidNotStart, match="of a cluster"):
            alone.start()
    finally:
        trio.start("n3")
