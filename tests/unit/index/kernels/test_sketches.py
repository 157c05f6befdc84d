"""Sketches: promises are kept, are worth something, and are the same on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.kernels import _native

Floats = NDArray[np.float32]
SIMDS = _native.simd_names()
ROWS = 1024


def material(dimensions: int, metric: str, *, shift: float = 0.3) -> tuple[Floats, Floats]:
    """Rows that lie around a mean, and a query of their kind."""
    random = np.random.default_rng(dimensions)
    rows = (random.normal(size=(ROWS + 1, dimensions)) + shift).astype(np.float32)
    if metric == "cosine":
        rows = _native.normalised(rows)
    return rows[:-1], rows[-1]


def promises(
    metric: str, rows: Floats, query: Floats, simd: str, mean: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Coarse, fine, and what the true distances ask for."""
    if mean is None:
        mean = rows.mean(axis=0)
    distances = _native.distance_matrix(query[None, :], rows, metric)[0]
    made = _native.promises_of(metric, mean, rows, query, distances, simd)
    return made[0], made[1], made[2]


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2-squared"])
@pytest.mark.parametrize("dimensions", [64, 100, 128, 256, 384, 768])
def test_promises_are_kept_and_are_worth_something(metric: str, dimensions: int) -> None:
    rows, query = material(dimensions, metric)
    coarse, fine, true = promises(metric, rows, query, SIMDS[0])
    # A promise is a bound that holds but for the last percents of a normal distribution.
    assert (coarse >= true).mean() >= 0.95
    assert (fine >= true).mean() >= 0.97
    # As bounds they tell rows apart: the finer the better.
    assert np.corrcoef(coarse, true)[0, 1] > 0.7
    assert np.corrcoef(fine, true)[0, 1] > 0.9
    assert (fine - true).mean() < 0.75 * (coarse - true).mean()


@pytest.mark.parametrize("simd", SIMDS)
@pytest.mark.parametrize("dimensions", [64, 65, 128, 200, 256, 320, 512, 1100, 8192])
def test_every_instruction_set_promises_the_same(simd: str, dimensions: int) -> None:
    rows, query = material(dimensions, "dot")
    coarse, fine, _ = promises("dot", rows, query, simd)
    portable = promises("dot", rows, query, "portable")
    np.testing.assert_allclose(coarse, portable[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(fine, portable[1], rtol=1e-4, atol=1e-3)


def test_any_mean_does_and_the_true_one_does_best() -> None:
    rows, query = material(128, "l2-squared", shift=2.0)
    none = np.zeros(128, dtype=np.float32)
    for mean in (none, rows.mean(axis=0)):
        coarse, fine, true = promises("l2-squared", rows, query, SIMDS[0], mean)
        assert (coarse >= true).mean() >= 0.95
        assert (fine >= true).mean() >= 0.97
    slack = [
        float((made[0] - made[2]).mean())
        for made in (
            promises("l2-squared", rows, query, SIMDS[0], none),
            promises("l2-squared", rows, query, SIMDS[0]),
        )
    ]
    assert slack[1] < slack[0]


@pytest.mark.parametrize("simd", SIMDS)
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 500])
def test_what_is_below_the_bar_is_dropped(simd: str, count: int) -> None:
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    values[::7] = np.nan  # Measured already.
    values[3::11] = 0.25
    expected = np.flatnonzero(values >= 0.25).tolist()
    places, numbers, left = _native.promises_passing(values, 0.25, simd)
    assert places == expected
    assert numbers == expected
    assert left == values[expected].tolist()


@pytest.mark.parametrize("simd", SIMDS)
def test_rows_too_large_for_sums_promise_everything(simd: str) -> None:
    rows, query = material(128, "dot")
    rows[5] *= np.float32(1e20)
    coarse, fine, _ = promises("dot", rows, query, simd, np.zeros(128, dtype=np.float32))
    assert np.isinf(coarse[5])
    assert np.isinf(fine[5])
    assert np.isfinite(np.delete(coarse, 5)).all()


def test_a_query_too_large_is_not_asked() -> None:
    rows, query = material(128, "dot")
    with pytest.raises(ValueError, match="too large"):
        promises("dot", rows, query * np.float32(1e20), SIMDS[0])


def test_rows_at_the_mean_promise_exactly() -> None:
    rows = np.tile(np.linspace(-1, 1, 64, dtype=np.float32), (64, 1))
    query = np.ones(64, dtype=np.float32)
    coarse, fine, true = promises("l2-squared", rows, query, SIMDS[0])
    np.testing.assert_allclose(coarse, true, atol=1e-2)
    np.testing.assert_allclose(fine, true, atol=1e-2)


@pytest.mark.parametrize(
    ("metric", "dimensions", "message"),
    [
        ("hamming", 128, "no sketches"),
        ("manhattan", 128, "no sketches"),
        ("cosine", 63, "no sketches"),
        ("cosine", 8193, "no sketches"),
    ],
)
def test_others_have_none(metric: str, dimensions: int, message: str) -> None:
    rows = np.ones((64, dimensions), dtype=np.float32)
    with pytest.raises(ValueError, match=message):
        _native.promises_of(metric, rows[0], rows, rows[0], np.ones(64, np.float32), SIMDS[0])


def test_runs_are_whole() -> None:
    rows = np.ones((65, 64), dtype=np.float32)
    with pytest.raises(ValueError, match="runs of 64"):
        _native.promises_of("dot", rows[0], rows, rows[0], np.ones(65, np.float32), SIMDS[0])
