"""The lock of a data directory: one process at a time, and its name for whoever comes second.

    file "holder.json" := JSON {pid, host, command, since_ms}

The operating system's lock on the file is what counts; the text only names the holder. So a file
left behind by a crash is no obstacle.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import weakref
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from weftdb.core.env import Clock
from weftdb.core.errors import StoreHeld

log = logging.getLogger("weftdb.storage")

_NAME = "holder.json"
_held: set[str] = set()
_held_lock = threading.Lock()


class DirectoryHold:
    """Holds a directory from construction until `release`.

    Raises StoreHeld, and OSError when the directory cannot be made or written.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / _NAME
        self._key = os.path.realpath(directory)
        with _held_lock:
            if self._key in _held:
                raise StoreHeld(f"{directory} is already open in this process (pid {os.getpid()})")
            self._file = self._acquire(directory)
            _held.add(self._key)
        # A store that is dropped without being closed lets go too.
        self._release = weakref.finalize(self, _let_go, self._key, self._file)
        self._sign(clock)

    def release(self) -> None:
        """Let go. Twice is fine."""
        self._release()

    def _acquire(self, directory: Path) -> FileIO:
        file = self._path.open("a+b", buffering=0)
        try:
            _lock(file)
        except OSError:
            file.seek(0)
            text = file.read()
            file.close()
            raise StoreHeld(f"{directory} is held by {_describe(text)}") from None
        return file

    def _sign(self, clock: Clock) -> None:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": " ".join(sys.argv)[:500],
            "since_ms": clock.now_ms(),
        }
        try:
            self._file.truncate(0)
            self._file.write(json.dumps(holder).encode())
        except OSError as error:
            # On a full disk reads must still work, and the lock holds without its text.
            log.warning("%s does not name this process: %s", self._path, error)


def _let_go(key: str, file: FileIO) -> None:
    with _held_lock:
        _held.discard(key)
        file.close()


def _describe(text: bytes) -> str:
    try:
        holder = json.loads(text)
        since = datetime.fromtimestamp(holder["since_ms"] / 1000, UTC)
        return (
            f"process {holder['pid']} on {holder['host']} since {since:%Y-%m-%d %H:%M:%S} UTC "
            f"({holder['command']}); end it first, or open another directory"
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return "another process"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: FileIO) -> None:
        file.seek(1 << 20)  # Past the text, so that others can still read who holds it.
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: FileIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
