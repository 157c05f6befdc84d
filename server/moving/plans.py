"""PlanBoard: plans that the nodes have agreed to carry out, and how far they are.

A plan is registered with the number of its steps' operations in its name, so that a step becomes
one operation, however often its registration is tried, and by whomever. One node at a time goes on
with plans: the first of the living; two that both think they are do no harm (compare-and-swap).
A plan of which an operation was cancelled stops there.

Every method blocks for the metadata.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from weftdb.cluster.metadata.keys import ClusterKeys, name_below
from weftdb.cluster.metadata.store import (
    Committed,
    Delete,
    IsAbsent,
    IsAt,
    MetadataStore,
    Put,
    Revision,
    Transaction,
)
from weftdb.cluster.rebalance.changes import OperationState
from weftdb.cluster.rebalance.operation import Operation
from weftdb.cluster.rebalance.plan import Plan, decode_plan, encode_plan
from weftdb.core.env import Clock
from weftdb.core.errors import InvalidRequest, NotCancelable
from weftdb.core.types import CollectionName
from weftdb.server.moving.board import OperationBoard
from weftdb.server.moving.footprint import refs_of

log = logging.getLogger("weftdb.moving")

AT_ONCE = 4
"""Operations of one plan that are under way at a time."""
KEPT_MAX = 20
"""Plans that are over; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan that is carried out; its id tells when it was made, so that ids are in order."""

    id: str
    plan: Plan
    revision: Revision

    @property
    def state(self) -> str:
        """RUNNING, DONE or STOPPED."""
        if self.plan.is_done:
            return "DONE"
        if any(step.state is OperationState.CANCELLED for step in self.plan.steps):
            return "STOPPED"
        return "RUNNING"

    def operation_id(self, step: int) -> str:
        """Of the operation that a step becomes."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.id}/{step}"))


class PlanBoard:
    """As one node sees it. Thread-safe."""

    def __init__(
        self,
        keys: ClusterKeys,
        store: MetadataStore,
        board: OperationBoard,
        clock: Clock,
        randomness: random.Random,
    ) -> None:
        self._keys = keys
        self._store = store
        self._board = board
        self._clock = clock
        self._random = randomness

    def all(self) -> list[StoredPlan]:
        """All plans, the oldest first."""
        records = self._store.list(self._keys.plans).records
        return [
            StoredPlan(
                name_below(self._keys.plans, record.key),
                decode_plan(record.value),
                record.revision,
            )
            for record in records
        ]

    def get(self, plan_id: str) -> StoredPlan | None:
        """One plan as it is now."""
        return next((each for each in self.all() if each.id == plan_id), None)

    def add(self, plan: Plan) -> StoredPlan:
        """Have a plan carried out. Raises InvalidRequest while another one changes the same."""
        wanted = {step.change.collection for step in plan.steps}
        present = self.all()
        for other in present:
            shared = wanted & {step.change.collection for step in other.plan.steps}
            if other.state == "RUNNING" and shared:
                if all(self._is_void(other.plan, name) for name in shared):
                    self.stop(other.id)
                    continue
                raise InvalidRequest(
                    f"plan {other.id} ({other.plan.purpose}) changes {min(shared)} already: wait "
                    "for it, or stop it"
                )
        plan_id = f"{self._clock.now_ms():013d}-{self._random.getrandbits(32):08x}"
        put = Put(self._keys.plan(plan_id), encode_plan(plan))
        outcome = self._store.commit(Transaction((put,), (IsAbsent(put.key),)))
        assert isinstance(outcome, Committed), plan_id
        over = [each for each in present if each.state != "RUNNING"]
        for each in over[: max(0, len(over) - KEPT_MAX)]:
            self._store.commit(Transaction((Delete(self._keys.plan(each.id)),)))
        return StoredPlan(plan_id, plan, outcome.revision)

    def stop(self, plan_id: str) -> bool:
        """Take a plan away, and its operations back where that is still possible; those that have
        gone too far come to their end. False where there is none."""
        found = self.get(plan_id)
        if found is None:
            return False
        self._store.commit(Transaction((Delete(self._keys.plan(plan_id)),)))
        for at in range(len(found.plan.steps)):
            try:
                self._board.cancel_unless_over(found.operation_id(at))
            except NotCancelable:
                continue
        return True

    def advance(self) -> None:
        """Go one step on with every plan."""
        known = {each.id: each for each in self._board.known()}
        for each in self.all():
            if each.state == "RUNNING":
                self._advance(each, known)

    def _advance(self, stored: StoredPlan, known: dict[str, Operation]) -> None:
        plan = stored.plan
        for at, step in enumerate(plan.steps):
            found = known.get(stored.operation_id(at))
            if step.state is OperationState.REGISTERED and found is not None and found.is_over:
                plan = plan.with_state(at, found.state)
        under_way = sum(
            step.state is OperationState.REGISTERED and stored.operation_id(at) in known
            for at, step in enumerate(plan.steps)
        )
        is_stopped = any(step.state is OperationState.CANCELLED for step in plan.steps)
        startable: Sequence[int] = () if is_stopped else plan.startable()
        for at in startable:
            if under_way >= AT_ONCE or stored.operation_id(at) in known:
                continue
            try:
                operation = self._register(stored, at)
            except InvalidRequest as error:
                log.warning("plan %s stops at step %d: %s", stored.id, at + 1, error)
                plan = plan.with_state(at, OperationState.CANCELLED)
                break
            if operation.is_over:
                plan = plan.with_state(at, operation.state)
            under_way += 1
        if plan != stored.plan:
            put = Put(self._keys.plan(stored.id), encode_plan(plan))
            self._store.commit(Transaction((put,), (IsAt(put.key, stored.revision),)))

    def _register(self, stored: StoredPlan, step: int) -> Operation:
        """The operation of a step. Raises InvalidRequest where it cannot be."""
        change = stored.plan.steps[step].change
        if self._is_void(stored.plan, change.collection):
            raise InvalidRequest(f"collection {change.collection} was dropped")
        return self._board.register(change, stored.operation_id(step))

    def _is_void(self, plan: Plan, collection: CollectionName) -> bool:
        """Whether the shards of a collection that a plan is about are gone: names of shards are
        drawn, so a collection that was made again under its name has others."""
        refs = {ref for step in plan.steps for ref in refs_of(step.change)}
        named = {ref.shard for ref in refs if ref.collection == collection}
        try:
            state, _ = self._board.sharding(collection)
        except InvalidRequest:
            return True
        # Some may come with the plan, or have gone by it.
        return bool(named) and all(state.shard(shard) is None for shard in named)
