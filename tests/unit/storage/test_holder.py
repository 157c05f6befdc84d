"""One process at a time has a data directory, and the second one hears who that is."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from weftdb.core.env import ManualClock
from weftdb.core.errors import StoreHeld
from weftdb.storage.holder import DirectoryHold

HOLD = """
import sys
from pathlib import Path
from weftdb.core.env import SystemClock
from weftdb.storage.holder import DirectoryHold
hold = DirectoryHold(Path(sys.argv[1]), SystemClock())
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_is_named(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreHeld, match=rf"process {holder.pid} on .* since \d{{4}}-"):
            DirectoryHold(tmp_path, ManualClock())
        holder.kill()
    DirectoryHold(tmp_path, ManualClock()).release()


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    hold = DirectoryHold(tmp_path, ManualClock())
    with pytest.raises(StoreHeld, match=f"this process .pid {os.getpid()}."):
        DirectoryHold(tmp_path / ".." / tmp_path.name, ManualClock())
    hold.release()
    DirectoryHold(tmp_path, ManualClock()).release()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', '{"pid":1,"host":"h","since_ms":9e99}']
)
def test_a_file_left_behind_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "holder.json").write_text(text)
    hold = DirectoryHold(tmp_path, ManualClock())
    signed = json.loads((tmp_path / "holder.json").read_text())
    assert signed["pid"] == os.getpid()
    assert signed["since_ms"] == ManualClock().now_ms()
    hold.release()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        DirectoryHold(tmp_path / "file" / "below", ManualClock())


def test_a_hold_that_is_dropped_is_let_go(tmp_path: Path) -> None:
    hold = DirectoryHold(tmp_path, ManualClock())
    del hold
    gc.collect()
    again = DirectoryHold(tmp_path, ManualClock())
    again.release()
    again.release()


def test_no_room_for_the_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    (tmp_path / "holder.json").symlink_to("/dev/full")
    DirectoryHold(tmp_path, ManualClock()).release()
    assert "does not name this process" in caplog.text
