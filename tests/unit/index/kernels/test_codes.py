"""Codes: what the native quantizers make and estimate, against NumPy and against the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from weftdb.core.memory_estimate import code_bytes
from weftdb.core.schema import Compression, Metric, Quantizer
from weftdb.index.hnsw.quantizer import code_settings
from weftdb.index.kernels import _native
from weftdb.index.kernels.reference_codes import ReferenceCodes

KINDS = {
    "rq8": Quantizer(Compression.ROTATIONAL, bits=8),
    "rq4": Quantizer(Compression.ROTATIONAL, bits=4),
    "rq1": Quantizer(Compression.ROTATIONAL, bits=1),
    "sq": Quantizer(Compression.SCALAR),
    "bq": Quantizer(Compression.BINARY),
    "pq": Quantizer(Compression.PRODUCT),
}
METRICS = (Metric.COSINE, Metric.DOT, Metric.L2_SQUARED)
SIMDS = ("portable", "avx2", "avx512")
Floats = NDArray[np.float32]


def rows_of(count: int, dimensions: int, metric: Metric, seed: int = 1) -> Floats:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, dimensions)).astype(np.float32)
    if metric is Metric.COSINE:
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def both(
    name: str, metric: Metric, rows: Floats, simd: str | None = None
) -> tuple[_native.Codes, ReferenceCodes]:
    quantizer = KINDS[name]
    try:
        native = _native.make_codes(code_settings(quantizer), metric.value, rows, simd)
    except ValueError as error:
        if simd is not None and str(error).startswith("this CPU does not have"):
            pytest.skip(str(error))
        raise
    reference = ReferenceCodes(
        quantizer.kind,
        metric,
        rows.shape[1],
        bits=quantizer.bits,
        learned=native.learned,
    )
    return native, reference


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dimensions", [24, 64, 100, 256])
def test_codes_are_what_numpy_makes(name: str, dimensions: int) -> None:
    rows = rows_of(300, dimensions, Metric.L2_SQUARED)
    native, reference = both(name, Metric.L2_SQUARED, rows)
    made, expected = native.encode(rows), reference.encode(rows)
    assert made.shape == expected.shape == (300, native.code_bytes)
    head = 16 if name.startswith("rq") or name == "sq" else 0
    # Values that lie halfway between two numbers may fall to either side.
    assert np.mean(made[:, head:] != expected[:, head:]) < 0.002
    if head:
        numbers = [
            np.ascontiguousarray(codes[:, :head]).view(np.float32) for codes in (made, expected)
        ]
        np.testing.assert_allclose(numbers[0], numbers[1], rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("simd", SIMDS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", KINDS)
def test_estimates_are_those_of_numpy(name: str, metric: Metric, simd: str) -> None:
    rows = rows_of(130, 100, metric)
    native, reference = both(name, metric, rows, simd)
    codes = native.encode(rows)
    for query in rows_of(3, 100, metric, seed=2):
        np.testing.assert_allclose(
            native.distances(query, codes), reference.distances(query, codes), rtol=1e-4, atol=2e-3
        )
    np.testing.assert_allclose(
        native.distances_of_code(codes[:1], codes),
        reference.distances_of_code(codes[:1], codes),
        rtol=1e-4,
        atol=2e-3,
    )


@pytest.mark.parametrize(
    ("name", "error_max"), [("rq8", 0.002), ("sq", 0.003), ("rq4", 0.012), ("rq1", 0.07)]
)
def test_estimates_are_near_the_truth_and_unbiased(name: str, error_max: float) -> None:
    rows = rows_of(2_000, 256, Metric.COSINE)
    native, _ = both(name, Metric.COSINE, rows)
    codes = native.encode(rows)
    gaps = []
    for query in rows[:20]:
        gaps.append(native.distances(query, codes) - (1 - rows @ query))
    errors = np.concatenate(gaps)
    assert np.mean(np.abs(errors)) < error_max
    assert abs(np.mean(errors)) < error_max / 20


@pytest.mark.parametrize("name", KINDS)
def test_vectors_without_spread_have_codes(name: str) -> None:
    rows = np.stack([np.zeros(64), np.full(64, 0.125)]).astype(np.float32)
    native, _ = both(name, Metric.L2_SQUARED, rows)
    codes = native.encode(rows)
    assert np.isfinite(native.distances(rows[0], codes)).all()
    assert np.isfinite(native.distances_of_code(codes[1:], codes)).all()


@pytest.mark.parametrize(
    ("name", "size"), [("rq8", 272), ("rq4", 144), ("rq1", 48), ("sq", 272), ("bq", 32), ("pq", 64)]
)
def test_codes_are_as_long_as_computed(name: str, size: int) -> None:
    native, _ = both(name, Metric.COSINE, rows_of(300, 256, Metric.COSINE))
    assert native.code_bytes == size


def test_tiles_lie_where_the_distribution_does() -> None:
    rows = rows_of(2_000, 8, Metric.L2_SQUARED)
    settings = Quantizer(Compression.PRODUCT, encoder="tile", distribution="normal", centroids=64)
    native = _native.make_codes(code_settings(settings), "l2-squared", rows, None)
    centroids = native.learned.reshape(8, 64)
    assert (np.diff(centroids, axis=1) > 0).all()
    np.testing.assert_allclose(np.median(centroids, axis=1), 0, atol=0.1)
    codes = native.encode(rows)
    exact = np.sum((rows - rows[0]) ** 2, axis=1)
    assert np.corrcoef(native.distances(rows[0], codes), exact)[0, 1] > 0.98


@pytest.mark.parametrize("metric", ["manhattan", "hamming"])
@pytest.mark.parametrize("name", KINDS)
def test_other_metrics_are_refused(name: str, metric: str) -> None:
    with pytest.raises(ValueError, match="manhattan and hamming"):
        _native.make_codes(code_settings(KINDS[name]), metric, np.eye(8, dtype=np.float32), None)


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        (Quantizer(Compression.PRODUCT, segments=3), "do not divide 8"),
        (Quantizer(Compression.PRODUCT, segments=2, encoder="tile"), "as many segments"),
        (Quantizer(Compression.PRODUCT, centroids=257), "between 1 and 256"),
        (Quantizer(Compression.ROTATIONAL, bits=2), "8, 4 or 1"),
        (Quantizer(Compression.SCALAR, training_limit=0), "positive"),
    ],
)
def test_settings_that_cannot_be_are_refused(quantizer: Quantizer, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _native.make_codes(code_settings(quantizer), "dot", np.eye(8, dtype=np.float32), None)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dimensions", [1, 7, 25, 96, 100, 300, 1_000])
def test_the_estimate_of_memory_knows_the_length_of_a_code(name: str, dimensions: int) -> None:
    quantizer = replace(KINDS[name], centroids=4)
    rows = rows_of(4, dimensions, Metric.DOT)
    native = _native.make_codes(code_settings(quantizer), "dot", rows, None)
    assert native.code_bytes == code_bytes(quantizer, dimensions)
