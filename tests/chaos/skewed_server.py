"""`weftdb` with a wall clock that is off by as many milliseconds as a file says, at any moment.

The only wall clock of a server is `core.env.SystemClock`; it is bent here, in the test's own
process, so that the program has no switch for it. Elapsed time stays true, and so does etcd's.
What was read last with which offset is written beside FILE, as proof.

    python -P tests/chaos/skewed_server.py FILE -m weftdb serve ...
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from weftdb.core.env import SystemClock
from weftdb.server.main import main as serve

LOOK_S = 0.2


def bend(file: Path) -> None:
    """Let the clock be off from now on; a missing or unfinished file says nothing new."""
    offset_ms, looked_s = 0, -LOOK_S

    def now_ms(_clock: SystemClock) -> int:
        nonlocal offset_ms, looked_s
        now_s = time.monotonic()
        if now_s - looked_s >= LOOK_S:
            looked_s = now_s
            text = file.read_text() if file.exists() else ""
            before_ms = offset_ms
            offset_ms = int(text) if text.lstrip("-").isdigit() else offset_ms
            if offset_ms != before_ms:
                _beside(file).write_text(str(offset_ms))
        return time.time_ns() // 1_000_000 + offset_ms

    SystemClock.now_ms = now_ms  # type: ignore[assignment, method-assign]


def offset_read(file: Path) -> int:
    """The offset with which the process read its clock last."""
    text = _beside(file).read_text() if _beside(file).exists() else ""
    return int(text) if text.lstrip("-").isdigit() else 0


def _beside(file: Path) -> Path:
    return file.with_suffix(".read")


def main() -> None:
    """Bend the clock, then be the server."""
    bend(Path(sys.argv[1]))
    sys.exit(serve(sys.argv[4:]))


if __name__ == "__main__":
    main()
