"""MemberBoard: changes of who belongs to the cluster: draining, back again, removed, given up.

Who leaves takes its member of etcd along, where the nodes run etcd themselves: a member that never
comes back counts in every majority, and lets nobody new in.

Every method blocks for the metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace
from typing import Protocol

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


class Voters(Protocol):
    """The members of the etcd that the nodes run themselves. Both raise MetadataUnavailable."""

    def names(self) -> Set[str]:
        """Those that there are."""
        ...

    def remove(self, name: str) -> None:
        """Take one out for good. Raises InvalidRequest for one that is not there, or alone."""
        ...


class MemberBoard:
    """The records of the members. Thread-safe."""

    def __init__(
        self,
        keys: ClusterKeys,
        store: MetadataStore,
        voters: Voters | None = None,
        *,
        is_alive: Callable[[NodeName], bool] = lambda _node: False,
    ) -> None:
        """`voters`: None where etcd is somebody else's."""
        self._keys = keys
        self._store = store
        self._voters = voters
        self._is_alive = is_alive

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
        """Take a node out of the cluster, and its member out of etcd. Requires: it holds nothing,
        and is given nothing (it is DRAINING). Raises InvalidRequest.

        The record goes first: a node that is asked to remove itself loses its own etcd by the
        second step. What was broken off between the two is ended by the next try.
        """
        if self._store.get(self._keys.member(node)) is not None or not self._votes(node):
            self._remove_record(node)
        self._take_out(node)

    def give_up(self, node: NodeName) -> None:
        """Hear that a node is lost for good: it is given nothing any more, and its member leaves
        etcd, which takes nobody in while one is away. Raises InvalidRequest for a living one."""
        if self._is_alive(node):
            raise InvalidRequest(f"node {node} answers: it is not lost")
        self.set_draining(node, is_draining=True)
        self._take_out(node)

    def _votes(self, node: NodeName) -> bool:
        return self._voters is not None and node in self._voters.names()

    def _take_out(self, node: NodeName) -> None:
        if self._voters is not None and self._votes(node):
            self._voters.remove(node)

    def _remove_record(self, node: NodeName) -> None:
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
