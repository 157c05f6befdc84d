"""The background chores of one shard: graph snapshots."""

from __future__ import annotations

from collections.abc import Sequence

from weftdb.engine.maintenance import Chore
from weftdb.engine.shard import Shard


def shard_chores(shard: Shard) -> Sequence[Chore]:
    """Everything that is repeated for a shard."""
    return []
