"""Reads one matrix out of a safetensors file.

    file    := header_bytes:u64le header:json[header_bytes] data
    header  := {name: {"dtype": "F16"|"F32"|..., "shape": [rows, columns],
                       "data_offsets": [start, end]}, "__metadata__"?: {...}}

Offsets count from the start of `data`. Written here because it is a page of code and saves a
package; only what a static embedding table needs is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from weftdb.core.errors import CorruptData
from weftdb.core.limits import MiB
from weftdb.core.types import Rows

HEADER_BYTES_MAX = 100 * MiB
"""The format's own bound."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}


def read_matrix(path: Path) -> Rows:
    """Load the file's only two-dimensional tensor as float32[rows, columns].

    Raises CorruptData if the file does not follow the format, OSError if it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        header_bytes = int.from_bytes(file.read(8), "little")
        if size < 8 or header_bytes > min(HEADER_BYTES_MAX, size - 8):
            raise CorruptData(f"{path}: not a safetensors file: header of {header_bytes} bytes")
        header = _parse_header(path, file.read(header_bytes))
        dtype, shape, start, end = _only_matrix(path, header)
        data_start = 8 + header_bytes
        if data_start + end > size or end - start != dtype.itemsize * shape[0] * shape[1]:
            raise CorruptData(f"{path}: tensor of shape {shape} does not fit bytes {start}..{end}")
        file.seek(data_start + start)
        data = file.read(end - start)
    return np.frombuffer(data, dtype).reshape(shape).astype(np.float32)


def _parse_header(path: Path, data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except ValueError as error:
        raise CorruptData(f"{path}: safetensors header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise CorruptData(f"{path}: safetensors header is not an object")
    return header


def _only_matrix(
    path: Path, header: dict[str, Any]
) -> tuple[np.dtype[Any], tuple[int, int], int, int]:
    matrices = [
        entry
        for name, entry in header.items()
        if name != "__metadata__" and isinstance(entry, dict) and len(entry.get("shape", ())) == 2
    ]
    if len(matrices) != 1:
        raise CorruptData(f"{path}: expected one matrix, found {len(matrices)}")
    entry = matrices[0]
    dtype = _DTYPES.get(entry.get("dtype", ""))
    if dtype is None:
        raise CorruptData(
            f"{path}: tensor type {entry.get('dtype')!r} is none of {', '.join(_DTYPES)}"
        )
    try:
        rows, columns = (int(count) for count in entry["shape"])
        start, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptData(f"{path}: broken tensor entry: {error}") from error
    if rows < 1 or columns < 1 or not 0 <= start <= end:
        raise CorruptData(f"{path}: broken tensor entry: {entry}")
    return dtype, (rows, columns), start, end
