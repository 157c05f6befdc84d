"""Decides which text of an object is embedded, and moves query vectors. Pure.

    text   := part (" " part)*
    part   := words(class name)                       if vectorizeClassName
            | [words(property name) " "] value        name only if vectorizePropertyName

Properties come in byte order of their names, arrays one part an element. Without source properties
only text and text[] count, unless the property says `skip`; with them, every scalar does and `skip`
does not. Without any part the class name stands in, so that no object goes without a vector only
because it lacks text; with source properties it does go without one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from weftdb.core.errors import InvalidRequest
from weftdb.core.schema import Collection, DataType, Property, VectorConfig
from weftdb.core.types import PropertyValue, Row
from weftdb.modules.settings import read_bool

CLASS_NAME_DEFAULTS: Mapping[str, bool] = {
    "text2vec-google": False,
    "text2vec-jinaai": False,
    "text2vec-model2vec": False,
    "text2vec-ollama": False,
}
"""Modules whose `vectorizeClassName` is not true when a collection does not say."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^A-Za-z0-9]+")


def split_words(name: str) -> str:
    """Split a name at case and digit borders: `TrLegacyCase2` gives `Tr Legacy Case 2`."""
    return " ".join(_WORD.findall(name))


def object_text(
    properties: Mapping[str, PropertyValue],
    schema: Collection,
    config: VectorConfig,
    *,
    lowercase: bool = False,
) -> str:
    """Join the text that stands for an object in the vector `config`; empty means no vector."""
    parts = list(_parts(properties, schema, config))
    if not parts and config.source_properties is None:
        parts = [split_words(schema.name)]
    text = " ".join(parts)
    return text.lower() if lowercase else text


def _parts(
    properties: Mapping[str, PropertyValue], schema: Collection, config: VectorConfig
) -> Iterator[str]:
    default = CLASS_NAME_DEFAULTS.get(config.vectorizer, True)
    if read_bool(config.vectorizer_settings, "vectorizeClassName", default=default):
        yield split_words(schema.name)
    sources = config.source_properties
    for name in sorted(properties, key=str.encode):
        item = schema.property_by_name.get(name)
        value = properties[name]
        if item is None or value is None:
            continue
        settings = item.module_settings.get(config.vectorizer, {})
        if sources is None:
            counts = item.data_type is DataType.TEXT
            if not counts or read_bool(settings, "skip", default=False):
                continue
        elif name not in sources:
            continue
        named = read_bool(settings, "vectorizePropertyName", default=False)
        prefix = split_words(name) + " " if named else ""
        for text in _value_texts(value, item):
            yield prefix + text


def _value_texts(value: PropertyValue, item: Property) -> Iterator[str]:
    if item.data_type in (DataType.REFERENCE, DataType.BLOB, DataType.BLOB_HASH):
        return
    for element in value if isinstance(value, list | tuple) else (value,):
        yield _scalar_text(element)


def _scalar_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def move_towards(query: Row, aim: Row, force: float) -> Row:
    """Move `query` towards `aim`: not at all for a force of 0, half the way for 1; float32[dim].

    Raises InvalidRequest for another force.
    """
    if not 0 <= force <= 1:
        raise InvalidRequest(f"movement: force must be between 0 and 1: got {force}")
    _check_lengths(query, aim)
    return np.asarray(query * (1.0 - 0.5 * force) + aim * (0.5 * force), dtype=np.float32)


def move_away(query: Row, aim: Row, force: float) -> Row:
    """Move `query` away from `aim` by half their difference times `force`; float32[dim].

    Raises InvalidRequest for a negative force, or one that is not finite.
    """
    if not (np.isfinite(force) and force >= 0):
        raise InvalidRequest(f"movement: force must not be negative: got {force}")
    _check_lengths(query, aim)
    return np.asarray(query + (0.5 * force) * (query - aim), dtype=np.float32)


def _check_lengths(query: Row, aim: Row) -> None:
    if query.shape != aim.shape:
        raise InvalidRequest(
            f"movement: the query has {query.shape[-1]} dimensions, its aim {aim.shape[-1]}"
        )
