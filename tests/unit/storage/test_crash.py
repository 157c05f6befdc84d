"""A killed process loses nothing that it was told is durable, and shows no half batch."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weftdb.storage.kv import Family

from .conftest import open_rocks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")

ROUNDS = 5
WRITER = """
import os, sys, threading
from pathlib import Path
from weftdb.core.config import StorageConfig
from weftdb.core.env import SystemClock
from weftdb.core.limits import MiB
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.rocks import RocksStore

store = RocksStore(Path(sys.argv[1]), StorageConfig(write_buffer_bytes=MiB), SystemClock())
base = int(sys.argv[2])

def write(thread):
    number = base
    while True:
        batch = WriteBatch()
        for family in (Family.OBJECTS, Family.IDS, Family.METADATA):
            batch.put(family, b"%02d-%08d" % (thread, number), os.urandom(200))
        if number % 7 == 6:
            for family in (Family.OBJECTS, Family.IDS, Family.METADATA):
                batch.delete(family, b"%02d-%08d" % (thread, number - 3))
        store.wait_durable(store.write(batch))
        os.write(1, b"%02d-%08d\\n" % (thread, number))
        number += 1

threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
[thread.start() for thread in threads]
"""


def play(directory: Path, base: int, seconds: float) -> set[bytes]:
    """Let the writer run for a while, kill it, and return what it said was durable."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, directory, str(base)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        rest = process.stdout.read()
    lines = (first + rest).split(b"\n")
    return set(lines[:-1])


def test_sigkill_while_writing(tmp_path: Path) -> None:
    dice = random.Random(7)
    acknowledged: set[bytes] = set()
    for attempt in range(ROUNDS):
        told = play(tmp_path, attempt * 1_000_000, dice.uniform(0.02, 0.3))
        assert told
        acknowledged |= told
        store = open_rocks(tmp_path)
        present = {
            family: {key for key, _ in store.scan(family, b"", b"\xff")}
            for family in (Family.OBJECTS, Family.IDS, Family.METADATA)
        }
        store.close()
        objects = present[Family.OBJECTS]
        assert present[Family.IDS] == objects
        assert present[Family.METADATA] == objects, "a batch is there as a whole or not at all"
        for name in acknowledged:
            number = int(name[3:])
            deleter = b"%s-%08d" % (name[:2], number + 3)
            if number % 7 == 3:
                # Deleted by a later write, which may have been applied without being told.
                assert name in objects or deleter in objects
                assert not (name in objects and deleter in acknowledged), "a deletion came undone"
            else:
                assert name in objects, "an acknowledged write is lost"
