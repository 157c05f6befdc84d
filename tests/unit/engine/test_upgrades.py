"""A dynamic index switches once, and a restart knows, with and without its snapshot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.definition import parse_collection
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.index.ports import Upgradable

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

DYNAMIC = {**DOC, "vectorIndexType": "dynamic", "vectorIndexConfig": {"threshold": 1_100}}


def fill(docs: LocalCollection, start: int, stop: int) -> None:
    vectors = np.random.default_rng(start).normal(size=(stop - start, 4))
    docs.put(
        [draft(i, vector=row.tolist()) for i, row in zip(range(start, stop), vectors, strict=True)]
    )


def is_upgraded(docs: LocalCollection) -> bool:
    index = docs.shard.vectors[UNNAMED]
    assert isinstance(index, Upgradable)
    return index.is_upgraded


@pytest.mark.parametrize("keeps_derived", [True, False], ids=["snapshot kept", "snapshot lost"])
def test_the_switch_outlives_a_restart(
    open_database: Callable[[], Database], tmp_path: Path, *, keeps_derived: bool
) -> None:
    database = open_database()
    docs = database.create_collection(parse_collection(DYNAMIC))
    fill(docs, 0, 1_100)
    assert not is_upgraded(docs)
    fill(docs, 1_100, 1_101)
    assert is_upgraded(docs)
    docs.delete([uid(i) for i in range(1_000)])
    for chore in docs.chores:
        chore.finish()
    if not keeps_derived:
        shutil.rmtree(tmp_path / "derived", ignore_errors=True)

    again = open_database().collection("Doc")
    assert again.count() == 101
    assert is_upgraded(again)


def test_a_flat_one_stays_flat(open_database: Callable[[], Database]) -> None:
    fill(open_database().create_collection(parse_collection(DYNAMIC)), 0, 50)
    assert not is_upgraded(open_database().collection("Doc"))


def test_the_mark_goes_with_the_collection(open_database: Callable[[], Database]) -> None:
    database = open_database()
    fill(database.create_collection(parse_collection(DYNAMIC)), 0, 1_101)
    database.maintenance.run_once()
    database.delete_collection("Doc")
    assert not is_upgraded(database.create_collection(parse_collection(DYNAMIC)))


def test_a_changed_threshold_is_taken(database: Database) -> None:
    docs = database.create_collection(parse_collection(DYNAMIC))
    fill(docs, 0, 60)
    body = {**DYNAMIC, "vectorIndexConfig": {"threshold": 50}}
    database.update_collection(parse_collection(body))
    assert is_upgraded(docs)
