"""Every check can fail: a planted loss, a deletion undone, unequal digests, a failed request, a
skew that is not there, a run that does not end."""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import weaviate
from grpc import RpcError, StatusCode
from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.retry import _Retry

from tests.chaos import campaign, checking
from tests.chaos.__main__ import _shown
from tests.chaos.checking import check, unequal, wait_for_equal_replicas
from tests.chaos.cluster import LAUNCHER, NAME, ChaosCluster
from tests.chaos.faults import SKEW_MS
from tests.chaos.ledger import Ledger
from tests.chaos.load import Content, Nodes, NotAnswered, Writer
from tests.chaos.report import Report
from tests.chaos.run import FACTOR, create
from tests.chaos.skewed_server import offset_read
from tests.etcd_process import etcd_binary
from tests.server_process import ServerProcess

NODES = ("n1", "n2", "n3")
SAME = {"converged": True, "digests": dict.fromkeys(NODES, "aa")}


@pytest.mark.parametrize(
    "shards",
    [
        [],
        [SAME, SAME],
        [SAME, SAME, {**SAME, "digests": {"n1": "aa", "n2": "aa", "n3": "bb"}}],
        [SAME, SAME, {**SAME, "digests": {"n1": "aa", "n2": "aa"}}],
        [SAME, SAME, {**SAME, "converged": False}],
    ],
)
def test_replicas_that_are_missing_or_differ_are_unequal(shards: list[dict[str, Any]]) -> None:
    assert unequal(shards, count=3, factor=3)


def test_replicas_with_one_digest_are_equal() -> None:
    assert unequal([SAME, SAME, SAME], count=3, factor=3) == []


class StandIn:
    """A cluster of which a test says what it answers, and which node a fault is on."""

    names = NODES

    def __init__(self, *, on: str = "", digests: str = "aaa", status: int = 200) -> None:
        self.on = on
        self.status = status
        self.shard = {**SAME, "digests": dict(zip(NODES, digests, strict=True))}

    def ask(self, *_: Any) -> tuple[int, Any]:
        return self.status, [self.shard] * len(self.names)

    def mark(self) -> int:
        return 0

    def is_on(self, node: str, for_s: float = 0.0) -> bool:
        return node == self.on

    def fault_since(self, _mark: int, node: str) -> str:
        return "kill" if node == self.on else ""


def of(stand_in: StandIn) -> ChaosCluster:
    return cast(ChaosCluster, stand_in)


@pytest.mark.parametrize(("digests", "status"), [("aab", 200), ("aaa", 503)])
def test_digests_that_stay_unequal_break_a_run(
    monkeypatch: pytest.MonkeyPatch, digests: str, status: int
) -> None:
    monkeypatch.setattr(checking, "CONVERGED_S_MAX", 0.0)
    report = Report("chaos", "abc", 3, 1, Ledger(), checked=1)
    wait_for_equal_replicas(of(StandIn(digests=digests, status=status)), report.ledger, FACTOR)
    assert not report.is_clean
    assert "replicas differ" in report.page()


class OneAnswer(Nodes):
    """Clients that are never made."""

    def _collection(self, name: str) -> Any:
        return name


@pytest.mark.parametrize("home", ["", "n2"])
def test_a_request_that_a_living_node_fails_breaks_a_run(home: str) -> None:
    report = Report("chaos", "abc", 3, 1, Ledger(), checked=1)
    nodes = OneAnswer(of(StandIn()), report.ledger, random.Random(1), home)

    def fail(_: object) -> None:
        raise ConnectionError("gone")

    with pytest.raises(NotAnswered):
        nodes.ask_once("insert", fail, is_write=True)
    assert not report.is_clean
    assert report.ledger.failed["insert"] == 1
    assert "ConnectionError: gone" in report.page()


@pytest.mark.parametrize(
    ("details", "failed"),
    [("needed 2 replicas, 1 answered (n1: failed to connect)", 1), ("failed to connect to all", 0)],
)
def test_a_failure_that_the_client_hides_breaks_a_run(details: str, failed: int) -> None:
    """Its own connection, which broke with a fault before, says nothing of the node."""
    report = Report("chaos", "abc", 3, 1, Ledger(), checked=1)
    nodes = OneAnswer(of(StandIn()), report.ledger, random.Random(1))
    answers = iter((True, False))

    class Refused(RpcError):
        def code(self) -> StatusCode:
            return StatusCode.UNAVAILABLE

        def __str__(self) -> str:
            return f'<RPC that ended with:\n\tdetails = "{details}"\n>'

    def search() -> str:
        if next(answers):
            raise Refused
        return "found"

    def retried(_: object) -> str:
        return str(_Retry(1).with_exponential_backoff(0, "search", search))

    assert nodes.ask_once("read", retried, is_write=False) == "found"
    assert report.ledger.failed["read"] == failed
    assert report.is_clean is not bool(failed)
    assert nodes.ask_once("read", str, is_write=False)
    assert report.ledger.failed["read"] == failed


def test_who_has_a_home_leaves_it_while_a_fault_is_on_it_and_its_time_does_not_count() -> None:
    stand_in, ledger = StandIn(), Ledger()
    nodes = OneAnswer(of(stand_in), ledger, random.Random(1), "n2")
    asked = [nodes.ask_once("read", str, is_write=False) for _ in range(10)]
    assert asked == ["n2"] * 10
    stand_in.on = "n2"
    asked = [nodes.ask_once("read", str, is_write=False) for _ in range(20)]
    assert set(asked) == {"n1", "n3"}
    stand_in.on = "n1"

    def pause(_: object) -> None:
        time.sleep(0.05)
        stand_in.on = "n2"

    nodes.ask_once("insert", pause, is_write=True)
    assert "insert" not in ledger.slowest
    ledger.scene = "wipe n1"
    stand_in.on = ""
    nodes.ask_once("insert", lambda _: time.sleep(0.05), is_write=True)
    took_s, scene = ledger.slowest["insert"]
    assert took_s >= 0.05
    assert scene == "wipe n1"


def test_a_page_has_no_path_of_this_machine() -> None:
    words = campaign.RUNS[3].command(60, Path("/tmp/x/page.md"), ("--faults", "kill"))[3:]
    assert _shown(words) == ["--nodes", "5", "--seconds", "60", "--namespaces", "--faults", "kill"]


def test_a_run_that_does_not_end_or_says_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    run = campaign.RUNS[0]
    assert [each.title for each in campaign.RUNS] == [
        "3 nodes, loopback", "5 nodes, loopback", "3 nodes, namespaces", "5 nodes, namespaces",
    ]  # fmt: skip
    began = time.monotonic()
    program = "import time\nwhile True: time.sleep(9)"
    assert campaign.ended((sys.executable, "-c", program), 0.5) is None
    assert time.monotonic() - began < 30
    # No such fault: the run ends at once, with a code and without a page.
    page, is_kept = campaign.made(run, 1, ("--faults", "none"))
    assert not is_kept
    assert "3 nodes, loopback: BROKEN" in page
    assert "ended with code 2 and no page" in page


@pytest.mark.slow
def test_a_skewed_process_stamps_what_it_writes_with_its_clock(tmp_path: Path) -> None:
    clock = tmp_path / "one.clock"
    clock.write_text(str(SKEW_MS))
    python = (sys.executable, "-P", str(LAUNCHER), str(clock))
    server = ServerProcess(tmp_path / "one", python=python)
    server.start()
    try:
        with weaviate.connect_to_local(
            port=server.http_port, grpc_port=server.grpc_port, skip_init_checks=True
        ) as client:
            things = client.collections.create(NAME)
            for offset_ms in (SKEW_MS, 2 * SKEW_MS):
                clock.write_text(str(offset_ms))
                time.sleep(0.5)
                one = things.data.insert({})
                (found,) = things.query.fetch_objects(
                    filters=Filter.by_id().equal(one), return_metadata=MetadataQuery.full()
                ).objects
                made = found.metadata.creation_time
                assert made is not None
                off_ms = made.timestamp() * 1000 - time.time() * 1000
                assert abs(off_ms - offset_ms) < 30_000
                assert offset_read(clock) == offset_ms
    finally:
        server.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosCluster]:
    etcd_binary()
    made = ChaosCluster(tmp_path_factory.mktemp("checks"), 3, None)
    try:
        made.start()
        create(made)
        yield made
    finally:
        made.close()


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.xdist_group("etcd")
def test_what_is_planted_in_real_nodes_is_found(cluster: ChaosCluster) -> None:
    report = Report("chaos", "abc", 3, 1, Ledger())
    ledger, stop = report.ledger, threading.Event()
    threading.Timer(4.0, stop.set).start()
    Writer(cluster, ledger, 0, 5).run(stop)
    wait_for_equal_replicas(cluster, ledger, FACTOR)
    report.checked = check(cluster, ledger)
    assert report.is_clean, report.page()
    keys = ledger.all_keys()
    lost, stale = [key for key in keys if key.is_there][:2]
    undone = next(key for key in keys if not key.is_there)
    with cluster.client("n1") as client:
        things = client.collections.use(NAME).with_consistency_level(ConsistencyLevel.ALL)
        # Behind the ledger's back, in every replica: one is taken away, one made older, one put
        # back after its deletion.
        things.data.delete_by_id(lost.id)
        things.data.update(stale.id, properties={"revision": 0})
        back = Content(undone.id, 1)
        things.data.insert(back.properties, uuid=back.id, vector=back.vector)
    check(cluster, ledger)
    assert not report.is_clean
    page = report.page()
    for words in (
        f"{lost.id} is lost",
        f"{stale.id} has revision 0",
        f"{undone.id} is there again",
    ):
        for level in ("QUORUM", "ALL"):
            assert any(level in line and words in line for line in ledger.named), page


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.xdist_group("etcd")
def test_a_replica_that_lacks_a_write_is_told_by_its_digest(
    cluster: ChaosCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused one lacks it, and is not reached; nothing may pass for equal then."""
    monkeypatch.setattr(checking, "CONVERGED_S_MAX", 1.0)
    ledger = Ledger()
    cluster.pause("n3")
    try:
        content = Content(uuid.uuid4(), 1)
        with cluster.client("n1") as client:
            things = client.collections.use(NAME)
            quorum = things.with_consistency_level(ConsistencyLevel.QUORUM)
            quorum.data.insert(content.properties, uuid=content.id, vector=content.vector)
        wait_for_equal_replicas(cluster, ledger, FACTOR)
    finally:
        cluster.resume("n3")
    assert ledger.broken == 1
    monkeypatch.setattr(checking, "CONVERGED_S_MAX", 60.0)
    healed = Ledger()
    wait_for_equal_replicas(cluster, healed, FACTOR)
    assert healed.broken == 0
