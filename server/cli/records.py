"""Records: the rows of a file, one object each.

    .jsonl | .ndjson   one JSON object a line; blank lines are skipped
    .csv               first row names the columns; empty cells are absent

Either may end in .gz. Files are read as a stream.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

Record = dict[str, Any]

CHUNK_BYTES = 1 << 20


class BadRecord(Exception):
    """A row cannot be read: names file, line and cause."""


def record_count(path: Path) -> int | None:
    """About how many records there are, for a progress bar; None where a count means parsing."""
    if _kind(path) == ".csv":
        return None
    with _open_bytes(path) as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK_BYTES), b""))


def read_records(path: Path, types: Mapping[str, str] | None = None) -> Iterator[Record]:
    """Go through the records. `types` gives the columns of a CSV file a type.

    Raises BadRecord, OSError.
    """
    kind = _kind(path)
    with _open_bytes(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        try:
            if kind == ".csv":
                yield from _csv_records(path, lines, types or {})
            else:
                yield from _json_records(path, lines)
        except UnicodeDecodeError as error:
            raise BadRecord(f"{path}: not UTF-8: {error}") from error
        except (EOFError, gzip.BadGzipFile) as error:
            raise BadRecord(f"{path}: damaged gzip file: {error}") from error


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if kind not in (".jsonl", ".ndjson", ".csv"):
        raise BadRecord(f"{path}: expected a file called .jsonl, .ndjson or .csv (or with .gz)")
    return kind


def _open_bytes(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    return path.open("rb")


def _json_records(path: Path, lines: IO[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BadRecord(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise BadRecord(f"{path}:{number}: a {type(record).__name__} where an object should be")
        yield record


def _csv_records(path: Path, lines: IO[str], types: Mapping[str, str]) -> Iterator[Record]:
    rows = csv.DictReader(lines, strict=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise BadRecord(f"{path}:{rows.line_num}: the row has another length than the head")
            record = {}
            for name, cell in row.items():
                if cell != "":
                    record[name] = _typed(cell, types.get(name, "text"), path, rows.line_num, name)
            yield record
    except csv.Error as error:
        raise BadRecord(f"{path}: after line {rows.line_num}: not CSV: {error}") from error


_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_READERS: Mapping[str, Callable[[str], Any]] = {
    "int": int,
    "number": float,
    "boolean": lambda cell: _BOOLEANS[cell.strip().lower()],
}


def _typed(cell: str, kind: str, path: Path, line: int, column: str) -> Any:
    if kind.endswith("[]"):
        return [_typed(part.strip(), kind[:-2], path, line, column) for part in cell.split(";")]
    try:
        return _READERS[kind](cell) if kind in _READERS else cell
    except (ValueError, KeyError):
        raise BadRecord(f"{path}:{line}: column {column!r}: {cell!r} is no {kind}") from None
