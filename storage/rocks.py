"""RocksStore: KeyValueStore over RocksDB; the only file that knows rocksdict.

One database a node: one write-ahead log, so one sync covers the writers of all shards. A write
goes into the log without a sync (into the kernel's memory: it survives the end of the process) and
is visible at once; `wait_durable` syncs the log for all writers that wait (group_commit.py).

After a crash the log is replayed up to its torn end, which was never acknowledged; how much it was
is logged. A log that is damaged before its end is refused (log_damage.py). A full disk fails writes
with DiskFull while reads go on; RocksDB takes writes again by itself once there is space.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from shutil import copy2, disk_usage
from types import TracebackType
from typing import cast

import rocksdict
from rocksdict import (
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    SliceTransform,
    WriteBufferManager,
    WriteOptions,
)
from rocksdict import WriteBatch as RocksBatch

from weftdb.core.config import StorageConfig
from weftdb.core.env import Clock, go_on
from weftdb.core.errors import Closed, CorruptData, DiskFull, Fault, Overloaded, WeftError
from weftdb.core.limits import KiB, MiB
from weftdb.storage.group_commit import GroupCommit
from weftdb.storage.holder import DirectoryHold
from weftdb.storage.kv import Family, Ticket, WriteBatch
from weftdb.storage.log_damage import find_damage
from weftdb.storage.log_sync import IS_SUPPORTED, LogSync

log = logging.getLogger("weftdb.storage")

_FOLDER = "rocks"
_READ_BY_KEY = {
    Family.OBJECTS,
    Family.IDS,
    Family.LENGTHS,
    Family.METADATA,
    Family.STATES,
    Family.HINTS,
}
_BLOOM_BITS = 10
_SHARD_PREFIX_BYTES = 4
_LOG_FILES = 4
_OPEN_FILES_MAX = 1024
_BLOB_BYTES_MIN = 8 * KiB
"""Vectors from here on (about 2,000 dimensions, multi-vectors) go into blob files. Smaller ones are
read 2.3 to 3.5 times faster from the blocks of the tree, measured with 128 to 1,536 dimensions, and
as their keys only grow, compaction moves their files instead of writing them again."""
_WAL_BUFFERS = 2
"""The log may grow to this many write buffers, which bounds its replay after a crash."""
_MEMTABLES_MAX = 4
_STALL_PAUSE_S_MIN = 0.001
_STALL_PAUSE_S_MAX = 0.05
_STALL_S_MIN = 0.2
"""How long a stall may last before the room on the disk is looked at."""
_STALL_S_MAX = 60.0
_READAHEAD_BYTES = 2 * MiB
_OPERATIONS_AT_ONCE = 32
"""Put into RocksDB's form before somebody else may go first: 20 microseconds."""
_SCAN_ROWS_FIRST = 8
_SCAN_ROWS_MAX = 256
_SCAN_BYTES_MAX = MiB


class RocksStore:
    """An open directory. Thread-safe. Raises StoreHeld when it is open elsewhere, CorruptData."""

    def __init__(
        self,
        directory: Path,
        config: StorageConfig,
        clock: Clock,
        give_way: Callable[[], None] = go_on,
        end_turn: Callable[[], None] = go_on,
    ) -> None:
        self._closed = False
        self._give_way = give_way
        self._end_turn = end_turn
        self._closing = threading.Lock()
        self._faults = _Faults()
        self._cache = Cache(config.block_cache_bytes)
        self._cursors: weakref.WeakSet[_Cursor] = weakref.WeakSet()
        self._cursors_lock = threading.Lock()
        with ExitStack() as undo:
            hold = DirectoryHold(directory, clock)
            undo.callback(hold.release)
            self._db = self._open(directory / _FOLDER, config)
            self._log = LogSync(directory / _FOLDER) if IS_SUPPORTED else None
            undo.pop_all()
        self._hold = hold
        self._families = {f: self._db.get_column_family(f.value) for f in Family}
        self._handles = {f: self._db.get_column_family_handle(f.value) for f in Family}
        self._unsynced = WriteOptions()
        self._unsynced.no_slowdown = True
        self._path = directory
        self._buffer_bytes = _buffer_bytes(config)
        self._pause = threading.Event()  # Never set: waiting for it sleeps.
        self.stalls = 0
        self._commit = GroupCommit(self._sync)

    def get(self, family: Family, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        with self._faults:
            return cast("bytes | None", self._families[family].get(key))

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""
        if not keys:
            return []
        with self._faults:
            return cast("list[bytes | None]", self._families[family].get(list(keys)))

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < end; a scan sees the state of its first moment."""
        read = ReadOptions()
        read.set_iterate_upper_bound(end)  # rocksdict 0.3.29 sets this one for the lower bound too.
        read.set_total_order_seek(True)
        if family is Family.VECTORS:
            # Read from end to end once, to fill an index: the cache is for rows read again.
            read.set_readahead_size(_READAHEAD_BYTES)
            read.fill_cache(False)  # type: ignore[call-arg]  # Its stub forgot the argument.
        with self._faults, self._cursors_lock:
            iterator = self._families[family].iter(read)
            cursor = _Cursor(iterator, read, start, self._faults, reverse=reverse)
            self._cursors.add(cursor)
        return cursor.pairs()

    def write(self, batch: WriteBatch) -> Ticket:
        """Apply `batch` atomically, unsynced. Raises DiskFull, Overloaded, Closed, Fault."""
        self._commit.check()
        self._apply(batch)
        return self._commit.ticket()

    def _apply(self, batch: WriteBatch) -> None:
        """Write, and wait while RocksDB is behind with flushing and merging.

        RocksDB would wait itself, with the interpreter's lock held (rocksdict does not let go of it
        in a write): every thread of the process would stand still, and on a full disk for ever.
        """
        pause_s = _STALL_PAUSE_S_MIN
        waited_s = 0.0
        while True:
            try:
                with self._faults:
                    native = self._native(batch)
                    self._end_turn()  # What comes holds the interpreter to its end.
                    self._db.write(native, self._unsynced)
            except Overloaded:
                self.stalls += 1
                if waited_s >= _STALL_S_MIN and disk_usage(self._path).free < self._buffer_bytes:
                    raise DiskFull("the disk is full: there is no room to flush to") from None
                if waited_s >= _STALL_S_MAX:
                    raise
                self._pause.wait(pause_s)
                waited_s += pause_s
                pause_s = min(pause_s * 2, _STALL_PAUSE_S_MAX)
            else:
                return

    def _native(self, batch: WriteBatch) -> RocksBatch:
        """The batch for RocksDB, which consumes it also when it refuses it."""
        native = RocksBatch(raw_mode=True)
        handles = self._handles
        for number, (family, key, value, end) in enumerate(batch.operations):
            if number % _OPERATIONS_AT_ONCE == 0:
                self._give_way()
            if value is not None:
                native.put(key, value, handles[family])
            elif end is not None:
                native.delete_range(key, end, handles[family])
            else:
                native.delete(key, handles[family])
        return native

    def wait_durable(self, ticket: Ticket) -> None:
        """Return when everything up to `ticket` is on disk. Raises DiskFull, Fault, Closed."""
        self._commit.wait(ticket)

    def is_durable(self, ticket: Ticket) -> bool:
        """Whether everything up to `ticket` is known to be on disk."""
        return self._commit.is_durable(ticket)

    def compact(self, family: Family, start: bytes, end: bytes) -> None:
        """Give the space of deleted keys in the range back."""
        with self._faults:
            self._families[family].compact_range(start, end)

    def checkpoint(self, path: Path) -> None:
        """Make a directory at `path` that opens as this one does now; files are hard links.

        Raises Fault when `path` exists or cannot be made.
        """
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise Fault(f"the checkpoint {path} cannot be made: {error}") from error
        with self._faults:
            Checkpoint(self._db).create_checkpoint(str(path / _FOLDER))

    def metrics(self) -> dict[str, int]:
        """Counters, and sizes in bytes."""
        totals = {
            "writes": self._commit.written,
            "syncs": self._commit.syncs,
            "stalls": self.stalls,
            "cache_bytes": self._cache.get_usage(),
        }
        with self._faults:
            for name, key in (
                ("memtable_bytes", "rocksdb.cur-size-all-mem-tables"),
                ("disk_bytes", "rocksdb.total-sst-files-size"),
                ("blob_bytes", "rocksdb.total-blob-file-size"),
                ("pending_compaction_bytes", "rocksdb.estimate-pending-compaction-bytes"),
            ):
                totals[name] = sum(f.property_int_value(key) or 0 for f in self._families.values())
        return totals

    def close(self) -> None:
        """Sync and let go of the directory. Scans that still run end with Closed. Twice is fine."""
        with self._closing:
            if self._closed:
                return
            with ExitStack() as last:
                last.callback(self._hold.release)
                last.callback(self._let_go)
                if self._log is not None:
                    last.callback(self._log.close)
                self._commit.close()

    def _let_go(self) -> None:
        """Close RocksDB, which writes its memtables out, so that the next opening is quick."""
        self._closed = self._faults.is_closed = True
        # A handle or an iterator that is left would keep the database open, and its lock held.
        self._handles.clear()
        with self._cursors_lock:
            for cursor in self._cursors:
                cursor.cut()
        with self._faults:
            for family in self._families.values():
                family.close()
            self._db.close()

    def _sync(self) -> None:
        with self._faults:
            if self._log is None:
                self._db.flush_wal(True)
            else:
                self._log.run()

    def _open(self, path: Path, config: StorageConfig) -> Rdict:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_write_buffer_manager(WriteBufferManager(config.write_buffer_bytes, False))
        options.set_max_background_jobs(config.background_jobs)
        options.set_max_total_wal_size(_WAL_BUFFERS * config.write_buffer_bytes)
        options.set_max_open_files(_OPEN_FILES_MAX)
        options.set_paranoid_checks(True)
        options.set_keep_log_file_num(_LOG_FILES)
        options.set_max_log_file_size(MiB)
        options.set_stats_dump_period_sec(0)
        families = {f.value: self._family_options(f, config) for f in Family}
        # Unused, but after a full disk RocksDB waits until the biggest write buffer has space.
        families["default"] = Options(raw_mode=True)
        families["default"].set_write_buffer_size(MiB)
        try:
            return self._open_log(path, options, families, DBRecoveryMode.absolute_consistency())
        except CorruptData as error:
            _check_log(path, config, error)
        db = self._open_log(path, options, families, DBRecoveryMode.point_in_time())
        for words in _dropped(path):
            log.warning("the write-ahead log was read up to its damage, left out: %s", words)
        return db

    def _open_log(
        self, path: Path, options: Options, families: dict[str, Options], mode: DBRecoveryMode
    ) -> Rdict:
        options.set_wal_recovery_mode(mode)
        with self._faults:
            return Rdict(str(path), options, column_families=families)

    def _family_options(self, family: Family, config: StorageConfig) -> Options:
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        table.set_block_size(8 * KiB)
        table.set_bloom_filter(_BLOOM_BITS, False)
        options = Options(raw_mode=True)
        options.set_write_buffer_size(_buffer_bytes(config))
        options.set_max_write_buffer_number(_MEMTABLES_MAX)
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


def _buffer_bytes(config: StorageConfig) -> int:
    """The memtable of one family. Four of them share the budget: few families are busy at once."""
    return max(config.write_buffer_bytes // 4, MiB)


class _Cursor:
    """One running scan.

    Not rocksdict's `items`: that one ends silently where a block is damaged, and forgets its upper
    bound when the options are gone. This one asks for the status at the end, holds the options, and
    lets the store take its iterator away.
    """

    def __init__(
        self,
        iterator: RdictIter,
        read: ReadOptions,
        start: bytes,
        faults: _Faults,
        *,
        reverse: bool,
    ) -> None:
        self._iterator: RdictIter | None = iterator
        # The iterator looks at the bound's bytes, which only the options keep: without them it
        # compares with whatever lies there later, and a scan ends early without a word.
        self._read_options = read
        self._start = start
        self._faults = faults
        self._reverse = reverse
        if reverse:
            iterator.seek_to_last()
        else:
            iterator.seek(start)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """The rows, read ahead in chunks. Raises CorruptData, Closed, Fault."""
        rows = _SCAN_ROWS_FIRST
        try:
            while chunk := self._read(rows):
                yield from chunk
                rows = min(rows * 2, _SCAN_ROWS_MAX)
        finally:
            self.cut()

    def cut(self) -> None:
        """Let go of the iterator."""
        self._iterator = None

    def _read(self, rows: int) -> list[tuple[bytes, bytes]]:
        iterator = self._iterator
        if iterator is None:
            raise Closed("the store was closed during a scan")
        valid, key, value = iterator.valid, iterator.key, iterator.value
        step = iterator.prev if self._reverse else iterator.next
        chunk: list[tuple[bytes, bytes]] = []
        held = 0
        with self._faults:
            while len(chunk) < rows and held < _SCAN_BYTES_MAX and valid():
                pair = (key(), value())
                if pair[0] < self._start:
                    return chunk  # Backwards, past the start.
                chunk.append(pair)
                held += len(pair[1])
                step()
            if not chunk:
                iterator.status()
        return chunk


class _Faults:
    """Translates what rocksdict raises; a context that any number of threads may be in."""

    def __init__(self) -> None:
        self.is_closed = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, WeftError):
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> WeftError:
        text = str(error)
        if self.is_closed or isinstance(error, rocksdict.DbClosedError):
            return Closed("the store is closed")
        if "Write stall" in text:
            return Overloaded("the store is behind with flushing and merging; try again later")
        if "No space left" in text or "Disk quota" in text or "Max allowed space" in text:
            return DiskFull(f"the disk is full: {text}")
        if "Corruption" in text or "checksum" in text:
            return CorruptData(f"RocksDB reports damage: {text}")
        return Fault(f"RocksDB: {text}")


def _check_log(path: Path, config: StorageConfig, refusal: CorruptData) -> None:
    """Return if the log may be read up to its damage. Raises CorruptData otherwise."""
    named = {words.split(":")[0] for words in _dropped(path)}
    logs = sorted(path.glob("*.log"), key=lambda log_path: int(log_path.stem))
    # Older ones may be there still, torn by an earlier crash; RocksDB does not read them any more.
    while named and logs and logs[0].name not in named:
        del logs[0]
    damage = find_damage(logs)
    if damage is None:
        raise refusal
    if damage.is_torn_end:
        return
    words = (
        f"the write-ahead log {damage.path} is damaged at byte {damage.offset}, and "
        f"{damage.records_after} whole writes ({damage.bytes_after} bytes) follow, which may have "
        "been acknowledged"
    )
    if not config.salvage_log:
        raise CorruptData(
            f"{words}; restore a backup, or open with storage.salvage_log (docs/durability.md), "
            "which keeps what comes before the damage"
        )
    aside = path.parent / f"damaged-log-{damage.path.stem}-{damage.offset}"
    aside.mkdir(exist_ok=True)
    for log_path in logs:
        copy2(log_path, aside / log_path.name)
    log.error("%s; what comes before is kept, the log lies in %s", words, aside)


def _dropped(path: Path) -> list[str]:
    """What RocksDB's own log says it left out when it opened: `000012.log: dropping 7 bytes...`."""
    try:
        text = (path / "LOG").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        log.warning("RocksDB's own log cannot be read: %s", error)
        return []
    return [
        line.rpartition("/")[2]
        for line in text.splitlines()
        if "dropping" in line and " bytes" in line
    ]
