"""The benchmark harness without a server: floors, reports, wire files, material."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks import floors, wire
from benchmarks.loadgen import Load, read_replies, write_messages
from benchmarks.material import K, clustered, exact_neighbours, five_term_queries, unit
from benchmarks.report import write_report
from weftdb.proto.v1 import batch_pb2, search_pb2


def test_floors_compare_in_the_right_direction() -> None:
    high, low = floors.Floor("rate", 0.6, 0.55), floors.Floor("rate", 0.5, 0.55)
    assert (high.verdict, low.verdict) == ("PASS", "MISS")
    slow = floors.Floor("p50", 0.6, 0.5, at_most=True)
    assert slow.verdict == "MISS"
    assert floors.Floor("rate", math.nan, 0.5).verdict == "not measured"
    assert not floors.Floor("rate", math.nan, 0.5).is_met


def test_a_fast_restart_with_wrong_answers_is_a_miss() -> None:
    assert floors.restart_floor(0.5, 300_000, is_right=True, when="settled").verdict == "PASS"
    assert floors.restart_floor(0.5, 300_000, is_right=False, when="settled").verdict == "MISS"


def test_the_promised_ratios_are_those_of_the_issue() -> None:
    found = [
        *floors.search_floors(
            ours_per_s=55, ours_p50_ms=0.6, peer_per_s=100, peer_p50_ms=0.1, detail=""
        ),
        *floors.import_floors(raw_per_s=50, client_per_s=35, peer_per_s=100),
        floors.memory_floor(500, 100),
        floors.restart_floor(2.0, 300_000, is_right=True, when="settled"),
        *floors.text_floors(keyword_per_s=45, hybrid_per_s=20, peer_per_s=100),
    ]
    assert [floor.bound for floor in found] == [0.55, 0.5, 0.5, 0.35, 5.0, 2.0, 0.45, 0.2]
    assert all(floor.is_met for floor in found)


def test_report_holds_floors_numbers_and_machine(tmp_path: Path) -> None:
    load = Load(10, 0, 1234.5, 0.4, 0.9, "", (b"reply",))
    page = write_report(
        "run",
        machine={"cores": "2"},
        results={"server": {"eight": load}},
        floors=[floors.Floor("rate", 0.6, 0.55, detail="6 against 10")],
        folder=tmp_path,
    )
    text = page.read_text()
    assert "| PASS | rate | 0.6 x | ≥ 0.55 | 6 against 10 |" in text
    assert "eight.per_s | 1,23" in text
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["results"]["server"]["eight"]["requests"] == 10
    assert "replies" not in content["results"]["server"]["eight"]


def test_message_files_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    assert write_messages(path, [b"a", b"", b"ccc"]) == 3
    assert read_replies(path) == (b"a", b"", b"ccc")
    path.write_bytes(struct.pack("<II", 0xFFFFFFFF, 14) + struct.pack("<I", 1) + b"x")
    assert read_replies(path) == (None, b"x")


def test_exact_neighbours_are_exact() -> None:
    rows = unit(np.random.default_rng(1).standard_normal((300, 8)).astype(np.float32))
    found = exact_neighbours(rows, rows[:20])
    expected = np.argsort(-(rows[:20] @ rows.T), axis=1)[:, :K]
    assert (found == expected).all()


def test_material_is_seeded() -> None:
    one, two = (clustered(600, 16, query_count=30) for _ in range(2))
    assert (one.rows == two.rows).all()
    assert one.recall(one.truth.tolist()) == pytest.approx(1.0)
    assert one.recall([[] for _ in one.truth]) == 0.0


def test_requests_hold_what_they_say() -> None:
    rows = np.eye(3, dtype=np.float32)
    (message,) = wire.batch_requests("C", [{"number": n} for n in range(3)], rows)
    request = batch_pb2.BatchObjectsRequest.FromString(message)
    assert [wire.number_of(item.uuid) for item in request.objects] == [0, 1, 2]
    assert np.frombuffer(request.objects[1].vector_bytes, "<f4").tolist() == [0, 1, 0]
    (message,) = wire.hybrid_requests("C", ["a b"], rows[:1], "text", ["name"])
    hybrid = search_pb2.SearchRequest.FromString(message).hybrid_search
    assert (hybrid.query, hybrid.alpha_param, hybrid.fusion_type) == ("a b", 0.5, 2)


def test_replies_are_scored_by_number() -> None:
    reply = search_pb2.SearchReply()
    for number in (4, 7):
        reply.results.add().metadata.id = wire.object_id(number)
    assert wire.found_numbers(reply.SerializeToString()) == [4, 7]
    assert wire.found_numbers(None) == []


def test_term_queries_have_five_words() -> None:
    words = "alpha beta gamma delta epsilon zeta theta iota kappa"
    (query,) = five_term_queries([{"text": words}], 1)
    assert len(set(query.split())) == 5
    assert set(query.split()) <= set(words.split())
