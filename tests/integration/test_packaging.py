"""Wheel and sdist hold what they should; an empty environment imports and serves from them."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from tests.server_process import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
IMPORT_S_MAX = 0.150
HEAVY = ("grpc", "google.protobuf", "fastapi", "httpx", "tokenizers", "uvicorn", "pydantic")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packaging")]


def run(*command: str | Path, cwd: Path = ROOT, timeout_s: float = 600) -> str:
    """Run a command; its output. Fails with what it said."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE_", "COV_CORE_", "PYTHONPATH"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    answer = subprocess.run(
        [str(item) for item in command],
        capture_output=True, text=True, cwd=cwd, timeout=timeout_s, check=False, env=environment,
    )  # fmt: skip
    assert answer.returncode == 0, f"{command}\n{answer.stdout[-3000:]}\n{answer.stderr[-3000:]}"
    return answer.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with this environment's tools; objects stay in build/ for next time."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation",
        "-Cbuild-dir=build/wheel", "-w", folder,
    )  # fmt: skip
    (found,) = folder.glob("weftdb-*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, made by the build backend itself."""
    folder = tmp_path_factory.mktemp("sdist")
    code = f"from scikit_build_core.build import build_sdist; build_sdist({str(folder)!r})"
    run(sys.executable, "-c", code)
    (found,) = folder.glob("weftdb-*.tar.gz")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment that the wheel was installed into, core only.

    The dependencies come from this environment through a path file: PyPI is not what is tested.
    """
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", wheel)
    return python


def names_in(wheel: Path) -> set[str]:
    """The files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_once_and_no_sources_of_cpp(wheel: Path) -> None:
    names = names_in(wheel)
    assert "weftdb/py.typed" in names
    assert "weftdb/storage/rocks.py" in names
    assert any(name.startswith("weftdb/index/kernels/_native.") for name in names)
    assert any(name.startswith("weftdb/server/grpc/_session.") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"weftdb", next(iter(tops - {"weftdb"}))}, tops
    unwanted = (".cpp", ".h", ".proto", ".pyc")
    assert [name for name in names if name.endswith(unwanted)] == []
    assert [name for name in names if "/src/" in name] == []


def test_every_python_file_of_the_layers_is_in_the_wheel(wheel: Path) -> None:
    names = names_in(wheel)
    for layer in ("core", "storage", "index", "modules", "engine", "server", "proto"):
        for path in (ROOT / layer).rglob("*.py"):
            assert f"weftdb/{path.relative_to(ROOT).as_posix()}" in names, path


def test_the_sdist_holds_every_source_once(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
        links = [item.name for item in archive.getmembers() if item.issym()]
    assert links == [], "archives hold files, not links"
    assert "weftdb/core/errors.py" in names
    assert "weftdb/index/kernels/src/module.cpp" in names
    assert "weftdb/server/grpc/src/session.cpp" in names
    assert {"third_party/nghttp2/COPYING", "third_party/nghttp2/lib/nghttp2_hd.c"} <= names
    assert {"CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"} <= names
    twice = [name for name in names if f"weftdb/{name}" in names and name.endswith(".py")]
    assert twice == []


def test_an_empty_environment_imports_quickly_and_lightly(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; began = time.perf_counter(); import weftdb; "
        "print(time.perf_counter() - began); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    best = 9.0
    for _ in range(5):
        seconds, heavy = run(installed, "-c", code, cwd=tmp_path).splitlines()
        assert heavy == "[]"
        best = min(best, float(seconds))
    assert best < IMPORT_S_MAX


@pytest.mark.filterwarnings("ignore")
def test_a_server_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Serve from the installed package, with this environment's dependencies, and ask it."""
    weaviate = pytest.importorskip("weaviate")
    site = run(installed, "-c", "import site; print(site.getsitepackages()[0])").strip()
    ours = run(sys.executable, "-c", "import site; print(site.getsitepackages()[0])").strip()
    # Appended, so that weftdb itself comes from the wheel; .pth files of ours are not read.
    Path(site, "dependencies.pth").write_text(f"{ours}\n")
    where = run(installed, "-c", "import weftdb; print(weftdb.__file__)", cwd=tmp_path).strip()
    assert where.startswith(site), where
    began = time.monotonic()
    with ServerProcess(tmp_path / "data", python=(str(installed),)) as server:
        client = weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port)
        try:
            things = client.collections.create("Thing")
            object_id = things.data.insert({"name": "weft"}, vector=[0.1, 0.2])
            found = things.query.near_vector([0.1, 0.2], limit=1)
            assert [item.uuid for item in found.objects] == [object_id]
        finally:
            client.close()
    assert time.monotonic() - began < 60
