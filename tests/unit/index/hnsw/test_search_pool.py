"""SearchPool: every ticket comes back once, errors too, and the descriptor wakes an event loop."""

from __future__ import annotations

import asyncio
import select

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION
from weftdb.core.config import IndexConfig
from weftdb.core.errors import Closed, DimensionMismatch, InvalidRequest, WeftError
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import Neighbours

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.hnsw.search_pool import SearchPool

ROWS = np.random.default_rng(4).normal(size=(3000, 8)).astype(np.float32)


def filled() -> HnswIndex:
    hnsw = HnswSettings(ef_construction=EF_CONSTRUCTION)
    config = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=hnsw)
    index = HnswIndex(config, IndexConfig())
    index.add(np.arange(3000, dtype=np.uint32), ROWS)
    assert index.wait_indexed(60)
    return index


def collect(pool: SearchPool, count: int) -> dict[int, Neighbours | WeftError]:
    results: dict[int, Neighbours | WeftError] = {}
    while len(results) < count:
        readable, _, _ = select.select([pool.descriptor], [], [], 10)
        assert readable, f"only {len(results)} of {count} searches came back"
        for ticket, result in pool.drain():
            assert ticket not in results
            results[ticket] = result
    assert pool.drain() == []
    return results


def test_results_equal_those_of_the_index() -> None:
    index, pool = filled(), SearchPool(2)
    allow = AllowList(BitMap(range(0, 3000, 2)))
    for ticket in range(200):
        pool.submit(
            ticket, index, ROWS[ticket], 5, allow=allow if ticket % 2 else None, distance_max=9.0
        )
    for ticket, found in collect(pool, 200).items():
        wanted = index.search(
            ROWS[ticket], 5, allow=allow if ticket % 2 else None, distance_max=9.0
        )
        assert isinstance(found, Neighbours)
        assert found.doc_ids.tolist() == wanted.doc_ids.tolist()
        assert found.distances.tolist() == wanted.distances.tolist()
    pool.close()


def test_errors_come_back_under_their_ticket() -> None:
    index, pool = filled(), SearchPool(1)
    closed = filled()
    closed.close()
    pool.submit(1, index, np.ones(3, dtype=np.float32), 5)
    pool.submit(2, index, np.full(8, np.nan, dtype=np.float32), 5)
    pool.submit(3, closed, ROWS[0], 5)
    pool.submit(4, index, ROWS[0], 5)
    results = collect(pool, 4)
    assert isinstance(results[1], DimensionMismatch)
    assert isinstance(results[2], InvalidRequest)
    assert isinstance(results[3], Closed)
    assert isinstance(results[4], Neighbours)
    pool.close()


def test_close_loses_no_ticket() -> None:
    index, pool = filled(), SearchPool(2)
    for ticket in range(500):
        pool.submit(ticket, index, ROWS[ticket], 100, ef=400)
    pool.close()
    pool.close()
    results = dict(pool.drain())
    assert len(results) == 500
    assert all(isinstance(result, Neighbours | Closed) for result in results.values())
    with pytest.raises(Closed):
        pool.submit(501, index, ROWS[0], 1)


def test_one_wake_up_serves_an_event_loop() -> None:
    index, pool = filled(), SearchPool(2)

    async def run() -> int:
        loop = asyncio.get_running_loop()
        waiting: dict[int, asyncio.Future[Neighbours]] = {}

        def wake() -> None:
            for ticket, result in pool.drain():
                assert isinstance(result, Neighbours)
                waiting.pop(ticket).set_result(result)

        loop.add_reader(pool.descriptor, wake)
        for ticket in range(300):
            waiting[ticket] = loop.create_future()
            pool.submit(ticket, index, ROWS[ticket], 3)
        found = await asyncio.wait_for(asyncio.gather(*list(waiting.values())), timeout=20)
        loop.remove_reader(pool.descriptor)
        return sum(int(result.doc_ids[0]) == at for at, result in enumerate(found))

    assert asyncio.run(run()) == 300
    pool.close()
