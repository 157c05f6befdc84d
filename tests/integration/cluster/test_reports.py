"""What a client is told of the nodes, by whichever node it asks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import weaviate

from tests.cluster_trio import NAMES, ClusterTrio, eventually

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterTrio]:
    made = ClusterTrio(tmp_path_factory.mktemp("trio"))
    try:
        made.start()
        status, _ = made.ask(
            "n1", "POST", "/schema", {"class": "Book", "replicationConfig": {"factor": 2}}
        )
        assert status == 200
        yield made
    finally:
        made.close()


def nodes(trio: ClusterTrio, asked: str, path: str = "/nodes?output=verbose") -> dict[str, Any]:
    status, body = trio.ask(asked, "GET", path)
    assert status == 200, body
    return {node["name"]: node for node in body["nodes"]}


def all_are_healthy(trio: ClusterTrio, asked: str) -> bool:
    return all(node["status"] == "HEALTHY" for node in nodes(trio, asked).values())


def test_every_node_tells_of_all(trio: ClusterTrio) -> None:
    for asked in NAMES:
        assert trio.ask(asked, "GET", "/schema/Book")[0] == 200
        eventually(partial(all_are_healthy, trio, asked))
        found = nodes(trio, asked)
        assert sorted(found) == list(NAMES)
        assert sum(node["stats"]["shardCount"] for node in found.values()) == 6
        for node in found.values():
            assert node["version"] == "1.39.0"
            for shard in node["shards"]:
                assert (shard["class"], shard["replicationFactor"]) == ("Book", 2)
                assert shard["numberOfReplicas"] == 2
    assert nodes(trio, "n2", "/nodes")["n1"]["shards"] is None
    assert trio.ask("n2", "GET", "/nodes/Nothing")[0] == 404


def test_sharding_state_and_shards_agree(trio: ClusterTrio) -> None:
    status, body = trio.ask("n2", "GET", "/replication/sharding-state?collection=book")
    assert status == 200
    shards = body["shardingState"]["shards"]
    assert len(shards) == 3
    assert all(len(shard["replicas"]) == 2 for shard in shards)
    one = shards[0]["shard"]
    path = f"/replication/sharding-state?collection=Book&shard={one}"
    assert trio.ask("n3", "GET", path)[1]["shardingState"]["shards"] == shards[:1]
    assert trio.ask("n1", "GET", "/replication/sharding-state?collection=Nothing")[0] == 404
    assert trio.ask("n1", "GET", "/replication/sharding-state")[0] == 400
    listed = trio.ask("n3", "GET", "/schema/Book/shards")[1]
    states = {item["name"]: sorted(item["per_node_status"]) for item in listed}
    assert states == {shard["shard"]: sorted(shard["replicas"]) for shard in shards}


def test_statistics_name_one_leader(trio: ClusterTrio) -> None:
    found = [trio.ask(name, "GET", "/cluster/statistics")[1] for name in NAMES]
    leaders = {each["leaderId"] for body in found for each in body["statistics"]}
    assert len(leaders) == 1
    assert leaders < set(NAMES)
    assert all(body["synchronized"] for body in found)
    assert all(each["isVoter"] for each in found[0]["statistics"])
    own = next(each for each in found[0]["statistics"] if each["name"] == "n1")
    assert int(own["raft"]["appliedIndex"]) == own["lastAppliedIndex"] > 0
    assert own["raft"]["numPeers"] == "2"


def test_the_official_client_reads_it(trio: ClusterTrio) -> None:
    server = trio.servers["n3"]
    with weaviate.connect_to_local(
        port=server.http_port, grpc_port=server.grpc_port, skip_init_checks=True
    ) as client:
        found = client.cluster.nodes(output="verbose")
        assert sorted(node.name for node in found) == list(NAMES)
        assert sum(len(node.shards or ()) for node in found) == 6
        state = client.cluster.query_sharding_state(collection="Book")
        assert state is not None
        assert len(state.shards) == 3


def test_a_node_that_is_gone_is_told(trio: ClusterTrio) -> None:
    trio.kill("n3")
    eventually(lambda: nodes(trio, "n1")["n3"]["status"] == "UNAVAILABLE", 60)
    gone = nodes(trio, "n1")["n3"]
    assert gone["shards"] is None
    assert gone["batchStats"] == {"queueLength": 0, "ratePerSecond": 0}
    assert trio.ask("n1", "GET", "/cluster/statistics")[1]["synchronized"] is False
    trio.start("n3")
    eventually(lambda: nodes(trio, "n1")["n3"]["status"] == "HEALTHY", 60)
