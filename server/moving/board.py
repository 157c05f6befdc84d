"""OperationBoard: the operations that change where data lies, as the nodes have agreed on them.

An operation and the sharding state that it makes change in one transaction, on the condition that
both are what was decided from; whoever comes second reads again. So two nodes may work on one
operation (each takes the other for dead): a step is taken once, whatever becomes of who took it.

Every method blocks for the metadata, but `known`; none is for the event loop.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import CollectionRecord
from weftdb.cluster.metadata.store import (
    Change as MetadataChange,
)
from weftdb.cluster.metadata.store import (
    Committed,
    Condition,
    Delete,
    IsAbsent,
    IsAt,
    MetadataStore,
    Put,
    Record,
    Transaction,
)
from weftdb.cluster.rebalance.changes import (
    Change,
    DropShard,
    OperationState,
    SetFactor,
    cancelled,
    entered,
)
from weftdb.cluster.rebalance.operation import Fact, Operation
from weftdb.cluster.rebalance.stored_operation import decode_operation, encode_operation
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import ShardingState, decode_sharding, encode_sharding
from weftdb.core.env import Clock
from weftdb.core.errors import InvalidRequest, NotCancelable, SchemaChanged
from weftdb.core.types import CollectionName, NodeName
from weftdb.server.follower import Follower
from weftdb.server.moving.footprint import leaves_from, obstacle, refs_of

TRIES_MAX = 50


class Rest(Enum):
    """What is to be done with a shard that lies on a node."""

    HELD = "held"
    """The sharding state gives it to the node, or nobody can say."""
    HAND_OVER = "hand over"
    """An operation takes it away: the others get what they lack, then it goes."""
    DROP = "drop"
    """It has been handed over, or was never more than a part of a copy."""


class OperationBoard:
    """As one node sees it. Thread-safe."""

    def __init__(
        self,
        keys: ClusterKeys,
        store: MetadataStore,
        follower: Follower,
        clock: Clock,
        randomness: random.Random,
    ) -> None:
        """`follower` is that of `/operations/`."""
        self._keys = keys
        self._store = store
        self._follower = follower
        self._clock = clock
        self._random = randomness
        self._decoded: dict[str, tuple[bytes, Operation]] = {}

    def known(self) -> list[Operation]:
        """All operations that this node has heard of, the oldest first. Does not block."""
        found, decoded = [], {}
        for key, value in self._follower.all().items():
            before = self._decoded.get(key)
            if before is None or before[0] != value:
                before = (value, decode_operation(value))
            decoded[key] = before
            found.append(before[1])
        self._decoded = decoded
        return sorted(found, key=lambda each: (each.started_ms, each.id))

    def all(self) -> list[Operation]:
        """All operations there are, the oldest first."""
        found = [decode_operation(record.value) for record in self._records()]
        return sorted(found, key=lambda each: (each.started_ms, each.id))

    def get(self, operation_id: str) -> Operation | None:
        """One operation as it is now."""
        record = self._store.get(self._keys.operation(operation_id))
        return None if record is None else decode_operation(record.value)

    def register(self, change: Change, operation_id: str | None = None) -> Operation:
        """Put an operation on the board; one with that id that is there already stays.

        Raises InvalidRequest for a change that cannot be, or is under way already.
        """
        name = operation_id or str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        key = self._keys.operation(name)
        record = self._store.get(key)
        if record is not None:
            return decode_operation(record.value)
        state, _ = self.sharding(change.collection)
        why = obstacle(state, change)
        if why is not None:
            raise InvalidRequest(why)
        for other in self.all():
            if other.change == change and not other.is_over:
                raise InvalidRequest(f"operation {other.id} does that already")
        operation = Operation.registered(name, change, now_ms=self._clock.now_ms())
        put = Put(key, encode_operation(operation))
        outcome = self._store.commit(Transaction((put,), (IsAbsent(key),)))
        return operation if isinstance(outcome, Committed) else self._present(name)

    def report(self, operation_id: str, fact: Fact) -> Operation | None:
        """Take the step that `fact` allows; the operation as it is then, None once it is deleted.

        A change that cannot be any more when its first step is taken is cancelled with the reason.
        """

        def step(
            operation: Operation, state: ShardingState | None
        ) -> tuple[Operation, ShardingState | None]:
            now_ms = self._clock.now_ms()
            if fact.value is not operation.state or operation.is_over:
                return operation, state
            why = _void(state, operation)
            if why is None and state is not None and fact is Fact.BEGUN:
                why = obstacle(state, operation.change)
            if why is not None:
                return _given_up(operation, why, now_ms), state
            after = operation.after(fact, now_ms=now_ms)
            assert state is not None
            return after, entered(state, operation.change, after.state)

        return self._changed(operation_id, step)

    def cancel(self, operation_id: str) -> Operation | None:
        """Take an operation back; None where there is none. Raises NotCancelable."""

        def step(
            operation: Operation, state: ShardingState | None
        ) -> tuple[Operation, ShardingState | None]:
            after = operation.cancelled(now_ms=self._clock.now_ms())
            if after is operation or state is None:
                return after, state
            return after, cancelled(state, operation.change, operation.state)

        return self._changed(operation_id, step)

    def note_error(self, operation_id: str, state: OperationState, message: str) -> None:
        """Write down what went wrong, once for each message in a row."""

        def step(
            operation: Operation, sharding: ShardingState | None
        ) -> tuple[Operation, ShardingState | None]:
            errors = operation.status.errors
            is_new = not errors or errors[-1].message != message
            if operation.state is state and is_new:
                operation = operation.with_error(message, now_ms=self._clock.now_ms())
            return operation, sharding

        self._changed(operation_id, step)

    def delete(self, operation_id: str) -> bool:
        """Take an operation off the board, cancelling it where that is still to be done; False
        where there is none. Raises NotCancelable for one that has gone too far."""
        operation = self.cancel_unless_over(operation_id)
        if operation is None:
            return False
        self._store.commit(Transaction((Delete(self._keys.operation(operation_id)),)))
        return True

    def cancel_unless_over(self, operation_id: str) -> Operation | None:
        """Cancel an operation that is not over; None where there is none. Raises NotCancelable."""
        operation = self.get(operation_id)
        if operation is None or operation.is_over:
            return operation
        return self.cancel(operation_id)

    def delete_all(self, *, where: Callable[[Operation], bool] = lambda _operation: True) -> int:
        """Take off every operation that can be; the number of those that are gone."""
        count = 0
        for operation in self.all():
            if where(operation):
                try:
                    count += self.delete(operation.id)
                except NotCancelable:
                    continue  # It comes to its end by itself.
        return count

    def forget(self, ids: Iterable[str]) -> None:
        """Take operations that are over off the board."""
        for operation_id in ids:
            operation = self.get(operation_id)
            if operation is not None and operation.is_over:
                self._store.commit(Transaction((Delete(self._keys.operation(operation_id)),)))

    def sharding(self, collection: CollectionName) -> tuple[ShardingState, int]:
        """The sharding state as it is now, with its revision. Raises InvalidRequest."""
        record = self._store.get(self._keys.sharding(collection))
        if record is None:
            raise InvalidRequest(
                f"invalid request: collection {collection} does not exists: class not found"
            )
        return decode_sharding(record.value, collection=collection), record.revision

    def is_void(self, operation: Operation) -> bool:
        """Whether what the operation is about is gone."""
        record = self._store.get(self._keys.sharding(operation.change.collection))
        name = operation.change.collection
        state = None if record is None else decode_sharding(record.value, collection=name)
        return _void(state, operation) is not None

    def rest(self, shard: ShardRef, node: NodeName) -> tuple[Rest, Operation | None]:
        """What is to be done with a shard that lies on `node`, and for which operation.

        The sharding state is read before the operations: both change in one commit, so that who
        sees the shard taken away sees the operation that took it, too.
        """
        record = self._store.get(self._keys.sharding(shard.collection))
        if record is None:
            return Rest.HELD, None  # It goes with its collection.
        placed = decode_sharding(record.value, collection=shard.collection).shard(shard.shard)
        if placed is not None and node in placed.holders:
            return Rest.HELD, None
        for operation in self.all():
            if operation.is_over or shard not in refs_of(operation.change):
                continue
            is_leaving = leaves_from(operation.change) == node
            if is_leaving and operation.state is OperationState.DEHYDRATING:
                return Rest.HAND_OVER, operation
        return Rest.DROP, None

    # --- details ---------------------------------------------------------------------------------

    def _records(self) -> tuple[Record, ...]:
        return self._store.list(self._keys.operations).records

    def _present(self, operation_id: str) -> Operation:
        found = self.get(operation_id)
        if found is None:
            raise SchemaChanged(f"operation {operation_id} was deleted as soon as it was made")
        return found

    def _changed(
        self,
        operation_id: str,
        step: Callable[[Operation, ShardingState | None], tuple[Operation, ShardingState | None]],
    ) -> Operation | None:
        """Replace an operation, and its sharding state, by what `step` makes of them."""
        key = self._keys.operation(operation_id)
        for _ in range(TRIES_MAX):
            record = self._store.get(key)
            if record is None:
                return None
            operation = decode_operation(record.value)
            name = operation.change.collection
            placed = self._store.get(self._keys.sharding(name))
            state = None if placed is None else decode_sharding(placed.value, collection=name)
            after, new = step(operation, state)
            if after is operation:
                return operation
            changes: list[MetadataChange] = [Put(key, encode_operation(after))]
            conditions: list[Condition] = [IsAt(key, record.revision)]
            if placed is not None and new is not None and new != state:
                changes.append(Put(placed.key, encode_sharding(new)))
                conditions.append(IsAt(placed.key, placed.revision))
                self._add_definition(after, changes, conditions)
            outcome = self._store.commit(Transaction(tuple(changes), tuple(conditions)))
            if isinstance(outcome, Committed):
                return after
        raise SchemaChanged(f"operation {operation_id} is changed faster than it can be followed")

    def _add_definition(
        self,
        operation: Operation,
        changes: list[MetadataChange],
        conditions: list[Condition],
    ) -> None:
        """The factor stands in the definition, too."""
        change = operation.change
        if not isinstance(change, SetFactor) or operation.state is OperationState.CANCELLED:
            return
        record = self._store.get(self._keys.collection(change.collection))
        if record is None:
            return
        known = CollectionRecord.decode(record.key, record.value)
        replication = {
            **known.definition["replicationConfig"],
            "factor": change.factor,
            "asyncEnabled": change.factor > 1,
        }
        definition = {**known.definition, "replicationConfig": replication}
        after = replace(known, definition=definition, schema_version=known.schema_version + 1)
        changes.append(Put(record.key, after.encode()))
        conditions.append(IsAt(record.key, record.revision))


def _void(state: ShardingState | None, operation: Operation) -> str | None:
    """Why nothing is left that could be changed."""
    change = operation.change
    if state is None:
        return "its collection is gone"
    if isinstance(change, DropShard) and operation.state is OperationState.DEHYDRATING:
        return None  # That it is gone is what was wanted.
    if any(state.shard(ref.shard) is None for ref in refs_of(change)):
        return "its shard is gone"
    return None


def _given_up(operation: Operation, why: str, now_ms: int) -> Operation:
    """The operation, which cannot be done any more; one that cannot be taken back is over."""
    failed = operation.with_error(why, now_ms=now_ms)
    if failed.is_cancelable:
        return failed.cancelled(now_ms=now_ms)
    while not failed.is_over:
        failed = failed.after(Fact(failed.state), now_ms=now_ms)
    return failed
