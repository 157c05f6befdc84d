"""A hybrid logical clock: versions that never go back, whatever the wall clock does.

version := time_ms:u48 counter:u16 node:u64        # big-endian: bytes sort like versions
"""

from __future__ import annotations

import struct
import threading

from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData, InvalidRequest
from weftdb.core.types import Version

VERSION_BYTES = 16
NODE_BITS = 31
LIFE_BITS = 32
"""Together one less than the field has: the highest bit is the cluster's (`RESOLVED_BIT`)."""
RESOLVED_BIT = 1 << 63
"""In `Version.node`: of a deletion that no node stamped; it is made of what it ends."""
_LAYOUT = struct.Struct(">QQ")
_COUNTER_MAX = 0xFFFF
_TIME_MS_MAX = 2**48 - 1


def encode_version(version: Version) -> bytes:
    """16 bytes that sort like the version."""
    assert 0 <= version.time_ms <= _TIME_MS_MAX, version
    assert 0 <= version.counter <= _COUNTER_MAX, version
    return _LAYOUT.pack(version.time_ms << 16 | version.counter, version.node)


def decode_version(value: bytes) -> Version:
    """Read `encode_version` back. Raises CorruptData."""
    if len(value) != VERSION_BYTES:
        raise CorruptData(f"a version has {len(value)} bytes, not {VERSION_BYTES}")
    stamp, node = _LAYOUT.unpack(value)
    return Version(stamp >> 16, stamp & _COUNTER_MAX, node)


def version_above(version: Version) -> Version:
    """The version of a deletion that ends this state and no later one: above it, below what any
    node stamps in a later tick, and the same on every node that makes it. Requires: a stamp."""
    assert version.node < RESOLVED_BIT, f"a node's number has the top bit: {version}"
    return Version(version.time_ms, version.counter, version.node | RESOLVED_BIT)


def writer_number(node: int, life: int) -> int:
    """What stands for one life of a node's process in its versions (`Version.node`).

    `life` is drawn anew at every start. A stamp that was sent out just before a crash may be known
    to other replicas and not here, so that the floor says nothing of it; without the life, the next
    process could give the same version to another state, which no comparison would ever notice.
    """
    assert 0 <= node < 1 << NODE_BITS, node
    assert 0 <= life < 1 << LIFE_BITS, life
    return node << LIFE_BITS | life


class VersionClock:
    """Makes strictly increasing versions for one node. Thread-safe.

    `floor` is the newest version known to be stored: after a restart with the wall clock set back,
    versions go on above it.

    Versions of other nodes may be ahead of this node's wall clock, for clocks differ, but not by
    more than `ahead_ms_max` (None: no bound). One node whose clock is a year ahead would otherwise
    take every other clock along, for good.
    """

    def __init__(
        self, clock: Clock, *, node: int = 0, floor: Version, ahead_ms_max: int | None = None
    ) -> None:
        self._clock = clock
        self._node = node
        self._ahead_ms_max = ahead_ms_max
        self._lock = threading.Lock()
        self._last = (floor.time_ms, floor.counter)

    def next(self) -> Version:
        """A version above every earlier one."""
        with self._lock:
            now = (self._clock.now_ms(), 0)
            if now <= self._last:
                time_ms, counter = self._last
                now = (time_ms, counter + 1) if counter < _COUNTER_MAX else (time_ms + 1, 0)
            self._last = now
            return Version(now[0], now[1], self._node)

    def observe(self, version: Version) -> None:
        """Go on above `version`, which another node made. Raises InvalidRequest where that is too
        far ahead."""
        stamp = (version.time_ms, version.counter)
        if stamp <= self._last:
            return
        if self._ahead_ms_max is not None:
            ahead_ms = version.time_ms - self._clock.now_ms()
            if ahead_ms > self._ahead_ms_max:
                raise InvalidRequest(
                    f"a version is {ahead_ms / 1000:.0f} s ahead of this node's clock, more than "
                    f"the {self._ahead_ms_max / 1000:.0f} s of replication.clock_ahead_s_max: "
                    "look after the clocks of both nodes"
                )
        self.resume(version)

    def resume(self, version: Version) -> None:
        """Go on above `version`, which this node has stored."""
        with self._lock:
            self._last = max(self._last, (version.time_ms, version.counter))
