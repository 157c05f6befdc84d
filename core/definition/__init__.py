"""Reads, fills in, checks and changes the JSON form of collections; the only place that does."""

from weftdb.core.definition.changes import (
    add_property,
    drop_property_index,
    drop_vector_index,
    replace_property,
    update_collection,
)
from weftdb.core.definition.collection import load_collection, parse_collection
from weftdb.core.definition.surroundings import Surroundings

__all__ = [
    "Surroundings",
    "add_property",
    "drop_property_index",
    "drop_vector_index",
    "load_collection",
    "parse_collection",
    "replace_property",
    "update_collection",
]
