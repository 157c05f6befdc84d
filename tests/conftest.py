"""What every test shares: where the given material lies, and what the run's header says."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.golden.script import Execute, play
from tests.sizes import SANITIZER

ROOT = Path(__file__).resolve().parents[1]


def shared_folder() -> Path:
    """Where the material that is not in the repository lies (corpora, recordings, load generator):
    `WEFTDB_SHARED`, or `../shared` beside the repository."""
    return Path(os.environ.get("WEFTDB_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; the test is skipped where there is none."""
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip(f"no shared material at {folder}; set WEFTDB_SHARED")
    return folder


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A directory with a short name, for what stores sockets or many files in it."""
    with tempfile.TemporaryDirectory(prefix="weft-") as name:
        yield Path(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--golden-update`."""
    parser.addoption("--golden-update", action="store_true", help="rewrite the golden scripts")


def pytest_configure() -> None:
    """Be patient under a sanitizer."""
    if SANITIZER:
        from tests.sanitize.patience import be_patient

        be_patient()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, Execute], None]:
    """Play a golden script (`tests/golden`) against a function from command to output."""
    update = bool(request.config.getoption("--golden-update"))
    return lambda path, execute: play(path, execute, update=update)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every property try WEFTDB_FUZZ_TIMES as many examples: more under `make fuzz`, fewer
    under `make sanitize`."""
    times = float(os.environ.get("WEFTDB_FUZZ_TIMES", "1"))
    if times == 1:
        return

    def count_of(chosen: settings) -> int:
        return max(1, round(chosen.max_examples * times))

    for machine in {getattr(item, "cls", None) for item in items}:
        chosen = getattr(machine, "settings", None)  # Of a RuleBasedStateMachine's test case.
        if isinstance(chosen, settings):
            machine.settings = settings(chosen, max_examples=count_of(chosen))
    for item in items:
        test = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        chosen = getattr(test, "_hypothesis_internal_use_settings", None)
        if chosen is not None:
            more = settings(chosen, max_examples=count_of(chosen), deadline=None)
            test._hypothesis_internal_use_settings = more


def pytest_report_header() -> list[str]:
    """Say what this run runs on."""
    try:
        from weftdb.index import kernels

        implementation = getattr(kernels, "IMPLEMENTATION", "not chosen yet")
    except ImportError as error:
        implementation = f"cannot load: {error}"
    return [f"kernels: {implementation}", f"shared material: {shared_folder()}"]
