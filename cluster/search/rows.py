"""The rows of an answer: objects by id, as one replica has them or as a level of them agrees.

At ONE, rows come from the replica that ranked them, with the hits or by `FetchRows`. Above, the
objects of the page are read at the level by the conversation of any read (`replication/read.py`):
the newest state is answered, stale replicas are repaired first, and what is deleted is left out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.cluster.replication.read import Found
from weftdb.cluster.search.layout import Round, Rounds
from weftdb.cluster.search.messages import FetchRows
from weftdb.cluster.search.scatter import Gathered
from weftdb.core.errors import ObjectNotFound
from weftdb.core.objects import ObjectState
from weftdb.core.partial import PartRows
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, NodeName, ObjectId, ShardName, VectorName, format_object_id
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.object_codec import encode_object
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
    layout = rounds.layout
    asked, first, chosen = [], [], []
    for name, positions in layout.positions_by_shard(ids).items():
        of_shard = tuple([ids[int(at)] for at in positions])
        for start in range(0, len(of_shard), ROWS_PER_QUESTION):
            wanted = of_shard[start : start + ROWS_PER_QUESTION]
            request = FetchRows(layout.ref(name), layout.schema_version, wanted, tuple(vectors))
            asked.append((layout.shard(name), request))
            first.append(nodes[name])
            chosen.append(wanted)
    gathered: Gathered
    (gathered,) = yield rounds.ask(asked, first)
    found: RowsById = {}
    for wanted, reply in zip(chosen, gathered.replies, strict=True):
        assert isinstance(reply, PartRows), reply
        found |= rows_of(reply, wanted)
    return found


def read_checked(rounds: Rounds, ids: Sequence[ObjectId]) -> Generator[Round, Any, RowsById]:
    """The objects at the level, with all their vectors; those that are deleted are left out."""
    states = yield from read_states(rounds, ids)
    encoder = PropertyEncoder(rounds.layout.schema)
    return {
        state.id: RowFound(_stored(state, encoder), state.vectors, agreed)
        for state, agreed in states
    }


def read_states(
    rounds: Rounds, ids: Sequence[ObjectId]
) -> Generator[Round, Any, list[tuple[ObjectState, bool]]]:
    """The states at the level of the objects that are there, and whether replicas agreed."""
    conversations, _ = rounds.read(ids)
    answers: list[Found] = yield conversations
    return [
        (state, agreed)
        for found in answers
        for state, agreed in zip(found.states, found.is_consistent, strict=True)
        if state is not None
    ]


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
