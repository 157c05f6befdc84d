"""Logs and metrics say what happened in the form that was asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from weftdb.engine.compaction import GraphUpkeep
from weftdb.server.logging import start_logging
from weftdb.server.metrics import (
    CollectionFigures,
    Figures,
    Metrics,
    RecallFigures,
    ResourceFigures,
)
from weftdb.server.settings import LogSettings


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_hold_time_level_and_errors(stream: io.StringIO) -> None:
    start_logging(LogSettings(level="info", format="json"), stream)
    log = logging.getLogger("weftdb.test")
    log.debug("not shown")
    log.info('a "quoted" %s', "line\nbreak")
    try:
        int("the cause")
    except ValueError:
        log.exception("failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["level"], first["logger"]) == ("info", "weftdb.test")
    assert first["msg"] == 'a "quoted" line\nbreak'
    assert first["time"].endswith("Z")
    assert "the cause" in second["error"]


def test_text_lines_and_levels(stream: io.StringIO) -> None:
    start_logging(LogSettings(level="error"), stream)
    logging.getLogger("weftdb.test").warning("not shown")
    logging.getLogger("weftdb.test").error("shown")
    assert stream.getvalue().endswith("ERROR   weftdb.test: shown\n")
    assert "not shown" not in stream.getvalue()


def test_requests_and_figures_are_in_the_metrics() -> None:
    metrics = Metrics("1.2.3")
    door = metrics.door("grpc")
    door.observe("Search", "OK", 0.001)
    door.observe("Search", "OK", 0.2)
    door.observe("Search", "UNKNOWN", 0.1)
    book = CollectionFigures("Book", 7, 2, graphs=GraphUpkeep(3, 4, 600, 1), tombstones=9)
    metrics.watch(Figures(lambda: iter([book]), lambda: {"syncs": 5}))
    text = metrics.render().decode()
    assert 'weftdb_requests_total{code="OK",door="grpc",method="Search"} 2.0' in text
    assert 'weftdb_requests_total{code="UNKNOWN",door="grpc",method="Search"} 1.0' in text
    assert 'weftdb_request_seconds_count{door="grpc",method="Search"} 3.0' in text
    assert 'weftdb_objects{collection="Book"} 7.0' in text
    assert 'weftdb_vectors_pending{collection="Book"} 2.0' in text
    assert 'weftdb_vectors_deleted{collection="Book"} 3.0' in text
    assert 'weftdb_tombstones{collection="Book"} 9.0' in text
    assert 'weftdb_graph_compactions_total{collection="Book"} 4.0' in text
    assert 'weftdb_graph_log_bytes{collection="Book"} 600.0' in text
    assert 'weftdb_graph_compactions_waiting{collection="Book"} 1.0' in text
    assert "weftdb_store_syncs 5.0" in text
    assert 'weftdb_build{version="1.2.3"} 1.0' in text


def test_memory_queues_and_recall_are_in_the_metrics() -> None:
    metrics = Metrics("1.2.3")
    recalls = (RecallFigures("title", 0.95, 0.961, 70), RecallFigures("body", 0.9, None, 100))
    book = CollectionFigures("Book", 7, 2, 1.5, 0.25, recalls)
    resources = ResourceFigures({"vectors": 10}, 20, 30, 40.0, {"memory": 1, "disk": 2})
    metrics.watch(Figures(lambda: iter([book]), dict, lambda: resources))
    lines = set(metrics.render().decode().splitlines())
    assert {
        'weftdb_vectors_pending_oldest_seconds{collection="Book"} 1.5',
        'weftdb_writes_slowed_seconds_total{collection="Book"} 0.25',
        'weftdb_recall_achieved{collection="Book",vector="title"} 0.961',
        'weftdb_recall_target{collection="Book",vector="body"} 0.9',
        'weftdb_recall_ef{collection="Book",vector="body"} 100.0',
        'weftdb_memory_bytes{part="vectors"} 10.0',
        "weftdb_memory_used_bytes 20.0",
        "weftdb_memory_budget_bytes 30.0",
        "weftdb_disk_used_ratio 0.4",
        'weftdb_writes_refused_total{guard="disk"} 2.0',
    } <= lines
    assert not any("weftdb_recall_achieved" in line and "body" in line for line in lines)
