"""StateLedger: what a replicated shard holds of every id, deletions included: rows, counts, tree.

Rows (storage/state_rows.py) change in the batch of the write that causes it; what is in memory
changes when that write is published. The hash tree is derived from the rows when it is first asked
for, while writes go on, so a shard that nobody compares costs no memory for it.

A shard that becomes replicated with objects in it gets their rows from `fill`, a slice at a time
between two writes; until it `is_filled` there is no tree, and what has no row yet is looked up in
the objects. Where a row cannot be read, all are made anew so: objects and tombstone rows say the
same once more.

Concurrency: `stage`, `publish`, `fill`, `forget` come from the shard's writer; reads from anyone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from weftdb.core.errors import CorruptData, ShardLoading
from weftdb.core.hashing import Token
from weftdb.core.objects import Digest
from weftdb.core.partial import TokenRanges, outside
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, ObjectId, ShardId
from weftdb.engine.hash_tree import HashTree, leaf_tokens
from weftdb.storage.kv import KeyValueStore, Ticket, WriteBatch
from weftdb.storage.object_codec import stored_id, stored_version
from weftdb.storage.objects import ObjectStore
from weftdb.storage.state_rows import ALL_FILLED, StateRows, state_item, tokens_of

log = logging.getLogger("weftdb.replication")

FILL_DOCS = 1_000
"""Objects of one slice: a writer waits for about five milliseconds."""
LAST_DOC = DocId(2**32 - 2)


@dataclass(slots=True)
class StateChange:
    """What one write does to the ledger: items that come and go, with their tokens."""

    at: list[Token] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    tombstones: int = 0
    """How many more deletions are remembered."""


class StateLedger:
    """Of one replicated shard."""

    def __init__(
        self, store: KeyValueStore, shard: ShardId, *, height: int, next_doc_id: int
    ) -> None:
        """Open; `next_doc_id` 0 says that there are no objects to make rows of."""
        self._store = store
        self._shard = shard
        self._objects = ObjectStore(store, shard)
        self._rows = StateRows(store, shard)
        self.height = height
        self._tree: HashTree | None = None
        self._is_derived = False
        self._is_damaged = False
        self._deriving = threading.Lock()
        filled = self._rows.filled_to()
        if filled is None:
            filled = DocId(0) if next_doc_id else ALL_FILLED
            batch = WriteBatch()
            self._rows.mark_filled(batch, filled)
            store.write(batch)  # A crash that loses this loses every row after it, too.
        self._filled = filled
        self.tombstones = sum(1 for _ in self._rows.tombstones())
        """Deletions that are remembered."""

    @property
    def is_filled(self) -> bool:
        """Whether every object has its row."""
        return self._filled == ALL_FILLED

    @property
    def memory_bytes(self) -> int:
        """Resident bytes of the hash tree."""
        return 0 if self._tree is None else self._tree.memory_bytes

    # Writing.

    def stage(
        self,
        batch: WriteBatch,
        incoming: Mapping[ObjectId, Digest],
        known: Mapping[ObjectId, Digest | None] | None = None,
    ) -> StateChange:
        """Put the rows of states into `batch`; nothing in memory is changed until `publish`.

        `known` are the `digests` of at least these ids, where the writer has just read them.
        """
        ids, change = list(incoming), StateChange()
        at = tokens_of(ids)
        if known is None:
            with self._noticing():
                held = self._rows.get_many(ids, at)
        else:
            # Without a row, while the ledger is not filled, is an object: no tree counts it yet.
            held = [known[object_id] for object_id in ids]
        for place, object_id, before in zip(at, ids, held, strict=True):
            after = incoming[object_id]
            if before is not None:
                change.at.append(place)
                change.items.append(state_item(object_id, before))
                if before.is_deleted and not after.is_deleted:
                    self._rows.remove_tombstone(batch, object_id)
            self._rows.put(batch, place, object_id, after)
            change.at.append(place)
            change.items.append(state_item(object_id, after))
            change.tombstones += after.is_deleted - (before is not None and before.is_deleted)
        return change

    def stage_forgotten(
        self, batch: WriteBatch, ids: Sequence[ObjectId], *, before_ms: int
    ) -> StateChange:
        """Put the end of those deletions of `ids` into `batch` that are older than `before_ms`."""
        change, at = StateChange(), tokens_of(ids)
        with self._noticing():
            found = self._rows.get_many(ids, at)
        for place, object_id, held in zip(at, ids, found, strict=True):
            if held is not None and held.is_deleted and held.version.time_ms < before_ms:
                self._rows.forget(batch, place, object_id)
                change.at.append(place)
                change.items.append(state_item(object_id, held))
                change.tombstones -= 1
        return change

    def stage_dropped(self, batch: WriteBatch, ids: Sequence[ObjectId]) -> StateChange:
        """Put the end of all that is known of `ids` into `batch`: no deletion is left behind."""
        change, at = StateChange(), tokens_of(ids)
        with self._noticing():
            found = self._rows.get_many(ids, at)
        for place, object_id, held in zip(at, ids, found, strict=True):
            if held is not None:
                self._rows.forget(batch, place, object_id)
                change.at.append(place)
                change.items.append(state_item(object_id, held))
                change.tombstones -= held.is_deleted
        return change

    def publish(self, change: StateChange) -> None:
        """Make visible what was staged and written. Requires: `publishing` of the shard is held."""
        self.tombstones += change.tombstones
        if self._tree is not None:
            self._tree.toggle(change.at, change.items)

    def fill(self) -> Ticket | None:
        """Make the rows of the next objects; None when all have theirs. Requires: nobody writes.
        Raises CorruptData where rows are made anew, but tombstone rows cannot be read either."""
        if self._is_damaged:
            return self._begin_anew()
        if self.is_filled:
            return None
        chunk = next(self._objects.scan_rows(self._filled, LAST_DOC), None)
        batch = WriteBatch()
        if chunk is None:
            self._rows.mark_filled(batch, ALL_FILLED)
            ticket = self._store.write(batch)
            self._filled = ALL_FILLED
            return ticket
        doc_ids, values = chunk
        ids = [stored_id(value) for value in values]
        for place, object_id, value in zip(tokens_of(ids), ids, values, strict=True):
            self._rows.put(batch, place, object_id, Digest(stored_version(value)))
        filled = DocId(int(doc_ids[-1]) + 1)
        self._rows.mark_filled(batch, filled)
        ticket = self._store.write(batch)
        self._filled = filled
        return ticket

    def _begin_anew(self) -> Ticket:
        """Remove all rows, make those of deletions, and have `fill` make the others."""
        batch = WriteBatch()
        self._rows.clear_states(batch)
        deletions = list(self._rows.tombstones())
        for place, (object_id, version) in zip(
            tokens_of([object_id for object_id, _ in deletions]), deletions, strict=True
        ):
            self._rows.put(batch, place, object_id, Digest(version, is_deleted=True))
        self._rows.mark_filled(batch, DocId(0))
        with self._deriving:
            ticket = self._store.write(batch)
            self._filled = DocId(0)
            self._tree, self._is_derived = None, False
            self._is_damaged = False
        log.warning("shard %d: the states are gathered anew", self._shard)
        return ticket

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Have the rows made anew when one cannot be read; until then who reads it is refused."""
        try:
            yield
        except CorruptData:
            self._is_damaged = True
            raise

    # Reading.

    def digests(self, ids: Sequence[ObjectId]) -> list[Digest | None]:
        """What is held of each id; None for what the shard never knew."""
        if self.is_filled:
            with self._noticing():
                return self._rows.get_many(ids)
        # Objects first: one that goes meanwhile leaves the row of its deletion.
        versions = self._objects.versions_of(ids)
        with self._noticing():
            held = self._rows.get_many(ids)
        return [
            row if row is not None or version is None else Digest(version)
            for row, version in zip(held, versions, strict=True)
        ]

    def old_tombstones(self, before_ms: int) -> list[ObjectId]:
        """Deletions older than a wall-clock time. O(deletions)."""
        return [i for i, version in self._rows.tombstones() if version.time_ms < before_ms]

    def tree(self, publishing: threading.Lock) -> HashTree:
        """The hash tree. Raises ShardLoading until the ledger is filled.

        The first call derives it from all rows. `publishing` is the shard's: it is held for a
        moment, so that every write is either in the rows that are read or counted as it is made.
        """
        with self._deriving:
            self._check_filled()
            tree = self._tree
            if tree is None or not self._is_derived:
                with publishing:
                    tree = self._tree = HashTree(self.height)
                    chunks = self._rows.items()
                try:
                    with self._noticing():
                        for at, items in chunks:
                            tree.toggle(at, items)
                    self._is_derived = True
                finally:
                    if not self._is_derived:
                        self._tree = None
        return tree

    def leaf(
        self, position: int, after: ObjectId | None, limit: int
    ) -> list[tuple[ObjectId, Digest]]:
        """What is held in a leaf, by ascending id above `after`; at most `limit`."""
        self._check_filled()
        with self._noticing():
            held = self._rows.in_range(*leaf_tokens(self.height, position))
        start = b"" if after is None else after
        return list(islice((one for one in held if one[0] > start), limit))

    def some_outside(self, kept: TokenRanges, limit: int) -> list[ObjectId]:
        """Ids of states with other tokens than `kept`, at most `limit`. Raises ShardLoading."""
        self._check_filled()
        found: list[ObjectId] = []
        for first, end in outside(kept):
            if len(found) < limit:
                found += self._rows.some_in(first, end, limit - len(found))
        return found

    def _check_filled(self) -> None:
        if not self.is_filled:
            raise ShardLoading("the states of the shard are being gathered; try again later")


def open_ledger(
    store: KeyValueStore,
    shard: ShardId,
    schema: Collection,
    next_doc_id: int,
    before: StateLedger | None = None,
    *,
    is_always: bool = False,
) -> StateLedger | None:
    """The ledger that a shard has under `schema`, and had `before`; None where the collection is
    not replicated (unless it `is_always` kept), and then there are no rows either. Requires: nobody
    writes."""
    height = schema.hash_tree_height
    if is_always or schema.replication_factor > 1:
        if before is not None and before.height == height:
            return before
        return StateLedger(store, shard, height=height, next_doc_id=next_doc_id)
    rows = StateRows(store, shard)
    if before is not None or rows.filled_to() is not None:
        batch = WriteBatch()
        rows.clear(batch)
        store.write(batch)
    return None
