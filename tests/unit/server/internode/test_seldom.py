"""What happens with every call is told now and then, and counted."""

from __future__ import annotations

import logging

import pytest

from weftdb.core.env import ManualClock
from weftdb.server.internode.seldom import GAP_S, SeldomLog


def test_the_first_is_told_at_once_and_the_others_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    seldom = SeldomLog(logging.getLogger("weftdb.internode"), clock)
    for _ in range(5):
        seldom.warn("100 % refused")
    assert caplog.messages == ["100 % refused"]
    clock.advance(int(GAP_S * 1000))
    seldom.warn("refused")
    seldom.warn("refused")
    assert caplog.messages[1:] == ["refused (and 4 more like it)"]
