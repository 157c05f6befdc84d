"""`weftdb.open`: the engine as a library, alone and beside the server on the same directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import weftdb
from weftdb.client import ClientError, DataType, Property
from weftdb.core.errors import StoreHeld


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    with weftdb.open(tmp_path / "db") as database:
        notes = database.collections.create(
            "Note", properties=[Property(name="text", data_type=DataType.TEXT)]
        )
        kept = notes.data.insert({"text": "warp"}, vector=[1.0, 0.0])
        gone = notes.data.insert({"text": "weft"}, vector=[0.0, 1.0])
        notes.data.delete_by_id(gone)
    with weftdb.open(tmp_path / "db") as database:
        notes = database.collections.get("Note")
        assert [item.uuid for item in notes.iterator()] == [kept]
        assert [item.uuid for item in notes.query.bm25("warp weft").objects] == [kept]
        assert [item.uuid for item in notes.query.near_vector([0.0, 1.0]).objects] == [kept]


def test_a_held_directory_names_its_holder(tmp_path: Path) -> None:
    code = "import sys, weftdb; db = weftdb.open(sys.argv[1]); print('open', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreHeld, match=str(holder.pid)):
            weftdb.open(tmp_path / "db")
    finally:
        holder.kill()
        holder.communicate(timeout=10)
    weftdb.open(tmp_path / "db").close()


def test_a_directory_is_opened_once_in_a_process(tmp_path: Path) -> None:
    with weftdb.open(tmp_path / "db"), pytest.raises(StoreHeld, match="already open"):
        weftdb.open(tmp_path / "db")
    weftdb.open(tmp_path / "db").close()


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = weftdb.open(tmp_path / "db")
    database.collections.create("Note")
    assert database.is_ready()
    database.close()
    database.close()
    assert not database.is_ready()
    with pytest.raises(ClientError):
        database.collections.get("Note").data.insert({"a": 1})


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        weftdb.open(tmp_path / "file")
