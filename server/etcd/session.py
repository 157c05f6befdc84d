"""CommitSession: commits to etcd of which it is always known whether they were made.

An answer can get lost: the request waits in a member that hangs, and nobody knows whether it will
be carried out tomorrow. So every commit also changes a record of its client, on the condition that
this record is as the client left it:

    session record := nonce ":" attempt         # the nonce is drawn anew by every process

When an answer is lost, the client changes its record once more, on the same condition. Either that
succeeds: then the lost commit was not made and never can be, for its condition is gone. Or it finds
the record changed: by the lost commit, whose attempt stands in it with its revision. Only where
etcd does not answer that question in time, or somebody else has written the record, is it
`CommitUnknown`; the next commit then begins a new record, which shuts the lost one out.

A client of the same name that starts anew takes the record over and so shuts out what its
predecessor left on the way. Commits of one client follow each other: they are rare.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from weftdb.cluster.metadata.store import (
    Committed,
    Condition,
    Exists,
    IsAbsent,
    IsAt,
    LeaseId,
    Outcome,
    Put,
    Refused,
    Revision,
    Transaction,
)
from weftdb.core.errors import CommitUnknown, LeaseLost
from weftdb.proto.etcd import key_values_pb2 as kv
from weftdb.server.etcd.connection import EtcdAway, EtcdConnection, EtcdRefused
from weftdb.server.etcd.methods import RANGE, TXN

FRESH_S = 1.0
"""So long after an answer a commit is sent without asking first whether etcd is there. Asking keeps
a commit that meets an etcd that is away from becoming unknown."""
SETTLE_SHARE = 0.5
"""Of the time-out, that the question after a lost commit has at least; so a commit takes at most
1.5 time-outs."""
_LEASE_NOT_FOUND = "lease not found"


class CommitSession:
    """The commits of one client, one at a time. Thread-safe."""

    def __init__(self, connection: EtcdConnection, key: str, nonce: str) -> None:
        self._connection = connection
        self._key = key.encode()
        self._nonce = nonce
        self._lock = threading.Lock()
        self._attempts = 0
        self._revision = 0
        """Of the record as this client left it; 0: it has to be begun anew."""
        self._asked_until = 0.0

    def commit(self, transaction: Transaction) -> Outcome:
        """Commit, and say for certain what became of it.

        Raises MetadataUnavailable (nothing was changed), CommitUnknown, LeaseLost, DiskFull.
        """
        with self._lock:
            deadline = self._connection.deadline()
            lost: EtcdAway | None = None
            while lost is None or self._connection.left_s(deadline) > 0:
                self._prepare(deadline)
                record = self._next_record()
                request = self._request(transaction, record)
                try:
                    reply = self._connection.attempt(TXN, request, deadline)
                except EtcdAway as error:
                    lost = error
                    revision = self._settle(record, deadline, error)
                    if revision is not None:
                        return Committed(revision)
                except EtcdRefused as refused:
                    raise self._refusal(transaction, refused) from None
                else:
                    self._fresh()
                    outcome = self._outcome(transaction, reply)
                    if outcome is not None:
                        return outcome
                    lost = EtcdAway(f"another client writes {self._key.decode()}")
            raise self._connection.unavailable(lost)

    def _prepare(self, deadline: float) -> None:
        """Make sure that etcd answers and that the record is ours. Nothing is at stake yet."""
        if self._revision and self._connection.left_s(self._asked_until) > 0:
            return
        begun, tries = set[bytes](), 0
        while True:
            found = self._read(deadline)
            self._fresh()
            before = 0 if found is None else found.mod_revision
            if found is not None and (before == self._revision or found.value in begun):
                self._revision = before
                return
            record = self._next_record()
            begun.add(record)
            request = kv.TxnRequest(
                compare=[_compare_at(self._key, before)],
                success=[_put(self._key, record)],
            )
            try:
                reply = self._connection.attempt(TXN, request, deadline)
            except EtcdAway as error:
                cause = error
            except EtcdRefused as refused:
                raise self._connection.unavailable(refused) from None
            else:
                if reply.succeeded:
                    self._revision = reply.header.revision
                    return
                cause = EtcdAway(f"another client writes {self._key.decode()}")
            tries += 1
            if not self._connection.pause(tries, deadline):
                raise self._connection.unavailable(cause)

    def _settle(self, record: bytes, deadline: float, lost: EtcdAway) -> Revision | None:
        """Find out what became of the commit that wrote `record`: its revision, or None when it was
        not made and never will be. Raises CommitUnknown."""
        # The question gets its time even where the commit has used up all of its own.
        least = self._connection.after_s(self._connection.timeout_s * SETTLE_SHARE)
        until = max(deadline, least)
        ours, tries = set[bytes](), 0
        while True:
            void = self._next_record()
            ours.add(void)
            request = kv.TxnRequest(
                compare=[_compare_at(self._key, self._revision)],
                success=[_put(self._key, void)],
                failure=[_range(self._key)],
            )
            try:
                reply = self._connection.attempt(TXN, request, until, is_patient=True)
            except EtcdAway as error:
                lost = error
            except EtcdRefused as refused:
                raise self._unknown(refused) from None
            else:
                self._fresh()
                return self._verdict(record, ours, reply)
            tries += 1
            if not self._connection.pause(tries, until):
                raise self._unknown(lost)

    def _verdict(self, record: bytes, ours: set[bytes], reply: kv.TxnResponse) -> Revision | None:
        if reply.succeeded:
            self._revision = reply.header.revision
            return None
        found = reply.responses[0].response_range.kvs
        if found and found[0].value == record:
            self._revision = found[0].mod_revision
            return Revision(self._revision)
        if found and found[0].value in ours:
            self._revision = found[0].mod_revision
            return None
        raise self._unknown(EtcdAway(f"another client wrote {self._key.decode()} meanwhile"))

    def _unknown(self, cause: Exception) -> CommitUnknown:
        self._revision = 0
        return CommitUnknown(
            f"the metadata store (etcd at {self._connection.endpoint}) went away with a change on "
            f"its way, which may have been made: {cause}"
        )

    def _request(self, transaction: Transaction, record: bytes) -> kv.TxnRequest:
        """The whole commit; where it fails, everything that tells why."""
        names = [condition.key.encode() for condition in transaction.conditions]
        return kv.TxnRequest(
            compare=[
                _compare_at(self._key, self._revision),
                *(_compare(condition) for condition in transaction.conditions),
            ],
            success=[
                _put(self._key, record),
                *(
                    _put(change.key.encode(), change.value, change.lease)
                    if isinstance(change, Put)
                    else _delete(change.key.encode())
                    for change in transaction.changes
                ),
            ],
            failure=[_range(name, keys_only=True) for name in (self._key, *names)],
        )

    def _outcome(self, transaction: Transaction, reply: kv.TxnResponse) -> Outcome | None:
        """None where only the session's own condition failed: somebody took the record over."""
        if reply.succeeded:
            self._revision = reply.header.revision
            return Committed(Revision(self._revision))
        revisions = [_revision_in(each.response_range) for each in reply.responses]
        failed = tuple(
            condition
            for condition, revision in zip(transaction.conditions, revisions[1:], strict=True)
            if not _holds(condition, revision)
        )
        if revisions[0] != self._revision:
            self._revision = 0
        assert failed or not self._revision, "a transaction failed and all of its conditions hold"
        return Refused(failed) if failed else None

    def _refusal(self, transaction: Transaction, refused: EtcdRefused) -> Exception:
        if _LEASE_NOT_FOUND in str(refused):
            leases = [change.lease for change in transaction.changes if isinstance(change, Put)]
            return LeaseLost(next(lease for lease in leases if lease is not None))
        return self._connection.unavailable(refused)

    def _read(self, deadline: float) -> kv.KeyValue | None:
        try:
            reply = self._connection.ask(RANGE, kv.RangeRequest(key=self._key), deadline)
        except EtcdRefused as refused:
            raise self._connection.unavailable(refused) from None
        return reply.kvs[0] if reply.kvs else None

    def _next_record(self) -> bytes:
        self._attempts += 1
        return f"{self._nonce}:{self._attempts}".encode()

    def _fresh(self) -> None:
        """An answer came just now."""
        self._asked_until = self._connection.after_s(FRESH_S)


def _holds(condition: Condition, revision: int) -> bool:
    match condition:
        case IsAbsent():
            return revision == 0
        case Exists():
            return revision != 0
        case IsAt(_, expected):
            return revision == expected != 0


def _compare(condition: Condition) -> kv.Compare:
    key = condition.key.encode()
    match condition:
        case IsAbsent():
            return _compare_at(key, 0)
        case Exists():
            return kv.Compare(
                result=kv.Compare.NOT_EQUAL, target=kv.Compare.MOD, key=key, mod_revision=0
            )
        case IsAt(_, revision):
            # No record has revision 0: that would ask for its absence.
            return _compare_at(key, revision or -1)


def _compare_at(key: bytes, revision: int) -> kv.Compare:
    return kv.Compare(
        result=kv.Compare.EQUAL, target=kv.Compare.MOD, key=key, mod_revision=revision
    )


def _put(key: bytes, value: bytes, lease: LeaseId | None = None) -> kv.RequestOp:
    return kv.RequestOp(request_put=kv.PutRequest(key=key, value=value, lease=lease or 0))


def _delete(key: bytes) -> kv.RequestOp:
    return kv.RequestOp(request_delete_range=kv.DeleteRangeRequest(key=key))


def _range(key: bytes, *, keys_only: bool = False) -> kv.RequestOp:
    return kv.RequestOp(request_range=kv.RangeRequest(key=key, keys_only=keys_only))


def _revision_in(reply: kv.RangeResponse) -> int:
    """Of the one key that was asked for; 0 where it is absent."""
    found: Sequence[kv.KeyValue] = reply.kvs
    return found[0].mod_revision if found else 0
