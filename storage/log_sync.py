"""LogSync: makes RocksDB's write-ahead log durable without holding up the interpreter.

rocksdict keeps the interpreter's lock in `flush_wal`: every thread of the process stands still for
as long as the disk takes, milliseconds each time. Writes reach the kernel by themselves, so a sync
of the log files by descriptors of our own does the same, and Python lets go of its lock for that.

What has to be synced: every log file that was written to since its last sync, and the directory
when a file in it is new. RocksDB writes to the newest only; older ones are synced once more after
a newer one is there, and are then done with. A file that has gone was flushed: its rows are in
tables, which RocksDB syncs before it removes a log. An error that the kernel met when it wrote a
page back by itself is told by the next sync, also to a descriptor that was opened since.

Linux only. Elsewhere a sync asks for more than fdatasync, and RocksDB does it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

IS_SUPPORTED = sys.platform == "linux"
_SUFFIX = ".log"


class LogSync:
    """The log files in `directory`. Concurrency: one thread at a time."""

    def __init__(self, directory: Path) -> None:
        """All that is there is synced by the first `run`. Raises OSError."""
        self._path = directory
        self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._open: dict[int, int] = {}
        self._done: set[int] = set()

    def run(self) -> None:
        """Return when everything written before the call is on disk. Raises OSError."""
        if self._look():
            os.fsync(self._directory)
        newest = max(self._open, default=0)
        for number, descriptor in sorted(self._open.items()):
            os.fdatasync(descriptor)
            if number < newest:
                # The newer file was there before this sync began: no write comes to this one.
                del self._open[number]
                os.close(descriptor)
                self._done.add(number)

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        os.close(self._directory)

    def _look(self) -> bool:
        """Open log files that came since the last look; tell whether there are any."""
        numbers = {
            int(name.removesuffix(_SUFFIX))
            for name in os.listdir(self._directory)
            if name.endswith(_SUFFIX) and name[: -len(_SUFFIX)].isdigit()
        }
        self._done &= numbers
        fresh = sorted(numbers - self._done - self._open.keys())
        for number in fresh:
            try:
                self._open[number] = os.open(
                    f"{number:06}{_SUFFIX}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory
                )
            except FileNotFoundError:
                continue  # Flushed and removed since the listing.
        return bool(fresh)
