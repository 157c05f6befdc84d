"""Presence: a record in the metadata that is there for as long as this process keeps it alive.

A thread of its own takes a lease, binds the record to it and keeps it alive three times in its
life; where the record would say something else by then, it is put again. When the lease is lost,
because the store was away for longer, it takes another one and puts the record again. Others see
the record go no later than one life of the lease after this process; one that ends in order says
goodbye first, so that nobody takes the record's end for trouble with the store.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from weftdb.cluster.metadata.store import Lease, LeaseId, MetadataStore, Put, Transaction
from weftdb.core.errors import Closed, CommitUnknown, LeaseLost, MetadataUnavailable

log = logging.getLogger("weftdb.metadata")

TTL_S = 10.0
KEPT_EVERY = 3
"""Parts of the lease's life after which it is kept alive: two tries may fail."""


class Presence:
    """Keeps `key` with what `value` returns, from `start` until `close`."""

    def __init__(
        self,
        store: MetadataStore,
        key: str,
        value: Callable[[], bytes],
        *,
        goodbye: Callable[[], bytes] | None = None,
        ttl_s: float = TTL_S,
    ) -> None:
        """`goodbye` is what the record says at last."""
        self._goodbye = goodbye
        self._store = store
        self._key = key
        self._value = value
        self._ttl_s = ttl_s
        self._lease: LeaseId | None = None
        self._put = b""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Put the record, then keep it. Raises MetadataUnavailable, CommitUnknown."""
        assert self._thread is None, "started twice"
        lease = self._enter()
        self._thread = threading.Thread(
            target=self._run, args=(lease,), name="weft-presence", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Say goodbye and take the record away at once, if the store is there; otherwise its lease
        does."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._lease is None:
            return
        try:
            if self._goodbye is not None:
                self._say(self._goodbye(), self._lease)
            self._store.revoke(self._lease)
        except (MetadataUnavailable, CommitUnknown, LeaseLost, Closed) as error:
            log.warning("%s goes with its lease: %s", self._key, error)
        self._lease = None

    def _enter(self) -> Lease:
        """Put the record with a new lease. One that fails leaves a lease that ends by itself."""
        lease = self._store.grant(self._ttl_s)
        self._say(self._value(), lease.id)
        self._lease = lease.id
        return lease

    def _say(self, value: bytes, lease: LeaseId) -> None:
        self._store.commit(Transaction((Put(self._key, value, lease),)))
        self._put = value

    def _run(self, lease: Lease) -> None:
        while not self._stopping.wait(lease.ttl_s / KEPT_EVERY):
            try:
                lease = self._keep(lease)
            except (MetadataUnavailable, CommitUnknown, LeaseLost) as error:
                log.warning("%s is not kept alive: %s", self._key, error)
            except Closed:
                return

    def _keep(self, lease: Lease) -> Lease:
        if self._lease is not None:
            try:
                self._store.keep_alive(lease.id)
                if (value := self._value()) != self._put:
                    self._say(value, lease.id)
            except LeaseLost:
                self._lease = None
            else:
                return lease
        lease = self._enter()
        log.info("%s had lost its lease and is there again", self._key)
        return lease
