"""NativeIndex: what the indexes in native memory have in common behind the `VectorIndex` Protocol.

Waiting, files, the slots of deleted vectors, and what native errors mean to the engine. What
searches and quantizes is each index's own (hnsw/graph.py, multi_vector.py).
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Generic, TypeVar

from weftdb.core.errors import (
    Closed,
    CorruptData,
    DimensionMismatch,
    DiskFull,
    Fault,
    InvalidRequest,
    WeftError,
)
from weftdb.core.types import DocIds
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels import _native

LINKS_MIN = 4
EF_CONSTRUCTION_MIN = 4

_INTERRUPTIBLE_S = 0.25
"""Longest stay in native code while waiting, so that Ctrl-C is heard."""

N = TypeVar("N", bound=_native.VectorIndex | _native.MultiVectorIndex)


class NativeIndex(Generic[N]):
    """One vector space of one shard, in native memory."""

    def __init__(self, native: N) -> None:
        self._native = native

    @property
    def dimensions(self) -> int | None:
        """Length of the stored vectors; None while there are none."""
        return self._native.dimensions or None

    @property
    def count(self) -> int:
        """Live docs."""
        return self._native.count

    @property
    def pending(self) -> int:
        """Docs that wait to be linked; without MUVERA those of a multi-vector by the share of
        their rows."""
        return self._native.pending

    def delete(self, doc_ids: DocIds) -> None:
        """Forget `doc_ids`; unknown ones are ignored."""
        try:
            self._native.erase(doc_ids)
        except RuntimeError as error:
            raise translated(error) from error

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until nothing is pending; False when the time is up. Raises Fault where linking
        rests after it failed."""
        until = time.monotonic() + timeout_s
        while True:
            left = until - time.monotonic()
            try:
                if self._native.wait_indexed(min(max(left, 0.0), _INTERRUPTIBLE_S)):
                    return True
            except RuntimeError as error:
                raise Fault(str(error)) from error
            if left <= 0:
                return False

    @property
    def link_fault(self) -> str:
        """Why linking rests; empty where it does not. Searches scan what has no links."""
        return self._native.link_fault

    def retry_links(self) -> None:
        """Go on linking after a fault; nothing happens where there was none."""
        self._native.retry_links()

    def save(self, path: Path) -> None:
        """Bring the files at `path` up to date: what changed goes to the commit log beside it.

        Without a snapshot there, or when the log would become too long, a new snapshot takes its
        place. Codes go to a file of their own. All of it is derived data. Raises DiskFull, OSError.
        """
        self._save(path)

    def _save(self, path: Path) -> str | None:
        """Save, and pass on what the native index says of it."""
        try:
            return self._native.save(str(path))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"no room for the snapshot {path}: {error.strerror}") from error
            raise
        except RuntimeError as error:
            raise translated(error) from error

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take over a snapshot and what lies beside it, without docs that are not `live` any more.

        Returns the live docs that the files lack, ascending: their vectors, if they have one,
        come from the store. Requires: nothing was added. Raises CorruptData for a file that is
        damaged or was written for other settings, OSError if it cannot be read.
        """
        try:
            return self._native.load(str(path), live.words())
        except _native.SnapshotError as error:
            raise CorruptData(f"{path}: {error}") from error
        except RuntimeError as error:
            raise translated(error) from error

    @property
    def docs_end(self) -> int:
        """One more than the largest doc id that the files it was loaded from know; 0 without."""
        return self._native.docs_end

    @property
    def log_bytes(self) -> int:
        """Length of the commit log beside the snapshot of the graph."""
        return self._native.log_bytes

    @property
    def deleted(self) -> int:
        """Slots of deleted vectors that the graph still holds."""
        return self._native.deleted

    @property
    def compactions(self) -> int:
        """How often deleted slots were given back."""
        return self._native.compactions

    @property
    def compaction_bytes(self) -> tuple[int, int]:
        """Memory that a running compaction holds beside the index, and that it will still take."""
        return self._native.compaction_bytes

    def compact(self, share: float) -> None:
        """Begin to give deleted slots back if they are more than this share of all.

        It goes on in the background; the index does so by itself for a share of a seventh.
        """
        try:
            self._native.compact(share)
        except RuntimeError as error:
            raise translated(error) from error

    def compaction_room(self, share: float) -> tuple[int, int]:
        """Bytes of memory and of the disk that `compact` would take for a while; zeros where it
        would not begin. Raises Closed."""
        try:
            return self._native.compaction_room(share)
        except RuntimeError as error:
            raise translated(error) from error

    def leave_large_compactions(self, memory_bytes: int) -> None:
        """Begin by itself only what takes no more memory than this, and nothing of the disk; the
        rest is left to `compact`."""
        self._native.set_own_compaction_max(memory_bytes)

    def memory_bytes(self) -> int:
        """Resident bytes of vectors, links and bookkeeping."""
        return self._native.memory_bytes

    def close(self) -> None:
        """Stop background work and give the memory back."""
        self._native.close()

    def _search_error(self, error: Exception, given: int) -> WeftError:
        if isinstance(error, _native.DimensionError):
            return DimensionMismatch(f"vector lengths don't match: {self.dimensions} vs {given}")
        return translated(error)


def translated(error: Exception) -> WeftError:
    """What a native error means to the engine."""
    if isinstance(error, _native.ClosedError):
        return Closed(str(error))
    assert isinstance(error, ValueError), f"a native error without a meaning: {error!r}"
    return InvalidRequest(str(error))
