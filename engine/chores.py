"""The background chores of one shard: snapshots, segments, builds, upgrades, tuning, links."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from weftdb.core.env import Env
from weftdb.core.errors import WeftError
from weftdb.core.schema import IndexKind
from weftdb.core.types import VectorName
from weftdb.engine.admission import Admission
from weftdb.engine.compaction import CompactionChore
from weftdb.engine.maintenance import Chore
from weftdb.engine.recovery import snapshot_path
from weftdb.engine.relinking import LinkChore
from weftdb.engine.shard import Shard
from weftdb.engine.upgrades import UpgradeChore
from weftdb.index.building import BuildingIndex
from weftdb.index.ports import Quantizable, Tunable, VectorIndex
from weftdb.index.skipped import SkippedIndex

log = logging.getLogger("weftdb.maintenance")

NEW_DOCS_MIN = 1_000
"""Fewer new vectors than this are read back from the store faster than a snapshot is written."""
REST_S_MIN = 10.0
"""A running import does not write snapshots back to back."""
GROWTH_MIN = 0.2
"""A snapshot is due when this share of the index is new: the writing is amortised over growth."""


class SnapshotChore:
    """Keeps the snapshot of one vector space near the truth."""

    def __init__(self, shard: Shard, vector: VectorName, env: Env) -> None:
        self._shard = shard
        self._vector = vector
        self._env = env
        self._saved_doc_id = shard.docs.next_doc_id if self._path.exists() else 0
        self._saved_at_s = env.clock.monotonic_s()
        self._saved_index = self._index
        self._saved_pending = 0

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"snapshot of {self._shard.schema.name} {self._vector}".rstrip()

    def run_if_due(self) -> bool:
        """Save when the index has grown enough since the last time, or rests after growing.

        Vectors that still wait to be linked are saved, too: what a snapshot has need not be read
        from the store, and linking goes on after a restart.
        """
        fresh = self._fresh
        rested_s = self._env.clock.monotonic_s() - self._saved_at_s
        if fresh < NEW_DOCS_MIN or rested_s < REST_S_MIN:
            return False
        has_grown = fresh >= GROWTH_MIN * self._shard.count
        if not has_grown and rested_s < self._shard.config.index.snapshot_interval_s:
            return False
        self._save()
        return True

    def finish(self) -> None:
        """Save before the shard closes if that is worth it."""
        try:
            if self._fresh >= NEW_DOCS_MIN:
                self._save()
        except (WeftError, OSError):
            log.exception("%s failed; the next start takes longer", self.name)

    @property
    def _fresh(self) -> int:
        if isinstance(self._index, BuildingIndex | SkippedIndex):
            return 0  # There is nothing to save yet.
        # An index that was built since then has never been saved.
        saved = self._saved_doc_id if self._index is self._saved_index else 0
        # Vectors that waited for their links then and have them now.
        linked = max(self._saved_pending - self._index.pending, 0)
        # Codes that a changed quantizer has made.
        codes = self._index.unsaved_codes if isinstance(self._index, Quantizable) else 0
        return self._shard.docs.next_doc_id - saved + linked + codes

    @property
    def _index(self) -> VectorIndex:
        return self._shard.vectors[self._vector]

    @property
    def _path(self) -> Path:
        return snapshot_path(self._shard, self._vector)

    def _save(self) -> None:
        mark = self._shard.docs.next_doc_id
        self._path.parent.mkdir(parents=True, exist_ok=True)
        index = self._index
        pending = index.pending
        index.save(self._path)
        self._saved_pending = pending
        self._saved_index = index
        self._saved_doc_id = mark
        self._saved_at_s = self._env.clock.monotonic_s()


class BuildChore:
    """Fills the indexes that are being built from stored vectors (index/building.py)."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"indexes to build of {self._shard.schema.name}"

    def run_if_due(self) -> bool:
        """Carry one slice over for each index that is being built."""
        return self._shard.fill_indexes()

    def finish(self) -> None:
        """Leave it: opening builds what is missing."""


class SegmentChore:
    """Turns deltas of the inverted index into segments, and small segments into larger ones."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"segments of {self._shard.schema.name}"

    def run_if_due(self) -> bool:
        """Make one change a side, if one is due."""
        return self._shard.text.is_change_due and self._shard.text.change()

    def finish(self) -> None:
        """Leave the deltas: opening reads them back."""


class TuningChore:
    """Keeps the searches of a shard at the recall that was asked for."""

    def __init__(self, shard: Shard, env: Env) -> None:
        self._shard = shard
        self._env = env

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"recall of {self._shard.schema.name}"

    def run_if_due(self) -> bool:
        """Let every index that can measure. The linking threads do the work."""
        now_s = self._env.clock.monotonic_s()
        worked = False
        for index in list(self._shard.vectors.values()):
            if isinstance(index, Tunable):
                worked = index.tune(now_s) or worked
        return worked

    def finish(self) -> None:
        """Forget it: what was measured is measured again in seconds."""


def shard_chores(
    shard: Shard, env: Env, admission: Admission, known: Sequence[Chore] = ()
) -> Sequence[Chore]:
    """Everything that is repeated for a shard. Of `known` those that still apply go on."""
    chores: list[Chore] = [SegmentChore(shard), BuildChore(shard), TuningChore(shard, env)]
    for vector in shard.schema.vectors:
        chores.append(LinkChore(shard, vector.name, env))
        chores.append(SnapshotChore(shard, vector.name, env))
        chores.append(CompactionChore(shard, vector.name, env, admission))
        if vector.index is IndexKind.DYNAMIC:
            chores.append(UpgradeChore(shard, vector.name))
    by_name = {chore.name: chore for chore in known}
    return [by_name.get(chore.name, chore) for chore in chores]
