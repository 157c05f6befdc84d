"""Observer: asks a restarted server, over every read path, what became of each key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from weaviate.classes.query import Filter, MetadataQuery

from . import material
from .checker import Sighting
from .ledger import ABSENT, Entry, Ledger

LISTING_MAX = 10_000
DISTANCE_ZERO = 1e-4


@dataclass
class Observation:
    """What the server shows: a sighting a key, unknown ids, and its own count."""

    sightings: dict[str, Sighting]
    strangers: set[str] = field(default_factory=set)
    counted: int = 0


def observe(collection: Any, ledger: Ledger) -> Observation:
    """Read everything: the store, three listings, and each path for each touched key."""
    observation = Observation({key: Sighting(looked_for=False) for key in ledger.entries})
    read_store(collection, ledger, observation)
    read_listings(collection, observation)
    for entry in ledger.entries.values():
        if entry.touched:
            look_for(collection, entry, observation.sightings[entry.key])
    answer = collection.aggregate.over_all(total_count=True)
    observation.counted = int(answer.total_count)
    return observation


def read_store(collection: Any, ledger: Ledger, observation: Observation) -> None:
    """Fill in what the object store holds."""
    for shown in collection.iterator(include_vector=True):
        key = shown.uuid.hex
        entry = ledger.entries.get(key)
        if entry is None:
            observation.strangers.add(key)
            continue
        sighting = observation.sightings[key]
        sighting.stored = int(shown.properties["revision"])
        sighting.intact = material.is_intact(
            key, dict(shown.properties), shown.vector.get(material.VECTOR), entry.writer
        )


def read_listings(collection: Any, observation: Observation) -> None:
    """List every object through keyword search, a filter, and vector search under the filter."""
    everyone = Filter.by_property("writer").greater_or_equal(0)
    wanted: dict[str, Any] = {"limit": LISTING_MAX, "return_properties": []}
    query = collection.query
    direction = material.vector("0" * 32, 1)
    answers = {
        "keyword": query.bm25(material.COMMON_WORD, query_properties=["body"], **wanted),
        "filter": query.fetch_objects(filters=everyone, **wanted),
        "vector": query.near_vector(
            direction, filters=everyone, target_vector=material.VECTOR, **wanted
        ),
    }
    for path, answer in answers.items():
        keys = {shown.uuid.hex for shown in answer.objects}
        for key, sighting in observation.sightings.items():
            sighting.listings[path] = key in keys
        observation.strangers |= keys - observation.sightings.keys()


def look_for(collection: Any, entry: Entry, sighting: Sighting) -> None:
    """Ask each path for each revision that the key may have or had lately."""
    sighting.looked_for = True
    identity = material.object_id(entry.key)
    query = collection.query
    for revision in entry.candidates:
        assert revision > ABSENT
        by_word = query.bm25(
            material.word(entry.key, revision), query_properties=["body"], limit=3,
            return_properties=[],
        )  # fmt: skip
        if any(shown.uuid == identity for shown in by_word.objects):
            sighting.keyword.add(revision)
        by_tag = query.fetch_objects(
            filters=Filter.by_property("tag").equal(material.tag(entry.key, revision)),
            limit=3, return_properties=[],
        )  # fmt: skip
        if any(shown.uuid == identity for shown in by_tag.objects):
            sighting.filter.add(revision)
        nearest = query.near_vector(
            material.vector(entry.key, revision), limit=1, target_vector=material.VECTOR,
            return_metadata=MetadataQuery(distance=True), return_properties=[],
        )  # fmt: skip
        for shown in nearest.objects:
            if shown.uuid == identity and shown.metadata.distance < DISTANCE_ZERO:
                sighting.vector.add(revision)
