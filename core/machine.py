"""What the machine gives this process: memory it may use, memory it uses, room on the disk.

Linux knows all of it (control groups of both versions, /proc). Elsewhere what cannot be known is
None, and the caller goes by what its parts say of themselves.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import disk_usage

LARGE_BLOCK_BYTES = 1 << 20
_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of malloc.h."""
_NO_LIMIT = 2**60
"""Version 1 writes a number near 2^63 where there is no limit."""
_V1_FILE = "memory.limit_in_bytes"
_V2_FILE = "memory.max"


@dataclass(frozen=True, slots=True)
class DiskUse:
    """A file system as `df` shows it: what is kept for the administrator counts as used."""

    used_bytes: int
    free_bytes: int

    @property
    def percentage(self) -> float:
        """Share in use, 0 to 100."""
        return 100.0 * self.used_bytes / max(self.used_bytes + self.free_bytes, 1)


def read_disk_use(path: Path) -> DiskUse:
    """The file system that `path` lies on. Raises OSError."""
    found = disk_usage(path)
    return DiskUse(found.used, found.free)


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The least of physical memory and the limits of the control groups this process is in."""
    limits = [_physical_bytes(), *_group_limits(root)]
    known = [limit for limit in limits if limit is not None]
    return min(known, default=None)


def memory_used_bytes(root: Path = Path("/")) -> int | None:
    """Memory that only the end of the process gives back: resident, without mapped files."""
    try:
        fields = (root / "proc/self/statm").read_text(encoding="ascii").split()
        resident, shared = int(fields[1]), int(fields[2])
    except (OSError, ValueError, IndexError):
        return None
    return (resident - shared) * os.sysconf("SC_PAGESIZE")


def give_back_memory() -> None:
    """Let the allocator return what it keeps of freed memory. GNU's keeps a lot after a deletion;
    where there is another one, nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def map_large_blocks() -> bool:
    """Make the allocator map every block of `LARGE_BLOCK_BYTES` and more by itself, and unmap it
    when it is freed; whether it does. GNU's raises that size to the largest that it has seen freed:
    large blocks come to lie among small ones, which then hold their memory. For a process of our
    own: a library has no say in another's."""
    if not sys.platform.startswith("linux"):
        return False
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    return option is not None and option(_MMAP_THRESHOLD, LARGE_BLOCK_BYTES) == 1


def _physical_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None  # Not there on Windows.


def _group_limits(root: Path) -> list[int | None]:
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    limits: list[int | None] = []
    mount = root / "sys/fs/cgroup"
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            limits += _limits_up(mount, path, _V2_FILE)
        elif "memory" in controllers.split(","):
            limits += _limits_up(mount / "memory", path, _V1_FILE)
    return limits


def _limits_up(mount: Path, path: str, name: str) -> list[int | None]:
    """The limits of a group and of those around it. In a container the path may be that of the
    host, which is not mounted there: then the mount itself is the group."""
    inside = PurePosixPath(path.lstrip("/"))
    return [_limit(mount / group / name) for group in (inside, *inside.parents)]


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
        limit = int(text)
    except (OSError, ValueError):  # "max" is no number: no limit.
        return None
    return limit if limit < _NO_LIMIT else None
