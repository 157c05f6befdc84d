"""Consistency levels off the wire."""

from __future__ import annotations

from collections.abc import Mapping

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import InvalidRequest

_LEVELS: Mapping[int, ConsistencyLevel | None] = {
    0: None,
    1: ConsistencyLevel.ONE,
    2: ConsistencyLevel.QUORUM,
    3: ConsistencyLevel.ALL,
}


def parse_level(wire: int) -> ConsistencyLevel | None:
    """Read the enum's number; None where nothing is asked for. Raises InvalidRequest."""
    try:
        return _LEVELS[wire]
    except KeyError:
        known = ", ".join(f"'{level.name}'" for level in ConsistencyLevel)
        raise InvalidRequest(
            f"unrecognized consistency level '{wire}', try one of the following: [{known}]"
        ) from None
