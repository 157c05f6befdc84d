"""Finds the ids of everything that a filter matches, over all shards: for deletions by filter."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from weftdb.cluster.search.layout import LaidShard, Round, Rounds
from weftdb.cluster.search.messages import FindIds
from weftdb.cluster.search.scatter import Gathered
from weftdb.core.partial import FoundIds, PartIds
from weftdb.core.query import Filter
from weftdb.core.types import ObjectId

IDS_PER_PAGE = 50_000
"""800 kB of each shard at a time."""


def find_rounds(
    rounds: Rounds, condition: Filter, *, page_ids: int = IDS_PER_PAGE
) -> Generator[Round, Any, list[ObjectId]]:
    """All ids that match, ascending. What is written meanwhile may be there or not. Raises as
    searches do."""
    layout = rounds.layout
    found: set[ObjectId] = set()
    left: dict[LaidShard, ObjectId | None] = dict.fromkeys(layout.shards)
    while left:
        shards = list(left)
        asked = [
            (
                shard,
                FindIds(
                    layout.ref(shard.name),
                    layout.schema_version,
                    PartIds(condition, page_ids, left[shard], shard.owned),
                ),
            )
            for shard in shards
        ]
        gathered: Gathered
        (gathered,) = yield rounds.ask(asked)
        for shard, page in zip(shards, gathered.replies, strict=True):
            assert isinstance(page, FoundIds), page
            found.update(page.ids)
            if page.is_last or not page.ids:
                del left[shard]
            else:
                left[shard] = page.ids[-1]
    return sorted(found)
