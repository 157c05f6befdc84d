"""ReferenceCodes: what the quantizers mean, in NumPy.

The bytes of a code and the estimated distances, as `index/kernels/src/codes_affine.h` and
`codes_product.h` describe them. Rotational, scalar and binary codes are made here too; the
centroids of product codes are taken from the other side, because finding them is chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weftdb.core.schema import Compression, Metric
from weftdb.core.types import Row, Rows

Bytes = NDArray[np.uint8]
_HEAD_BYTES = 16
_ROUNDS = 3
_QUERY_STEPS = {8: 127, 4: 127, 1: 15}


class ReferenceCodes:
    """Codes of one kind for vectors that are ready for the metric (cosine: of length one)."""

    def __init__(
        self,
        kind: Compression,
        metric: Metric,
        dimensions: int,
        *,
        bits: int = 8,
        learned: NDArray[np.float32] | None = None,
    ) -> None:
        """Scalar: `learned` is the least value and the step. Product: the centroids, with as many
        segments as there are times 256 of them."""
        self._kind = kind
        self._metric = metric
        self._dimensions = dimensions
        self._bits = {Compression.SCALAR: 8, Compression.BINARY: 1}.get(kind, bits)
        unit = {8: 16, 4: 32, 1: 64}[self._bits]
        self._length = -(-dimensions // unit) * unit
        self._real = self._length if kind is Compression.ROTATIONAL else dimensions
        self._learned = np.zeros(0, dtype=np.float32) if learned is None else learned

    def encode(self, rows: Rows) -> Bytes:
        """The codes, uint8[rows, bytes of a code]."""
        if self._kind is Compression.PRODUCT:
            return self._product_codes(rows)
        values = self._turned(rows)
        least, step = self._range(values)
        top = (1 << self._bits) - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            places = np.where(step > 0, (values - least) / step, 0)
        numbers = np.clip(np.rint(places), 0, top).astype(np.uint8)
        if self._bits == 1:
            numbers = (values > 0).astype(np.uint8)
        products = np.sum(values * (least + step * numbers), axis=1, keepdims=True)
        squares = np.sum(rows.astype(np.float64) ** 2, axis=1, keepdims=True)
        packed = self._packed(numbers)
        if self._kind is Compression.BINARY:
            return packed
        with np.errstate(divide="ignore", invalid="ignore"):
            correction = np.where(products > 0, squares / products, 1)
        sums = np.sum(numbers, axis=1, keepdims=True)
        head = np.concatenate([least * correction, step * correction, sums, squares], axis=1)
        return np.concatenate([head.astype(np.float32).view(np.uint8), packed], axis=1)

    def distances(self, query: Row, codes: Bytes) -> NDArray[np.float32]:
        """Estimated distances between a query and codes; the query is rounded as queries are."""
        if self._kind is Compression.PRODUCT:
            return self._estimates(query, codes)
        turned = self._turned(query[None])[0]
        most = _QUERY_STEPS[self._bits]
        scale = np.float32(np.max(np.abs(turned)) / most)
        rounded = np.rint(turned / scale) * scale if scale > 0 else turned
        return self._estimates(rounded, codes, float(turned @ turned))

    def distances_of_code(self, code: Bytes, codes: Bytes) -> NDArray[np.float32]:
        """Estimated distances between what two codes stand for."""
        square = None
        if self._kind in (Compression.ROTATIONAL, Compression.SCALAR):
            square = float(self._head(code)[0, 3])
        return self._estimates(self._decoded(code)[0], codes, square)

    def _estimates(
        self, query: NDArray[np.floating], codes: Bytes, square: float | None = None
    ) -> NDArray[np.float32]:
        wide = query.astype(np.float64)
        decoded = self._decoded(codes)
        products = decoded @ wide
        if self._kind is Compression.BINARY or self._metric is Metric.COSINE:
            return np.asarray(1 - products, dtype=np.float32)
        if self._metric is Metric.DOT:
            return np.asarray(-products, dtype=np.float32)
        if self._kind is Compression.PRODUCT:
            return np.asarray(np.sum((decoded - wide) ** 2, axis=1), dtype=np.float32)
        own = float(wide @ wide) if square is None else square
        return np.asarray(own + self._head(codes)[:, 3] - 2 * products, dtype=np.float32)

    def _decoded(self, codes: Bytes) -> NDArray[np.float64]:
        if self._kind is Compression.PRODUCT:
            centroids = self._centroids()
            segments = np.arange(len(centroids))
            picked = centroids[segments, codes[:, : len(segments)]]
            return np.asarray(picked.reshape(len(codes), -1), dtype=np.float64)
        if self._kind is Compression.BINARY:
            size = 1 / np.sqrt(self._real)
            return np.asarray(np.where(self._numbers(codes) > 0, size, -size), dtype=np.float64)
        head = self._head(codes).astype(np.float64)
        skipped = self._numbers(codes[:, _HEAD_BYTES:])
        return np.asarray(head[:, :1] + head[:, 1:2] * skipped, dtype=np.float64)

    def _head(self, codes: Bytes) -> NDArray[np.float32]:
        return np.ascontiguousarray(codes[:, :_HEAD_BYTES]).view(np.float32)

    def _numbers(self, packed: Bytes) -> Bytes:
        if self._bits == 1:
            packed = np.unpackbits(packed, axis=1, bitorder="little")
        elif self._bits == 4:
            packed = np.concatenate([packed & 15, packed >> 4], axis=1)
        return packed[:, : self._real]

    def _packed(self, numbers: Bytes) -> Bytes:
        padded = np.zeros((len(numbers), self._length), dtype=np.uint8)
        padded[:, : self._real] = numbers
        if self._bits == 1:
            return np.packbits(padded, axis=1, bitorder="little")
        if self._bits == 4:
            half = self._length // 2
            return np.asarray(padded[:, :half] | padded[:, half:] << 4, dtype=np.uint8)
        return padded

    def _range(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """The least value and the step of each row, float64[rows, 1] each."""
        shape = (len(values), 1)
        if self._kind is Compression.SCALAR:
            return np.full(shape, self._learned[0]), np.full(shape, self._learned[1])
        if self._bits == 1:
            return np.full(shape, -1.0), np.full(shape, 2.0)
        least = values.min(axis=1, keepdims=True)
        return least, (values.max(axis=1, keepdims=True) - least) / ((1 << self._bits) - 1)

    def _turned(self, rows: Rows) -> NDArray[np.float64]:
        values = rows.astype(np.float64)
        if self._kind is not Compression.ROTATIONAL:
            return values
        length = self._length
        values = np.pad(values, ((0, 0), (0, length - self._dimensions)))
        signs = _signs(_ROUNDS * length).reshape(_ROUNDS, length)
        block = 1 << (length.bit_length() - 1)
        for row in signs:
            values = values * row
            values[:, :block] = _transformed(values[:, :block])
            if block < length:
                values[:, -block:] = _transformed(values[:, -block:])
        return values

    def _centroids(self) -> NDArray[np.float32]:
        """float32[segments, centroids, width]; 256 centroids a segment."""
        width = len(self._learned) // 256
        assert width == self._dimensions, "product codes of 256 centroids are expected"
        for part in (4, 3, 2, 5, 1):
            if self._dimensions % part == 0:
                return self._learned.reshape(self._dimensions // part, 256, part)
        raise AssertionError(self._dimensions)

    def _product_codes(self, rows: Rows) -> Bytes:
        centroids = self._centroids()
        segments, _, width = centroids.shape
        cut = rows.reshape(len(rows), segments, 1, width)
        nearest = np.argmin(np.sum((cut - centroids[None]) ** 2, axis=3), axis=2)
        return np.pad(nearest.astype(np.uint8), ((0, 0), (0, -segments % 16)))


def _signs(count: int) -> NDArray[np.float64]:
    """1 or -1 for each number below `count`, by splitmix64."""
    with np.errstate(over="ignore"):
        value = np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        value = value ^ (value >> np.uint64(31))
    return np.asarray(np.where(value & np.uint64(1), 1.0, -1.0), dtype=np.float64)


def _transformed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Walsh-Hadamard transform of each row, scaled to keep lengths."""
    size = values.shape[1]
    half = size // 2
    for _ in range(size.bit_length() - 1):
        left, right = values[:, :half], values[:, half:]
        values = np.stack([left + right, left - right], axis=2).reshape(len(values), size)
    return np.asarray(values / np.sqrt(size), dtype=np.float64)
