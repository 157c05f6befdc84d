"""The number of a writer in versions: it tells nodes and lives apart, and leaves the top bit."""

from __future__ import annotations

import pytest

from weftdb.core.env import ManualClock
from weftdb.core.errors import InvalidRequest
from weftdb.core.types import Version
from weftdb.storage.versions import (
    LIFE_BITS,
    NODE_BITS,
    VersionClock,
    decode_version,
    encode_version,
    writer_number,
)


def test_nodes_and_lives_have_numbers_of_their_own() -> None:
    pairs = [(node, life) for node in (0, 1, 2**NODE_BITS - 1) for life in (0, 1, 2**LIFE_BITS - 1)]
    numbers = {writer_number(node, life) for node, life in pairs}
    assert len(numbers) == len(pairs)
    assert max(numbers) < 1 << 63, "the top bit is the cluster's own"


@pytest.mark.parametrize(("node", "life"), [(-1, 0), (2**NODE_BITS, 0), (0, -1), (0, 2**LIFE_BITS)])
def test_what_does_not_fit_is_refused(node: int, life: int) -> None:
    with pytest.raises(AssertionError):
        writer_number(node, life)


def test_a_new_life_does_not_repeat_a_stamp_that_its_store_never_saw() -> None:
    """The floor is what was stored; the stamp above it was sent out, and then the power failed."""
    clock, floor = ManualClock(), Version(ManualClock().now_ms() + 300_000, 4, 9)
    before = VersionClock(clock, node=writer_number(1, 77), floor=floor).next()
    after = VersionClock(clock, node=writer_number(1, 78), floor=floor).next()
    assert (before.time_ms, before.counter) == (after.time_ms, after.counter)
    assert before != after
    assert decode_version(encode_version(after)) == after


def test_a_version_far_ahead_takes_no_clock_along() -> None:
    clock = ManualClock(1_000_000)
    versions = VersionClock(clock, floor=Version(0), ahead_ms_max=3_600_000)
    versions.observe(Version(4_600_000, 3))
    assert versions.next() == Version(4_600_000, 4)
    with pytest.raises(
        InvalidRequest, match=r"3601 s ahead of this node's clock, more than the 3600"
    ):
        versions.observe(Version(4_601_000))
    assert versions.next() == Version(4_600_000, 5)
    clock.advance(1_000)
    versions.observe(Version(4_601_000))
    assert versions.next() == Version(4_601_000, 1)
    versions.resume(Version(9_000_000))
    assert versions.next() == Version(9_000_000, 1), "what is stored here counts, however far ahead"
    versions.observe(Version(8_000_000))
