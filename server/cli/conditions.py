"""Conditions: `--where 'year>=2000'` as a filter.

    condition := property operator value
    operator  := ">=" | "<=" | "!=" | "=" | ">" | "<" | "~"       # ~ is like, with * and ?

The value takes the type of the property; several conditions all hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from weftdb.client import Filter
from weftdb.client.filters import Filters, Subject

_FORM = re.compile(r"^\s*(\w+)\s*(>=|<=|!=|=|>|<|~)\s*(.*?)\s*$", re.DOTALL)
_METHODS = {
    ">=": Subject.greater_or_equal,
    "<=": Subject.less_or_equal,
    "!=": Subject.not_equal,
    "=": Subject.equal,
    ">": Subject.greater_than,
    "<": Subject.less_than,
    "~": Subject.like,
}
_BOOLEANS = {"true": True, "false": False}


def parse_conditions(texts: Sequence[str], definition: Mapping[str, Any]) -> Filters | None:
    """Join conditions on the collection that `definition` describes. Raises ValueError."""
    if not texts:
        return None
    types = {item["name"]: item["dataType"][0] for item in definition.get("properties") or []}
    return Filter.all_of([_parse(text, types) for text in texts])


def _parse(text: str, types: Mapping[str, str]) -> Filters:
    match = _FORM.match(text)
    if match is None:
        raise ValueError(f"condition {text!r} is not of the form property>=value")
    name, operator, value = match.groups()
    if name not in types:
        known = ", ".join(sorted(types))
        raise ValueError(f"condition {text!r}: there is no property {name!r}, only {known}")
    return _METHODS[operator](Filter.by_property(name), _typed(value, types[name], text))


def _typed(value: str, kind: str, text: str) -> Any:
    kind = kind.removesuffix("[]")
    try:
        if kind == "int":
            return int(value)
        if kind == "number":
            return float(value)
        if kind == "boolean":
            return _BOOLEANS[value.lower()]
    except (ValueError, KeyError):
        raise ValueError(f"condition {text!r}: {value!r} is no {kind}") from None
    return value
