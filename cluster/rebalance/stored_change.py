"""The JSON form of a change, as plans and operations contain it.

    change := "kind": text, …the fields of that class of changes.py by their names…

Names of classes and fields are stored: they are never used for something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from weftdb.cluster.rebalance.changes import Change, OperationState
from weftdb.cluster.stored_json import StoredJson

_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Change)}
_STATES = {state.value: state for state in OperationState}


def change_fields(change: Change) -> dict[str, Any]:
    """The members of the JSON object."""
    values = {item.name: getattr(change, item.name) for item in fields(change)}
    return {"kind": type(change).__name__, **values}


def read_change(body: StoredJson, item: Mapping[str, Any], where: str) -> Change:
    """Read `change_fields` back. Raises CorruptData that names `where`."""
    kind = _KINDS.get(str(item.get("kind")))
    if kind is None:
        raise body.damaged(f"{where} is of the kind {item.get('kind')!r}")
    values: dict[str, Any] = {}
    for wanted in fields(kind):
        value = item.get(wanted.name)
        if wanted.type == "int":
            values[wanted.name] = body.whole(value, f"{wanted.name} of {where}")
            continue
        if wanted.type == "tuple[NodeName, ...]":
            is_right = isinstance(value, list) and all(isinstance(name, str) for name in value)
            value = tuple(value) if isinstance(value, list) else value
        else:
            is_right = isinstance(value, str) and value != ""
        body.check(is_right, f"{wanted.name} of {where} is {value!r}")
        values[wanted.name] = value
    change: Change = kind(**values)
    return change


def read_state(body: StoredJson, value: Any, where: str) -> OperationState:
    """Read a state. Raises CorruptData that names `where`."""
    body.check(isinstance(value, str) and value in _STATES, f"{where} is in the state {value!r}")
    return _STATES[value]
