"""Members of etcd as children of this process: founded, killed, wiped, joined, and gone with it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.etcd_process import etcd_binary, is_ready
from tests.etcd_trio import NAMES, Trio, pairs
from weftdb.cluster.metadata.store import Committed, Put, Transaction
from weftdb.core.env import SystemClock
from weftdb.core.errors import Fault, InvalidRequest, MetadataUnavailable
from weftdb.core.types import NodeName
from weftdb.server.etcd import member as subject
from weftdb.server.etcd.connection import EtcdSettings, EtcdTls
from weftdb.server.etcd.member import MemberPlace, is_taken_out, open_member
from weftdb.server.etcd.member_plan import MemberSettings
from weftdb.server.etcd.roster import EtcdRoster
from weftdb.server.etcd.store import EtcdMetadata

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    etcd_binary()
    made = Trio(tmp_path)
    yield made
    made.close()


def put(store: EtcdMetadata, key: str) -> None:
    assert isinstance(store.commit(Transaction((Put(key, b""),))), Committed)


def test_three_nodes_found_a_cluster_lose_one_and_get_it_back(trio: Trio) -> None:
    trio.open(*NAMES)
    assert trio.voters("n1") == dict.fromkeys(NAMES, True)
    store = trio.store("n1")
    try:
        put(store, "/t/three")
        trio.kill("n2")
        put(store, "/t/two")
        trio.kill("n1")
        impatient = trio.store("n3", "impatient", timeout_s=3)
        with pytest.raises(MetadataUnavailable):
            impatient.get("/t/two")  # n3 is there, but it is no majority.
        impatient.close()
        trio.open("n1", "n2")
        assert [record.key for record in store.list("/t/").records] == ["/t/three", "/t/two"]
        put(store, "/t/again")
    finally:
        store.close()


def test_a_wiped_founder_is_replaced_and_a_third_joins_later(tmp_path: Path) -> None:
    """n3 is named, but two found the cluster; then n1 comes back without its data."""
    etcd_binary()
    trio = Trio(tmp_path)
    try:
        trio.open("n1", "n2", expect=2)
        assert set(trio.voters("n2")) == {"n1", "n2"}
        trio.open("n3", expect=2)
        assert trio.voters("n2") == dict.fromkeys(NAMES, True)
        store = trio.store("n3")
        put(store, "/t/kept")
        trio.kill("n1")
        (tmp_path / "n1").rename(tmp_path / "lost")
        trio.open("n1", expect=2)
        assert trio.voters("n2") == dict.fromkeys(NAMES, True)
        trio.kill("n3")
        assert trio.store("n1").get("/t/kept") is not None
        store.close()
    finally:
        trio.close()


def test_a_member_that_is_gone_for_good_is_taken_out(trio: Trio, tmp_path: Path) -> None:
    trio.open(*NAMES)
    settings = EtcdSettings(trio.running["n1"].endpoints, timeout_s=15)
    roster = EtcdRoster(settings, SystemClock(), random.Random())
    whole = roster.members()
    assert [(each.name, each.is_there, each.is_learner) for each in whole] == [
        (name, True, False) for name in NAMES
    ]
    assert sum(each.is_leader for each in whole) == 1
    assert all(each.release and each.used_bytes for each in whole)
    trio.kill("n3")
    assert [each.is_there for each in roster.members()] == [True, True, False]
    with pytest.raises(InvalidRequest, match="it has n1, n2, n3"):
        roster.remove("n4")
    assert not taken_out(trio, "n3")
    roster.remove("n3")
    assert taken_out(trio, "n3")
    assert not taken_out(trio, "n1")
    assert [each.name for each in roster.members()] == ["n1", "n2"]
    with pytest.raises(Fault, match="ended with status"):
        trio.open("n3")  # With the data of a member that was taken out.
    (tmp_path / "n3").rename(tmp_path / "old")
    trio.open("n3")
    assert trio.voters("n1") == dict.fromkeys(NAMES, True)


def taken_out(trio: Trio, name: str) -> bool:
    """Whether the others say that this member is none of them."""
    settings = trio.settings(name, 3)
    place = MemberPlace(Path("unused"), "127.0.0.1")
    return is_taken_out(settings, place, SystemClock(), random.Random())


def test_the_only_member_stays(tmp_path: Path) -> None:
    etcd_binary()
    alone = Trio(tmp_path, ("n1",))
    try:
        alone.open("n1", expect=1)
        settings = EtcdSettings(alone.running["n1"].endpoints, timeout_s=15)
        with pytest.raises(InvalidRequest, match="only member"):
            EtcdRoster(settings, SystemClock(), random.Random()).remove("n1")
    finally:
        alone.close()


def test_a_node_that_has_no_member_starts_nothing(tmp_path: Path) -> None:
    settings = MemberSettings(NodeName("n9"), "n1,n2", 2)
    assert (
        open_member(settings, MemberPlace(tmp_path, "127.0.0.1"), SystemClock(), random.Random())
        is None
    )
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_come_is_named(tmp_path: Path) -> None:
    first, second = pairs(2)
    settings = MemberSettings(
        NodeName("n1"), f"n1:{first},n2:{second}", 2, first, first + 1, in_localhost=True
    )
    place = MemberPlace(tmp_path / "n1", "127.0.0.1", None, etcd_binary(), 4)
    started = time.monotonic()
    with pytest.raises(MetadataUnavailable, match="majority of n1, n2"):
        open_member(settings, place, SystemClock(), random.Random())
    assert time.monotonic() - started < 30
    assert not is_ready(f"127.0.0.1:{first + 1}"), "nothing is left running"


def test_no_binary_and_a_broken_member_are_faults(tmp_path: Path) -> None:
    (port,) = pairs(1)
    alone = MemberSettings(NodeName("n1"), "", 1, port, port + 1, in_localhost=True)
    place = MemberPlace(tmp_path / "n1", "127.0.0.1", None, "no-such-etcd")
    with pytest.raises(Fault, match="no-such-etcd"):
        open_member(alone, place, SystemClock(), random.Random())
    broken = MemberPlace(tmp_path / "n2", "not-an-address", None, etcd_binary())
    with pytest.raises(Fault, match="ended with status"):
        open_member(alone, broken, SystemClock(), random.Random())


CHILD = """
import random, sys, time
from pathlib import Path
from weftdb.core.env import SystemClock
from weftdb.server.etcd.member import MemberPlace, is_taken_out, open_member
from weftdb.server.etcd.member_plan import MemberSettings
folder, binary, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
settings = MemberSettings("n1", "", 1, port, port + 1, in_localhost=True)
place = MemberPlace(folder, "127.0.0.1", None, binary)
member = open_member(settings, place, SystemClock(), random.Random())
print(member.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_member_dies_with_its_node(tmp_path: Path) -> None:
    (port,) = pairs(1)
    node = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "n1"), etcd_binary(), str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert node.stdout is not None
        line = node.stdout.readline()
        assert line, "the node did not come up"
        pid = int(line)
        node.kill()
        node.wait(timeout=10)
        until = time.monotonic() + 10
        while is_running(pid) and time.monotonic() < until:
            time.sleep(0.05)
        assert not is_running(pid)
    finally:
        node.kill()
        node.wait(timeout=10)
        node.stdout.close()


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_members_with_certificates_let_nobody_else_in(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    tls = EtcdTls(tmp_path / "ca.pem", tmp_path / "own.pem", tmp_path / "own.key")
    authority.cert_pem.write_to_path(tls.authority)
    made.cert_chain_pems[0].write_to_path(tls.certificate)
    made.private_key_pem.write_to_path(tls.key)
    etcd_binary()
    guarded = Trio(tmp_path, ("n1", "n2"), tls)
    try:
        guarded.open("n1", "n2", expect=2)
        store = guarded.store("n2")
        put(store, "/t/a")
        store.close()
        for other in (None, EtcdTls(tls.authority)):
            settings = EtcdSettings(guarded.running["n1"].endpoints, 2.0, other)
            stranger = EtcdMetadata(settings, "/sessions/x", SystemClock(), random.Random())
            with pytest.raises(MetadataUnavailable):
                stranger.get("/t/a")
            stranger.close()
    finally:
        guarded.close()


def test_a_member_that_hangs_is_killed(tmp_path: Path) -> None:
    etcd_binary()
    alone = Trio(tmp_path, ("n1",))
    try:
        alone.open("n1", expect=1)
        pid = alone.running["n1"].pid
        alone.pause("n1")
        started = time.monotonic()
        alone.running.pop("n1").stop()
        assert time.monotonic() - started < subject.STOP_S + 5
        assert not is_running(pid)
    finally:
        alone.close()


def test_a_member_stops_within_seconds(trio: Trio) -> None:
    alone = Trio(trio.folder, ("n1",))
    alone.open("n1", expect=1)
    started = time.monotonic()
    pid = alone.running["n1"].pid
    alone.close()
    assert time.monotonic() - started < subject.STOP_S + 2
    assert not is_running(pid)
    assert not [each for each in threading.enumerate() if each.name == "weft-etcd-log"]


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ('{"level":"info","ts":"x","caller":"y","msg":"ready","port":1}', 10, "ready port=1"),
        ('{"level":"warn","msg":"slow"}', 30, "slow"),
        ('{"level":"fatal","msg":"no"}', 40, "no"),
        ("panic: runtime error", 30, "panic: runtime error"),
        ("[1]", 30, "[1]"),
        ('"text"', 30, '"text"'),
    ],
)
def test_lines_become_ours(line: str, level: int, text: str) -> None:
    assert subject.line_of(line) == (level, text)
