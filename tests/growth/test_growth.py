"""A report sees what is uneven or broken, and a small run keeps everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.etcd_process import etcd_binary
from tests.growth.__main__ import loads_of
from tests.growth.report import Report, unevenness
from tests.growth.run import Run

NODES = ("n1", "n2", "n3")


def report(*, is_over: bool = True) -> Report:
    return Report("growth", "abc", "", 1, loads_of(5), is_over=is_over)


def test_a_node_without_data_is_uneven() -> None:
    assert unevenness({"n1": 100, "n2": 105, "n3": 95}, NODES) == pytest.approx(0.05)
    assert unevenness({"n1": 150, "n2": 150}, NODES) == 1.0


def test_one_broken_promise_is_not_clean() -> None:
    page = report()
    assert page.is_clean
    page.promise("the sky is blue", holds=True)
    assert page.is_clean
    page.promise("the sea is dry", holds=False)
    assert not page.is_clean
    assert "**NO**: the sea is dry" in page.page()


def test_a_failed_request_of_one_collection_is_not_clean() -> None:
    page = report()
    page.loads[1].ledger.note_failed("insert", "n1: 500")
    assert not page.is_clean
    assert "failed insert: n1: 500" in page.page()


def test_a_run_that_ended_early_is_not_clean() -> None:
    assert not report(is_over=False).is_clean


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.xdist_group("etcd")
def test_a_small_cluster_grows_shrinks_and_is_mended(tmp_path: Path) -> None:
    etcd_binary()
    page = report(is_over=False)
    Run(tmp_path, page, writers=1, tell=lambda _text: None).play(objects=300)
    assert page.is_clean, page.page()
