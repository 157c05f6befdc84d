"""What people judged relevant comes first: nDCG@10 of the real engine on judged collections."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ir_measures", reason="ir-measures (extra dev) is not installed")
pytest.importorskip("weftdb.index.kernels._native", reason="the extension is not built")

from benchmarks import ranking

pytestmark = pytest.mark.skipif(
    not ranking.judged_folder().is_dir(), reason="the judged texts (WEFTDB_SHARED) are not here"
)


@pytest.mark.parametrize("name", sorted(ranking.FLOORS))
def test_words_find_what_was_judged_relevant(name: str, tmp_path: Path) -> None:
    scores = ranking.measure(ranking.load_judged(name), tmp_path / "data")
    assert scores["bm25"] >= ranking.FLOORS[name], scores
    if "hybrid" in scores:
        assert scores["hybrid"] > max(scores["bm25"], scores["vector"]), scores


def test_chinese_is_found_without_a_dictionary(tmp_path: Path) -> None:
    scores = ranking.measure(ranking.load_judged("xquad_zh"), tmp_path / "data")
    assert scores["bm25"] >= 0.96, scores
