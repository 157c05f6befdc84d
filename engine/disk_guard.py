"""DiskGuard: refuses writes before the disk is full, while there is room to end what runs.

Deletions pass, because they make room; so does the background work, which writes what was taken
in already. Writes are taken again as soon as there is room.

Concurrency: any thread; a look at the disk may be made twice, and nothing hangs on it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from weftdb.core.config import ResourcesConfig
from weftdb.core.env import Clock
from weftdb.core.errors import DiskFull
from weftdb.core.limits import MiB
from weftdb.core.machine import DiskUse, read_disk_use

log = logging.getLogger("weftdb.disk")

LOOK_S = 1.0
"""A second of writing is far less than the last ten percent of any disk."""
WARNING_S = 60.0


class DiskGuard:
    """Watches the file system of one directory."""

    def __init__(
        self,
        path: Path,
        config: ResourcesConfig,
        clock: Clock,
        look: Callable[[Path], DiskUse] = read_disk_use,
    ) -> None:
        self._path = path
        self._config = config
        self._clock = clock
        self._look = look
        self._looked_s = float("-inf")
        self._warned_s = float("-inf")
        self._used = 0.0
        self.refused = 0

    @property
    def used_percentage(self) -> float:
        """Share of the disk in use, 0 to 100; no older than `LOOK_S`."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s >= LOOK_S:
            # A disk that cannot be looked at keeps its mark: the write itself will tell.
            with contextlib.suppress(OSError):
                self._used = self._look(self._path).percentage
            self._looked_s = now_s
        return self._used

    @property
    def refusal(self) -> str:
        """Why writes are refused now, or the empty text."""
        limit = self._config.disk_readonly_percentage
        if not limit or self.used_percentage <= limit:
            return ""
        return (
            f"store is read-only due to: disk usage too high, {self._used:.1f} % used, "
            f"limit {limit} %"
        )

    def shortage(self, wanted_bytes: int) -> str:
        """Why `wanted_bytes` more would be too much for the disk, or the empty text."""
        try:
            now = self._look(self._path)
        except OSError:
            return ""  # The write itself will tell.
        then = DiskUse(now.used_bytes + wanted_bytes, now.free_bytes - wanted_bytes)
        limit = self._config.disk_readonly_percentage or 100
        if then.free_bytes >= 0 and then.percentage <= limit:
            return ""
        return (
            f"it needs {wanted_bytes / MiB:,.1f} MiB of the disk, {now.free_bytes / MiB:,.1f} MiB "
            f"are free and {limit} % may be used"
        )

    def check(self) -> None:
        """Let a write pass. Raises DiskFull."""
        if not (self._config.disk_readonly_percentage or self._config.disk_warning_percentage):
            return
        refusal = self.refusal
        if refusal:
            self.refused += 1
            raise DiskFull(f"{refusal}; deletions and searches go on")
        warning, now_s = self._config.disk_warning_percentage, self._clock.monotonic_s()
        if warning and self.used_percentage > warning and now_s - self._warned_s >= WARNING_S:
            self._warned_s = now_s
            log.warning(
                "disk of %s: %.1f %% used (warning at %d %%, read-only at %d %%)",
                self._path, self._used, warning, self._config.disk_readonly_percentage,
            )  # fmt: skip
