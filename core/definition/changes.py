"""Decides how a collection's definition may change after its creation.

Pure functions from one `Collection` to the next; the caller holds the schema lock between reading
the old one and storing the new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from weftdb.core.config import SchemaConfig
from weftdb.core.definition.collection import parse_collection, property_rules
from weftdb.core.definition.json_fields import FORMAT_CODE_ENUM, Fields
from weftdb.core.definition.properties import check_free, parse_property
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.errors import FormatViolation, SchemaViolation, Unsupported
from weftdb.core.schema import (
    Collection,
    IndexKind,
    Property,
    canonical_collection_name,
    canonical_property_name,
)
from weftdb.core.types import VectorName

Json = Mapping[str, Any]

PROPERTY_INDEXES = ("filterable", "searchable", "rangeFilters", "rangeable")
_FLAG_OF_INDEX = {
    "filterable": "indexFilterable",
    "searchable": "indexSearchable",
    "rangeFilters": "indexRangeFilters",
    "rangeable": "indexRangeFilters",
}
_FROZEN_PROPERTY = (
    "property fields other than description cannot be updated through updating the class. "
    'Use the add property feature (e.g. "POST /v1/schema/{className}/properties") '
    "to add additional properties"
)
_FROZEN_INDEX_KEYS = ("distance", "efConstruction", "maxConnections", "cleanupIntervalSeconds")
_FROZEN_INVERTED = (
    ("index_null_state", "indexNullState"),
    ("index_timestamps", "indexTimestamp"),
    ("index_property_length", "indexPropertyLength"),
)


def update_collection(
    old: Collection,
    body: Any,
    defaults: SchemaConfig | None = None,
    surroundings: Surroundings | None = None,
) -> Collection:
    """Return `old` as `body` wants it. Raises SchemaViolation naming what may not change.

    What `body` leaves out gets its default, as on creation; only name-giving settings (sharding,
    vectorizer, kind of index) are kept from `old`.
    """
    fields = Fields(body, "")
    name = canonical_collection_name(fields.text("class"))
    if name != old.name:
        raise _immutable("class name", old.name, name)
    completed = dict(fields.body)
    kept = ["shardingConfig"]
    if not old.is_named and not fields.has("vectorConfig"):
        kept += ["vectorizer", "vectorIndexType"]
    for key in kept:
        if not completed.get(key):
            completed[key] = old.definition.get(key)
    if not fields.child("replicationConfig").has("factor"):
        asked = fields.child("replicationConfig").body
        completed["replicationConfig"] = {**asked, "factor": old.replication_factor}
    _check_tenancy(old, fields)
    new = parse_collection(completed, defaults, surroundings)
    _check_properties(old.definition, new.definition)
    _check_vectors(old, new)
    for attribute, label in _FROZEN_INVERTED:
        before, after = getattr(old.inverted, attribute), getattr(new.inverted, attribute)
        if before != after:
            raise SchemaViolation(
                f'"{label}" setting is immutable. '
                f'Value changed from "{str(before).lower()}" to "{str(after).lower()}"'
            )
    if old.shard_count != new.shard_count:
        raise SchemaViolation(
            "re-sharding not supported yet: shard count is immutable: "
            f'attempted change from "{old.shard_count}" to "{new.shard_count}"'
        )
    return new


def add_property(
    old: Collection,
    body: Any,
    defaults: SchemaConfig | None = None,
    surroundings: Surroundings | None = None,
) -> Collection:
    """Return `old` with one property more, the last one. Raises SchemaViolation."""
    fields = Fields(body, "")
    if not fields.texts("dataType"):
        raise SchemaViolation("property must contain dataType")
    rules = property_rules(old.name, defaults or SchemaConfig(), old.inverted, surroundings)
    parsed, rendered = parse_property(fields, rules)
    check_free(parsed.name, {item.name.lower() for item in old.properties}, old.name)
    known = list(old.definition["properties"] or ())
    return replace(
        old,
        properties=(*old.properties, parsed),
        definition={**old.definition, "properties": [*known, rendered]},
    )


def replace_property(
    old: Collection, body: Any, defaults: SchemaConfig | None = None
) -> Collection:
    """Return `old` with the property of the same name as `body` says (auto schema widens objects).

    Requires: `body` names a property of `old`, and keeps its type.
    """
    rules = property_rules(old.name, defaults or SchemaConfig(), old.inverted, None)
    parsed, rendered = parse_property(Fields(body, ""), rules)
    assert parsed.name in old.property_by_name, f"{old.name} has no property {parsed.name}"
    return replace(
        old,
        properties=tuple(parsed if item.name == parsed.name else item for item in old.properties),
        definition={
            **old.definition,
            "properties": [
                rendered if item["name"] == parsed.name else item
                for item in old.definition["properties"]
            ],
        },
    )


def drop_property_index(old: Collection, property_name: str, index: str) -> Collection:
    """Return `old` with one index of one property switched off.

    Raises FormatViolation (no such kind of index), SchemaViolation (no such property).
    """
    if index not in PROPERTY_INDEXES:
        raise FormatViolation(
            f"indexName in path should be one of [{' '.join(PROPERTY_INDEXES)}]",
            code=FORMAT_CODE_ENUM,
        )
    name = canonical_property_name(property_name)
    if name not in old.property_by_name:
        raise SchemaViolation(f"property name {property_name}: not found")
    key = _FLAG_OF_INDEX[index]
    rendered = [
        {**item, key: False} if item["name"] == name else item
        for item in old.definition["properties"]
    ]
    properties = tuple(
        _without_index(item, key) if item.name == name else item for item in old.properties
    )
    return replace(
        old, properties=properties, definition={**old.definition, "properties": rendered}
    )


def drop_vector_index(old: Collection, vector: str) -> Collection:
    """Return `old` with one vector that is only stored from now on (`skip`).

    Raises SchemaViolation where there is no such vector, or its kind of index cannot be left out.
    """
    held = old.vector_by_name.get(VectorName(vector))
    if held is None:
        raise SchemaViolation(f'vector "{vector}": not found in class {old.name}')
    if held.index not in (IndexKind.HNSW, IndexKind.DYNAMIC):
        raise SchemaViolation(
            f'vector "{vector}": an index of type {held.index.value} cannot be deleted'
        )
    if held.hnsw.skip:
        return old
    is_named = "vectorConfig" in old.definition
    before = old.definition["vectorConfig"][vector] if is_named else old.definition
    settings = before["vectorIndexConfig"]
    if held.index is IndexKind.DYNAMIC:
        settings = {**settings, "hnsw": {**settings["hnsw"], "skip": True}}
    else:
        settings = {**settings, "skip": True}
    after = {**before, "vectorIndexConfig": settings}
    if is_named:
        after = {
            **old.definition,
            "vectorConfig": {**old.definition["vectorConfig"], vector: after},
        }
    skipped = replace(held, hnsw=replace(held.hnsw, skip=True))
    vectors = tuple(skipped if item is held else item for item in old.vectors)
    return replace(old, vectors=vectors, definition=after)


def _without_index(item: Property, key: str) -> Property:
    return replace(
        item,
        filterable=item.filterable and key != "indexFilterable",
        searchable=item.searchable and key != "indexSearchable",
        range_filters=item.range_filters and key != "indexRangeFilters",
    )


def _immutable(what: str, before: Any, after: Any) -> SchemaViolation:
    return SchemaViolation(f'{what} is immutable: attempted change from "{before}" to "{after}"')


def _check_tenancy(old: Collection, fields: Fields) -> None:
    wanted = fields.child("multiTenancyConfig").flag("enabled")
    if wanted != old.multi_tenant:
        verb = "enabling" if wanted else "disabling"
        raise SchemaViolation(f"{verb} multi-tenancy for an existing class is not supported")


def _check_properties(old: Json, new: Json) -> None:
    before = {item["name"]: item for item in old["properties"] or ()}
    after = {item["name"]: item for item in new["properties"] or ()}
    if before.keys() != after.keys():
        raise SchemaViolation(_FROZEN_PROPERTY)
    for name, item in before.items():
        if _undescribed(item) != _undescribed(after[name]):
            raise SchemaViolation(f'property "{name}": {_FROZEN_PROPERTY}')


def _undescribed(item: Json) -> dict[str, Any]:
    out = {key: value for key, value in item.items() if key != "description"}
    if "nestedProperties" in out:
        out["nestedProperties"] = [_undescribed(inner) for inner in out["nestedProperties"]]
    return out


def _check_vectors(old: Collection, new: Collection) -> None:
    if new.is_named and not old.is_named:
        raise Unsupported("adding named vectors to a collection with an unnamed vector")
    for name in old.vector_by_name:
        if name not in new.vector_by_name:
            raise SchemaViolation(f'missing config for vector "{name}"')
    for before, after in _vector_pairs(old.definition, new.definition):
        _check_vector(before, after)
    for vector in old.vectors:
        after_settings = new.vector_by_name[vector.name].vectorizer_settings
        if vector.vectorizer_settings != after_settings:
            raise SchemaViolation("module settings of a vectorizer are immutable")


def _vector_pairs(old: Json, new: Json) -> Iterator[tuple[Json, Json]]:
    if "vectorConfig" not in old:
        yield old, new
        return
    for name, before in old["vectorConfig"].items():
        yield before, new["vectorConfig"][name]


def _check_vector(before: Json, after: Json) -> None:
    if before["vectorIndexType"] != after["vectorIndexType"]:
        raise _immutable("vector index type", before["vectorIndexType"], after["vectorIndexType"])
    vectorizers = [
        item["vectorizer"]
        if isinstance(item["vectorizer"], str)
        else next(iter(item["vectorizer"]))
        for item in (before, after)
    ]
    if vectorizers[0] != vectorizers[1]:
        raise _immutable("vectorizer", *vectorizers)
    old, new = before["vectorIndexConfig"], after["vectorIndexConfig"]
    _check_index(old, new)
    for half in ("hnsw", "flat"):  # Of a dynamic index.
        _check_index(old.get(half, {}), new.get(half, {}))
    multi = old.get("multivector", {}), new.get("multivector", {})
    if multi[0] != multi[1]:
        raise SchemaViolation("validate vector index config: multivector is immutable")


def _check_index(old: Json, new: Json) -> None:
    for key in _FROZEN_INDEX_KEYS:
        if old.get(key) != new.get(key):
            raise SchemaViolation(
                f"validate vector index config: {_immutable(key, old.get(key), new.get(key))}"
            )
