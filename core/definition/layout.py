"""Reads where the data lies: `shardingConfig`, `replicationConfig`, `multiTenancyConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weftdb.core.definition.async_replication import parse_async_replication
from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.errors import SchemaViolation
from weftdb.core.limits import SHARDS_PER_COLLECTION_MAX, VIRTUAL_SHARDS_MAX

Rendered = dict[str, Any]

VIRTUAL_SHARDS_PER_SHARD = 128
DELETION_STRATEGIES = ("NoAutomatedResolution", "DeleteOnConflict", "TimeBasedResolution")
_SHARDING_KEY, _SHARDING_STRATEGY, _SHARDING_FUNCTION = "_id", "hash", "murmur3"
_NO_SHARDING: Rendered = {
    "virtualPerPhysical": 0,
    "desiredCount": 0,
    "actualCount": 0,
    "desiredVirtualCount": 0,
    "actualVirtualCount": 0,
    "key": "",
    "strategy": "",
    "function": "",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The three settings, typed, and the keys that they add to the definition."""

    shard_count: int
    replication_factor: int
    hash_tree_height: int
    multi_tenant: bool
    auto_tenant_creation: bool
    auto_tenant_activation: bool
    rendered: Rendered


def parse_layout(
    fields: Fields, surroundings: Surroundings | None, *, default_count: int = 0
) -> Layout:
    """Read the three objects; without a number of shards there are `default_count`, or, where that
    is 0, as many as nodes. Raises SchemaViolation."""
    tenancy = fields.child("multiTenancyConfig")
    is_multi_tenant = tenancy.flag("enabled")
    flags = {key: tenancy.flag(key) for key in ("autoTenantCreation", "autoTenantActivation")}
    for key, is_on in flags.items():
        if is_on and not is_multi_tenant:
            raise SchemaViolation(f"can't enable {key} on a non-multi-tenant class")
    node_count = surroundings.node_count if surroundings else 1
    if is_multi_tenant:
        if any(fields.child("shardingConfig").body.values()):
            raise SchemaViolation("cannot have both shardingConfig and multiTenancyConfig")
        shard_count, sharding = 1, dict(_NO_SHARDING)
    else:
        shard_count, sharding = _sharding(
            fields.child("shardingConfig"), default_count or node_count
        )
    replication_fields = fields.child("replicationConfig")
    factor, replication = _replication(replication_fields, surroundings)
    comparing = parse_async_replication(
        replication_fields.child("asyncConfig"), is_multi_tenant=is_multi_tenant
    )
    rendered: Rendered = {
        "multiTenancyConfig": {"enabled": is_multi_tenant, **flags},
        "shardingConfig": sharding,
        "replicationConfig": replication,
    }
    return Layout(
        shard_count,
        factor,
        comparing.hash_tree_height,
        is_multi_tenant,
        flags["autoTenantCreation"],
        flags["autoTenantActivation"],
        rendered,
    )


def _sharding(fields: Fields, default_count: int) -> tuple[int, Rendered]:
    for name, only, phrase in (
        ("key", _SHARDING_KEY, "on key"),
        ("strategy", _SHARDING_STRATEGY, "with strategy"),
        ("function", _SHARDING_FUNCTION, "with function"),
    ):
        value = fields.text(name, only)
        if value != only:
            raise SchemaViolation(
                f"parse sharding config: sharding only supported {phrase} '{only}' for now, "
                f"got: {value}"
            )
    count = fields.integer("desiredCount", default_count)
    virtual = fields.integer("virtualPerPhysical", VIRTUAL_SHARDS_PER_SHARD)
    if not 1 <= count <= SHARDS_PER_COLLECTION_MAX:
        raise SchemaViolation(
            "invalid sharding state: physical shards unavailable: "
            f"desiredCount must be between 1 and {SHARDS_PER_COLLECTION_MAX}, got {count}"
        )
    if virtual < 1:
        raise SchemaViolation(
            f"parse sharding config: virtualPerPhysical must be positive, got {virtual}"
        )
    if count * virtual > VIRTUAL_SHARDS_MAX:
        raise SchemaViolation(
            f"parse sharding config: desiredCount {count} times virtualPerPhysical {virtual} is "
            f"over {VIRTUAL_SHARDS_MAX} virtual shards"
        )
    rendered: Rendered = {
        "virtualPerPhysical": virtual,
        "desiredCount": count,
        "actualCount": count,
        "desiredVirtualCount": count * virtual,
        "actualVirtualCount": count * virtual,
        "key": _SHARDING_KEY,
        "strategy": _SHARDING_STRATEGY,
        "function": _SHARDING_FUNCTION,
    }
    return count, rendered


def _replication(fields: Fields, surroundings: Surroundings | None) -> tuple[int, Rendered]:
    least = surroundings.factor_default if surroundings else 1
    factor = max(1, fields.integer("factor", least))
    strategy = fields.word("deletionStrategy", DELETION_STRATEGIES, DELETION_STRATEGIES[-1])
    if surroundings is not None and factor > surroundings.node_count:
        raise SchemaViolation(
            "init sharding state: could not find enough weaviate nodes for replication: "
            f"{surroundings.node_count} available, {factor} requested"
        )
    rendered: Rendered = {
        "deletionStrategy": strategy,
        "factor": factor,
        "asyncEnabled": factor > 1,
    }
    if fields.has("asyncConfig"):
        rendered["asyncConfig"] = dict(fields.child("asyncConfig").body)
    return factor, rendered
