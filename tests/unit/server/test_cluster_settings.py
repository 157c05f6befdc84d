"""Which settings make a node of a cluster, and which contradict each other."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from weftdb.server.cluster_settings import ETCD, LOCAL, MANAGED, SECRET_CHARS_MIN
from weftdb.server.etcd.member_plan import ask_at, seats
from weftdb.server.internode import security
from weftdb.server.settings import BadSettings, ServerSettings, load_settings


def test_both_who_check_the_secret_agree() -> None:
    assert SECRET_CHARS_MIN == security.SECRET_CHARS_MIN


def settings(environment: dict[str, str]) -> ServerSettings:
    return load_settings(environment, {}).settings


REFERENCE_TRIO = {
    "CLUSTER_HOSTNAME": "node2",
    "CLUSTER_GOSSIP_BIND_PORT": "7102",
    "CLUSTER_DATA_BIND_PORT": "7103",
    "CLUSTER_JOIN": "node1:7100",
    "RAFT_JOIN": "node1,node2,node3",
    "RAFT_BOOTSTRAP_EXPECT": "3",
}


def test_a_trio_of_the_reference_is_a_managed_cluster() -> None:
    found = settings(REFERENCE_TRIO)
    node = found.in_cluster
    assert (node.kind, node.node, node.cluster.node_port) == (MANAGED, "node2", 7103)
    assert node.cluster.told_port == 7103
    assert node.cluster.bind_host == "0.0.0.0"
    member = node.cluster.member(node.node)
    assert [seat.endpoint for seat in seats(member)] == ["node1:8301", "node2:8301", "node3:8301"]
    assert ask_at(member)[0] == "node2:8301"


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, LOCAL),
        ({"CLUSTER_HOSTNAME": "n", "RAFT_JOIN": "n", "RAFT_BOOTSTRAP_EXPECT": "1"}, LOCAL),
        ({"CLUSTER_HOSTNAME": "n", "RAFT_JOIN": "n", "CLUSTER_JOIN": "svc.cluster.local"}, LOCAL),
        ({"CLUSTER_HOSTNAME": "n", "CLUSTER_JOIN": "n:7946"}, LOCAL),
        ({"CLUSTER_HOSTNAME": "n", "CLUSTER_JOIN": "m:7946"}, MANAGED),
        ({"CLUSTER_HOSTNAME": "n", "RAFT_JOIN": "m"}, MANAGED),
        ({"CLUSTER_HOSTNAME": "n", "CLUSTER_METADATA": "managed"}, MANAGED),
        ({"CLUSTER_METADATA": "etcd", "WEFTDB_ETCD_ENDPOINTS": "a:1, b:2"}, ETCD),
    ],
)
def test_what_makes_a_cluster(environment: dict[str, str], kind: str) -> None:
    node = settings(environment).in_cluster
    assert node.kind == kind
    assert node.is_cluster == (kind != LOCAL)


def test_a_node_without_a_name_is_called_as_its_machine() -> None:
    found = settings({"CLUSTER_METADATA": "managed"})
    assert found.engine.node_name == socket.gethostname()
    assert settings({}).engine.node_name == "node1"


def test_names_are_completed_with_the_domain() -> None:
    found = settings({**REFERENCE_TRIO, "WEFTDB_CLUSTER_DOMAIN": "weft.svc"}).in_cluster
    member = found.cluster.member(found.node)
    assert seats(member)[0].peer_url == "http://node1.weft.svc:8300"
    assert ask_at(member)[0] == "node2.weft.svc:8301"


def test_names_of_nodes_have_hosts_of_other_names() -> None:
    hosts = "node1=weaviate-node-1, node2=10.0.0.2"
    found = settings({**REFERENCE_TRIO, "WEFTDB_CLUSTER_HOSTS": hosts}).in_cluster
    urls = [seat.peer_url for seat in seats(found.cluster.member(found.node))]
    expected = ["http://weaviate-node-1:8300", "http://10.0.0.2:8300", "http://node3:8300"]
    assert urls == expected


def test_all_on_one_machine_listen_on_loopback() -> None:
    ports = {"RAFT_JOIN": "node1:8300,node2:8302", "RAFT_PORT": "8302"}
    alone = {**ports, "RAFT_BOOTSTRAP_EXPECT": "2", "RAFT_INTERNAL_RPC_PORT": "8303"}
    found = settings({**REFERENCE_TRIO, **alone, "CLUSTER_IN_LOCALHOST": "true"}).cluster
    assert found.bind_host == "127.0.0.1"
    gossip = {**REFERENCE_TRIO, "CLUSTER_DATA_BIND_PORT": "", "CLUSTER_GOSSIP_BIND_PORT": "7200"}
    assert settings(gossip).cluster.node_port == 7201


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"CLUSTER_METADATA": "zookeeper"}, "expected one of local, managed, etcd"),
        ({**REFERENCE_TRIO, "CLUSTER_METADATA": "local"}, "ask for others"),
        ({"CLUSTER_METADATA": "etcd"}, "needs WEFTDB_ETCD_ENDPOINTS"),
        ({"CLUSTER_METADATA": "etcd", "WEFTDB_ETCD_ENDPOINTS": "a"}, "'a' is no host:port"),
        ({**REFERENCE_TRIO, "RAFT_BOOTSTRAP_EXPECT": "4"}, "could never begin"),
        ({**REFERENCE_TRIO, "RAFT_BOOTSTRAP_EXPECT": "10"}, "a whole number from 1 to 9"),
        ({**REFERENCE_TRIO, "RAFT_JOIN": "node1,node1"}, "names node1 twice"),
        ({**REFERENCE_TRIO, "WEFTDB_CLUSTER_HOSTS": "node1"}, "'node1' is no name=host"),
        ({**REFERENCE_TRIO, "WEFTDB_CLUSTER_HOSTS": "a=b:1"}, "'a=b:1' is no name=host"),
        ({**REFERENCE_TRIO, "WEFTDB_CLUSTER_HOSTS": "a=b,a=c"}, "names a twice"),
        ({**REFERENCE_TRIO, "RAFT_JOIN": "node1:x"}, "no port behind its colon"),
        ({**REFERENCE_TRIO, "RAFT_INTERNAL_RPC_PORT": "8300"}, "8300"),
        ({**REFERENCE_TRIO, "RAFT_PORT": "7103"}, "ports for other nodes are the same"),
        ({**REFERENCE_TRIO, "CLUSTER_HOSTNAME": "a/b"}, "a node's name has none of"),
        ({**REFERENCE_TRIO, "WEFTDB_CLUSTER_NAME": "a/b"}, "has no slash"),
        ({**REFERENCE_TRIO, "WEFTDB_CLUSTER_KEY": "/k.pem"}, "go together"),
        ({**REFERENCE_TRIO, "CLUSTER_BASIC_AUTH_PASSWORD": "short"}, "16 is the least"),
        ({**REFERENCE_TRIO, "WEFTDB_ETCD_USER": "u"}, "go together"),
        ({**REFERENCE_TRIO, "WEFTDB_ETCD_AUTHORITY": "/no.pem"}, "there is no file /no.pem"),
        ({**REFERENCE_TRIO, "RAFT_BOOTSTRAP_TIMEOUT": "soon"}, "a time of at least"),
        ({"REPLICATION_MINIMUM_FACTOR": "2"}, "one node holds one replica"),
        (
            {
                **REFERENCE_TRIO,
                "REPLICATION_MINIMUM_FACTOR": "3",
                "REPLICATION_MAXIMUM_FACTOR": "2",
            },
            "is above REPLICATION_MAXIMUM_FACTOR=2",
        ),
    ],
)
def test_contradictions_are_refused_by_name(environment: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings, match=re.escape(words)):
        load_settings(environment, {})


def test_certificates_are_three_files_that_exist(tmp_path: Path) -> None:
    files = {}
    for name in ("authority", "certificate", "key"):
        path = tmp_path / f"{name}.pem"
        path.write_text("")
        files[f"WEFTDB_CLUSTER_{name.upper()}"] = str(path)
    found = settings({**REFERENCE_TRIO, **files}).in_cluster
    assert found.cluster.member(found.node).is_encrypted
    with pytest.raises(BadSettings, match="go together"):
        settings({**REFERENCE_TRIO, **dict(list(files.items())[:2])})
