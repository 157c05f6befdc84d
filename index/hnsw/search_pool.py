"""SearchPool: vector searches for an event loop, on native threads.

`submit` returns at once. Watch `descriptor` for reading (`loop.add_reader`) and call `drain` when
it is readable: one wake-up brings however many searches have ended.
"""

from __future__ import annotations

import numpy as np

from weftdb.core.errors import Closed, DimensionMismatch, Fault, InvalidRequest, WeftError
from weftdb.core.types import Row
from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.kernels import _native
from weftdb.index.ports import Neighbours

_ERRORS: dict[str, type[WeftError]] = {
    "dimensions": DimensionMismatch,
    "invalid": InvalidRequest,
    "closed": Closed,
    "failed": Fault,
}


class SearchPool:
    """A fixed number of threads that answer searches in the order they came."""

    def __init__(self, threads: int) -> None:
        self._native = _native.SearchPool(threads)

    @staticmethod
    def answer_promptly() -> None:
        """Let the calling thread run soon after it is woken, as the threads of a pool do. For the
        thread that waits for `descriptor`."""
        _native.answer_promptly()

    @property
    def descriptor(self) -> int:
        """Readable when `drain` has something to give. Valid until the pool is collected."""
        return self._native.descriptor

    def submit(
        self,
        ticket: int,
        index: HnswIndex,
        query: Row,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> None:
        """Start `index.search(...)`; its result comes out of `drain` under `ticket`.

        Raises Closed after `close`; every other error comes out of `drain` too.
        """
        try:
            self._native.submit(
                index.native,
                query,
                k,
                ef or index.ef_for(query, k, allow),
                None if allow is None else allow.words(),
                index.bounds,
                np.inf if distance_max is None else distance_max,
                ticket,
            )
        except _native.ClosedError as error:
            raise Closed(str(error)) from error

    def drain(self) -> list[tuple[int, Neighbours | WeftError]]:
        """Take the results that are there, each with its ticket; none is left behind."""
        results: list[tuple[int, Neighbours | WeftError]] = []
        for done in self._native.drain():
            if len(done) == 3:
                ticket, kind, message = done
                results.append((ticket, _ERRORS[kind](message)))
            else:
                ticket, doc_ids, distances, explanation = done
                results.append((ticket, Neighbours(doc_ids, distances, explanation)))
        return results

    def close(self) -> None:
        """End: running searches finish, waiting ones come out of `drain` as Closed."""
        self._native.close()
