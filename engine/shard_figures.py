"""ShardFigures: what a shard on this node takes, and how it does; for memory guard and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from weftdb.core.memory_estimate import link_bytes
from weftdb.core.types import VectorName
from weftdb.engine.compaction import GraphUpkeep, graph_upkeep
from weftdb.engine.link_queue import LinkQueues
from weftdb.engine.maintenance import Chore
from weftdb.engine.shard import Shard
from weftdb.index.ports import (
    Copied,
    Quantizable,
    QuantizerReport,
    RecallReport,
    Tunable,
    VectorIndex,
)


class ShardFigures:
    """Of one open shard. Any thread; each figure is of now."""

    def __init__(
        self, shard: Shard, queues: LinkQueues, chores: Callable[[], Sequence[Chore]]
    ) -> None:
        self._shard = shard
        self._queues = queues
        self._chores = chores

    @property
    def objects(self) -> int:
        """Objects that are there."""
        return self._shard.count

    @property
    def pending(self) -> int:
        """Vectors that wait to be linked into their graphs (they are found all the same)."""
        return self._queues.pending

    @property
    def oldest_pending_s(self) -> float:
        """Age of the oldest of these; 0 where none waits."""
        return self._queues.oldest_s()

    @property
    def slowed_s(self) -> float:
        """Seconds that writers have waited for links, all together."""
        return self._queues.slowed_s

    @property
    def link_faults(self) -> Mapping[VectorName, str]:
        """Why linking rests, by vector; those where it does not are left out."""
        return self._queues.faults()

    @property
    def vector_bytes(self) -> int:
        """Memory of the vector indexes, and of copies that are being made of them."""
        indexes = self._shard.vectors.values()
        return sum(index.memory_bytes() + _compaction_bytes(index)[0] for index in indexes)

    @property
    def term_bytes(self) -> int:
        """Memory of the inverted index, without what its cache holds."""
        return self._shard.text.memory_bytes()

    @property
    def coming_bytes(self) -> int:
        """Memory that the links of pending vectors will take, and repairs that run."""
        schema, total = self._shard.schema, 0.0
        for name, index in self._shard.vectors.items():
            total += _compaction_bytes(index)[1]
            config = schema.vector_by_name.get(name)
            if config is not None:
                total += index.pending * link_bytes(config.hnsw.max_connections)
        return int(total)

    @property
    def tree_bytes(self) -> int:
        """Memory of the hash tree that replicas compare."""
        return 0 if self._shard.ledger is None else self._shard.ledger.memory_bytes

    @property
    def tombstones(self) -> int:
        """Deletions that are remembered."""
        return 0 if self._shard.ledger is None else self._shard.ledger.tombstones

    @property
    def graph_upkeep(self) -> GraphUpkeep:
        """Deleted vectors that graphs hold, repairs, logs."""
        return graph_upkeep(self._shard, self._chores())

    @property
    def quantizers(self) -> Mapping[VectorName, QuantizerReport]:
        """Where the vectors stand that have a quantizer."""
        return {
            name: QuantizerReport(index.code_bytes, index.quantizer_fault)
            for name, index in self._shard.vectors.items()
            if isinstance(index, Quantizable) and (index.code_bytes or index.quantizer_fault)
        }

    def recalls(self, k: int, target: float | None = None) -> Mapping[VectorName, RecallReport]:
        """Where searches for `k` results stand, by vector: all with a `target`, else those that
        have a `targetRecall`."""
        found = {}
        for name, index in self._shard.vectors.items():
            report = index.recall(k, target) if isinstance(index, Tunable) else None
            if report is not None:
                found[name] = report
        return found


def _compaction_bytes(index: VectorIndex) -> tuple[int, int]:
    return index.compaction_bytes if isinstance(index, Copied) else (0, 0)
