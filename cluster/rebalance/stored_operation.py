"""The JSON form of an operation, as the metadata keeps it.

    operation := JSON {"format": 1, "id": text, "change": {…change (stored_change.py)…},
                       "states": [entry …]}                             # oldest first, present last
    entry     := [state, since_ms, [[message, at_ms] …], errors dropped]

That the states follow the path of the change is checked: a state that was skipped would leave a
sharding state behind that nobody mends.
"""

from __future__ import annotations

import json
from typing import Any

from weftdb.cluster.rebalance.changes import Change, OperationState, path_of
from weftdb.cluster.rebalance.operation import Operation, StateEntry, StateError
from weftdb.cluster.rebalance.stored_change import change_fields, read_change, read_state
from weftdb.cluster.stored_json import StoredJson

FORMAT = 1


def encode_operation(operation: Operation) -> bytes:
    """Write the JSON form."""
    body = {
        "format": FORMAT,
        "id": operation.id,
        "change": change_fields(operation.change),
        "states": [
            [
                entry.state.value,
                entry.since_ms,
                [[error.message, error.at_ms] for error in entry.errors],
                entry.errors_dropped,
            ]
            for entry in (*operation.history, operation.status)
        ],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode_operation(value: bytes) -> Operation:
    """Read `encode_operation` back. Raises CorruptData that says what is wrong."""
    body = StoredJson(value, subject="an operation", format_version=FORMAT)
    change = read_change(body, body.mapping("change"), "its change")
    entries = [_entry(body, row) for row in body.items("states")]
    states = tuple(entry.state for entry in entries)
    said = " ".join(state.value for state in states)
    body.check(_is_possible(states, change), f"it went through the states: {said or 'none'}")
    return Operation(body.text("id"), change, entries[-1], tuple(entries[:-1]))


def _entry(body: StoredJson, value: Any) -> StateEntry:
    row = body.row(value, "a state", sizes=(4,))
    state = read_state(body, row[0], "it")
    errors = []
    body.check(isinstance(row[2], list), f"the errors of {state.value} are {row[2]!r}")
    for item in row[2]:
        message, at_ms = body.row(item, f"an error of {state.value}", sizes=(2,))
        body.check(isinstance(message, str), f"an error of {state.value} says {message!r}")
        errors.append(StateError(message, body.whole(at_ms, f"when {state.value} failed")))
    since_ms = body.whole(row[1], f"when {state.value} began")
    dropped = body.whole(row[3], f"the dropped errors of {state.value}")
    return StateEntry(state, since_ms, tuple(errors), dropped)


def _is_possible(states: tuple[OperationState, ...], change: Change) -> bool:
    """Whether they are the beginning of the change's path, possibly cancelled in time."""
    if not states:
        return False
    path = path_of(change)
    if states[-1] is OperationState.CANCELLED:
        states = states[:-1]
        if not states or OperationState.INTEGRATING in states:
            return False
    return states == path[: len(states)]
