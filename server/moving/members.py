"""MemberBoard: changes of who belongs to the cluster: draining, back again, removed.

Every method blocks for the metadata.
"""

from __future__ import annotations

from dataclasses import replace

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import MemberRecord, MemberState
from weftdb.cluster.metadata.store import (
    Committed,
    Delete,
    IsAt,
    MetadataStore,
    Put,
    Record,
    Transaction,
)
from weftdb.core.errors import InvalidRequest, SchemaChanged
from weftdb.core.types import NodeName

TRIES_MAX = 20


class MemberBoard:
    """The records of the members. Thread-safe."""

    def __init__(self, keys: ClusterKeys, store: MetadataStore) -> None:
        self._keys = keys
        self._store = store

    def set_draining(self, node: NodeName, *, is_draining: bool) -> None:
        """Give a node no new replicas any more, or some again. Raises InvalidRequest."""
        state = MemberState.DRAINING if is_draining else MemberState.JOINED
        for _ in range(TRIES_MAX):
            record = self._record(node)
            member = MemberRecord.decode(record.key, record.value)
            if member.state is state:
                return
            put = Put(record.key, replace(member, state=state).encode())
            outcome = self._store.commit(Transaction((put,), (IsAt(record.key, record.revision),)))
            if isinstance(outcome, Committed):
                return
        raise SchemaChanged(f"the record of node {node} changes all the time")

    def remove(self, node: NodeName) -> None:
        """Take a node out of the cluster. Requires: it holds nothing, and is given nothing (it is
        DRAINING). Raises InvalidRequest."""
        record = self._record(node)
        if MemberRecord.decode(record.key, record.value).state is not MemberState.DRAINING:
            raise InvalidRequest(f"node {node} may be given replicas any time: drain it first")
        outcome = self._store.commit(
            Transaction((Delete(record.key),), (IsAt(record.key, record.revision),))
        )
        if not isinstance(outcome, Committed):
            raise SchemaChanged(f"node {node} changes just now: try again")

    def _record(self, node: NodeName) -> Record:
        record = self._store.get(self._keys.member(node))
        if record is None:
            raise InvalidRequest(f"no node {node} in the cluster")
        return record
