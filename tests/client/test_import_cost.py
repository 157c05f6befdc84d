"""`import weftdb` is quick and light; opening a library needs no server package."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.server_process import child_environment

HEAVY = ("grpc", "google.protobuf", "fastapi", "tokenizers", "httpx", "rich", "onnxruntime")
IMPORT_MS_MAX = 150


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import weftdb; dir(weftdb)",
        "import weftdb.client",
        "import weftdb.engine.assembly, weftdb.client.embedded",
    ],
)
def test_nothing_heavy_is_imported(statement: str) -> None:
    assert loaded_after(statement).isdisjoint(HEAVY)


def test_import_is_quick() -> None:
    def seconds(statement: str) -> float:
        started = time.perf_counter()
        # Without coverage in the child: it would be measured instead.
        subprocess.run(
            [sys.executable, "-c", statement], check=True, timeout=60, env=child_environment({})
        )
        return time.perf_counter() - started

    # The best of five: a busy machine makes single runs slow, never quick.
    extra = min(seconds("import weftdb") for _ in range(5)) - min(seconds("pass") for _ in range(5))
    assert extra * 1000 < IMPORT_MS_MAX


def test_unknown_names_are_refused() -> None:
    import weftdb

    assert {"open", "connect", "__version__"} <= set(dir(weftdb))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = weftdb.nothing
