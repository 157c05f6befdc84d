"""Which tests run under sanitizers: groups of parts, each a file or a folder of tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "kernels": ("tests/unit/index/kernels/test_*.py",),
    "graph": (
        "tests/unit/index/hnsw/test_*.py",
        "tests/unit/index/test_engines.py",
        "tests/compat/test_graph_bytes.py",
    ),
    "multi": ("tests/unit/index/test_multi_vector*.py", "tests/unit/index/test_muvera.py"),
    "text": (
        "tests/unit/index/inverted",
        "tests/property/inverted",
        "tests/property/test_native_terms.py",
        "tests/compat/test_inverted_bytes.py",
    ),
    "engine": ("tests/unit/engine/test_*.py", "tests/unit/engine/replica"),
    "life": ("tests/property/engine/test_*.py",),
    "door": (
        "tests/unit/server/grpc/test_connection.py",
        "tests/unit/server/grpc/test_door.py",
        "tests/unit/server/grpc/test_reply.py",
        "tests/unit/server/test_right_of_way.py",
        "tests/unit/server/test_search_driver.py",
        "tests/property/server",
    ),
    "property": ("tests/property/index/test_*.py",),
}
"""Each file that a pattern names is a part, and so is a folder."""
_CLIENT = ROOT / "tests" / "sanitize" / "client.tsan"
FOREIGN = {
    "ASAN_OPTIONS": {
        "tests/unit/engine/test_hnswlib_engine.py": "alloc_dealloc_mismatch=0",
        "tests/unit/index/test_engines.py": "alloc_dealloc_mismatch=0",
    },
    "TSAN_OPTIONS": {
        "tests/unit/index/test_engines.py": "detect_deadlocks=0",
        "tests/unit/server/grpc/test_connection.py": f"suppressions={_CLIENT}",
        "tests/unit/server/grpc/test_door.py": f"suppressions={_CLIENT}",
    },
}
"""By variable and part, options for what others' code does there: hnswlib gives arrays back as if
they were objects, and has so many locks that looking at their order takes an hour; gRPC's Python
client, which is not instrumented, runs in the process of tests of the door."""
OTHERS = "others"
"""The group of a part that is in none."""


def parts(names: Sequence[str]) -> list[str]:
    """The parts that groups and patterns name; those of all groups without a name."""
    patterns = [pattern for name in names or GROUPS for pattern in GROUPS.get(name, (name,))]
    found = {str(path.relative_to(ROOT)) for one in patterns for path in ROOT.glob(one)}
    return sorted(found)


def group_of(part: str) -> str:
    """The group that a part belongs to."""
    return next((name for name in GROUPS if part in parts([name])), OTHERS)
