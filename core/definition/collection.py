"""Reads a collection's JSON into a `Collection`, every default filled in.

`parse_collection` takes what a client sends; `load_collection` takes what we stored, and checks
nothing that may have changed around it. Reading the canonical JSON of a collection gives that
collection again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from weftdb.core.config import SchemaConfig
from weftdb.core.definition.inverted import parse_inverted
from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.layout import parse_layout
from weftdb.core.definition.names import check_collection_name
from weftdb.core.definition.object_ttl import needs_timestamps, parse_object_ttl
from weftdb.core.definition.properties import PropertyRules, parse_properties
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.definition.vector_index import IndexDefaults
from weftdb.core.definition.vectors import VectorRules, parse_vectors
from weftdb.core.schema import Collection, InvertedConfig


def parse_collection(
    body: Any,
    defaults: SchemaConfig | None = None,
    surroundings: Surroundings | None = None,
) -> Collection:
    """Read a definition. Without `surroundings`, references and modules are not looked up.

    Raises Malformed (not of the shape), FormatViolation (word outside a closed list),
    SchemaViolation (not allowed).
    """
    defaults = defaults or SchemaConfig()
    fields = Fields(body, "")
    name = check_collection_name(fields.text("class"))
    inverted, rendered_inverted = parse_inverted(fields.child("invertedIndexConfig"))
    rules = property_rules(name, defaults, inverted, surroundings)
    properties, rendered_properties = parse_properties(fields, rules)
    vectors = parse_vectors(fields, vector_rules(defaults, surroundings))
    layout = parse_layout(fields, surroundings, default_count=defaults.default_sharding_count)
    ttl, rendered_ttl = parse_object_ttl(fields, properties, surroundings)
    if needs_timestamps(ttl):
        inverted = replace(inverted, index_timestamps=True)
        rendered_inverted["indexTimestamps"] = True
    rendered: dict[str, Any] = {"class": name}
    if fields.has("description"):
        rendered["description"] = fields.text("description")
    rendered["invertedIndexConfig"] = rendered_inverted
    if fields.child("moduleConfig").body:
        rendered["moduleConfig"] = dict(fields.child("moduleConfig").body)
    if rendered_ttl is not None:
        rendered["objectTtlConfig"] = rendered_ttl
    rendered |= {"properties": rendered_properties, **vectors.rendered, **layout.rendered}
    return Collection(
        name=name,
        properties=properties,
        vectors=vectors.vectors,
        inverted=inverted,
        is_named=vectors.is_named,
        multi_tenant=layout.multi_tenant,
        auto_tenant_creation=layout.auto_tenant_creation,
        auto_tenant_activation=layout.auto_tenant_activation,
        shard_count=layout.shard_count,
        replication_factor=layout.replication_factor,
        hash_tree_height=layout.hash_tree_height,
        ttl=ttl,
        definition=rendered,
    )


def load_collection(definition: Mapping[str, Any]) -> Collection:
    """Read a stored canonical definition."""
    return parse_collection(definition)


def property_rules(
    collection: str,
    defaults: SchemaConfig,
    inverted: InvertedConfig,
    surroundings: Surroundings | None,
) -> PropertyRules:
    """Gather what the properties of a collection are read against."""
    return PropertyRules(
        collection=collection,
        tokenization=defaults.default_tokenization,
        stopword_presets=inverted.stopword_presets,
        surroundings=surroundings,
    )


def vector_rules(defaults: SchemaConfig, surroundings: Surroundings | None) -> VectorRules:
    """Gather what the vectors of a collection are read against."""
    return VectorRules(
        index=IndexDefaults(
            kind=defaults.default_vector_index,
            distance=defaults.default_distance,
            quantization=defaults.default_quantization,
        ),
        vectorizer=defaults.default_vectorizer,
        surroundings=surroundings,
    )
