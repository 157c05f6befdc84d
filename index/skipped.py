"""SkippedIndex: the vector index of a collection that asked for none (`skip: true`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import SchemaViolation
from weftdb.core.schema import HnswSettings
from weftdb.core.types import DocIds, Row, Rows, VectorName
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import Neighbours


class SkippedIndex:
    """Takes vectors and forgets them (the object store keeps them); refuses to search."""

    count = 0
    pending = 0

    def __init__(self, name: VectorName, dimensions: int | None = None) -> None:
        """`dimensions` is the length of the vectors that are stored already, if there are any."""
        self._name = name
        self.dimensions = dimensions

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Remember the length of the first: an index that is built later needs one for all."""
        if len(rows) and self.dimensions is None:
            self.dimensions = rows.shape[1]

    def configure(self, settings: HnswSettings) -> None:
        """Do nothing."""

    def delete(self, doc_ids: DocIds) -> None:
        """Do nothing."""

    def search(
        self,
        query: Row,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> Neighbours:
        """Raise SchemaViolation: there is nothing to search."""
        raise self._refusal()

    def distances(self, query: Row, doc_ids: DocIds) -> NDArray[np.float32]:
        """Raise SchemaViolation: there is nothing to measure."""
        raise self._refusal()

    def wait_indexed(self, timeout_s: float) -> bool:
        """True at once."""
        return True

    def save(self, path: Path) -> None:
        """Do nothing: there is nothing to keep."""

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take nothing over."""
        return live.doc_ids()

    def memory_bytes(self) -> int:
        """Zero."""
        return 0

    def close(self) -> None:
        """Do nothing."""

    def _refusal(self) -> SchemaViolation:
        vector = f'vector "{self._name}"' if self._name else "the vector"
        return SchemaViolation(
            f"{vector} is not indexed (vectorIndexConfig.skip is true): vector search is not "
            "possible"
        )
