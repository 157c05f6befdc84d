"""Vectors as they travel: bytes of little-endian float32, and the older forms of the same.

single := float32*                     # SINGLE_FP32, and where no type is given
multi  := dim:u16 float32[rows * dim]  # MULTI_FP32: a matrix, one row a token or a query vector
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.proto.v1 import vectors_pb2

Vector = NDArray[np.float32]

_SINGLE = vectors_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32
_MULTI = vectors_pb2.Vectors.VECTOR_TYPE_MULTI_FP32
_FLOAT = np.dtype("<f4")
_FLOAT_BYTES = 4
_DIM_BYTES = 2


def decode_single(raw: bytes) -> Vector:
    """Read float32[dim] (read-only). Raises InvalidRequest."""
    if len(raw) % _FLOAT_BYTES:
        raise InvalidRequest(
            f"a vector of {len(raw)} bytes is no list of float32: not a multiple of {_FLOAT_BYTES}"
        )
    return np.frombuffer(raw, dtype=_FLOAT)


def decode_matrix(raw: bytes) -> Vector:
    """Read float32[rows, dim] (read-only). Raises InvalidRequest."""
    if not raw:
        return np.empty((0, 0), dtype=np.float32)
    dim = int.from_bytes(raw[:_DIM_BYTES], "little")
    body = len(raw) - _DIM_BYTES
    if len(raw) < _DIM_BYTES or dim == 0 or body % (dim * _FLOAT_BYTES):
        raise InvalidRequest(
            f"a multi-vector of {len(raw)} bytes is no matrix of rows of {dim} float32"
        )
    return np.frombuffer(raw, dtype="<f4", offset=_DIM_BYTES).reshape(-1, dim)


def decode_vectors(entry: vectors_pb2.Vectors) -> Vector:
    """Read one `Vectors`: float32[dim], or float32[rows, dim] of a multi-vector."""
    return decode_vector(entry.vector_bytes, entry.type)


def decode_vector(raw: bytes, kind: int) -> Vector:
    """Read the bytes of a `Vectors` of a type."""
    if kind == _MULTI:
        return decode_matrix(raw)
    if kind in (_SINGLE, vectors_pb2.Vectors.VECTOR_TYPE_UNSPECIFIED):
        return decode_single(raw)
    raise Unsupported(f"vectors of type {kind} are not known to this build")


def decode_any(raw: bytes, floats: Iterable[float]) -> Vector | None:
    """Read the older pair of fields, bytes or a list of floats; None if both are empty."""
    if raw:
        return decode_single(raw)
    row = np.array(list(floats), dtype=np.float32)
    return row if row.size else None
