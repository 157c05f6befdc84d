"""What a definition asks of replication."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.cluster.replication.differences import Rules
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.settings import ReplicationSettings
from weftdb.core.config import ComparingConfig
from weftdb.core.definition.collection import parse_collection
from weftdb.core.errors import Malformed, SchemaViolation


def settings(replication: dict[str, Any], **more: Any) -> ReplicationSettings:
    body = {"class": "C", "vectorizer": "none", "replicationConfig": replication, **more}
    return ReplicationSettings.of(parse_collection(body))


def test_defaults() -> None:
    made = settings({"factor": 3})
    assert made.strategy is DeletionStrategy.TIME_BASED_RESOLUTION
    assert (made.pace.period_s, made.pace.period_s_busy) == (30, 5)
    assert made.bounds.calls_max == 8
    assert (made.bounds.leaf_ids_max, made.bounds.states_max) == (1000, 100)
    assert made.bounds.differences_max == 1000
    assert made.exchange_s_max == 360
    assert made.comparing.hash_tree_height == 16
    assert made.rules(1_000_000, forgotten_before_ms=7) == Rules(made.strategy, 970_000, 7)


def test_what_is_asked() -> None:
    made = settings(
        {
            "factor": 3,
            "deletionStrategy": "DeleteOnConflict",
            "asyncConfig": {
                "frequency": 2000,
                "frequencyWhilePropagating": 3000,
                "propagationDelay": 0,
                "propagationConcurrency": 5,
                "propagationLimit": 20,
                "aFieldOfTomorrow": 1,
            },
        },
        multiTenancyConfig={"enabled": True},
    )
    assert made.strategy is DeletionStrategy.DELETE_ON_CONFLICT
    assert (made.pace.period_s, made.pace.period_s_busy) == (2, 2), "busy is not slower"
    assert (made.bounds.calls_max, made.bounds.differences_max) == (16, 20)
    assert made.comparing.hash_tree_height == 10
    assert made.rules(5, forgotten_before_ms=0).settled_before_ms == 5


def test_a_forced_strategy_goes_before_what_the_collection_asks() -> None:
    body = {"class": "C", "replicationConfig": {"deletionStrategy": "DeleteOnConflict"}}
    schema = parse_collection(body)
    forced = ComparingConfig(deletion_strategy="NoAutomatedResolution")
    made = ReplicationSettings.of(schema, forced)
    assert made.strategy is DeletionStrategy.NO_AUTOMATED_RESOLUTION
    kept = ReplicationSettings.of(schema, ComparingConfig())
    assert kept.strategy is DeletionStrategy.DELETE_ON_CONFLICT


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("frequency", 0, SchemaViolation),
        ("frequency", "often", Malformed),
        ("hashtreeHeight", 21, SchemaViolation),
        ("propagationDelay", -1, SchemaViolation),
        ("propagationBatchSize", 10_001, SchemaViolation),
        ("diffBatchSize", 2.5, Malformed),
    ],
)
def test_what_makes_no_sense_is_refused(key: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=key):
        settings({"factor": 3, "asyncConfig": {key: value}})
