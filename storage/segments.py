"""StoredSegments: where one side of a shard's inverted index lies in the key-value store.

Satisfies `weftdb.index.ports.SegmentStore`. Reads go to the store; changes are put into the write
batch of the caller. Keys: storage/keys.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weftdb.core.errors import CorruptData
from weftdb.core.types import DocId, ShardId
from weftdb.storage import keys
from weftdb.storage.kv import Family, Reader, WriteBatch


class StoredSegments:
    """One family (FILTERABLE or SEARCHABLE) of one shard."""

    def __init__(self, reader: Reader, shard: ShardId, family: Family) -> None:
        assert family in (Family.FILTERABLE, Family.SEARCHABLE), family
        self._reader = reader
        self._shard = shard
        self._family = family

    def manifest(self) -> bytes | None:
        """The manifest as last written."""
        return self._reader.get(self._family, keys.manifest_key(self._shard))

    def deltas(self) -> Iterator[tuple[DocId, bytes]]:
        """All deltas that no segment has taken in yet, by first doc id."""
        for key, value in self._reader.scan(self._family, *keys.delta_range(self._shard)):
            yield keys.doc_id_of(key), value

    def block(self, segment: int, block: int) -> bytes:
        """One block. Raises CorruptData if it is not there."""
        value = self._reader.get(self._family, keys.block_key(self._shard, segment, block))
        if value is None:
            raise CorruptData(f"shard {self._shard}: {self._where(segment, block)} is missing")
        return value

    def put_delta(self, batch: WriteBatch, first_doc: DocId, delta: bytes) -> None:
        """Add a delta to `batch`; empty bytes are not stored."""
        if delta:
            batch.put(self._family, keys.delta_key(self._shard, first_doc), delta)

    def put_change(
        self,
        batch: WriteBatch,
        *,
        segment: int,
        blocks: Sequence[bytes],
        deltas_gone: Sequence[DocId],
        segments_gone: Sequence[int],
        manifest: bytes,
    ) -> None:
        """Add a sealing, a merge or a sweep to `batch`."""
        for number, block in enumerate(blocks):
            batch.put(self._family, keys.block_key(self._shard, segment, number), block)
        for first_doc in deltas_gone:
            batch.delete(self._family, keys.delta_key(self._shard, first_doc))
        for gone in segments_gone:
            batch.delete_range(self._family, *keys.segment_range(self._shard, gone))
        batch.put(self._family, keys.manifest_key(self._shard), manifest)

    def clear(self, batch: WriteBatch) -> None:
        """Delete everything, for a rebuild from the objects."""
        batch.delete_range(self._family, *keys.shard_range(self._shard))

    def _where(self, segment: int, block: int) -> str:
        return f"{self._family.value} segment {segment}, block {block}"
