"""A node says where others find it, by what they can reach."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from weftdb.cluster.metadata.records import NodeRecord
from weftdb.core.types import NodeName
from weftdb.server.agreement import address as subject
from weftdb.server.agreement.address import node_record, told_address
from weftdb.server.cluster_settings import ClusterSettings, NodeInCluster


def told(asked: tuple[str, ...] = (), **changes: object) -> str:
    cluster = ClusterSettings("managed", data_port=7103, **changes)  # type: ignore[arg-type]  # Of the test.
    return told_address(NodeInCluster(NodeName("no-such-node"), cluster), asked)


def test_what_the_settings_say_comes_first() -> None:
    assert told(advertise_host="db.example", advertise_port=99) == "db.example:99"
    assert told(in_localhost=True) == "127.0.0.1:7103"


def test_the_host_that_goes_with_the_name_is_told() -> None:
    hosts = "other=db-1,no-such-node=db-2"
    assert told(hosts=hosts) == "db-2:7103"
    assert told(hosts=hosts, certificate=Path("c")) == "db-2:7103"
    assert told(hosts="other=db-1") == "no-such-node:7103"


def test_certificates_need_names() -> None:
    assert told(certificate=Path("c")) == "no-such-node:7103"
    assert told(certificate=Path("c"), domain="weft.svc") == "no-such-node.weft.svc:7103"


def test_a_name_that_resolves_to_this_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, *_: object, **__: object) -> object:
        assert name == "no-such-node"
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("0.0.0.0", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert told() == "no-such-node:7103"


def test_a_name_that_resolves_elsewhere_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = ("127.0.0.1", "192.0.2.1")
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 0)) for host in hosts]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(subject, "_way_to", lambda _: "10.1.2.3")
    assert told(("other:8301",)) == "10.1.2.3:7103"


def test_without_a_way_the_name_has_to_do() -> None:
    assert told(("no-such-name.invalid:8301", "127.0.0.1:8301")) == "no-such-node:7103"


def test_the_record_tells_room_in_steps(tmp_path: Path) -> None:
    record = node_record("h:1", 3, tmp_path)
    one, two = (NodeRecord.decode("", record()) for _ in range(2))
    assert (one.address, one.generation) == ("h:1", 3)
    assert one == two
    assert one.disk_free_bytes > 0
