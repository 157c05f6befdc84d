"""The ledger finds what it is there to find, plans repeat, and a short run keeps everything."""

from __future__ import annotations

import itertools
import time
import uuid
from pathlib import Path

import pytest

from tests.chaos.faults import KINDS, plan
from tests.chaos.ledger import DELETED, Key, Ledger
from tests.chaos.report import Report
from tests.chaos.run import play
from tests.etcd_process import etcd_binary

ONE = uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("revision", "found", "words"),
    [
        (3, 3, ""),
        (DELETED, None, ""),
        (3, None, "is lost"),
        (3, 2, "has revision 2"),
        (DELETED, 2, "is there again"),
    ],
)
def test_a_key_has_one_right_state(revision: int, found: int | None, words: str) -> None:
    fault = Key(ONE, revision).fault(found)
    assert words in fault
    assert bool(words) == bool(fault)


def test_plans_repeat_and_use_every_kind() -> None:
    names = ("n1", "n2", "n3")
    first = list(itertools.islice(plan(names, KINDS, 7), 20))
    assert first == list(itertools.islice(plan(names, KINDS, 7), 20))
    assert first != list(itertools.islice(plan(names, KINDS, 8), 20))
    assert {fault.kind for fault in first[: len(KINDS)]} == set(KINDS)
    assert all(bool(fault.offset_ms) == (fault.kind == "skew") for fault in first)


def test_gaps_and_failures_are_counted() -> None:
    ledger = Ledger()
    ledger.note("insert", is_write=True)
    time.sleep(0.02)
    ledger.note("read", is_write=False)
    ledger.note("delete", is_write=True)
    assert 0.02 <= ledger.gap_s < 1
    report = Report("chaos", "abc", 3, 1, ledger, checked=1)
    assert report.is_clean
    ledger.note_victim("kill", "ConnectError")
    assert report.is_clean
    ledger.note_failed("insert", "n1: 500")
    assert not report.is_clean
    assert "failed insert: n1: 500" in report.page()


def test_a_broken_promise_is_not_clean() -> None:
    report = Report("chaos", "abc", 3, 1, Ledger(), checked=1)
    report.ledger.note_broken("something is lost")
    assert not report.is_clean
    assert "BROKEN something is lost" in report.page()


def test_nothing_checked_is_not_clean() -> None:
    assert not Report("chaos", "abc", 3, 1, Ledger()).is_clean


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.xdist_group("etcd")
def test_a_short_run_keeps_everything(tmp_path: Path) -> None:
    etcd_binary()
    report = Report("chaos", "", 3, 11, Ledger())
    play(
        tmp_path,
        report,
        seconds=15,
        kinds=("kill", "pause"),
        writers=3,
        namespaces=False,
        tell=lambda _text: None,
    )
    assert report.is_clean, report.page()
