"""The rows of an answer: objects by id, as one replica has them or as a level of them agrees.

At ONE, rows come from the replica that ranked them, with the hits or by `FetchRows`. Above, the
objects of the page are read at the level by the conversation of any read (`replication/read.py`):
the newest state is answered, stale replicas are repaired first, and what is deleted is left out.
Where rows came with the hits, replicas send digests only; contents travel where these differ.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.cluster.replication.read import Found
from weftdb.cluster.search.layout import Round, Rounds
from weftdb.cluster.search.messages import FetchRows
from weftdb.cluster.search.scatter import Gathered
from weftdb.core.errors import ObjectNotFound
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.partial import PartRows
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, NodeName, ObjectId, ShardName, VectorName, format_object_id
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.object_codec import encode_object, stored_version
from weftdb.storage.property_codec import PropertyEncoder

ROWS_PER_QUESTION = 200
"""A long page is fetched by several questions, so that no answer is too large for a message."""
_NO_DOC = DocId(0)
"""Doc ids are a replica's own: the rows of an answer have none that means anything."""


@dataclass(frozen=True, slots=True)
class RowFound:
    """One object of an answer."""

    stored: bytes
    vectors: Mapping[VectorName, NDArray[np.float32] | None]
    is_consistent: bool | None = None


RowsById = dict[ObjectId, RowFound]


def rows_of(part: PartRows, ids: Sequence[ObjectId]) -> RowsById:
    """The rows that a shard sent for `ids`; those that it has not are left out."""
    found: RowsById = {}
    for at, (object_id, stored) in enumerate(zip(ids, part.stored, strict=True)):
        if stored is not None:
            vectors = {name: column[at] for name, column in part.vectors.items()}
            found[object_id] = RowFound(stored, vectors)
    return found


def fetch(
    rounds: Rounds,
    ids: Sequence[ObjectId],
    vectors: Sequence[VectorName],
    nodes: Mapping[ShardName, NodeName],
) -> Generator[Round, Any, RowsById]:
    """The objects that are still there, at the level; at ONE from the nodes that ranked them."""
    if not ids:
        return {}
    if rounds.is_checked:
        return (yield from read_checked(rounds, ids))
    return (yield from nearest_rows(rounds, ids, vectors, nodes))


def nearest_rows(
    rounds: Rounds,
    ids: Sequence[ObjectId],
    vectors: Sequence[VectorName] = (),
    nodes: Mapping[ShardName, NodeName] | None = None,
) -> Generator[Round, Any, RowsById]:
    """The objects that one replica of each shard has: that of `nodes`, else the best."""
    layout = rounds.layout
    asked, first, chosen = [], [], []
    for name, positions in layout.positions_by_shard(ids).items():
        of_shard = tuple([ids[int(at)] for at in positions])
        for start in range(0, len(of_shard), ROWS_PER_QUESTION):
            wanted = of_shard[start : start + ROWS_PER_QUESTION]
            request = FetchRows(layout.ref(name), layout.schema_version, wanted, tuple(vectors))
            asked.append((layout.shard(name), request))
            first.append(layout.shard(name).replicas[0] if nodes is None else nodes[name])
            chosen.append(wanted)
    gathered: Gathered
    (gathered,) = yield rounds.ask(asked, first)
    found: RowsById = {}
    for wanted, reply in zip(chosen, gathered.replies, strict=True):
        assert isinstance(reply, PartRows), reply
        found |= rows_of(reply, wanted)
    return found


def read_checked(
    rounds: Rounds, ids: Sequence[ObjectId], at_hand: RowsById | None = None
) -> Generator[Round, Any, RowsById]:
    """The objects at the level; those that are deleted are left out. Rows that are `at_hand` are
    answered where they are the newest state, others come with all their vectors."""
    if not ids:
        return {}
    at_hand = at_hand or {}
    versions = {one: Digest(stored_version(at_hand[one].stored)) for one in ids if one in at_hand}
    conversations, places = rounds.read(ids, at_hand=versions)
    answers: list[Found] = yield conversations
    encoder = PropertyEncoder(rounds.layout.schema)
    rows: RowsById = {}
    for found, positions in zip(answers, places, strict=True):
        for at, position in enumerate(positions):
            if not found.is_there(at):
                continue
            state, agreed = found.states[at], found.is_consistent[at]
            if state is not None:
                rows[state.id] = RowFound(_stored(state, encoder), state.vectors, agreed)
            else:
                rows[ids[position]] = replace(at_hand[ids[position]], is_consistent=agreed)
    return rows


def read_states(
    rounds: Rounds, ids: Sequence[ObjectId]
) -> Generator[Round, Any, list[ObjectState]]:
    """The states at the level of the objects that are there."""
    conversations, _ = rounds.read(ids)
    answers: list[Found] = yield conversations
    return [state for found in answers for state in found.states if state is not None]


def read_presence(rounds: Rounds, ids: Sequence[ObjectId]) -> Generator[Round, Any, set[ObjectId]]:
    """Which objects are there at the level."""
    conversations, places = rounds.read(ids, wants_contents=False)
    answers: list[Found] = yield conversations
    return {
        ids[position]
        for found, positions in zip(answers, places, strict=True)
        for at, position in enumerate(positions)
        if found.is_there(at)
    }


class NamedVectors:
    """The vectors of the objects that a query names. Satisfies `engine.near.VectorReader`."""

    def __init__(self, schema: Collection, states: Iterable[ObjectState]) -> None:
        self._schema = schema
        self._states = {state.id: state for state in states}

    def vector_of(self, object_id: ObjectId, name: VectorName) -> NDArray[np.float32] | None:
        """The stored vector of an object. Raises ObjectNotFound."""
        state = self._states.get(object_id)
        if state is None:
            raise ObjectNotFound(f"no object {format_object_id(object_id)} in {self._schema.name}")
        return state.vectors.get(name)


def _stored(state: ObjectState, encoder: PropertyEncoder) -> bytes:
    properties = state.properties
    if isinstance(properties, EncodedProperties):
        message = properties.message
    else:
        message = encoder.encode(properties)
    return encode_object(
        doc_id=_NO_DOC,
        object_id=state.id,
        created_ms=state.created_ms,
        updated_ms=state.updated_ms,
        version=state.version,
        properties=message,
    )
