"""HintStore: the hints of this node in its store, by target, and which comparisons are owed.

The rules are `cluster/replication/hints.py`'s; here they meet the disk. A hint that leaves its
queue undelivered (full, old, damaged, or never stored) leaves a debt: the target and its shard are
to be compared (`repair.py` does that, and pays it).

    owed row  := empty, under JSON [target, collection, shard]

A hint that cannot be stored fails nobody: the write that it belongs to has its level already or is
told that it has not. It is counted, and its debt stays in memory until the disk takes it.

Durability: `keep` returns once the hints are durable. What is forgotten is not waited for: a crash
brings it back, and it is sent twice.
Concurrency: any thread; blocking.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from weftdb.cluster.replication.effects import KeepHint
from weftdb.cluster.replication.hint_replay import LoadedHint
from weftdb.cluster.replication.hints import (
    Entry,
    Hint,
    HintBounds,
    HintQueue,
    HintTally,
    decode_hint,
    decode_key,
    encode_hint,
    encode_key,
    head_of,
    key_prefix,
)
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData, UnknownCollection, WeftError
from weftdb.core.limits import MiB
from weftdb.core.objects import ObjectState
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.storage import keys
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.state_codec import decode_state, encode_state

log = logging.getLogger("weftdb.hints")

_LOAD_BYTES_MAX = 16 * MiB
"""Read at once; one hint more may be, whatever its size."""
_LAST = b"\xff" * 9
"""Above every sequence."""

EncodeState = Callable[[ShardRef, ObjectState], bytes]
"""Writes a state of a shard. Of properties that are not encoded yet it knows the encoder."""


@dataclass(frozen=True, slots=True, order=True)
class Owed:
    """A replica that has missed something of which no hint is left."""

    shard: ShardRef
    target: NodeName


@dataclass(frozen=True, slots=True)
class HintFigures:
    """The hints of one target at one moment."""

    waiting: int
    size_bytes: int
    oldest_ms: int | None
    """When the oldest was kept, wall clock."""
    tally: HintTally


def encode_copied(_shard: ShardRef, state: ObjectState) -> bytes:
    """Write a state whose properties are encoded already. Requires: they are."""
    return encode_state(state)


class StateEncoders:
    """Writes states of collections whose present definition `schema` knows. Any thread."""

    def __init__(self, schema: Callable[[CollectionName], Collection | None]) -> None:
        self._schema = schema
        self._known: dict[CollectionName, tuple[Collection, PropertyEncoder]] = {}

    def encode(self, shard: ShardRef, state: ObjectState) -> bytes:
        """Write a state, copying what is encoded already. Raises UnknownCollection."""
        if state.is_deleted or isinstance(state.properties, EncodedProperties):
            return encode_state(state)
        schema = self._schema(shard.collection)
        if schema is None:
            raise UnknownCollection(shard.collection)
        known, encoder = self._known.get(shard.collection, (None, None))
        if known is not schema or encoder is None:
            encoder = PropertyEncoder(schema)
            self._known[shard.collection] = (schema, encoder)
        return encode_state(state, encoder)


class HintStore:
    """The hints of one node. Reads what is stored when it is made."""

    def __init__(
        self,
        store: KeyValueStore,
        clock: Clock,
        *,
        bounds: HintBounds | None = None,
        encode: EncodeState = encode_copied,
    ) -> None:
        self._store = store
        self._clock = clock
        self._bounds = bounds or HintBounds()
        self._encode = encode
        self._lock = threading.Lock()
        self._queues: dict[NodeName, HintQueue] = {}
        self._damaged: set[tuple[NodeName, int]] = set()
        self._owed: set[Owed] = set()
        self._owed_unstored: set[Owed] = set()
        self._restore()

    def keep(self, hints: Sequence[KeepHint]) -> frozenset[NodeName]:
        """Store hints, durably; the targets that got one. Does not raise for what the store does:
        what it did not take is counted and owed."""
        now_ms = self._clock.now_ms()
        encoded = [(hint, value) for hint in hints if (value := self._encoded(hint, now_ms))]
        with self._lock:
            batch, admitted = WriteBatch(), []
            debts: set[Owed] = set()
            fresh: dict[bytes, bytes] = {}
            for hint, value in encoded:
                queue = self._queue(hint.to)
                admission = queue.admit(len(value), now_ms)
                self._delete(batch, hint.to, admission.dropped, debts, fresh)
                if admission.sequence is None:
                    debts.add(Owed(hint.shard, hint.to))
                    continue
                key = keys.hint_key(encode_key(hint.to, admission.sequence))
                batch.put(Family.HINTS, key, value)
                fresh[key] = value
                admitted.append((hint, admission.sequence))
            try:
                self._owe(batch, debts)
                ticket = self._store.write(batch)
            except WeftError as error:
                self._give_up(admitted, error)
                return frozenset()
            self._owed_unstored.clear()
        try:
            self._store.wait_durable(ticket)
        except WeftError as error:
            # What the disk has of them nobody knows; if they are there, they are sent.
            log.warning("%d hints may not be durable: %s", len(hints), error)
            with self._lock:
                self._owed |= (lost := {Owed(hint.shard, hint.to) for hint, _ in admitted})
                self._owed_unstored |= lost
        return frozenset(hint.to for hint, _ in admitted)

    def load(self, target: NodeName, count_max: int) -> list[LoadedHint]:
        """Let go of what is too old, and read the oldest of the others. Raises what the store
        raises."""
        with self._lock:
            queue = self._queue(target)
            first, last = self._expire(queue, target), queue.first + len(queue) - 1
        if last < first:
            return []
        start = keys.hint_key(encode_key(target, first))
        end = keys.hint_key(key_prefix(target)) + _LAST
        loaded: list[LoadedHint] = []
        size_bytes = 0
        for key, value in self._store.scan(Family.HINTS, start, end):
            _, sequence = decode_key(keys.hint_place(key))
            try:
                loaded.append(_decoded(sequence, value))
            except CorruptData as error:
                # It goes with the next one that is forgotten.
                self._note_damage(target, sequence, error)
                continue
            size_bytes += len(value)
            if len(loaded) == count_max or size_bytes >= _LOAD_BYTES_MAX:
                break
        if not loaded:
            # Only damaged ones are left, or some whose write failed.
            self.forget(target, last, is_final=True)
        return loaded

    def forget(self, target: NodeName, through: int, *, is_final: bool) -> None:
        """Delete the hints up to `through`. Raises what the store raises."""
        with self._lock:
            self._forget(self._queue(target), target, through, is_final=is_final)

    def owed(self) -> list[Owed]:
        """The comparisons that are owed."""
        with self._lock:
            return sorted(self._owed)

    def owe(self, debt: Owed) -> None:
        """Note a debt, durably. Raises what the store raises."""
        with self._lock:
            if debt in self._owed and debt not in self._owed_unstored:
                return
            batch = WriteBatch()
            self._owe(batch, {debt})
            self._store.write(batch)
            self._owed_unstored.clear()

    def pay(self, debt: Owed) -> None:
        """The two were compared, completely. Raises what the store raises."""
        with self._lock:
            self._owed.discard(debt)
            self._owed_unstored.discard(debt)
            batch = WriteBatch()
            batch.delete(Family.HINTS, keys.owed_key(_text(debt)))
            self._store.write(batch)

    def targets(self) -> list[NodeName]:
        """Nodes that hints are kept for, or were."""
        with self._lock:
            return sorted(self._queues)

    def waiting(self, target: NodeName) -> int:
        """Hints of one target."""
        with self._lock:
            queue = self._queues.get(target)
            return 0 if queue is None else len(queue)

    def drop_target(self, target: NodeName) -> int:
        """Let go of all hints and debts of a node that has left the cluster; how many hints."""
        with self._lock:
            queue = self._queue(target)
            count = len(queue)
            if count:
                self._forget(queue, target, queue.first + count - 1, is_final=True)
            batch = WriteBatch()
            for debt in [debt for debt in self._owed if debt.target == target]:
                self._owed.discard(debt)
                self._owed_unstored.discard(debt)
                batch.delete(Family.HINTS, keys.owed_key(_text(debt)))
            self._store.write(batch)
            return count

    def figures(self) -> dict[NodeName, HintFigures]:
        """By target, for metrics."""
        with self._lock:
            return {
                target: HintFigures(len(queue), queue.size_bytes, queue.oldest_ms, queue.tally)
                for target, queue in sorted(self._queues.items())
            }

    def _restore(self) -> None:
        found: dict[NodeName, list[Entry]] = {}
        batch = WriteBatch()
        for key, value in self._store.scan(Family.HINTS, *keys.hint_range()):
            target, sequence = decode_key(keys.hint_place(key))
            try:
                _, kept_ms = head_of(value)
            except CorruptData as error:
                self._note_damage(target, sequence, error)
                batch.delete(Family.HINTS, key)
                continue
            found.setdefault(target, []).append(Entry(sequence, len(value), kept_ms))
        for target, entries in found.items():
            self._queue(target).restore(entries)
        for key, _ in self._store.scan(Family.HINTS, *keys.owed_range()):
            self._owed.add(_owed(keys.owed_text(key)))
        self._store.write(batch)

    def _queue(self, target: NodeName) -> HintQueue:
        queue = self._queues.get(target)
        if queue is None:
            queue = self._queues[target] = HintQueue(self._bounds)
        return queue

    def _encoded(self, hint: KeepHint, now_ms: int) -> bytes | None:
        try:
            states = tuple(self._encode(hint.shard, state) for state in hint.states)
        except WeftError as error:
            # Of a collection that was dropped just now: nobody misses it.
            log.warning("a hint for %s is not kept: %s", hint.to, error)
            with self._lock:
                self._queue(hint.to).tally.dropped_unstored += 1
            return None
        return encode_hint(Hint(hint.shard, now_ms, states))

    def _delete(
        self,
        batch: WriteBatch,
        target: NodeName,
        sequences: Sequence[int],
        debts: set[Owed],
        fresh: Mapping[bytes, bytes] = MappingProxyType({}),
    ) -> None:
        """Delete hints that were not delivered; what they were about is owed. `fresh` has those
        that the batch is about to store."""
        places = [keys.hint_key(encode_key(target, sequence)) for sequence in sequences]
        stored = self._store.get_many(Family.HINTS, places)
        for key, held in zip(places, stored, strict=True):
            value = held or fresh.get(key)
            if value is not None:
                debts.add(Owed(head_of(value)[0], target))
        for key in places:
            batch.delete(Family.HINTS, key)

    def _owe(self, batch: WriteBatch, debts: Iterable[Owed]) -> None:
        for debt in {*debts, *self._owed_unstored} - (self._owed - self._owed_unstored):
            self._owed.add(debt)
            self._owed_unstored.add(debt)
            batch.put(Family.HINTS, keys.owed_key(_text(debt)), b"")

    def _give_up(self, admitted: Sequence[tuple[KeepHint, int]], error: WeftError) -> None:
        """The store took none of them."""
        log.warning("%d hints could not be stored: %s", len(admitted), error)
        for hint, sequence in reversed(admitted):
            self._queue(hint.to).withdraw(sequence)
            self._owed.add(debt := Owed(hint.shard, hint.to))
            self._owed_unstored.add(debt)

    def _expire(self, queue: HintQueue, target: NodeName) -> int:
        gone = queue.expire(self._clock.now_ms())
        if gone:
            batch, debts = WriteBatch(), set[Owed]()
            self._delete(batch, target, gone, debts)
            self._owe(batch, debts)
            self._store.write(batch)
            self._owed_unstored.clear()
        return queue.first

    def _forget(self, queue: HintQueue, target: NodeName, through: int, *, is_final: bool) -> None:
        batch = WriteBatch()
        for sequence in queue.forget_through(through, is_final=is_final):
            batch.delete(Family.HINTS, keys.hint_key(encode_key(target, sequence)))
        self._store.write(batch)

    def _note_damage(self, target: NodeName, sequence: int, error: CorruptData) -> None:
        if (target, sequence) not in self._damaged:
            self._damaged.add((target, sequence))
            self._queue(target).tally.dropped_damaged += 1
            log.error("hint %d for %s is left out: %s", sequence, target, error)


def _decoded(sequence: int, value: bytes) -> LoadedHint:
    hint = decode_hint(value)
    return LoadedHint(sequence, hint.shard, tuple(map(decode_state, hint.states)))


def _text(debt: Owed) -> str:
    return json.dumps([debt.target, debt.shard.collection, debt.shard.shard], ensure_ascii=False)


def _owed(text: str) -> Owed:
    try:
        target, collection, shard = json.loads(text)
    except ValueError as error:
        raise CorruptData(f"an owed comparison cannot be read: {text!r}") from error
    return Owed(ShardRef(CollectionName(collection), ShardName(shard)), NodeName(target))
