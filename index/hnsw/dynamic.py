"""DynamicIndex: exact until it holds more than `threshold` vectors, a graph from then on.

The switch happens in place: the vectors stay where they are and the linking threads begin. What is
not linked yet is the tail, which every search scans, so that no query misses a doc meanwhile. It is
one-way: an upgraded index stays a graph when its vectors are deleted. Where that outlives the
process is the engine's matter (engine/upgrades.py), a snapshot with links tells it as well.
"""

from __future__ import annotations

from weftdb.core.config import IndexConfig
from weftdb.core.schema import VectorConfig
from weftdb.index.hnsw.graph import HnswIndex


class DynamicIndex(HnswIndex):
    """An `HnswIndex` that makes no links at first."""

    def __init__(self, config: VectorConfig, index: IndexConfig, *, owner: int = 0) -> None:
        """Start empty and flat."""
        super().__init__(config, index, owner=owner, flat_until=config.dynamic_threshold)

    def quantize(self, config: VectorConfig) -> None:
        """Take the quantizer of the half that serves: the flat one's, the graph's once upgraded."""
        self._set_quantizer(config.quantizer if self.is_upgraded else config.flat_quantizer)

    @property
    def is_upgraded(self) -> bool:
        """Whether it has become a graph, for good."""
        return self._native.flat_until == 0

    def upgrade(self) -> None:
        """Become a graph now, whatever the count; nothing happens if it is one."""
        self._native.set_flat_until(0)

    def move_threshold(self, threshold: int) -> None:
        """Take another threshold, which may be passed already. Requires: at least 1."""
        assert threshold > 0, threshold
        self._native.set_flat_until(threshold)
