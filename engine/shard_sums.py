"""ShardSums: the figures of several shards of one collection as one (engine/shard_figures.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from weftdb.core.types import VectorName
from weftdb.engine.compaction import GraphUpkeep
from weftdb.engine.shard_figures import ShardFigures
from weftdb.index.ports import QuantizerReport, RecallReport


class ShardSums:
    """Of the shards that this node holds. Any thread; each figure is of now."""

    def __init__(self, shards: Callable[[], Iterable[ShardFigures]]) -> None:
        self._shards = shards

    @property
    def objects(self) -> int:
        """Objects that are there."""
        return sum(shard.objects for shard in self._shards())

    @property
    def pending(self) -> int:
        """Vectors that wait to be linked into their graphs (they are found all the same)."""
        return sum(shard.pending for shard in self._shards())

    @property
    def oldest_pending_s(self) -> float:
        """Age of the oldest of these; 0 where none waits."""
        return max((shard.oldest_pending_s for shard in self._shards()), default=0.0)

    @property
    def slowed_s(self) -> float:
        """Seconds that writers have waited for links, all together."""
        return sum(shard.slowed_s for shard in self._shards())

    @property
    def link_faults(self) -> Mapping[VectorName, str]:
        """Why linking rests, by vector, in one of the shards where it does."""
        return {
            name: fault for shard in self._shards() for name, fault in shard.link_faults.items()
        }

    @property
    def vector_bytes(self) -> int:
        """Memory of the vector indexes, and of copies that are being made of them."""
        return sum(shard.vector_bytes for shard in self._shards())

    @property
    def term_bytes(self) -> int:
        """Memory of the inverted indexes, without what their cache holds."""
        return sum(shard.term_bytes for shard in self._shards())

    @property
    def coming_bytes(self) -> int:
        """Memory that the links of pending vectors will take, and repairs that run."""
        return sum(shard.coming_bytes for shard in self._shards())

    @property
    def tree_bytes(self) -> int:
        """Memory of the hash trees that replicas compare."""
        return sum(shard.tree_bytes for shard in self._shards())

    @property
    def tombstones(self) -> int:
        """Deletions that are remembered."""
        return sum(shard.tombstones for shard in self._shards())

    @property
    def graph_upkeep(self) -> GraphUpkeep:
        """Deleted vectors that graphs hold, repairs, logs."""
        found = [shard.graph_upkeep for shard in self._shards()]
        return GraphUpkeep(
            sum(one.deleted for one in found),
            sum(one.compactions for one in found),
            sum(one.log_bytes for one in found),
            sum(one.waiting for one in found),
        )

    @property
    def quantizers(self) -> Mapping[VectorName, QuantizerReport]:
        """Where the vectors stand that have a quantizer: a shard with a fault goes before one
        without, and one that has its code before one that still has none."""
        found: dict[VectorName, QuantizerReport] = {}
        for shard in self._shards():
            for name, report in shard.quantizers.items():
                found[name] = max(
                    found.get(name, report), report, key=lambda one: (one.fault, one.code_bytes)
                )
        return found

    def recalls(self, k: int, target: float | None = None) -> Mapping[VectorName, RecallReport]:
        """Where searches for `k` results stand, by vector: in the shard that reaches least."""
        found: dict[VectorName, RecallReport] = {}
        for shard in self._shards():
            for name, report in shard.recalls(k, target).items():
                found[name] = min(found.get(name, report), report, key=_reached)
        return found


def _reached(report: RecallReport) -> float:
    return 1.0 if report.achieved is None else report.achieved
