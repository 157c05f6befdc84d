"""OBJECTS_TTL_DELETE_SCHEDULE: how often expired objects are looked for."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.server.setting_values import SCHEDULE, BadValue


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0),
        ("0", 0),
        (0, 0),
        (0.0, 0),
        ("@every 1s", 1),
        ("30s", 30),
        ("@every 1m30s", 90),
        (5, 5),
    ],
)
def test_intervals(value: Any, seconds: float) -> None:
    assert SCHEDULE.read(value) == seconds


@pytest.mark.parametrize("value", ["*/5 * * * *", "@every", "@every x", "-1s", "@daily", True])
def test_what_is_no_interval(value: Any) -> None:
    with pytest.raises(BadValue, match="interval"):
        SCHEDULE.read(value)
