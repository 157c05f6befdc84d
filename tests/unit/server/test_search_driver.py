"""SearchDriver: many reads in one event loop answer as they do one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weftdb.core.config import Config
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import DimensionMismatch
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import NearVector, Search, Sort, Target
from weftdb.core.types import UNNAMED, ObjectId
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.steps import VectorCall
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.modules.registry import Registry
from weftdb.server import search_driver
from weftdb.server.search_driver import SearchDriver
from weftdb.storage.memory import MemoryStore

COUNT = 2_000
DIMENSIONS = 16


@pytest.fixture
def points(tmp_path: Path) -> Iterator[LocalCollection]:
    """A collection of random vectors, linked into a graph."""
    database = Database(
        tmp_path, MemoryStore(), config=Config(), vectorizers=Registry(), env=Env(ManualClock())
    )
    body = {"class": "Point", "properties": [{"name": "n", "dataType": ["int"]}]}
    points = database.create_collection(parse_collection(body))
    rows = np.random.default_rng(5).normal(size=(COUNT, DIMENSIONS)).astype(np.float32)
    points.put(
        [
            ObjectDraft(ObjectId(n.to_bytes(16, "big")), {"n": n}, {UNNAMED: row})
            for n, row in enumerate(rows)
        ]
    )
    yield points
    database.close()


def near(vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Search:
    return Search("Point", near=NearVector((Target(UNNAMED, vector),)), limit=5)


def test_concurrent_reads_answer_as_single_ones(points: LocalCollection) -> None:
    queries = [
        near(row)
        for row in np.random.default_rng(6).normal(size=(64, DIMENSIONS)).astype(np.float32)
    ]
    expected = [points.search(query).stored for query in queries]

    async def ask() -> list[list[bytes]]:
        with ThreadPoolExecutor(2) as slow:
            driver = SearchDriver(asyncio.get_running_loop(), 2, slow)
            answers = await asyncio.gather(*[driver.search(points, query) for query in queries])
            driver.close()
            return [answer.stored for answer in answers]

    assert asyncio.run(ask()) == expected


def test_errors_of_native_calls_reach_the_caller(points: LocalCollection) -> None:
    async def ask() -> None:
        with ThreadPoolExecutor(1) as slow:
            driver = SearchDriver(asyncio.get_running_loop(), 1, slow)
            try:
                await driver.search(points, near(np.ones(3, dtype=np.float32)))
            finally:
                driver.close()

    with pytest.raises(DimensionMismatch, match="vector lengths don't match"):
        asyncio.run(ask())


def test_long_reads_run_beside_the_loop(points: LocalCollection) -> None:
    async def ask() -> list[bytes]:
        with ThreadPoolExecutor(1) as slow:
            driver = SearchDriver(asyncio.get_running_loop(), 1, slow)
            query = Search("Point", sort=(Sort(("n",), ascending=False),), limit=3)
            answer = await driver.search(points, query)
            driver.close()
            return answer.stored

    assert len(asyncio.run(ask())) == 3


def test_a_loop_with_nothing_else_to_do_searches_by_itself(
    points: LocalCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over: list[int] = []
    submit = SearchDriver._submit

    def counted(driver: SearchDriver, call: VectorCall, index: HnswIndex) -> Any:
        handed_over.append(1)
        return submit(driver, call, index)

    monkeypatch.setattr(SearchDriver, "_submit", counted)
    monkeypatch.setattr(search_driver, "QUICK_S_MAX", 0.5)
    query = near(np.ones(DIMENSIONS, dtype=np.float32))

    async def ask() -> tuple[int, int]:
        with ThreadPoolExecutor(1) as slow:
            driver = SearchDriver(asyncio.get_running_loop(), 1, slow)
            for _ in range(5):
                await asyncio.sleep(0.002)  # A client that thinks between its questions.
                await driver.search(points, query)
            alone = len(handed_over)
            await asyncio.gather(*[driver.search(points, query) for _ in range(10)])
            driver.close()
            return alone, len(handed_over) - alone

    alone, together = asyncio.run(ask())
    assert alone == 1, "the first is unknown and goes to the pool, the rest is known to be quick"
    assert together >= 9
