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

The settings of a node may say other defaults (`core.config.ComparingConfig`), but for the height:
replicas compare trees of the same. Other fields are ignored, as everywhere in a definition.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftdb.core.config import ComparingConfig
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


def parse_async_replication(
    fields: Fields, *, is_multi_tenant: bool, defaults: ComparingConfig | None = None
) -> AsyncReplication:
    """Read `asyncConfig`; what is absent has its default. Raises Malformed, SchemaViolation."""
    usual = defaults or ComparingConfig()
    height = HASH_TREE_HEIGHT_OF_TENANTS if is_multi_tenant else HASH_TREE_HEIGHT
    period_s = _time(fields, "frequency", usual.period_s, unit_s=0.001, most=_WEEK_S * 1000)
    busy_s = _time(
        fields, "frequencyWhilePropagating", usual.period_s_busy, unit_s=0.001, most=_WEEK_S * 1000
    )
    return AsyncReplication(
        hash_tree_height=_integer(fields, "hashtreeHeight", height, most=HASH_TREE_HEIGHT_MAX),
        period_s=period_s,
        period_s_busy=min(busy_s, period_s),
        report_period_s=_integer(fields, "loggingFrequency", 60, most=_WEEK_S),
        diff_batch_objects=_integer(
            fields, "diffBatchSize", usual.diff_batch_objects, most=100_000
        ),
        diff_timeout_s=_time(fields, "diffPerNodeTimeout", usual.diff_timeout_s, most=_DAY_S),
        pre_propagation_timeout_s=_time(
            fields, "prePropagationTimeout", usual.pre_propagation_timeout_s, most=_DAY_S
        ),
        propagation_timeout_s=_time(
            fields, "propagationTimeout", usual.propagation_timeout_s, most=_DAY_S
        ),
        propagation_objects_max=_integer(
            fields, "propagationLimit", usual.propagation_objects_max, most=1_000_000
        ),
        propagation_delay_s=_time(
            fields,
            "propagationDelay",
            usual.propagation_delay_s,
            unit_s=0.001,
            least=0,
            most=_DAY_S * 1000,
        ),
        propagation_concurrency=_integer(
            fields, "propagationConcurrency", usual.propagation_concurrency, most=20
        ),
        propagation_batch_objects=_integer(
            fields, "propagationBatchSize", usual.propagation_batch_objects, most=10_000
        ),
    )


def _time(
    fields: Fields,
    key: str,
    default_s: float,
    *,
    unit_s: float = 1.0,
    most: int,
    least: int = 1,
) -> float:
    """Seconds, of a whole number of units; the default is taken as it is."""
    if not fields.has(key):
        return default_s
    return _integer(fields, key, 0, most=most, least=least) * unit_s


def _integer(fields: Fields, key: str, default: int, *, most: int, least: int = 1) -> int:
    value = fields.integer(key, default)
    if not least <= value <= most:
        name = f"asyncConfig.{key}"
        raise SchemaViolation(f"{name} must be between {least} and {most}, got {value}")
    return value
