"""The metadata is opened as the settings ask: a member of one's own, or somebody else's etcd."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.etcd_process import EtcdProcess, etcd_binary
from tests.etcd_trio import pairs
from tests.server_process import free_ports
from weftdb.cluster.metadata.store import Committed, Put, Transaction
from weftdb.core.env import SystemClock
from weftdb.core.errors import CommitUnknown, MetadataUnavailable, WeftError
from weftdb.core.types import NodeName
from weftdb.server.agreement import metadata as subject
from weftdb.server.agreement.metadata import open_metadata, patiently
from weftdb.server.cluster_settings import ClusterSettings, EtcdServerSettings, NodeInCluster

pytestmark = [pytest.mark.xdist_group("etcd")]


def test_a_managed_node_alone_starts_its_own_etcd_and_keeps_it(tmp_path: Path) -> None:
    (port,) = pairs(1)
    cluster = ClusterSettings(
        "managed", raft_port=port, raft_client_port=port + 1, in_localhost=True
    )
    settings = NodeInCluster(
        NodeName("n1"), cluster, EtcdServerSettings(binary=etcd_binary(), timeout_s=10.0)
    )
    for life in range(2):
        opened = open_metadata(settings, tmp_path, SystemClock(), random.Random())
        try:
            assert opened.member is not None
            assert opened.member.pid is not None
            key = f"/t/{life}"
            assert isinstance(opened.store.commit(Transaction((Put(key, b"x"),))), Committed)
            assert opened.reads.get("/t/0") is not None
        finally:
            opened.close()


def test_somebody_elses_etcd_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    etcd = EtcdProcess(tmp_path / "data")
    etcd.peer_port, etcd.client_port = free_ports(2)
    settings = NodeInCluster(
        NodeName("n1"),
        ClusterSettings("etcd", bootstrap_timeout_s=60.0),
        EtcdServerSettings(etcd.endpoint, timeout_s=1.0),
    )

    def start_late() -> None:
        time.sleep(1.5)
        etcd.start()

    starter = threading.Thread(target=start_late)
    starter.start()
    try:
        opened = open_metadata(settings, tmp_path, SystemClock(), random.Random())
        assert opened.member is None
        assert opened.store.get("/t/none") is None
        opened.close()
        assert f"waiting for the metadata of the cluster: {etcd.endpoint}" in caplog.text
    finally:
        starter.join()
        etcd.stop()


def test_a_start_is_patient_until_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "PAUSE_S", 0.01)
    clock = SystemClock()
    outcomes: list[WeftError] = [MetadataUnavailable("slow"), CommitUnknown("lost")]

    def work() -> str:
        if outcomes:
            raise outcomes.pop()
        return "done"

    assert patiently(work, clock.monotonic_s() + 20, clock) == "done"
    outcomes.append(MetadataUnavailable("slow"))
    with pytest.raises(MetadataUnavailable, match="slow"):
        patiently(work, clock.monotonic_s() - 1, clock)


def test_an_etcd_that_never_comes_is_an_error(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = NodeInCluster(
        NodeName("n1"),
        ClusterSettings("etcd", bootstrap_timeout_s=0.5),
        EtcdServerSettings(f"127.0.0.1:{port}", timeout_s=0.5),
    )
    with pytest.raises(MetadataUnavailable, match=f"127.0.0.1:{port}"):
        open_metadata(settings, tmp_path, SystemClock(), random.Random())
