"""Change: what one write does to a shard, collected before anything happens.

A change is first collected (rows for the store, entries for the indexes), then written as one
batch, then published to the indexes. If collecting fails, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from weftdb.core.limits import KiB
from weftdb.core.objects import ObjectDraft
from weftdb.core.types import DocId, DocIds, ObjectId, Rows, VectorName
from weftdb.engine.state_ledger import StateChange
from weftdb.engine.text_side import TextDelta
from weftdb.storage.kv import WriteBatch

SLICE_BYTES = 512 * KiB
"""Vectors of one write. RocksDB's binding keeps the interpreter's lock while it writes: 7.5 ms for
1,000 vectors of 768 dimensions in one write, a search waits for 1.3 ms so."""
SLICE_OBJECTS = 64
"""Objects of one write, for the same reason: a quarter of a millisecond. With 128 an import alone
is as fast, and a search beside it waits longer."""


class PutMode(Enum):
    """What a put expects of the id."""

    UPSERT = "upsert"
    INSERT = "insert"
    """ObjectExists if it is taken."""
    REPLACE = "replace"
    """ObjectNotFound if it is free."""


@dataclass(slots=True)
class NewVectors:
    """Vectors of one space that a change brings."""

    doc_ids: list[DocId] = field(default_factory=list)
    rows: list[NDArray[np.float32]] = field(default_factory=list)

    def arrays(self) -> tuple[DocIds, Rows]:
        """The columns for `VectorIndex.add`; of multi-vectors the doc id of every row."""
        doc_ids = np.array(self.doc_ids, dtype=np.uint32)
        if self.rows[0].ndim == 1:
            return doc_ids, np.stack(self.rows)
        return np.repeat(doc_ids, [len(matrix) for matrix in self.rows]), np.concatenate(self.rows)


@dataclass(slots=True)
class Change:
    """One write of one shard."""

    batch: WriteBatch = field(default_factory=WriteBatch)
    added: list[DocId] = field(default_factory=list)
    added_ids: list[ObjectId] = field(default_factory=list)
    """Of the objects that `added` are states of."""
    removed: list[DocId] = field(default_factory=list)
    lengths: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By searchable property: how many docs and terms come (or go, negative)."""
    vectors: dict[VectorName, NewVectors] = field(default_factory=dict)
    delta: TextDelta | None = None
    states: StateChange | None = None
    """Where the shard is replicated."""

    def add_vector(self, name: VectorName, doc_id: DocId, row: NDArray[np.float32]) -> None:
        """Remember a vector, or the matrix of a multi-vector, for its index."""
        space = self.vectors.setdefault(name, NewVectors())
        space.doc_ids.append(doc_id)
        space.rows.append(row)

    def count_lengths(self, name: str, *, docs: int, terms: int) -> None:
        """Count docs with the searchable property `name` and their terms; negative for removals."""
        known_docs, known_terms = self.lengths.get(name, (0, 0))
        self.lengths[name] = (known_docs + docs, known_terms + terms)


def last_of_each(ids: Sequence[ObjectId]) -> list[int]:
    """Positions that count when an id comes twice: the last of each, in order."""
    last = {object_id: position for position, object_id in enumerate(ids)}
    return sorted(last.values())


def in_slices(
    drafts: Sequence[ObjectDraft], positions: Sequence[int], mode: PutMode
) -> Iterator[Sequence[int]]:
    """Cut `positions` at `SLICE_OBJECTS`, and where their vectors take `SLICE_BYTES`, so that no
    write holds the interpreter for long. Only an upsert is cut: of an id twice, its last still
    wins."""
    if mode is not PutMode.UPSERT:
        yield positions
        return
    begin, held = 0, 0
    for at, position in enumerate(positions):
        held += sum(vector.nbytes for vector in drafts[position].vectors.values())
        if held >= SLICE_BYTES or at + 1 - begin == SLICE_OBJECTS:
            yield positions[begin : at + 1]
            begin, held = at + 1, 0
    if begin < len(positions):
        yield positions[begin:]
