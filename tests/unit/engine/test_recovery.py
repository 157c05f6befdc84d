"""Opening a shard: from the store alone, from a snapshot, from a snapshot that is behind or bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.samples import uid
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import UNNAMED, ObjectId
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.recovery import snapshot_path
from weftdb.storage.object_codec import stored_id

COUNT = 1_500
ROWS = np.random.default_rng(3).normal(size=(COUNT + 50, 8)).astype(np.float32)


def fill(docs: LocalCollection, first: int, count: int) -> None:
    drafts = [
        ObjectDraft(uid(n + 1), {"size": n}, {UNNAMED: ROWS[n]})
        for n in range(first, first + count)
    ]
    assert docs.put(drafts) == [None] * count


def nearest(docs: LocalCollection, row: int) -> ObjectId:
    hits = docs.search(Search("Doc", near=NearVector((Target(UNNAMED, ROWS[row]),)), limit=1))
    return stored_id(hits.stored[0])


def snapshot_of(docs: LocalCollection) -> Path:
    return snapshot_path(docs.shard, UNNAMED)


def test_closing_leaves_a_snapshot_that_opening_uses(
    open_database: Callable[[], Database], database: Database, docs: LocalCollection
) -> None:
    fill(docs, 0, COUNT)
    assert docs.wait_indexed(30)
    path = snapshot_of(docs)
    for chore in docs.chores:
        chore.finish()
    assert path.exists()

    fill(docs, COUNT, 50)
    docs.delete([uid(1)])
    again = open_database().collection("Doc")
    assert again.shard.vectors[UNNAMED].count == COUNT + 50 - 1
    assert nearest(again, COUNT + 7) == uid(COUNT + 8)
    assert nearest(again, 5) == uid(6)
    assert nearest(again, 0) != uid(1)


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "empty"])
def test_a_bad_snapshot_costs_nothing_but_time(
    open_database: Callable[[], Database], docs: LocalCollection, damage: str
) -> None:
    fill(docs, 0, COUNT)
    assert docs.wait_indexed(30)
    for chore in docs.chores:
        chore.finish()
    path = snapshot_of(docs)
    content = bytearray(path.read_bytes())
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "flipped":
            content[len(content) // 3] ^= 0xFF
            path.write_bytes(content)
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")

    again = open_database().collection("Doc")
    assert again.shard.vectors[UNNAMED].count == COUNT
    assert nearest(again, 77) == uid(78)


def test_small_collections_leave_no_snapshot(docs: LocalCollection) -> None:
    fill(docs, 0, 10)
    for chore in docs.chores:
        chore.finish()
    assert not snapshot_of(docs).exists()
