"""What the index layer offers and what it needs, as Protocols.

Offered to the engine: `VectorIndex`, `Compactable`, `Copied`, `Linked`, `Restorable`, `BatchIndex`,
`Upgradable`, `Quantizable`, `Tunable`, `RecallBound`, and `FieldReader` (read side of the inverted
index).
Needed from outside: `VectorSource`, `SegmentStore`, `IdLookup`; storage satisfies them without
importing this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.schema import HnswSettings, VectorConfig
from weftdb.core.search_explanation import SearchExplanation
from weftdb.core.types import DocId, DocIds, ObjectId, Row, Rows
from weftdb.index.allow_list import AllowList


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Result of a vector search: ids and distances, closest first, equal length."""

    doc_ids: DocIds
    distances: NDArray[np.float32]
    explanation: SearchExplanation | None = None


@dataclass(frozen=True, slots=True)
class NeighbourTable:
    """Results of a batch, a row a query, closest first.

    Of row `i` the first `counts[i]` places are filled; the others hold `NO_DOC` and infinity.
    """

    doc_ids: DocIds
    """uint32[queries, width]; the width is k, or the number of vectors where that is less."""
    distances: NDArray[np.float32]
    """float32[queries, width]."""
    counts: NDArray[np.uint32]
    explanations: Explanations

    def __len__(self) -> int:
        """Queries."""
        return len(self.counts)

    def __getitem__(self, at: int) -> Neighbours:
        """The neighbours of one query, without a copy. Raises IndexError."""
        filled = self.counts[at]
        return Neighbours(
            self.doc_ids[at, :filled],
            self.distances[at, :filled],
            self.explanations[at % len(self.counts)],
        )

    def __iter__(self) -> Iterator[Neighbours]:
        """The neighbours of each query in turn."""
        return (self[at] for at in range(len(self)))


NO_DOC = 2**32 - 1
"""In a place of a `NeighbourTable` that is not filled; no doc has this id."""


class Explanations(Protocol):
    """How the searches of a batch went, one a query."""

    def __getitem__(self, at: int, /) -> SearchExplanation | None:
        """That of one query."""
        ...


class VectorIndex(Protocol):
    """One vector space of one shard.

    In a multi-vector space a doc is a matrix: `add` takes one doc id a row, the rows of a doc one
    after the other, and a query is float32[rows, dim].

    Concurrency: `add` and `delete` come from one writer at a time; any number of searches run
    beside them and never wait for them. What `add` has returned for is found by every later
    search: vectors that are not linked into the graph yet are the tail, scanned exactly.
    """

    @property
    def dimensions(self) -> int | None:
        """Length of the stored vectors; None while there are none."""
        ...

    @property
    def count(self) -> int:
        """Live vectors."""
        ...

    @property
    def pending(self) -> int:
        """Vectors that wait to be linked (the tail)."""
        ...

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Make `rows` searchable under `doc_ids` (ascending, all new). Raises DimensionMismatch."""
        ...

    def delete(self, doc_ids: DocIds) -> None:
        """Forget `doc_ids`; unknown ones are ignored."""
        ...

    def search(
        self,
        query: Row,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> Neighbours:
        """The `k` closest allowed vectors; min(k, matches) of them, always.

        `ef` None takes the collection's setting. `distance_max` is inclusive.
        """
        ...

    def distances(self, query: Row, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given vectors, NaN where there is none."""
        ...

    def configure(self, settings: HnswSettings) -> None:
        """Take over what may change while the index lives: ef, its bounds, flat_search_cutoff."""
        ...

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until nothing is pending; False when the time is up."""
        ...

    def save(self, path: Path) -> None:
        """Bring the files at `path` (a snapshot, a log beside it) up to date; derived data."""
        ...

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take over a snapshot, without the docs that are not `live` any more.

        Returns the live docs that the snapshot lacks, ascending. Requires: nothing was added.
        Raises CorruptData for a file that is damaged or was written for other settings, OSError.
        """
        ...

    def memory_bytes(self) -> int:
        """Resident bytes of vectors, links and bookkeeping."""
        ...

    def close(self) -> None:
        """Stop background work and give the memory back."""
        ...


@runtime_checkable
class Compactable(Protocol):
    """An index that keeps the slots of deleted vectors for a while, and files with a log."""

    @property
    def deleted(self) -> int:
        """Slots of deleted vectors that are still held."""
        ...

    @property
    def compactions(self) -> int:
        """How often they were given back."""
        ...

    @property
    def log_bytes(self) -> int:
        """Length of the commit log beside the snapshot."""
        ...

    @property
    def log_fault(self) -> str:
        """Why the log was cut when it was loaded; empty where it was not."""
        ...

    def compact(self, share: float) -> None:
        """Begin to give deleted slots back if they are more than this share of all."""
        ...

    def compaction_room(self, share: float) -> tuple[int, int]:
        """Bytes of memory and of the disk that `compact` would take for a while; zeros where it
        would not begin."""
        ...

    def leave_large_compactions(self, memory_bytes: int) -> None:
        """Begin by itself only what takes no more memory than this, and nothing of the disk; the
        rest is left to `compact`."""
        ...


@runtime_checkable
class Copied(Protocol):
    """An index that is copied, without its deleted vectors, while it is in use."""

    @property
    def compaction_bytes(self) -> tuple[int, int]:
        """Memory that a copy under way holds beside the index, and that it will still take."""
        ...


@runtime_checkable
class Linked(Protocol):
    """An index that makes its links in the background."""

    @property
    def link_fault(self) -> str:
        """Why linking rests; empty where it does not. Searches scan what has no links."""
        ...

    def retry_links(self) -> None:
        """Go on after a fault; nothing happens where there was none."""
        ...


@runtime_checkable
class Restorable(Protocol):
    """An index that comes back from files, which may know docs that the store has lost."""

    @property
    def docs_end(self) -> int:
        """One more than the largest doc id that the files it was loaded from know; 0 without."""
        ...


@runtime_checkable
class BatchIndex(Protocol):
    """An index that answers many queries in one native call (index/batches.py)."""

    def search_many(
        self,
        queries: Rows,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
        threads: int = 1,
    ) -> NeighbourTable:
        """`VectorIndex.search` for each row of `queries`, on so many threads."""
        ...


@runtime_checkable
class Upgradable(Protocol):
    """An index that is exact at first and becomes a graph for good (index/hnsw/dynamic.py)."""

    @property
    def is_upgraded(self) -> bool:
        """Whether it has become a graph."""
        ...

    def upgrade(self) -> None:
        """Become a graph now; nothing happens if it is one."""
        ...

    def move_threshold(self, threshold: int) -> None:
        """Take another threshold (at least 1), which may be passed already."""
        ...


@runtime_checkable
class Quantizable(Protocol):
    """An index that can hold codes of its vectors (index/hnsw/graph.py)."""

    @property
    def code_bytes(self) -> int:
        """Bytes of the code that stands for a vector in searches; 0 while they use vectors."""
        ...

    @property
    def quantizer_fault(self) -> str:
        """Why the codes that were asked for could not be made; empty where they could."""
        ...

    @property
    def code_file_fault(self) -> str:
        """What was wrong with the saved codes when they were loaded; empty where nothing was."""
        ...

    @property
    def unsaved_codes(self) -> int:
        """Codes that were made since the last save because the quantizer or the graph changed."""
        ...

    def quantize(self, config: VectorConfig) -> None:
        """Take the quantizer of a changed definition, or none, while searches go on."""
        ...

    def keep_rows_in(self, directory: Path) -> None:
        """Let vectors leave memory for a nameless file there while codes stand for them."""
        ...


@dataclass(frozen=True, slots=True)
class QuantizerReport:
    """Bytes of the code that stands for a vector in searches (0: searches use vectors), and why
    what was asked for could not be done; empty where it could."""

    code_bytes: int
    fault: str


@dataclass(frozen=True, slots=True)
class RecallReport:
    """What searches for `k` results reach: the recall asked for, the one measured with the present
    ef, and how many queries were measured (none yet: `achieved` is None)."""

    k: int
    target: float
    achieved: float | None
    ef: int
    queries: int


@runtime_checkable
class Tunable(Protocol):
    """An index that finds out by itself how far it has to look (index/hnsw/recall_tuner.py)."""

    def tune(self, now_s: float) -> bool:
        """Do a bit of measuring if it is time; tell whether there was anything to do."""
        ...

    def ef_reaching(self, target: float, query: Row, k: int, allow: AllowList | None) -> int | None:
        """The ef by which one search reaches a recall; None before enough was measured."""
        ...

    def recall(self, k: int, target: float | None = None) -> RecallReport | None:
        """Where it stands; None where neither `target` nor the settings ask for a recall."""
        ...


@runtime_checkable
class RecallBound(Protocol):
    """An index whose searches go on until they expect a recall (index/multi_vector.py)."""

    def reaching(self, recall: float) -> VectorIndex:
        """The same index, for searches that go on for this recall."""
        ...


class FieldReader(Protocol):
    """Reads the filterable side of the inverted index: (field, value) -> doc ids.

    A field is the bytes `property NUL aspect` (index/analysis.py); values are order-preserving
    bytes (core/codec.py). Results may name deleted docs; the caller intersects with the live ones.
    """

    def docs_equal(self, field: bytes, value: bytes) -> BitMap:
        """Docs whose field holds exactly `value`."""
        ...

    def docs_any(self, field: bytes, values: Sequence[bytes]) -> BitMap:
        """Docs whose field holds any of `values`."""
        ...

    def docs_between(
        self,
        field: bytes,
        low: bytes | None,
        high: bytes | None,
        *,
        low_inclusive: bool,
        high_inclusive: bool,
    ) -> BitMap:
        """Docs with a value in the interval; None is open."""
        ...

    def values(self, field: bytes, prefix: bytes = b"") -> Iterator[bytes]:
        """Distinct values that start with `prefix`, ascending."""
        ...

    def docs_present(self, field: bytes) -> BitMap:
        """Docs that have any value in the field."""
        ...


class VectorSource(Protocol):
    """The vectors of one space as they are stored, to build an index from."""

    def scan(self, first: DocId) -> Iterator[tuple[DocIds, Rows]]:
        """All from doc `first` on, in chunks by ascending doc id. Raises CorruptData."""
        ...

    def fetch(self, doc_ids: Sequence[DocId]) -> tuple[DocIds, Rows]:
        """Those of `doc_ids` (ascending) that there are. Raises CorruptData."""
        ...


class SegmentStore(Protocol):
    """Where an inverted index keeps its bytes: deltas (one a write batch), sealed segments as
    numbered blocks, and a manifest. Reads only; changes travel in the write batch of the engine."""

    def manifest(self) -> bytes | None:
        """The manifest as last written."""
        ...

    def deltas(self) -> Iterator[tuple[DocId, bytes]]:
        """All deltas that no segment has taken in yet, by first doc id."""
        ...

    def block(self, segment: int, block: int) -> bytes:
        """One block. Raises CorruptData if it is not there."""
        ...


class IdLookup(Protocol):
    """From object ids to doc ids."""

    def doc_ids_of(self, ids: Sequence[ObjectId]) -> list[DocId | None]:
        """The live doc of each id, None where there is none."""
        ...
