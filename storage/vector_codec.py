"""One stored vector.

    vector := crc32:u32 kind:u8 payload           # crc over kind and payload; little-endian
    kind   := 1: payload is float32[dim]
            | 2: payload is dim:u16 float32[rows * dim]  (multi-vector)

Numbers of kinds are on disk: never reuse one.
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

_SINGLE, _MULTI = 1, 2
_HEAD = struct.Struct("<IB")
_HEAD_BYTES = _HEAD.size


def encode_vector(vector: NDArray[np.float32]) -> bytes:
    """float32[dim] or float32[rows, dim] to bytes."""
    assert 1 <= vector.ndim <= 2, vector.shape
    assert 1 <= vector.shape[-1] <= VECTOR_DIMENSIONS_MAX, vector.shape
    body = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    if vector.ndim == 1:
        body = b"\x01" + body
    else:
        body = b"\x02" + struct.pack("<H", vector.shape[1]) + body
    return struct.pack("<I", zlib.crc32(body)) + body


def decode_vector(value: bytes) -> NDArray[np.float32]:
    """Read `encode_vector` back (read-only array). Raises CorruptData."""
    if len(value) < _HEAD_BYTES or zlib.crc32(memoryview(value)[4:]) != _HEAD.unpack_from(value)[0]:
        raise CorruptData("a stored vector fails its checksum")
    if value[4] == _SINGLE:
        return np.frombuffer(value, dtype="<f4", offset=_HEAD_BYTES)
    if value[4] == _MULTI:
        (dim,) = struct.unpack_from("<H", value, _HEAD_BYTES)
        return np.frombuffer(value, dtype="<f4", offset=_HEAD_BYTES + 2).reshape(-1, dim)
    raise CorruptData(f"a stored vector is of unknown kind {value[4]}")


def decode_rows(values: Sequence[bytes]) -> Rows:
    """Decode many single vectors of one length at once, float32[n, dim]. Raises CorruptData."""
    if not values:
        return np.zeros((0, 0), dtype=np.float32)
    size = len(values[0])
    crc = zlib.crc32
    for value in values:
        if len(value) != size or crc(memoryview(value)[4:]) != int.from_bytes(value[:4], "little"):
            raise CorruptData("a stored vector fails its checksum or has another length")
    joined = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), size)
    if not (joined[:, 4] == _SINGLE).all():
        raise CorruptData("a stored vector is not of the single kind")
    return np.ascontiguousarray(joined[:, _HEAD_BYTES:]).view("<f4")
