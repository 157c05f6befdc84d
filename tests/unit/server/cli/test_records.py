"""Reading files of records: forms, types, and errors that name file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from weftdb.server.cli.records import BadRecord, read_records, record_count


def test_json_lines_plain_and_zipped(tmp_path: Path) -> None:
    text = '{"a": 1}\n\n{"a": "ü"}'
    (tmp_path / "r.jsonl").write_text("﻿" + text, "utf-8")
    (tmp_path / "r.ndjson.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    for name in ("r.jsonl", "r.ndjson.gz"):
        assert list(read_records(tmp_path / name)) == [{"a": 1}, {"a": "ü"}]
        assert record_count(tmp_path / name) == 2


def test_csv_takes_types_and_leaves_out_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text('t,n,f,b,l\n"x, ""y""",7,1.5,yes,a; b\n,,,,\n')
    types = {"n": "int", "f": "number", "b": "boolean", "l": "text[]"}
    assert list(read_records(path, types)) == [
        {"t": 'x, "y"', "n": 7, "f": 1.5, "b": True, "l": ["a", "b"]},
        {},
    ]
    assert record_count(path) is None


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("r.jsonl", b'{"a": 1}\n{"a"', r"r\.jsonl:2: not JSON"),
        ("r.jsonl", b"[1]", r"r\.jsonl:1: a list where an object should be"),
        ("r.jsonl", b'{"a": "\xff"}', "not UTF-8"),
        ("r.jsonl.gz", b"no gzip", "damaged gzip"),
        ("r.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-20], "damaged gzip"),
        ("r.csv", b"a,b\n1\n", r"r\.csv:2: the row has another length"),
        ("r.csv", b"a,b\n1,2,3\n", r"r\.csv:2: the row has another length"),
        ("r.csv", b"n\nseven\n", r"r\.csv:2: column 'n': 'seven' is no int"),
        ("r.csv", b'a\n"x"y\n', r"r\.csv: after line 1: not CSV"),
        ("r.txt", b"", "expected a file called"),
    ],
)
def test_bad_files_say_where(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadRecord, match=text):
        list(read_records(path, {"n": "int"}))
