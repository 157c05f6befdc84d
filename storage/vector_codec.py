"""One stored vector.

    vector := payload kind:u8 crc32:u32           # little-endian; crc over payload and kind
    kind   := 1: payload is float32[dim]
            | 2: payload is float32[rows * dim] dim:u16    (multi-vector)

Numbers of kinds are on disk: never reuse one. The floats come first, so that an array over the
stored bytes is aligned; the checksum comes last, because the CRC of bytes with their own CRC behind
them is always the same number, which checks many rows in one loop that Python does not see.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import CorruptData
from weftdb.core.limits import VECTOR_DIMENSIONS_MAX
from weftdb.core.types import Rows

_SINGLE, _MULTI = b"\x01", b"\x02"
_DIM = struct.Struct("<H")
_CRC = struct.Struct("<I")
_TAIL_BYTES = 1 + _CRC.size
_INTACT = zlib.crc32(_CRC.pack(zlib.crc32(b"")))
_FLOAT_BYTES = 4


def encode_vector(vector: NDArray[np.float32]) -> bytes:
    """float32[dim] or float32[rows, dim] to bytes."""
    assert 1 <= vector.ndim <= 2, vector.shape
    assert 1 <= vector.shape[-1] <= VECTOR_DIMENSIONS_MAX, vector.shape
    floats = np.asarray(vector, dtype="<f4").tobytes()
    body = floats + _SINGLE if vector.ndim == 1 else floats + _DIM.pack(vector.shape[1]) + _MULTI
    return body + _CRC.pack(zlib.crc32(body))


def decode_vector(value: bytes) -> NDArray[np.float32]:
    """Read `encode_vector` back (read-only array). Raises CorruptData."""
    if len(value) <= _TAIL_BYTES or zlib.crc32(value) != _INTACT:
        raise CorruptData("a stored vector fails its checksum")
    end = len(value) - _TAIL_BYTES
    kind = value[end : end + 1]
    if kind == _SINGLE and end % _FLOAT_BYTES == 0:
        return np.frombuffer(value, dtype="<f4", count=end // _FLOAT_BYTES)
    if kind == _MULTI and end >= _DIM.size:
        end -= _DIM.size
        (dim,) = _DIM.unpack_from(value, end)
        if dim and end % (_FLOAT_BYTES * dim) == 0:
            return np.frombuffer(value, dtype="<f4", count=end // _FLOAT_BYTES).reshape(-1, dim)
    raise CorruptData(f"a stored vector of {len(value)} bytes is of unknown kind {kind.hex()}")


def decode_matrices(values: Sequence[bytes]) -> tuple[Rows, NDArray[np.uint32]]:
    """Decode many multi-vectors: their rows one after the other, and how many are each one's.

    Raises CorruptData.
    """
    matrices = [decode_vector(value) for value in values]
    if any(matrix.ndim != 2 for matrix in matrices):
        raise CorruptData("a stored vector is not of the multi kind")
    if len({matrix.shape[1] for matrix in matrices}) > 1:
        raise CorruptData("stored multi-vectors of one space differ in the length of their rows")
    counts = np.array([len(matrix) for matrix in matrices], dtype=np.uint32)
    rows = np.concatenate(matrices) if matrices else np.zeros((0, 0), dtype=np.float32)
    return np.asarray(rows, dtype=np.float32), counts


def decode_rows(values: Sequence[bytes]) -> Rows:
    """Decode many single vectors of one length at once, float32[n, dim]. Raises CorruptData."""
    if not values:
        return np.zeros((0, 0), dtype=np.float32)
    if set(map(zlib.crc32, values)) != {_INTACT}:
        raise CorruptData("a stored vector fails its checksum")
    sizes = set(map(len, values))
    if len(sizes) > 1:
        raise CorruptData(f"stored vectors of one space have {sorted(sizes)} bytes")
    (size,) = sizes
    payload_bytes = size - _TAIL_BYTES
    joined = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), size)
    is_single = payload_bytes > 0 and payload_bytes % _FLOAT_BYTES == 0
    if not is_single or not (joined[:, payload_bytes] == _SINGLE[0]).all():
        raise CorruptData("a stored vector is not of the single kind")
    return np.ascontiguousarray(joined[:, :payload_bytes]).view("<f4")
