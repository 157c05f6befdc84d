"""The client's copy of the wire messages is the one that copy_proto.py writes."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "clients" / "python" / "copy_proto.py"


def test_the_copy_is_current() -> None:
    script = runpy.run_path(str(SCRIPT))
    copied = {path.name: path.read_text("utf-8") for path in script["TARGET"].glob("*.py*")}
    assert copied == script["copies"](), "run make proto"


def test_generating_the_messages_also_copies_them() -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "proto"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert recipe.index("grpc_tools.protoc") < recipe.index("clients/python/copy_proto.py")


def test_both_copies_live_in_one_process() -> None:
    from weftdb.client._proto import search_pb2 as copied
    from weftdb.proto.v1 import search_pb2 as original

    raw = original.SearchRequest(collection="A", limit=3).SerializeToString()
    assert copied.SearchRequest.FromString(raw).limit == 3
