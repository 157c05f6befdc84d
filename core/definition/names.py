"""Names: what collections, properties and vectors may be called.

collection := [A-Z][_0-9A-Za-z]{0,254}      # the first letter is raised before the check
property   := [_A-Za-z][_0-9A-Za-z]{0,230}  # the first letter is lowered
vector     := [_A-Za-z][_0-9A-Za-z]{0,229}
"""

from __future__ import annotations

import re

from weftdb.core.errors import SchemaViolation
from weftdb.core.limits import NAME_CHARS_MAX, PROPERTY_NAME_CHARS_MAX, VECTOR_NAME_CHARS_MAX
from weftdb.core.schema import canonical_collection_name, canonical_property_name

RESERVED_PROPERTIES = frozenset({"id", "_id", "_additional"})
_COLLECTION = re.compile(r"[A-Z][_0-9A-Za-z]*")
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_GRAPHQL_RULE = "restricted to valid GraphQL names, which must be “/[_A-Za-z][_0-9A-Za-z]{0,%d}/”"


def check_collection_name(name: str) -> str:
    """Return the canonical form of `name`. Raises SchemaViolation."""
    name = canonical_collection_name(name)
    if not _COLLECTION.fullmatch(name):
        raise SchemaViolation(f"'{name}' is not a valid class name")
    if len(name) > NAME_CHARS_MAX:
        raise SchemaViolation(
            f"'{name}' is not a valid class name. "
            f"Name should not be longer than {NAME_CHARS_MAX} characters"
        )
    return name


def is_collection_name(name: str) -> bool:
    """Whether `name`, as it stands, may name a collection (references do not raise letters)."""
    return bool(_COLLECTION.fullmatch(name)) and len(name) <= NAME_CHARS_MAX


def check_property_name(name: str) -> str:
    """Return the canonical form of `name`. Raises SchemaViolation."""
    name = canonical_property_name(name)
    if name in RESERVED_PROPERTIES:
        raise SchemaViolation(f"'{name}' is a reserved property name")
    _check_word(name)
    return name


def check_nested_name(name: str, path: str) -> str:
    """Check the name of a field inside an object; `path` includes it. Raises SchemaViolation."""
    if not _NAME.fullmatch(name) or len(name) > PROPERTY_NAME_CHARS_MAX:
        rule = _GRAPHQL_RULE % (PROPERTY_NAME_CHARS_MAX - 1)
        raise SchemaViolation(f"'{path}' is not a valid nested property name. Names are {rule}")
    return name


def check_vector_name(name: str) -> str:
    """Return `name` if a vector may be called so. Raises SchemaViolation."""
    if not _NAME.fullmatch(name) or len(name) > VECTOR_NAME_CHARS_MAX:
        rule = _GRAPHQL_RULE % (VECTOR_NAME_CHARS_MAX - 1)
        raise SchemaViolation(
            f'class.VectorConfig target vector name "{name}" is not valid, '
            f"in Weaviate target vector names are {rule}."
        )
    return name


def _check_word(name: str) -> None:
    if not _NAME.fullmatch(name):
        rule = _GRAPHQL_RULE % (PROPERTY_NAME_CHARS_MAX - 1)
        raise SchemaViolation(
            f"'{name}' is not a valid property name. Property names in Weaviate are {rule}"
        )
    if len(name) > PROPERTY_NAME_CHARS_MAX:
        raise SchemaViolation(
            f"'{name}' is not a valid property name. "
            f"Name should not be longer than {PROPERTY_NAME_CHARS_MAX} characters"
        )
