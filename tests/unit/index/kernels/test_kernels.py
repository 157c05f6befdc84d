"""One suite over both implementations of the kernels, and over every instruction set here."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray

from weftdb.core.schema import Metric
from weftdb.index.kernels import load_kernels
from weftdb.index.kernels.abc import Kernels
from weftdb.index.kernels.reference import ReferenceKernels

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")


def _implementations() -> list[Kernels]:
    from weftdb.index.kernels.native import NativeKernels

    return [ReferenceKernels(), *(NativeKernels(simd) for simd in _native.simd_names())]


KERNELS = _implementations()
IDS = ["reference", *_native.simd_names()]
DIMENSIONS = (1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 100, 128, 200, 257, 1536)


def _definition(query: NDArray[np.float64], row: NDArray[np.float64], metric: Metric) -> float:
    if metric is Metric.COSINE:
        return max(0.0, 1.0 - float(query @ row))
    if metric is Metric.DOT:
        return -float(query @ row)
    if metric is Metric.L2_SQUARED:
        return float(np.sum((query - row) ** 2))
    if metric is Metric.MANHATTAN:
        return float(np.sum(np.abs(query - row)))
    return float(np.sum(query != row))


@pytest.mark.parametrize("kernels", KERNELS, ids=IDS)
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_distances_follow_their_definition(
    kernels: Kernels, metric: Metric, dimensions: int
) -> None:
    random = np.random.default_rng(dimensions)
    queries = random.normal(size=(3, dimensions)).astype(np.float32)
    rows = random.normal(size=(9, dimensions)).astype(np.float32)
    if metric is Metric.HAMMING:
        queries, rows = np.round(queries), np.round(rows)
    if metric is Metric.COSINE:
        queries, rows = kernels.normalised(queries), kernels.normalised(rows)
    found = kernels.distance_matrix(queries, rows, metric)
    assert found.shape == (3, 9)
    assert found.dtype == np.float32
    expected = [
        [_definition(query, row, metric) for row in rows.astype(np.float64)]
        for query in queries.astype(np.float64)
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kernels", KERNELS, ids=IDS)
def test_cosine_of_a_vector_with_itself_is_not_negative(kernels: Kernels) -> None:
    rows = kernels.normalised(np.random.default_rng(5).normal(size=(200, 37)).astype(np.float32))
    diagonal = np.diag(kernels.distance_matrix(rows, rows, Metric.COSINE))
    assert (diagonal >= 0).all()
    assert (diagonal < 1e-6).all()


@pytest.mark.parametrize("kernels", KERNELS, ids=IDS)
def test_hamming_takes_both_zeros_for_equal(kernels: Kernels) -> None:
    left = np.array([[0.0, -0.0, 1.0]], dtype=np.float32)
    right = np.array([[-0.0, 0.0, 1.0]], dtype=np.float32)
    assert kernels.distance_matrix(left, right, Metric.HAMMING)[0, 0] == 0


@pytest.mark.parametrize("kernels", KERNELS, ids=IDS)
def test_normalised_keeps_zero_and_survives_extremes(kernels: Kernels) -> None:
    rows = np.array([[0, 0], [3e38, 3e38], [1e-30, 0], [3, 4]], dtype=np.float32)
    expected = [[0, 0], [np.sqrt(0.5), np.sqrt(0.5)], [1, 0], [0.6, 0.8]]
    np.testing.assert_allclose(kernels.normalised(rows), expected, rtol=1e-6)


@pytest.mark.parametrize("kernels", KERNELS, ids=IDS)
def test_no_rows_and_no_queries_are_fine(kernels: Kernels) -> None:
    some = np.ones((2, 4), dtype=np.float32)
    none = np.zeros((0, 4), dtype=np.float32)
    assert kernels.distance_matrix(some, none, Metric.L2_SQUARED).shape == (2, 0)
    assert kernels.distance_matrix(none, some, Metric.L2_SQUARED).shape == (0, 2)


@pytest.mark.parametrize("kernels", KERNELS, ids=IDS)
def test_different_dimensions_are_refused(kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        kernels.distance_matrix(
            np.ones((1, 3), dtype=np.float32), np.ones((1, 4), dtype=np.float32), Metric.DOT
        )


def test_the_build_is_the_one_that_was_asked_for() -> None:
    # `python -m tests.sanitize` sets it; a run on another build would prove nothing.
    assert os.environ.get("WEFTDB_SANITIZER", "") == _native.SANITIZER


def test_choice_is_checked() -> None:
    assert load_kernels("native").name == "native"
    assert load_kernels("reference").name == "reference"
    assert load_kernels("auto").name == "native"
    with pytest.raises(ValueError, match="auto, native, reference"):
        load_kernels("fast")
