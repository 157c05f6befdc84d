"""The distribution `weftdb-client` works without the database's package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "clients" / "python"

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules["weftdb"] = None  # importing it fails from here on
import weftdb_client
import weftdb_client.remote
try:
    weftdb_client.connect("http://127.0.0.1:9", timeout_s=5)
except weftdb_client.Unavailable as error:
    print("away:", error)
"""


def test_it_needs_nothing_of_the_database() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(FOLDER)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("away: GET http://127.0.0.1:9/v1/meta")


def test_urls_are_checked() -> None:
    code = CODE.replace("http://127.0.0.1:9", "localhost:8080")
    done = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER)], capture_output=True, text=True, timeout=60
    )
    assert "not a URL of the form" in done.stderr
