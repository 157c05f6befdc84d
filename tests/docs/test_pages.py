"""The pages are true: every error, limit and code block in them is held against the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from weftdb.core import errors, limits

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def leaves(kind: type[Exception]) -> set[type[Exception]]:
    """The exceptions of core/errors.py below `kind` that have none below them there."""
    below = [item for item in kind.__subclasses__() if item.__module__ == errors.__name__]
    return {kind} if not below else set().union(*(leaves(item) for item in below))


def error_rows() -> dict[str, tuple[int, str]]:
    """Name of an error to HTTP and gRPC code, as the page says."""
    rows = {}
    for line in (DOCS / "errors.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1].isdigit():
            for name in re.findall(r"`(\w+)`", cells[0]):
                rows[name] = (int(cells[1]), cells[2])
    return rows


def test_every_error_is_on_its_page_with_its_codes() -> None:
    codes = pytest.importorskip("weftdb.server.errors").CODES
    expected = {kind.__name__: (code.http, code.grpc.name) for kind, code in codes.items()}
    assert error_rows() == expected


def test_the_table_of_codes_knows_every_leaf() -> None:
    codes = pytest.importorskip("weftdb.server.errors").CODES
    assert leaves(errors.WeftError) <= set(codes)


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("objects in one batch", limits.BATCH_OBJECTS_MAX),
        ("bytes of a gRPC message", limits.GRPC_MESSAGE_BYTES_MAX),
        ("results of a search (offset + limit)", limits.QUERY_MAXIMUM_RESULTS),
        ("least depth of a hybrid's legs", limits.QUERY_HYBRID_MAXIMUM_RESULTS),
        ("results when no limit is given", limits.QUERY_DEFAULTS_LIMIT),
        ("dimensions of a vector", limits.VECTOR_DIMENSIONS_MAX),
        ("nesting of a filter", limits.FILTER_DEPTH_MAX),
        ("shards of a collection without tenants", limits.SHARDS_PER_COLLECTION_MAX),
        (
            "virtual shards of a collection (shards times `virtualPerPhysical`)",
            limits.VIRTUAL_SHARDS_MAX,
        ),
        ("versions of objects in a shard over its life", limits.DOC_IDS_PER_SHARD_MAX),
    ],
)
def test_limits_are_on_their_page(label: str, value: int) -> None:
    page = (DOCS / "limits.md").read_text(encoding="utf-8")
    assert f"| {label} | {value:,} |" in page


def python_blocks(page: Path) -> list[str]:
    """The Python that a page shows, in order."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore")
def test_the_start_page_runs_as_it_stands(tmp_path: Path) -> None:
    """Library block, then `weftdb serve` over the same directory, then the official client."""
    pytest.importorskip("tokenizers")
    from tests.server_process import ServerProcess

    library, client = python_blocks(ROOT / "README.md")
    answer = subprocess.run(
        [sys.executable, "-c", library],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "warp and weft" in answer.stdout
    with ServerProcess(tmp_path / "my-data") as server:
        client = client.replace("8080", str(server.http_port))
        client = client.replace("50051", str(server.grpc_port))
        answer = subprocess.run(
            [sys.executable, "-c", client],
            capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False,
        )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "warp and weft" in answer.stdout


def test_the_settings_page_is_what_the_code_says() -> None:
    pytest.importorskip("weftdb.server.settings")
    from tests.docs.settings_page import PAGE, render, sample_lines, settings_by_path

    assert set(settings_by_path()) <= set(sample_lines())
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m tests.docs.settings_page"


def test_every_metric_is_on_its_page() -> None:
    source = (ROOT / "server" / "metrics.py").read_text(encoding="utf-8")
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    names = set(re.findall(r'"(weftdb_[a-z_]+)"', source))
    assert names, "no metrics found in the source"
    assert {name for name in names if f"`{name}" not in page} == set()


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    answer = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        capture_output=True, text=True, timeout=120, cwd=ROOT, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
