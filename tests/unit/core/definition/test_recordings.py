"""Do the recorded answers of a real server come out of our pure functions?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from weftdb.core.definition import (
    Surroundings,
    add_property,
    load_collection,
    parse_collection,
    update_collection,
)
from weftdb.core.errors import RequestError
from weftdb.core.schema import Collection, canonical_collection_name

SHARED = Path(os.environ.get("WEFTDB_SHARED", Path(__file__).parents[5] / "shared"))
SCENARIOS = SHARED / "conformance" / "scenarios" / "schema.jsonl"


def scenarios() -> Iterator[Any]:
    if not SCENARIOS.exists():
        reason = f"no recordings at {SCENARIOS}; set WEFTDB_SHARED"
        yield pytest.param("", [], id="absent", marks=pytest.mark.skip(reason=reason))
        return
    name, steps = "", list[dict[str, Any]]()
    for line in SCENARIOS.read_text().splitlines():
        record = json.loads(line)
        if "scenario" in record:
            if steps:
                yield pytest.param(name, steps, id=name)
            name, steps = record["scenario"], []
        else:
            steps.append(record)
    yield pytest.param(name, steps, id=name)


def missing(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """Say what of `recorded` is not in `ours`."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        out = [f"{path}.{key} is missing" for key in recorded if key not in ours]
        for key in recorded.keys() & ours.keys():
            out += missing(recorded[key], ours[key], f"{path}.{key}")
        return out
    if isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        pairs = enumerate(zip(recorded, ours, strict=True))
        return [
            text for at, (left, right) in pairs for text in missing(left, right, f"{path}.{at}")
        ]
    return [] if recorded == ours else [f"{path}: recorded {recorded!r}, ours {ours!r}"]


class Replay:
    """Applies the schema steps of one scenario to a dict of collections."""

    def __init__(self) -> None:
        self.collections: dict[str, Collection] = {}

    def is_ours(self, request: dict[str, Any]) -> bool:
        """Whether the step asks something of the pure functions: a good or bad definition."""
        parts = request.get("path", "/").split("/")[1:]
        if parts[0] != "schema" or "body" not in request:
            return False
        if request["method"] == "POST" and len(parts) == 1:
            name = str(request["body"].get("class", "")).lower()
            return name not in {known.lower() for known in self.collections}
        return canonical_collection_name(parts[1]) in self.collections

    def step(self, request: dict[str, Any]) -> Any:
        """Return the JSON that the step answers with; None for a step that is not ours."""
        method, parts = request.get("method"), request.get("path", "/").split("/")[1:]
        names = frozenset(self.collections)
        around = Surroundings(collections=names, deletes_expired=True)
        if parts[0] != "schema":
            return None
        if method == "POST" and len(parts) == 1 and "body" in request:
            made = parse_collection(request["body"], None, around)
            if made.name.lower() in {name.lower() for name in self.collections}:
                return None
            self.collections[made.name] = made
            return made.definition
        name = canonical_collection_name(parts[1]) if len(parts) > 1 else ""
        if method == "DELETE" and len(parts) == 2:
            self.collections.pop(name, None)
            return None
        if name not in self.collections or "body" not in request:
            return None
        if method == "PUT" and len(parts) == 2:
            made = update_collection(self.collections[name], request["body"], None, around)
            self.collections[name] = made
            return made.definition
        if method == "POST" and parts[2:] == ["properties"]:
            made = add_property(self.collections[name], request["body"], None, around)
            self.collections[name] = made
            return made.definition["properties"][-1]
        return None


@pytest.mark.parametrize(("name", "steps"), list(scenarios()))
def test_recorded_answers(name: str, steps: list[dict[str, Any]]) -> None:
    replay = Replay()
    for step in steps:
        recorded, label = step["response"], f"{name} {step['id']} {step['intent']}"
        if recorded.get("status", 0) >= 400 and replay.is_ours(step["request"]):
            with pytest.raises(RequestError):
                replay.step(step["request"])
            continue
        answer = replay.step(step["request"])
        if answer is None:
            continue
        if step["match"] in ("exact", "subset"):
            assert missing(recorded["body"], answer) == [], label


@pytest.mark.parametrize(("name", "steps"), list(scenarios()))
def test_canonical_json_reads_back_the_same(name: str, steps: list[dict[str, Any]]) -> None:
    replay = Replay()
    for step in steps:
        try:
            replay.step(step["request"])
        except RequestError:
            continue
        for collection in replay.collections.values():
            again = load_collection(json.loads(json.dumps(collection.definition)))
            assert again == collection, step["intent"]
            assert again.definition == collection.definition, step["intent"]
