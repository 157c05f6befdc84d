"""What a collection's `replicationConfig` asks of its coordinations."""

from __future__ import annotations

from dataclasses import dataclass

from weftdb.cluster.replication.anti_entropy import AntiEntropyPace
from weftdb.cluster.replication.differences import Rules
from weftdb.cluster.replication.effects import AnyRequest
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.merkle import ExchangeBounds
from weftdb.cluster.replication.messages import Apply, ReadStates
from weftdb.core.config import ComparingConfig
from weftdb.core.definition.async_replication import AsyncReplication, parse_async_replication
from weftdb.core.definition.json_fields import Fields
from weftdb.core.schema import Collection

_CALLS_MAX = 6
"""Requests for trees and listings that are open at once, both sides together."""


@dataclass(frozen=True, slots=True)
class ReplicationSettings:
    """Of one collection."""

    strategy: DeletionStrategy
    comparing: AsyncReplication

    @classmethod
    def of(cls, schema: Collection, defaults: ComparingConfig | None = None) -> ReplicationSettings:
        """Read the canonical definition: it was checked when the collection was made. `defaults`
        stand for what it leaves out; only its `deletion_strategy` goes before what is there."""
        fields = Fields(schema.definition, "").child("replicationConfig")
        forced = "" if defaults is None else defaults.deletion_strategy
        strategy = forced or fields.text("deletionStrategy", "TimeBasedResolution")
        return cls(
            strategy=DeletionStrategy(strategy),
            comparing=parse_async_replication(
                fields.child("asyncConfig"), is_multi_tenant=schema.multi_tenant, defaults=defaults
            ),
        )

    @property
    def pace(self) -> AntiEntropyPace:
        """How often two replicas are compared."""
        return AntiEntropyPace(
            period_s=self.comparing.period_s, period_s_busy=self.comparing.period_s_busy
        )

    @property
    def bounds(self) -> ExchangeBounds:
        """How much an exchange moves at once."""
        comparing = self.comparing
        return ExchangeBounds(
            calls_max=_CALLS_MAX + 2 * comparing.propagation_concurrency,
            leaf_ids_max=comparing.diff_batch_objects,
            states_max=comparing.propagation_batch_objects,
            differences_max=comparing.propagation_objects_max,
        )

    @property
    def exchange_s_max(self) -> float:
        """How long an exchange may take: to find what differs, and to send it."""
        return self.comparing.pre_propagation_timeout_s + self.comparing.propagation_timeout_s

    def request_s_max(self, request: AnyRequest) -> float:
        """How long one request of an exchange may take."""
        if isinstance(request, Apply | ReadStates):
            return self.comparing.propagation_timeout_s
        return self.comparing.diff_timeout_s

    def rules(self, now_ms: int, *, forgotten_before_ms: int) -> Rules:
        """Which differences an exchange that begins at `now_ms` (wall clock) acts upon."""
        return Rules(
            self.strategy,
            settled_before_ms=now_ms - round(self.comparing.propagation_delay_s * 1000),
            forgotten_before_ms=forgotten_before_ms,
        )
