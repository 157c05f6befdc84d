"""Reads `replicationConfig.asyncConfig`: how replicas of a collection are compared in background.

    field                       unit   default             lowest  highest
    hashtreeHeight              -      16, of tenants 10   1       20
    frequency                   ms     30,000              1       a week
    frequencyWhilePropagating   ms     5,000               1       a week
    loggingFrequency            s      60                  1       a week
    diffBatchSize               -      1,000               1       100,000
    diffPerNodeTimeout          s      10                  1       a day
    prePropagationTimeout       s      300                 1       a day
    propagationTimeout          s      60                  1       a day
    propagationLimit            -      1,000               1       1,000,000
    propagationDelay            ms     30,000              0       a day
    propagationConcurrency      -      1                   1       20
    propagationBatchSize        -      100                 1       10,000

Other fields are ignored, as everywhere in a definition.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftdb.core.definition.json_fields import Fields
from weftdb.core.errors import SchemaViolation
from weftdb.core.limits import HASH_TREE_HEIGHT_MAX

HASH_TREE_HEIGHT, HASH_TREE_HEIGHT_OF_TENANTS = 16, 10
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S


@dataclass(frozen=True, slots=True)
class AsyncReplication:
    """The settings, in seconds."""

    hash_tree_height: int
    period_s: float
    period_s_busy: float
    """While differences are found; not more than `period_s`."""
    report_period_s: float
    diff_batch_objects: int
    diff_timeout_s: float
    pre_propagation_timeout_s: float
    propagation_timeout_s: float
    propagation_objects_max: int
    """In one exchange."""
    propagation_delay_s: float
    """Objects younger than this are left to their own write."""
    propagation_concurrency: int
    propagation_batch_objects: int


def parse_async_replication(fields: Fields, *, is_multi_tenant: bool) -> AsyncReplication:
    """Read `asyncConfig`; what is absent has its default. Raises Malformed, SchemaViolation."""
    height = HASH_TREE_HEIGHT_OF_TENANTS if is_multi_tenant else HASH_TREE_HEIGHT
    period_ms = _integer(fields, "frequency", 30_000, most=_WEEK_S * 1000)
    busy_ms = _integer(fields, "frequencyWhilePropagating", 5_000, most=_WEEK_S * 1000)
    return AsyncReplication(
        hash_tree_height=_integer(fields, "hashtreeHeight", height, most=HASH_TREE_HEIGHT_MAX),
        period_s=period_ms / 1000,
        period_s_busy=min(busy_ms, period_ms) / 1000,
        report_period_s=_integer(fields, "loggingFrequency", 60, most=_WEEK_S),
        diff_batch_objects=_integer(fields, "diffBatchSize", 1000, most=100_000),
        diff_timeout_s=_integer(fields, "diffPerNodeTimeout", 10, most=_DAY_S),
        pre_propagation_timeout_s=_integer(fields, "prePropagationTimeout", 300, most=_DAY_S),
        propagation_timeout_s=_integer(fields, "propagationTimeout", 60, most=_DAY_S),
        propagation_objects_max=_integer(fields, "propagationLimit", 1000, most=1_000_000),
        propagation_delay_s=_integer(
            fields, "propagationDelay", 30_000, least=0, most=_DAY_S * 1000
        )
        / 1000,
        propagation_concurrency=_integer(fields, "propagationConcurrency", 1, most=20),
        propagation_batch_objects=_integer(fields, "propagationBatchSize", 100, most=10_000),
    )


def _integer(fields: Fields, key: str, default: int, *, most: int, least: int = 1) -> int:
    value = fields.integer(key, default)
    if not least <= value <= most:
        name = f"asyncConfig.{key}"
        raise SchemaViolation(f"{name} must be between {least} and {most}, got {value}")
    return value
