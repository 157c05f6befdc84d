"""Nodes whose names no name server knows find each other by the hosts that they are given."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cluster_trio import ClusterTrio, eventually

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

NAMES = ("one.invalid", "two.invalid", "three.invalid")
HOSTS = ",".join(f"{name}=127.0.0.1" for name in NAMES)


def test_names_of_nodes_need_not_resolve(tmp_path: Path) -> None:
    for name in NAMES:
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo(name, 80)
    extra = {
        "CLUSTER_IN_LOCALHOST": "false",
        "WEFTDB_CLUSTER_BIND": "127.0.0.1",
        "WEFTDB_CLUSTER_HOSTS": HOSTS,
    }
    trio = ClusterTrio(tmp_path, NAMES, extra)
    try:
        trio.start()
        body = {"class": "Book", "replicationConfig": {"factor": 3}}
        assert trio.ask(NAMES[0], "POST", "/schema", body)[0] == 200
        thing = {"class": "Book", "properties": {"title": "found"}}
        status, made = trio.ask(NAMES[1], "POST", "/objects?consistency_level=ALL", thing)
        assert status == 200, made
        for name in NAMES:
            found = trio.ask(NAMES[2], "GET", f"/objects/Book/{made['id']}?node_name={name}")
            assert found[0] == 200, found
        trio.kill(NAMES[0])
        trio.start(NAMES[0])
        eventually(
            lambda: (
                [node["status"] for node in trio.ask(NAMES[1], "GET", "/nodes")[1]["nodes"]]
                == ["HEALTHY"] * 3
            )
        )
    finally:
        trio.close()
