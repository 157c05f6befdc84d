"""Reads `objectTtlConfig`: when objects expire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.errors import SchemaViolation
from weftdb.core.schema import DataType, ObjectTtl, Property

TIMESTAMPS = ("_creationTimeUnix", "_lastUpdateTimeUnix")
LIFETIME_S_MIN = 60
LIFETIME_S_MAX = 10_000_000_000
"""Three centuries either way: dates stay within what calendars can write."""


def parse_object_ttl(
    fields: Fields, properties: Sequence[Property], surroundings: Surroundings | None = None
) -> tuple[ObjectTtl | None, dict[str, Any] | None]:
    """Return the settings (None while off) and their canonical JSON (None where not given)."""
    if not fields.has("objectTtlConfig"):
        return None, None
    given = fields.child("objectTtlConfig")
    ttl = ObjectTtl(
        delete_on=given.text("deleteOn"),
        lifetime_s=given.integer("defaultTtl", 0),
        filter_expired=given.flag("filterExpiredObjects"),
    )
    is_enabled = given.flag("enabled")
    if is_enabled:
        if surroundings is not None and not surroundings.deletes_expired:
            raise SchemaViolation(
                "ObjectTTLConfig: enabling objectTTL requires a running background scheduler. "
                "Set OBJECTS_TTL_DELETE_SCHEDULE to activate it"
            )
        _check(ttl, properties)
    rendered: dict[str, Any] = {
        "defaultTtl": ttl.lifetime_s,
        "deleteOn": ttl.delete_on,
        "enabled": is_enabled,
        "filterExpiredObjects": ttl.filter_expired,
    }
    return ttl if is_enabled else None, rendered


def needs_timestamps(ttl: ObjectTtl | None) -> bool:
    """Whether expiry looks at a time of the object itself, which then has to be indexed."""
    return ttl is not None and ttl.delete_on in TIMESTAMPS


def _check(ttl: ObjectTtl, properties: Sequence[Property]) -> None:
    name = ttl.delete_on
    if abs(ttl.lifetime_s) > LIFETIME_S_MAX:
        raise SchemaViolation(
            f"ObjectTTLConfig: defaultTtl must be within ±{LIFETIME_S_MAX} seconds, "
            f"given {ttl.lifetime_s}"
        )
    if not name:
        raise SchemaViolation(
            'ObjectTTLConfig: missing value for "deleteOn". Set "_creationTimeUnix", '
            '"_lastUpdateTimeUnix" or custom property of "date" type'
        )
    if name in TIMESTAMPS:
        if ttl.lifetime_s < LIFETIME_S_MIN:
            raise SchemaViolation(
                f'ObjectTTLConfig: defaultTtl value too small for "deleteOn"="{name}". '
                f'Required minimum "{LIFETIME_S_MIN}" seconds, given "{ttl.lifetime_s}" seconds'
            )
        return
    found = next((item for item in properties if item.name == name), None)
    if found is None:
        raise SchemaViolation(
            f'ObjectTTLConfig: property "{name}" set as "deleteOn" not found among '
            "collection properties"
        )
    if found.data_type is not DataType.DATE or found.is_array:
        kind = found.data_type.value + ("[]" if found.is_array else "")
        raise SchemaViolation(
            f'ObjectTTLConfig: property "{name}" set as "deleteOn" should have "date" data type, '
            f'"{kind}" given'
        )
    if not (found.filterable or found.range_filters):
        raise SchemaViolation(
            f'ObjectTTLConfig: property "{name}" set as "deleteOn" needs the filterable or the '
            "range index"
        )
