"""The vector contest without its peers: curves, promises, datasets, sentences, pages."""

from __future__ import annotations

import gzip
import json
import math
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from benchmarks.vector_contest import datasets
from benchmarks.vector_contest.contest import Contest, Entry, Settings
from benchmarks.vector_contest.curve import Point, best_at, knobs_around
from benchmarks.vector_contest.engines import OURS, OURS_RQ8, knobs
from benchmarks.vector_contest.page import floor_lines, point_lines, summary_lines
from benchmarks.vector_contest.sentences import pieces, read_sentences, year_of
from benchmarks.vector_contest.verdict import build_floors, open_floors, search_floors
from benchmarks.vector_contest.worker import Build, Worker, WorkerFailed


def points(*values: tuple[int, float, float]) -> list[Point]:
    """Points with twice the rate on two threads."""
    return [Point(knob, recall, rate, 2 * rate) for knob, recall, rate in values]


def test_a_rate_is_read_between_the_points_on_both_sides() -> None:
    curve = points((16, 0.90, 4000.0), (32, 1.0, 1000.0))
    found = best_at(curve, 0.95, threads=1)
    assert found is not None
    assert found[0] == pytest.approx(2000.0)
    assert best_at(curve, 0.95, threads=2) == (pytest.approx(4000.0), pytest.approx(24.0))


def test_a_curve_above_the_recall_gives_its_first_point_and_one_below_none() -> None:
    assert best_at(points((16, 0.97, 4000.0), (32, 0.99, 1000.0)), 0.95, threads=1) == (4000, 16)
    assert best_at(points((16, 0.90, 4000.0)), 0.95, threads=1) is None
    assert best_at([Point(16, 0.97, 4000.0)], 0.95, threads=2) is None


def test_knobs_around_are_the_neighbours_of_each_wanted_recall() -> None:
    recall_of = {16: 0.90, 32: 0.94, 64: 0.97, 128: 0.985, 256: 0.995}
    assert knobs_around(recall_of, (0.95, 0.99)) == [32, 64, 128, 256]
    assert knobs_around({16: 0.5, 32: 0.6}, (0.95,)) == [32]
    assert knobs_around({}, (0.95,)) == []


def entry(name: str, rate: float, seconds: float, recall_at_32: float = 0.9) -> Entry:
    """An engine with a curve through both wanted recalls."""
    curve = [Point(32, recall_at_32, 4 * rate, 8 * rate), Point(64, 0.95, rate, 2 * rate)]
    curve.append(Point(256, 0.99, rate / 4, rate / 2))
    build = Build(1000, 2, seconds, seconds, 10)
    return Entry(name, build, build, points=curve, open_s=0.5)


def test_searches_are_compared_with_the_best_named_peer() -> None:
    entries = [entry(OURS, 1200, 1), entry("hnswlib", 1000, 1), entry("usearch", 500, 1)]
    entries.append(entry("faiss IVFPQ refined", 9000, 1))
    floors = search_floors("d", entries)
    assert [round(floor.value, 3) for floor in floors] == [1.2] * 4
    assert all("hnswlib" in floor.detail for floor in floors)


def test_the_faster_of_ours_counts_and_each_of_ours_has_to_build_in_time() -> None:
    entries = [entry(OURS, 900, 1), entry(OURS_RQ8, 1500, 3), entry("hnswlib", 1000, 2)]
    floors = search_floors("d", entries)
    assert [round(floor.value, 3) for floor in floors] == [1.5] * 4
    assert all(f"of {OURS_RQ8} against" in floor.detail for floor in floors)
    builds = {floor.name: floor.is_met for floor in build_floors("d", entries)}
    assert len(builds) == 4
    assert all(met == (f"of {OURS}," in name) for name, met in builds.items())


def test_a_build_is_compared_with_graphs_of_equal_worth_only() -> None:
    entries = [entry(OURS, 1, 10.0), entry("hnswlib", 1, 12.0), entry("usearch", 1, 2.0, 0.8)]
    assert [floor.value for floor in build_floors("d", entries)] == [pytest.approx(10 / 12)] * 2
    assert math.isnan(build_floors("d", [Entry(OURS)])[0].value)


def test_opening_is_promised_for_a_million_rows() -> None:
    assert open_floors("d", 999_999, [entry(OURS, 1, 1)]) == []
    assert open_floors("d", 1_000_000, [entry(OURS, 1, 1)])[0].is_met


def test_a_page_names_every_engine_and_what_failed() -> None:
    entries = [entry(OURS, 1200, 1), Entry("usearch", failure="died")]
    text = "\n".join([*summary_lines(entries), *point_lines(entries)])
    assert "1,200/s" in text
    assert "failed: died" in text
    assert "PASS" not in "\n".join(floor_lines(search_floors("d", entries[1:])))


def test_recall_counts_rows_at_equal_distance() -> None:
    rows = np.zeros((30, 4), dtype=np.float32)
    rows[15:] += 5
    queries = np.zeros((2, 4), dtype=np.float32)
    truth = datasets.nearest("l2", rows, queries)
    limit = datasets.limits("l2", rows, queries, truth)
    data = datasets.Dataset("d", "l2", rows, queries, truth, limit)
    assert data.recall(np.tile(np.arange(5, 15), (2, 1))) == 1.0
    assert data.recall(np.tile(np.arange(10, 20), (2, 1))) == 0.5
    assert data.recall(np.full((2, 10), -1)) == 0.0
    assert data.recall(np.full((2, 10), 3)) == 0.1  # one row ten times is one row


def test_vecs_files_are_rows_with_their_length(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    lengths = np.full((3, 1), 4, dtype=np.int32)
    np.hstack([lengths, rows.view(np.int32)]).tofile(tmp_path / "a.fvecs")
    assert np.array_equal(datasets.read_vecs(tmp_path / "a.fvecs", np.float32), rows)


def test_missing_material_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFTDB_SHARED", str(tmp_path))
    with pytest.raises(datasets.MaterialMissing, match="WEFTDB_SHARED"):
        datasets.load_dataset(tmp_path / "cache", "bigann", 10)


def test_descriptions_become_lines_and_sentences() -> None:
    found = list(pieces("A game for two players\nIt has a board. The board is\nsquare. Ok."))
    assert found == [
        "A game for two players It has a board",
        "The board is square",
        "A game for two players",
        "It has a board. The board is",
    ]


def test_sentences_are_distinct_and_drawn_alike_every_time(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(300):
            package = {"summary": f"package number {number}", "section": "libs"}
            file.write(json.dumps({**package, "description": "The same description."}) + "\n")
    found = read_sentences(path)
    assert len({item.text for item in found}) == len(found)
    assert found == read_sentences(path)
    assert {item.source for item in found} == {"libraries"}


def test_years_have_the_shares_they_promise() -> None:
    years = [year_of(place / 10_000) for place in range(10_000)]
    assert sum(year >= 2024 for year in years) / 10_000 == pytest.approx(0.587, abs=0.002)
    assert years.count(2019) / 10_000 == pytest.approx(0.038, abs=0.001)


def test_ours_runs_through_a_contest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = datasets.clustered(2500, 16, query_count=50)
    source = ("cosine", lambda count: (made.rows[:count], made.queries, None))
    monkeypatch.setitem(datasets.SOURCES, "tiny", source)
    data = datasets.load_dataset(tmp_path, "tiny", 2500)
    assert datasets.load_dataset(tmp_path, "tiny", 2500).truth.shape == (50, 10)
    told: list[str] = []
    settings = Settings(rounds=1, fresh=frozenset({OURS}), knob_limit=32)
    (found,) = Contest(data, tmp_path, settings, [OURS], told.append).run()
    assert found.failure == ""
    assert found.build_two is not None
    assert found.build_two.rows == 2500
    assert [point.knob for point in found.points] == [10, 16, 24, 32]
    assert found.points[-1].recall > 0.9
    assert any(point.two_per_s is not None for point in found.points)
    assert found.open_s is not None
    assert found.file_bytes > 2500 * 16 * 4


def test_a_worker_that_cannot_says_why_and_goes(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "nothing", "cosine", OURS)
    with pytest.raises(WorkerFailed, match="died"):
        worker.ask("recall", 10, timeout_s=60)
    worker.close()


def test_sweeps_end_where_they_are_told() -> None:
    assert max(knobs(OURS, limit=64)) == 64
    assert max(knobs("faiss IVFPQ", limit=64)) == 64


@pytest.fixture
def usearch_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers come with the extra `bench`, which tests do without."""
    monkeypatch.setattr("benchmarks.vector_contest.contest.metadata.version", lambda _: "2.0")


@pytest.mark.usefixtures("usearch_is_known")
def test_a_peer_without_a_kept_graph_is_left_out_by_name(tmp_path: Path) -> None:
    rows = np.zeros((20, 4), dtype=np.float32)
    data = datasets.Dataset("d", "l2", rows, rows[:1], np.zeros((1, 10), int), rows[:1, 0])
    settings = Settings(rounds=1, fresh=frozenset(), kept_only=True)
    (found,) = Contest(data, tmp_path, settings, ["usearch"], lambda _: None).run()
    assert "--prepare" in found.failure
    floors = search_floors("d", [entry(OURS, 1200, 1), entry("hnswlib", 1000, 1), found])
    assert all("without usearch" in floor.detail for floor in floors)


def test_a_peer_that_is_not_installed_is_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr("benchmarks.vector_contest.contest.metadata.version", version)
    rows = np.zeros((20, 4), dtype=np.float32)
    data = datasets.Dataset("d", "l2", rows, rows[:1], np.zeros((1, 10), int), rows[:1, 0])
    for is_kept_only in (True, False):
        settings = Settings(1, frozenset(), kept_only=is_kept_only)
        contest = Contest(data, tmp_path, settings, ["usearch"], lambda _: None)
        (found,) = contest.run()
        assert "weftdb[bench]" in found.failure
        contest.prepare()


@pytest.mark.usefixtures("usearch_is_known")
def test_a_record_of_an_earlier_form_counts_as_none(tmp_path: Path) -> None:
    rows = np.zeros((20, 4), dtype=np.float32)
    data = datasets.Dataset("d", "l2", rows, rows[:1], np.zeros((1, 10), int), rows[:1, 0])
    (tmp_path / "d").mkdir()
    contest = Contest(data, tmp_path, Settings(1, frozenset(), kept_only=True), ["usearch"], print)
    path = contest.path("usearch")
    path.write_bytes(b"")
    path.with_suffix(".json").write_text('{"one": {}, "two": {}}')
    (found,) = contest.run()
    assert "--prepare" in found.failure
