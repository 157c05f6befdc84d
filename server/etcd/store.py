"""EtcdMetadata: the MetadataStore of a cluster, in etcd.

Reads are linearizable: a member that has lost the majority does not answer them. They are repeated
at other members until the time-out; commits go through session.py, which knows what became of them.
"""

from __future__ import annotations

import math
import random
import threading
import weakref
from collections.abc import Iterator

import grpc

from weftdb.cluster.metadata.store import (
    Lease,
    LeaseId,
    Outcome,
    Record,
    Revision,
    Snapshot,
    Transaction,
    Watch,
    check_key,
    prefix_end,
)
from weftdb.core.env import Clock
from weftdb.core.errors import Closed, CorruptData, LeaseLost
from weftdb.core.limits import METADATA_PAGE_RECORDS
from weftdb.proto.etcd import key_values_pb2 as kv
from weftdb.proto.etcd import leases_pb2 as leases
from weftdb.proto.etcd import members_pb2 as members
from weftdb.server.etcd.connection import (
    EtcdAway,
    EtcdConnection,
    EtcdRefused,
    EtcdSettings,
)
from weftdb.server.etcd.methods import (
    COMPACT,
    LEASE_GRANT,
    LEASE_KEEP_ALIVE,
    LEASE_REVOKE,
    RANGE,
    STATUS,
    Method,
    Reply,
    Request,
)
from weftdb.server.etcd.session import CommitSession
from weftdb.server.etcd.watch import EtcdWatch

_LISTINGS_MAX = 3
"""How often a listing begins anew when its revision is compacted while it is read."""


class EtcdMetadata:
    """A MetadataStore at the endpoints of `settings`. Connects when it is first used.

    `session_key` is the key of this client's own record; no other client that lives may have it.
    """

    def __init__(
        self, settings: EtcdSettings, session_key: str, clock: Clock, randomness: random.Random
    ) -> None:
        check_key(session_key)
        self._connection = EtcdConnection(settings, clock, randomness)
        nonce = f"{randomness.getrandbits(128):032x}"
        self._session = CommitSession(self._connection, session_key, nonce)
        self._lock = threading.Lock()
        self._watches: weakref.WeakSet[EtcdWatch] = weakref.WeakSet()
        self._is_closed = False

    def get(self, key: str) -> Record | None:
        """The newest state of a key."""
        check_key(key)
        reply = self._ask(RANGE, kv.RangeRequest(key=key.encode()))
        return _record(reply.kvs[0]) if reply.kvs else None

    def list(self, prefix: str) -> Snapshot:
        """Everything below `prefix` at one revision, in pages."""
        check_key(prefix)
        self._check_open()
        for left in reversed(range(_LISTINGS_MAX)):
            try:
                pages = list(self._pages(prefix.encode()))
            except EtcdRefused as refused:
                if refused.code is grpc.StatusCode.OUT_OF_RANGE and left:
                    continue
                raise self._connection.unavailable(refused) from None
            records = tuple(_record(each) for page in pages for each in page.kvs)
            return Snapshot(records, Revision(pages[0].header.revision))
        raise AssertionError("unreachable: the last listing returns or raises")

    def commit(self, transaction: Transaction) -> Outcome:
        """Make all of the changes if all of the conditions hold."""
        self._check_open()
        return self._session.commit(transaction)

    def watch(self, prefix: str, after: Revision) -> Watch:
        """Follow the changes below `prefix`."""
        check_key(prefix)
        with self._lock:
            self._check_open()
            watch = EtcdWatch(self._connection, prefix, after)
            self._watches.add(watch)
            return watch

    def grant(self, ttl_s: float) -> Lease:
        """Make a lease of whole seconds. One whose answer gets lost ends by itself."""
        assert ttl_s > 0, ttl_s
        reply = self._ask(LEASE_GRANT, leases.LeaseGrantRequest(ttl=math.ceil(ttl_s)))
        return Lease(LeaseId(reply.id), float(reply.ttl))

    def keep_alive(self, lease: LeaseId) -> float:
        """Let the lease begin anew."""
        self._check_open()
        deadline, tries = self._connection.deadline(), 0
        while True:
            try:
                ttl = self._keep_alive(lease, deadline)
            except EtcdAway as error:
                tries += 1
                if not self._connection.pause(tries, deadline):
                    raise self._connection.unavailable(error) from None
                continue
            except EtcdRefused as refused:
                raise self._connection.unavailable(refused) from None
            if ttl <= 0:
                raise LeaseLost(lease)
            return float(ttl)

    def revoke(self, lease: LeaseId) -> None:
        """End a lease and remove its keys."""
        try:
            self._connection.ask(LEASE_REVOKE, leases.LeaseRevokeRequest(id=lease))
        except EtcdRefused as refused:
            if refused.code is not grpc.StatusCode.NOT_FOUND:
                raise self._connection.unavailable(refused) from None

    def compact(self, revision: Revision) -> None:
        """Forget the history up to `revision`."""
        try:
            self._connection.ask(COMPACT, kv.CompactionRequest(revision=revision))
        except EtcdRefused as refused:
            if refused.code is not grpc.StatusCode.OUT_OF_RANGE:  # Compacted, or still to come.
                raise self._connection.unavailable(refused) from None

    def used_bytes(self) -> int:
        """Bytes of etcd's file that hold something, of METADATA_STORE_BYTES_MAX."""
        return int(self._ask(STATUS, members.StatusRequest()).db_size_in_use)

    def close(self) -> None:
        """Let go of etcd."""
        with self._lock:
            self._is_closed = True
            watches = list(self._watches)
        for watch in watches:
            watch.close()
        self._connection.close()

    def _pages(self, prefix: bytes) -> Iterator[kv.RangeResponse]:
        """The pages of one listing, all at the revision of the first. Never none."""
        start, end, revision = prefix, prefix_end(prefix), 0
        while True:
            page = self._connection.ask(
                RANGE,
                kv.RangeRequest(
                    key=start, range_end=end, limit=METADATA_PAGE_RECORDS, revision=revision
                ),
            )
            yield page
            if not page.more:
                return
            revision = revision or page.header.revision
            start = page.kvs[-1].key + b"\0"

    def _keep_alive(self, lease: LeaseId, deadline: float) -> int:
        request = leases.LeaseKeepAliveRequest(id=lease)
        endpoint, replies = self._connection.stream(LEASE_KEEP_ALIVE, (request,), deadline)
        try:
            for reply in replies:
                return int(reply.ttl)
        except grpc.RpcError as error:
            raise self._connection.failure(endpoint, error) from None
        raise EtcdAway(f"{endpoint}: no answer to a keep-alive")

    def _ask(self, method: Method[Request, Reply], request: Request) -> Reply:
        self._check_open()
        try:
            return self._connection.ask(method, request)
        except EtcdRefused as refused:
            raise self._connection.unavailable(refused) from None

    def _check_open(self) -> None:
        if self._is_closed:
            raise Closed("the metadata store is closed")


def _record(found: kv.KeyValue) -> Record:
    try:
        key = found.key.decode()
    except UnicodeDecodeError:
        raise CorruptData(f"a metadata key is no UTF-8: {found.key!r}") from None
    lease = LeaseId(found.lease) if found.lease else None
    return Record(key, found.value, Revision(found.mod_revision), lease)
