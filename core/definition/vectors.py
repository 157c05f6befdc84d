"""Reads the vectors of a collection: the legacy triple on the class, or `vectorConfig` by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.names import check_vector_name
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.definition.vector_index import IndexDefaults, parse_index, parse_index_kind
from weftdb.core.errors import Malformed, SchemaViolation
from weftdb.core.schema import VectorConfig
from weftdb.core.types import UNNAMED, VectorName

Rendered = dict[str, Any]


@dataclass(frozen=True, slots=True)
class VectorRules:
    """What vectors are read against."""

    index: IndexDefaults
    vectorizer: str = "none"
    surroundings: Surroundings | None = None


@dataclass(frozen=True, slots=True)
class ParsedVectors:
    """The vectors, whether they have names, and the keys that they add to the definition."""

    vectors: tuple[VectorConfig, ...]
    is_named: bool
    rendered: Rendered


def parse_vectors(fields: Fields, rules: VectorRules) -> ParsedVectors:
    """Read whichever form is there; none is the legacy form with its defaults."""
    named = fields.child("vectorConfig")
    if not named.body:
        return _legacy(fields, rules)
    for key in ("vectorizer", "vectorIndexType", "vectorIndexConfig"):
        if fields.body.get(key):
            raise SchemaViolation(
                "creating a class with both a class level vector index and named vectors "
                "is forbidden"
            )
    vectors, rendered = [], {}
    for name in named.body:
        vector, json = _named(named.child(name), check_vector_name(name), rules)
        vectors.append(vector)
        rendered[name] = json
    return ParsedVectors(tuple(vectors), is_named=True, rendered={"vectorConfig": rendered})


def _legacy(fields: Fields, rules: VectorRules) -> ParsedVectors:
    vectorizer = fields.text("vectorizer") or rules.vectorizer
    if rules.surroundings is not None:
        rules.surroundings.check_vectorizer(vectorizer)
    settings = fields.child("moduleConfig").child(vectorizer).body
    try:
        vector, kind, index = _vector(fields, UNNAMED, vectorizer, settings, rules)
    except (SchemaViolation, Malformed) as error:
        raise SchemaViolation(f"class.VectorIndexConfig can not parse: {error}") from None
    if vector.multi_vector:
        raise SchemaViolation(
            "class.VectorIndexConfig multi vector type index type is only configurable "
            "using named vectors"
        )
    rendered = {"vectorIndexConfig": index, "vectorIndexType": kind, "vectorizer": vectorizer}
    return ParsedVectors((vector,), is_named=False, rendered=rendered)


def _named(fields: Fields, name: str, rules: VectorRules) -> tuple[VectorConfig, Rendered]:
    given = fields.body.get("vectorizer")
    if not isinstance(given, Mapping):
        got = "<nil>" if given is None else type(given).__name__
        raise SchemaViolation(f"class.VectorConfig.Vectorizer must be an object, got {got}")
    if len(given) != 1:
        raise SchemaViolation(
            f"class.VectorConfig.Vectorizer must consist only 1 configuration, got: {len(given)}"
        )
    vectorizer, settings = next(iter(given.items()))
    if settings is not None and not isinstance(settings, Mapping):
        raise SchemaViolation(f'target vector "{name}": the settings of a vectorizer are an object')
    try:
        if rules.surroundings is not None:
            rules.surroundings.check_vectorizer(vectorizer)
        vector, kind, index = _vector(fields, VectorName(name), vectorizer, settings or {}, rules)
    except (SchemaViolation, Malformed) as error:
        raise SchemaViolation(f'target vector "{name}": {error}') from None
    rendered: Rendered = {
        "vectorIndexConfig": index,
        "vectorIndexType": kind,
        "vectorizer": {vectorizer: dict(settings or {})},
    }
    return vector, rendered


def _vector(
    fields: Fields,
    name: VectorName,
    vectorizer: str,
    settings: Mapping[str, Any],
    rules: VectorRules,
) -> tuple[VectorConfig, str, Rendered]:
    around = rules.surroundings
    kind = parse_index_kind(
        fields.text("vectorIndexType"),
        rules.index,
        async_indexing=around is None or around.async_indexing,
    )
    index, rendered = parse_index(fields.child("vectorIndexConfig"), kind, rules.index)
    if index.multi_vector and vectorizer != "none" and "2multivec" not in vectorizer:
        raise SchemaViolation(
            f"parse vector config for {name}: multi vector index configured but vectorizer: "
            f'"{vectorizer}" doesn\'t support multi vectors'
        )
    sources = settings.get("properties")
    if sources is not None and not (
        isinstance(sources, list) and all(isinstance(item, str) for item in sources)
    ):
        raise SchemaViolation(f"{vectorizer}: properties must be a list of property names")
    vector = VectorConfig(
        name=name,
        index=kind,
        metric=index.metric,
        hnsw=index.hnsw,
        vectorizer=vectorizer,
        vectorizer_settings=dict(settings),
        source_properties=tuple(sources) if sources else None,
        multi_vector=index.multi_vector,
        quantizer=index.quantizer,
        flat_quantizer=index.flat_quantizer,
        dynamic_threshold=index.threshold,
        muvera=index.muvera,
        hfresh=index.hfresh,
    )
    return vector, kind.value, rendered
