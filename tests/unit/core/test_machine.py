"""Limits of control groups of both versions, read from a made-up root."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from weftdb.core.limits import MiB
from weftdb.core.machine import (
    DiskUse,
    give_back_memory,
    memory_limit_bytes,
    memory_used_bytes,
    read_disk_use,
)

NONE_V1 = str(2**63 - 4096)


def make_root(root: Path, groups: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": str(300 * MiB)}, 300 * MiB),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(200 * MiB)}, 200 * MiB),
        ("0::/\n", {"memory.max": str(100 * MiB)}, 100 * MiB),
        ("0::/host/only\n", {"memory.max": str(64 * MiB)}, 64 * MiB),
        (
            "5:cpu,memory:/docker/x\n1:name=systemd:/\n",
            {"memory/docker/x/memory.limit_in_bytes": str(80 * MiB)},
            80 * MiB,
        ),
        ("5:memory:/docker/x\n", {"memory/memory.limit_in_bytes": str(90 * MiB)}, 90 * MiB),
    ],
)
def test_the_tightest_group_counts(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int
) -> None:
    assert memory_limit_bytes(make_root(tmp_path, groups, files)) == limit


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/a\n", {"a/memory.max": "max"}),
        ("5:memory:/a\n", {"memory/a/memory.limit_in_bytes": NONE_V1}),
        ("0::/a\n", {}),
        ("nonsense\n", {}),
    ],
)
def test_without_a_group_it_is_the_machine(
    tmp_path: Path, groups: str, files: dict[str, str]
) -> None:
    machine = memory_limit_bytes(tmp_path / "nothing here")
    assert memory_limit_bytes(make_root(tmp_path, groups, files)) == machine


def test_used_memory_leaves_mapped_files_out(tmp_path: Path) -> None:
    assert memory_used_bytes(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/statm").write_text("900 500 200 1 0 100 0\n")
    used = memory_used_bytes(tmp_path)
    assert used is not None
    assert used % 300 == 0
    (tmp_path / "proc/self/statm").write_text("900\n")
    assert memory_used_bytes(tmp_path) is None


def test_a_disk_as_df_shows_it(tmp_path: Path) -> None:
    assert DiskUse(30, 10).percentage == 75.0
    assert DiskUse(0, 0).percentage == 0.0
    assert 0.0 < read_disk_use(tmp_path).percentage <= 100.0


def test_memory_can_be_given_back() -> None:
    give_back_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of GNU's allocator")
def test_large_blocks_are_mapped_and_freed_by_themselves() -> None:
    """In a process of its own: the setting stays."""
    script = """
import ctypes, numpy
from weftdb.core.machine import LARGE_BLOCK_BYTES, map_large_blocks
class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
assert map_large_blocks()
numpy.ones(8 * LARGE_BLOCK_BYTES, numpy.uint8)  # Freed: GNU's would serve such from the heap now.
held = [numpy.ones(2 * LARGE_BLOCK_BYTES, numpy.uint8) for _ in range(3)]
print(libc.mallinfo2().hblks)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert int(said.stdout) >= 3
