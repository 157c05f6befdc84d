"""RocksStore: KeyValueStore over RocksDB; the only file that knows rocksdict.

One database a node: one write-ahead log, so one sync covers the writers of all shards. A write
goes into the log without a sync and is visible at once; `wait_durable` syncs the log for all
writers that wait (group_commit.py). The log is replayed up to the first torn record.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rocksdict
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    SliceTransform,
    WriteBufferManager,
    WriteOptions,
)
from rocksdict import WriteBatch as RocksBatch

from weftdb.core.config import StorageConfig
from weftdb.core.env import Clock
from weftdb.core.errors import Closed, CorruptData, DiskFull, Fault, WeftError
from weftdb.core.limits import KiB, MiB
from weftdb.storage.group_commit import GroupCommit
from weftdb.storage.holder import DirectoryHold
from weftdb.storage.kv import Family, Ticket, WriteBatch

log = logging.getLogger("weftdb.storage")

_READ_BY_KEY = {Family.OBJECTS, Family.IDS, Family.LENGTHS, Family.METADATA}
_BLOOM_BITS = 10
_SHARD_PREFIX_BYTES = 4
_LOG_FILES = 4
_WAL_BYTES_MAX = 512 * MiB
_OPEN_FILES_MAX = 1024
_BLOB_BYTES_MIN = 256


class RocksStore:
    """An open RocksDB directory. Thread-safe. Raises StoreHeld when another process has it."""

    def __init__(self, directory: Path, config: StorageConfig, clock: Clock) -> None:
        self._hold = DirectoryHold(directory, clock)
        self._cache = Cache(config.block_cache_bytes)
        self._closed = False
        try:
            self._db = self._open(directory / "rocks", config)
        except WeftError:
            self._hold.release()
            raise
        self._families = {f: self._db.get_column_family(f.value) for f in Family}
        self._handles = {f: self._db.get_column_family_handle(f.value) for f in Family}
        self._unsynced = WriteOptions()
        self._commit = GroupCommit(self._sync)
        self._order = threading.Lock()  # Tickets are given out in write order.

    def get(self, family: Family, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        try:
            value: bytes | None = self._families[family].get(key)
        except Exception as error:
            raise self._translate(error) from error
        return value

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""
        if not keys:
            return []
        try:
            values: list[bytes | None] = self._families[family].get(list(keys))  # type: ignore[assignment]
        except Exception as error:
            raise self._translate(error) from error
        return values

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < end; a scan sees the state of its first moment."""
        read = ReadOptions()
        read.set_iterate_lower_bound(start)
        read.set_iterate_upper_bound(end)
        read.set_total_order_seek(True)
        first = None if reverse else start
        try:
            pairs = self._families[family].items(backwards=reverse, from_key=first, read_opt=read)
        except Exception as error:
            raise self._translate(error) from error
        return self._guarded(pairs)

    def write(self, batch: WriteBatch) -> Ticket:
        """Apply `batch` atomically, unsynced. Raises DiskFull, Closed, Fault."""
        native = RocksBatch(raw_mode=True)
        handles = self._handles
        for family, key, value, end in batch.operations:
            if value is not None:
                native.put(key, value, handles[family])
            elif end is not None:
                native.delete_range(key, end, handles[family])
            else:
                native.delete(key, handles[family])
        try:
            with self._order:
                self._db.write(native, self._unsynced)
                return self._commit.ticket()
        except Exception as error:
            raise self._translate(error) from error

    def wait_durable(self, ticket: Ticket) -> None:
        """Return when everything up to `ticket` is on disk."""
        self._commit.wait(ticket)

    def compact(self, family: Family, start: bytes, end: bytes) -> None:
        """Give the space of deleted keys in the range back."""
        try:
            self._families[family].compact_range(start, end)
        except Exception as error:
            raise self._translate(error) from error

    def checkpoint(self, path: Path) -> None:
        """Make an openable copy at `path`, which must not exist; files are hard links."""
        try:
            rocksdict.Checkpoint(self._db).create_checkpoint(str(path))
        except Exception as error:
            raise self._translate(error) from error

    def metrics(self) -> dict[str, int]:
        """Counters and sizes in bytes."""
        totals = {
            "writes": self._commit.written,
            "syncs": self._commit.syncs,
            "cache_bytes": self._cache.get_usage(),
        }
        for name, key in (
            ("memtable_bytes", "rocksdb.cur-size-all-mem-tables"),
            ("disk_bytes", "rocksdb.total-sst-files-size"),
            ("blob_bytes", "rocksdb.total-blob-file-size"),
            ("pending_compaction_bytes", "rocksdb.estimate-pending-compaction-bytes"),
        ):
            totals[name] = sum(f.property_int_value(key) or 0 for f in self._families.values())
        return totals

    def close(self) -> None:
        """Sync and let go of the directory. Closing twice is fine."""
        if self._closed:
            return
        try:
            self._sync()
        finally:
            self._closed = True
            families, self._families = self._families, {}
            self._handles = {}  # Each holds the database open.
            for family in families.values():
                family.close()
            self._db.close()
            self._hold.release()

    def _open(self, path: Path, config: StorageConfig) -> Rdict:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_write_buffer_manager(WriteBufferManager(config.write_buffer_bytes, False))
        options.set_max_background_jobs(config.background_jobs)
        options.set_max_total_wal_size(_WAL_BYTES_MAX)
        options.set_max_open_files(_OPEN_FILES_MAX)
        options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
        options.set_paranoid_checks(True)
        options.set_keep_log_file_num(_LOG_FILES)
        options.set_max_log_file_size(MiB)
        options.set_stats_dump_period_sec(0)
        families = {f.value: self._family_options(f, config) for f in Family}
        families["default"] = Options(raw_mode=True)
        try:
            return Rdict(str(path), options, column_families=families)
        except Exception as error:
            raise self._translate(error) from error

    def _family_options(self, family: Family, config: StorageConfig) -> Options:
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        table.set_block_size(8 * KiB)
        table.set_bloom_filter(_BLOOM_BITS, False)
        options = Options(raw_mode=True)
        options.set_write_buffer_size(max(config.write_buffer_bytes // 4, MiB))
        options.set_level_compaction_dynamic_level_bytes(True)
        if family not in _READ_BY_KEY:
            options.set_prefix_extractor(SliceTransform.create_fixed_prefix(_SHARD_PREFIX_BYTES))
        if family is Family.VECTORS:
            options.set_enable_blob_files(True)
            options.set_min_blob_size(_BLOB_BYTES_MIN)
            options.set_enable_blob_gc(True)
            options.set_compression_type(DBCompressionType.none())
        else:
            options.set_compression_type(DBCompressionType.lz4())
        options.set_block_based_table_factory(table)
        return options

    def _sync(self) -> None:
        try:
            self._db.flush_wal(True)
        except Exception as error:
            raise self._translate(error) from error

    def _guarded(self, pairs: Iterator[tuple[Any, Any]]) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from pairs
        except Exception as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> WeftError:
        if isinstance(error, WeftError):
            return error
        text = str(error)
        if self._closed or isinstance(error, rocksdict.DbClosedError):
            return Closed("the store is closed")
        if "No space left" in text or "Disk quota" in text or "Max allowed space" in text:
            return DiskFull(f"the disk is full: {text}")
        if "Corruption" in text or "checksum" in text:
            return CorruptData(f"RocksDB reports damage: {text}")
        return Fault(f"RocksDB: {text}")
