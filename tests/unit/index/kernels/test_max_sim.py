"""MaxSim: one suite over both implementations of the kernels and every instruction set here."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.index.kernels.test_kernels import IDS, KERNELS
from weftdb.index.kernels.abc import Kernels

each_kernel = pytest.mark.parametrize("kernels", KERNELS, ids=IDS)


def _definition(query: NDArray[np.float64], doc: NDArray[np.float64]) -> float:
    return -sum(max(float(token @ row) for row in doc) for token in query)


@each_kernel
@pytest.mark.parametrize("dimensions", [1, 3, 16, 17, 128])
@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 33])
def test_distances_follow_their_definition(kernels: Kernels, dimensions: int, tokens: int) -> None:
    random = np.random.default_rng(dimensions * 100 + tokens)
    counts = np.arange(1, 19, dtype=np.uint32)
    rows = random.normal(size=(int(counts.sum()), dimensions)).astype(np.float32)
    query = random.normal(size=(tokens, dimensions)).astype(np.float32)
    found = kernels.max_sim(query, rows, counts)
    docs = np.split(rows.astype(np.float64), np.cumsum(counts)[:-1])
    expected = [_definition(query.astype(np.float64), doc) for doc in docs]
    assert found.dtype == np.float32
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)


@each_kernel
def test_only_negative_products(kernels: Kernels) -> None:
    """The largest of negative numbers is negative: unused lanes must not stand for zero."""
    query, rows = -np.ones((3, 2), np.float32), np.ones((2, 2), np.float32)
    assert kernels.max_sim(query, rows, np.array([2], np.uint32)).tolist() == [6.0]


@each_kernel
def test_no_docs(kernels: Kernels) -> None:
    none = np.zeros((0, 4), np.float32)
    assert kernels.max_sim(np.ones((2, 4), np.float32), none, np.zeros(0, np.uint32)).size == 0


@each_kernel
@pytest.mark.parametrize(
    ("query", "rows", "counts", "message"),
    [
        ((2, 3), (2, 4), [2], "dimensions"),
        ((0, 4), (2, 4), [2], "no rows"),
        ((2, 4), (2, 4), [2, 0], "a doc has no rows"),
        ((2, 4), (2, 4), [1], "add up"),
        ((2, 4), (2, 4), [3], "add up"),
    ],
)
def test_what_does_not_fit_is_refused(
    kernels: Kernels,
    query: tuple[int, int],
    rows: tuple[int, int],
    counts: list[int],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        kernels.max_sim(
            np.ones(query, np.float32), np.ones(rows, np.float32), np.array(counts, np.uint32)
        )
