"""The member of a node's own is started, watched, started again, and stopped."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from tests.server_process import free_ports
from weftdb.core.env import Clock, SystemClock
from weftdb.core.errors import Fault, MetadataUnavailable
from weftdb.core.types import NodeName
from weftdb.server.agreement import own_member as subject
from weftdb.server.agreement.own_member import OwnMember, absent
from weftdb.server.etcd.member import EtcdMember, MemberPlace
from weftdb.server.etcd.member_plan import MemberSettings

SOON_S = 20.0
SETTINGS = MemberSettings(NodeName("n1"), raft_join="n1:8300", in_localhost=True)


class FakeMember:
    """A child that the test ends."""

    pid = 17

    def __init__(self) -> None:
        self.exit_status: int | None = None
        self.is_stopped = False

    def stop(self) -> None:
        self.is_stopped = True


class Opening:
    """Gives what the test has prepared, one thing for each start."""

    def __init__(self, *results: FakeMember | Exception | None) -> None:
        self.results = list(results)
        self.delay_s = 0.0

    def __call__(
        self, settings: MemberSettings, place: MemberPlace, clock: Clock, randomness: random.Random
    ) -> EtcdMember | None:
        time.sleep(self.delay_s)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return cast("EtcdMember | None", result)


def member(opening: Opening, tmp_path: Path, *, taken_out: bool = False) -> OwnMember:
    place = MemberPlace(tmp_path, "127.0.0.1")
    return OwnMember(SETTINGS, place, SystemClock(), random.Random(), opening, lambda *_: taken_out)


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "WATCHED_EVERY_S", 0.02)
    monkeypatch.setattr(subject, "PAUSE_S", 0.02)
    monkeypatch.setattr(subject, "TOLD_EVERY_S", 0.1)


def test_a_member_that_dies_is_started_again(tmp_path: Path) -> None:
    first, second = FakeMember(), FakeMember()
    opening = Opening(first, Fault("no port"), MetadataUnavailable("nobody"), second)
    own = member(opening, tmp_path)
    assert own.start() == ("127.0.0.1:8301",)
    assert own.pid == 17
    first.exit_status = -9
    eventually(lambda: own.restarts == 1)
    assert first.is_stopped
    own.stop()
    assert second.is_stopped


def test_a_member_that_was_taken_out_stays_away(tmp_path: Path) -> None:
    first = FakeMember()
    own = member(Opening(first), tmp_path, taken_out=True)
    own.start()
    first.exit_status = 0
    eventually(lambda: not own._thread.is_alive())
    assert first.is_stopped
    assert own.restarts == 0
    own.stop()


def test_a_start_that_fails_is_the_callers(tmp_path: Path) -> None:
    own = member(Opening(Fault("no etcd")), tmp_path)
    with pytest.raises(Fault, match="no etcd"):
        own.start()
    own.stop()


def test_a_start_that_ends_in_a_bug_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    own = member(Opening(KeyError("bug")), tmp_path)
    with pytest.raises(Fault, match="ended in a bug"):
        own.start()


def test_a_node_without_a_member_has_nothing_to_watch(tmp_path: Path) -> None:
    own = member(Opening(None), tmp_path)
    own.start()
    assert own.pid is None
    own.stop()


def test_the_log_says_whom_a_start_waits_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opening = Opening(FakeMember())
    opening.delay_s = 0.5
    own = member(opening, tmp_path)
    with caplog.at_level(logging.WARNING):
        own.start()
    own.stop()
    assert "waiting for the metadata of the cluster: 127.0.0.1:8301" in caplog.text


def test_who_is_absent_and_why() -> None:
    (port,) = free_ports(1)
    found = absent(["no-such-name.invalid:1", f"127.0.0.1:{port}"])
    assert found[0].startswith("the name no-such-name.invalid does not resolve (")
    assert found[1].startswith(f"127.0.0.1:{port}: ")
