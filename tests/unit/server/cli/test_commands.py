"""The commands on a data directory: what they print, and their exit codes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

import weftdb
from weftdb.client.filters import Condition, Operator
from weftdb.server.cli.commands import add_commands
from weftdb.server.cli.conditions import parse_conditions
from weftdb.server.cli.screen import shortened

ROWS = [
    {"key": "a", "title": "warp and weft", "year": 2001},
    {"key": "b", "title": "looms of old", "year": 1990},
    {"key": "c", "title": "the price of silk", "year": 1995},
]


def weft(*arguments: str | Path) -> int:
    """Run a command line and give its exit code."""
    parser = argparse.ArgumentParser(prog="weftdb")
    add_commands(parser.add_subparsers(required=True))
    chosen = parser.parse_args([str(item) for item in arguments])
    code: int = chosen.run(chosen)
    return code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def directory(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A data directory with the rows."""
    pytest.importorskip("wordllama")
    path = tmp_path / "db"
    code = weft("import", file, "--collection", "cloth", "--id-field", "key", "--data", path)
    assert code == 0
    assert "3 objects into Cloth" in capsys.readouterr().out
    return path


def test_an_import_can_be_repeated(directory: Path, file: Path) -> None:
    code = weft("import", file, "--collection", "cloth", "--id-field", "key", "--data", directory)
    assert code == 0
    with weftdb.open(directory) as database:
        assert len(database.collections.get("Cloth")) == 3


@pytest.mark.parametrize("by", ["hybrid", "keyword", "meaning"])
def test_search_in_three_ways(directory: Path, capsys: pytest.CaptureFixture[str], by: str) -> None:
    arguments = ("--collection", "cloth", "--by", by, "--data", directory)
    assert weft("search", "silk", *arguments, "--json", "--limit", "1") == 0
    hit = json.loads(capsys.readouterr().out)
    assert hit["properties"] == {"title": "the price of silk", "year": 1995.0}
    assert (hit["distance"] is not None) == (by == "meaning")


def test_search_with_conditions_prints_lines(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--collection", "cloth", "--data", directory, "--properties", "title")
    assert weft("search", "cloth", *arguments, "--where", "year>1992", "--where", "year<2000") == 0
    assert capsys.readouterr().out.splitlines()[0] == "score\ttitle"
    assert weft("search", "cloth", *arguments, "--where", "colour=red") == 2
    assert "there is no property 'colour'" in capsys.readouterr().err
    assert weft("search", "cloth", *arguments, "--where", "year") == 2
    assert "is not of the form" in capsys.readouterr().err


def test_stats(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert weft("stats", "--data", directory, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "collection": "Cloth",
        "objects": 3,
        "properties": {"title": "text", "year": "number"},
        "vectors": {"default": "text2vec-model2vec"},
    }
    assert weft("stats", "--data", directory) == 0
    assert "Cloth\t3\t" in capsys.readouterr().out


def test_refused_objects_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"n": 1.5}\n' + '{"n": "text"}\n' * 12)
    arguments = ("--collection", "mixed", "--vectorizer", "none", "--batch-size", "1")
    assert weft("import", path, *arguments, "--data", tmp_path / "db") == 1
    output = capsys.readouterr()
    assert "1 objects into Mixed" in output.out
    assert "and 2 more refused" in output.err


def test_vectors_of_a_field_and_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "vectors.jsonl"
    path.write_text("".join(json.dumps({"n": n, "v": [n, 1.0]}) + "\n" for n in range(9)))
    arguments = ("--collection", "point", "--vectorizer", "none", "--vector-field", "v")
    assert weft("import", path, *arguments, "--limit", "4", "--data", tmp_path / "db") == 0
    with weftdb.open(tmp_path / "db") as database:
        points = database.collections.get("Point")
        found = points.query.near_vector([2.0, 1.0], limit=1, include_vector=True).objects
        assert (len(points), found[0].vector) == (4, {"default": [2.0, 1.0]})


def test_wrong_input_is_code_2(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "db"
    assert weft("import", tmp_path / "absent.jsonl", "--collection", "a", "--data", data) == 2
    assert weft("stats", "--data", tmp_path / "absent") == 2
    assert "no data directory" in capsys.readouterr().err
    weftdb.open(data).close()
    assert weft("search", "x", "--collection", "absent", "--data", data) == 2
    assert "there is no collection Absent, only none at all" in capsys.readouterr().err
    assert weft("import", file, "--collection", "a", "--id-field", "nokey", "--data", data) == 2
    assert "without the field 'nokey'" in capsys.readouterr().err
    bad = ("--collection", "b", "--vectorizer", "text2vec-nope")
    assert weft("import", file, *bad, "--data", data) == 2


def test_an_absent_or_held_database_is_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with weftdb.open(tmp_path / "db"):
        assert weft("stats", "--data", tmp_path / "db") == 3
    assert "already open" in capsys.readouterr().err
    pytest.importorskip("httpx")
    assert weft("stats", "--url", "http://127.0.0.1:9") == 3


@pytest.mark.parametrize("argument", ["--limit=0", "--batch-size=x", "--types=year"])
def test_the_command_line_is_checked(file: Path, argument: str) -> None:
    with pytest.raises(SystemExit) as caught:
        weft("import", file, "--collection", "a", argument)
    assert caught.value.code == 2


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("import", "search", "stats"):
        with pytest.raises(SystemExit):
            weft(command, "--help")
        output = capsys.readouterr().out
        assert f"weftdb {command} " in output
        assert "exit codes: 0 done" in output


def test_conditions_take_the_type_of_the_property() -> None:
    types = {"n": "int", "f": "number", "b": "boolean", "t": "text", "l": "int[]"}
    properties = [{"name": name, "dataType": [kind]} for name, kind in types.items()]
    definition = {"properties": properties}

    def one(text: str) -> object:
        return parse_conditions([text], definition)

    assert parse_conditions([], definition) is None
    assert one("n >= 3") == Condition(Operator.GREATER_THAN_EQUAL, "n", 3)
    assert one("f<1") == Condition(Operator.LESS_THAN, "f", 1.0)
    assert one("b!=TRUE") == Condition(Operator.NOT_EQUAL, "b", True)
    assert one("t~*x=y*") == Condition(Operator.LIKE, "t", "*x=y*")
    assert one("l=3") == Condition(Operator.EQUAL, "l", 3)
    for wrong in ("n=x", "b=maybe", "f=y"):
        with pytest.raises(ValueError, match="is no "):
            one(wrong)


def test_cells_are_cut_for_the_screen() -> None:
    assert shortened("a\n  b") == "a b"
    assert len(shortened("x" * 500)) == 80


def test_estimate_memory(capsys: pytest.CaptureFixture[str]) -> None:
    size = ("estimate-memory", "--count", "1000000", "--dim", "128")
    assert weft(*size, "--json") == 0
    parts = json.loads(capsys.readouterr().out)
    assert 0 <= parts["vectors"] - 512_000_000 < 2**21, "whole huge pages"
    assert parts["total"] == weftdb.estimate_memory(1_000_000, 128).total
    assert weft(*size, "--settings", '{"bq": {"enabled": true}}') == 0
    assert "total" in capsys.readouterr().out
    for wrong in ("{", "[]", '{"maxConnections": 1}'):
        assert weft(*size, "--settings", wrong) == 2
        assert "weftdb: " in capsys.readouterr().err
