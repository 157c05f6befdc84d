"""EtcdWatch: follows changes over one stream at a time, and goes on where a broken one ended.

A thread reads the stream into a queue; the owner takes what is there. The stream asks from the last
revision that was delivered, not from the one after it: etcd then says by itself that history is
gone whenever anything after that revision might be, and what is known already is left out here.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import TypeAlias

import grpc

from weftdb.cluster.metadata.store import Event, Revision, prefix_end
from weftdb.core.errors import Closed, Compacted
from weftdb.proto.etcd import watch_pb2 as wire
from weftdb.server.etcd.connection import EtcdAway, EtcdConnection, EtcdRefused
from weftdb.server.etcd.methods import WATCH

CREATED_S_MAX = 2.0
"""A member that does not say for so long that it watches is given up for another one."""
_Item: TypeAlias = "wire.WatchResponse | Exception"


class _Stream:
    """One call of etcd's Watch, and the thread that reads it."""

    def __init__(self, connection: EtcdConnection, create: wire.WatchCreateRequest) -> None:
        self.inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self.is_created = False
        self._outbox: queue.SimpleQueue[wire.WatchRequest | None] = queue.SimpleQueue()
        self._outbox.put(wire.WatchRequest(create_request=create))
        self._connection = connection
        self._is_closed = False
        self._patience = connection.after_s(CREATED_S_MAX)
        self.endpoint, self._call = connection.stream(WATCH, iter(self._outbox.get, None))
        threading.Thread(target=self._read, name="weft-etcd-watch", daemon=True).start()

    def until(self, deadline: float) -> float:
        """How long to wait for an answer: etcd must soon say that it watches."""
        return deadline if self.is_created else min(deadline, self._patience)

    def close(self) -> None:
        """End the call; the thread ends with it."""
        self._is_closed = True
        self._outbox.put(None)
        self._call.cancel()

    def _read(self) -> None:
        try:
            for response in self._call:
                self.inbox.put(response)
        except grpc.RpcError as error:
            if not self._is_closed:
                self.inbox.put(self._connection.failure(self.endpoint, error))
        else:
            self.inbox.put(EtcdAway(f"{self.endpoint}: the stream ended"))


class EtcdWatch:
    """A Watch below one prefix, for one thread; any thread may close it."""

    def __init__(self, connection: EtcdConnection, prefix: str, after: Revision) -> None:
        self._connection = connection
        self._prefix = prefix.encode()
        self._after = after
        self._stream: _Stream | None = None
        self._part: list[Event] = []
        """Events of an answer that came in pieces, so far."""
        self._lock = threading.Lock()
        self._is_closed = False

    def next(self, timeout_s: float) -> Sequence[Event]:
        """Wait for changes; see Watch."""
        deadline = self._connection.after_s(timeout_s)
        tries = 0
        while True:
            try:
                return self._wait(deadline)
            except EtcdAway as error:
                away = error
                self._drop()
            except EtcdRefused as refused:
                self._drop()
                raise self._connection.unavailable(refused) from None
            if self._is_closed:
                raise Closed("the watch is closed")
            tries += 1
            if not self._connection.pause(tries, deadline):
                raise self._connection.unavailable(away)

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._is_closed = True
            if self._stream is not None:
                self._stream.inbox.put(Closed("the watch is closed"))
                self._stream.close()

    def _wait(self, deadline: float) -> Sequence[Event]:
        """Raises EtcdAway when the stream breaks or is too late, MetadataUnavailable when it may
        still come."""
        stream = self._open()
        found: list[Event] = []
        while True:
            until = stream.until(deadline)
            left_s = 0.0 if found else max(0.0, self._connection.left_s(until))
            try:
                item = stream.inbox.get(timeout=left_s) if left_s else stream.inbox.get_nowait()
            except queue.Empty:
                if found or stream.is_created:
                    return found
                away = EtcdAway(f"{stream.endpoint}: no answer to a watch")
                if until < deadline:
                    self._connection.demote(stream.endpoint)
                    raise away from None
                raise self._connection.unavailable(away) from None
            if isinstance(item, Exception):
                if found and isinstance(item, EtcdAway):
                    stream.inbox.put(item)  # First what was heard before it.
                    return found
                raise item
            found += self._take(stream, item)

    def _take(self, stream: _Stream, response: wire.WatchResponse) -> Sequence[Event]:
        """The events of one answer that are new; none while it is in pieces."""
        if response.compact_revision:
            raise Compacted(self._after, response.compact_revision)
        if response.canceled:
            self._connection.forget_token()  # That may have been why.
            raise EtcdAway(f"{stream.endpoint}: {response.cancel_reason or 'the watch ended'}")
        stream.is_created = True
        self._part += [_event(each) for each in response.events]
        if response.fragment:
            return ()
        events = [each for each in self._part if each.revision > self._after]
        self._part = []
        if events:
            self._after = events[-1].revision
        elif not response.created and not response.events:
            # Progress: everything up to there was told.
            self._after = max(self._after, Revision(response.header.revision))
        return events

    def _open(self) -> _Stream:
        with self._lock:
            if self._is_closed:
                raise Closed("the watch is closed")
            if self._stream is None:
                create = wire.WatchCreateRequest(
                    key=self._prefix,
                    range_end=prefix_end(self._prefix),
                    start_revision=max(1, self._after),
                    progress_notify=True,
                    fragment=True,
                )
                self._stream = _Stream(self._connection, create)
            return self._stream

    def _drop(self) -> None:
        """Forget a stream that broke, with what came of an answer that it did not end."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()
            self._stream = None
            self._part = []


def _event(event: wire.WatchEvent) -> Event:
    value = None if event.type == wire.WatchEvent.DELETE else event.kv.value
    return Event(event.kv.key.decode(), value, Revision(event.kv.mod_revision))
