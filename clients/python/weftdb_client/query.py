"""Query: reading and searching the objects of a collection."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .filters import Filter, Filters
from .ids import UuidInput, id_text
from .options import HybridFusion, KeywordOperator, MetadataQuery, Move, SortKey
from .requests import (
    Hybrid,
    Keyword,
    MoveRequest,
    NearObject,
    NearText,
    NearVector,
    SearchRequest,
    Threshold,
    Vector,
)
from .results import Object, QueryReturn
from .transport import Transport

IncludeVector: TypeAlias = bool | str | Sequence[str]
ReturnProperties: TypeAlias = str | Sequence[str] | bool | None


@dataclass(frozen=True, kw_only=True)
class Output:
    """What every query method lets the caller choose about the answer."""

    return_properties: ReturnProperties = None
    return_metadata: MetadataQuery | None = None
    include_vector: IncludeVector = False

    def fields(self) -> dict[str, Any]:
        """The request's fields for it."""
        chosen = self.return_properties
        vectors = self.include_vector
        return {
            "properties": _names(chosen),
            "metadata": self.return_metadata or MetadataQuery(),
            "vectors": vectors if isinstance(vectors, bool) else _texts(vectors),
        }


def _names(chosen: ReturnProperties) -> tuple[str, ...] | None:
    if chosen is None or chosen is True:
        return None
    return () if chosen is False else _texts(chosen)


class Query:
    """`collection.query`.

    `target_recall` (ours, not of the public API) asks for a share of the true neighbours, above 0
    and below 1: the index tunes how far it looks by measuring itself. It goes before `ef`.
    """

    def __init__(self, transport: Transport, collection: str) -> None:
        self._transport = transport
        self._collection = collection

    def fetch_objects(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        after: UuidInput | None = None,
        filters: Filters | None = None,
        sort: SortKey | Sequence[SortKey] | None = None,
        return_properties: ReturnProperties = None,
        return_metadata: MetadataQuery | None = None,
        include_vector: IncludeVector = False,
    ) -> QueryReturn:
        """List objects, in the order of their ids unless sorted."""
        output = Output(
            return_properties=return_properties,
            return_metadata=return_metadata,
            include_vector=include_vector,
        )
        keys = (sort,) if isinstance(sort, SortKey) else tuple(sort or ())
        return self._run(
            output,
            limit=limit,
            offset=offset or 0,
            after=id_text(after) if after is not None else None,
            filters=filters,
            sort=keys,
        )

    def fetch_object_by_id(
        self,
        uuid: UuidInput,
        *,
        return_properties: ReturnProperties = None,
        include_vector: IncludeVector = False,
    ) -> Object | None:
        """The object with this id, or None."""
        output = Output(
            return_properties=return_properties,
            return_metadata=MetadataQuery(creation_time=True, last_update_time=True),
            include_vector=include_vector,
        )
        condition = Filter.by_id().equal(id_text(uuid))
        found = self._run(output, filters=condition, limit=1).objects
        return found[0] if found else None

    def near_vector(
        self,
        near_vector: Vector | Mapping[str, Vector],
        *,
        certainty: float | None = None,
        distance: float | None = None,
        limit: int | None = None,
        offset: int | None = None,
        auto_limit: int | None = None,
        filters: Filters | None = None,
        target_vector: str | None = None,
        target_recall: float | None = None,
        return_properties: ReturnProperties = None,
        return_metadata: MetadataQuery | None = None,
        include_vector: IncludeVector = False,
    ) -> QueryReturn:
        """Objects closest to a vector; a mapping of one name says which vector it is for."""
        vector, target = _single_vector(near_vector, target_vector)
        search = NearVector(
            vector=vector,
            target=target,
            threshold=Threshold(distance=distance, certainty=certainty),
        )
        output = Output(
            return_properties=return_properties,
            return_metadata=return_metadata,
            include_vector=include_vector,
        )
        return self._run(
            output,
            search=search,
            limit=limit,
            offset=offset or 0,
            auto_limit=auto_limit or 0,
            filters=filters,
            target_recall=target_recall,
        )

    def near_object(
        self,
        near_object: UuidInput,
        *,
        certainty: float | None = None,
        distance: float | None = None,
        limit: int | None = None,
        offset: int | None = None,
        auto_limit: int | None = None,
        filters: Filters | None = None,
        target_vector: str | None = None,
        target_recall: float | None = None,
        return_properties: ReturnProperties = None,
        return_metadata: MetadataQuery | None = None,
        include_vector: IncludeVector = False,
    ) -> QueryReturn:
        """Objects closest to a stored object, which comes first."""
        search = NearObject(
            object_id=id_text(near_object),
            target=target_vector or "",
            threshold=Threshold(distance=distance, certainty=certainty),
        )
        output = Output(
            return_properties=return_properties,
            return_metadata=return_metadata,
            include_vector=include_vector,
        )
        return self._run(
            output,
            search=search,
            limit=limit,
            offset=offset or 0,
            auto_limit=auto_limit or 0,
            filters=filters,
            target_recall=target_recall,
        )

    def near_text(
        self,
        query: str | Sequence[str],
        *,
        certainty: float | None = None,
        distance: float | None = None,
        move_to: Move | None = None,
        move_away: Move | None = None,
        limit: int | None = None,
        offset: int | None = None,
        auto_limit: int | None = None,
        filters: Filters | None = None,
        target_vector: str | None = None,
        target_recall: float | None = None,
        return_properties: ReturnProperties = None,
        return_metadata: MetadataQuery | None = None,
        include_vector: IncludeVector = False,
    ) -> QueryReturn:
        """Objects closest in meaning; the collection needs a text vectorizer."""
        search = NearText(
            concepts=_texts(query),
            target=target_vector or "",
            threshold=Threshold(distance=distance, certainty=certainty),
            move_to=_move(move_to),
            move_away=_move(move_away),
        )
        output = Output(
            return_properties=return_properties,
            return_metadata=return_metadata,
            include_vector=include_vector,
        )
        return self._run(
            output,
            search=search,
            limit=limit,
            offset=offset or 0,
            auto_limit=auto_limit or 0,
            filters=filters,
            target_recall=target_recall,
        )

    def bm25(
        self,
        query: str,
        *,
        query_properties: Sequence[str] | None = None,
        operator: KeywordOperator | None = None,
        limit: int | None = None,
        offset: int | None = None,
        auto_limit: int | None = None,
        filters: Filters | None = None,
        return_properties: ReturnProperties = None,
        return_metadata: MetadataQuery | None = None,
        include_vector: IncludeVector = False,
    ) -> QueryReturn:
        """Objects that hold the query's words, best first; `title^2` boosts a property."""
        search = Keyword(query=query, properties=tuple(query_properties or ()), operator=operator)
        output = Output(
            return_properties=return_properties,
            return_metadata=return_metadata,
            include_vector=include_vector,
        )
        return self._run(
            output,
            search=search,
            limit=limit,
            offset=offset or 0,
            auto_limit=auto_limit or 0,
            filters=filters,
        )

    def hybrid(
        self,
        query: str,
        *,
        alpha: float | None = None,
        vector: Vector | None = None,
        query_properties: Sequence[str] | None = None,
        fusion_type: HybridFusion | None = None,
        bm25_operator: KeywordOperator | None = None,
        max_vector_distance: float | None = None,
        limit: int | None = None,
        offset: int | None = None,
        auto_limit: int | None = None,
        filters: Filters | None = None,
        target_vector: str | None = None,
        target_recall: float | None = None,
        return_properties: ReturnProperties = None,
        return_metadata: MetadataQuery | None = None,
        include_vector: IncludeVector = False,
    ) -> QueryReturn:
        """Keyword and vector hits joined: alpha 0 is keyword only, 1 vector only, default 0.75."""
        search = Hybrid(
            query=query,
            alpha=alpha,
            vector=vector,
            target=target_vector or "",
            properties=tuple(query_properties or ()),
            fusion=fusion_type,
            operator=bm25_operator,
            vector_distance_max=max_vector_distance,
        )
        output = Output(
            return_properties=return_properties,
            return_metadata=return_metadata,
            include_vector=include_vector,
        )
        return self._run(
            output,
            search=search,
            limit=limit,
            offset=offset or 0,
            auto_limit=auto_limit or 0,
            filters=filters,
            target_recall=target_recall,
        )

    def _run(self, output: Output, **fields: Any) -> QueryReturn:
        request = SearchRequest(collection=self._collection, **fields, **output.fields())
        return QueryReturn(self._transport.search(request))


def _texts(values: str | Sequence[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


def _single_vector(vector: Vector | Mapping[str, Vector], target: str | None) -> tuple[Vector, str]:
    if not isinstance(vector, Mapping):
        return vector, target or ""
    if len(vector) != 1:
        raise ValueError(f"one query vector is supported, got {len(vector)}: {sorted(vector)}")
    ((name, row),) = vector.items()
    return row, name


def _move(move: Move | None) -> MoveRequest | None:
    if move is None:
        return None
    objects = move.objects
    several = (objects,) if isinstance(objects, str | uuid.UUID) else tuple(objects)
    return MoveRequest(
        force=move.force,
        concepts=_texts(move.concepts),
        objects=tuple(id_text(item) for item in several),
    )
