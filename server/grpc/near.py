"""Vector searches off the wire: what to be near to, in which of an object's vectors.

A request names its targets and brings its vectors in one of four forms: one vector for all targets
(`vectors`, or the older `vector_bytes` and `vector`), one or more for each (`vector_for_targets`,
or the older map `vector_per_target`). Several query vectors for one target travel as the rows of a
matrix. Whether the collection has such vectors is checked by the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.query import (
    Combination,
    Mmr,
    Move,
    Near,
    NearObject,
    NearText,
    NearVector,
    Target,
    Threshold,
)
from weftdb.core.schema import Collection
from weftdb.core.types import UNNAMED, VectorName, parse_object_id
from weftdb.proto.v1 import near_pb2, vectors_pb2
from weftdb.server.grpc.vectors import Vector, decode_any, decode_single, decode_vectors

_COMBINATIONS = {
    vectors_pb2.COMBINATION_METHOD_UNSPECIFIED: Combination.MINIMUM,
    vectors_pb2.COMBINATION_METHOD_TYPE_SUM: Combination.SUM,
    vectors_pb2.COMBINATION_METHOD_TYPE_MIN: Combination.MINIMUM,
    vectors_pb2.COMBINATION_METHOD_TYPE_AVERAGE: Combination.AVERAGE,
    vectors_pb2.COMBINATION_METHOD_TYPE_RELATIVE_SCORE: Combination.RELATIVE_SCORE,
    vectors_pb2.COMBINATION_METHOD_TYPE_MANUAL: Combination.MANUAL,
}
_WEIGHTED = (Combination.MANUAL, Combination.RELATIVE_SCORE)

MEDIA = ("near_image", "near_audio", "near_video", "near_depth", "near_thermal", "near_imu")
"""Searches that need a module which embeds media; this build has none."""


class Targeted(Protocol):
    """The fields that every vector search has."""

    @property
    def targets(self) -> vectors_pb2.Targets: ...
    @property
    def target_vectors(self) -> Sequence[str]: ...

    def HasField(self, field_name: str, /) -> bool: ...


def target_names(wire: Targeted) -> list[str]:
    """The targets as given, from `targets` or from the older list."""
    return list(wire.targets.target_vectors or wire.target_vectors)


def parse_near_vector(wire: near_pb2.NearVector, collection: Collection) -> NearVector:
    """Read `near_vector`. Raises InvalidRequest, Unsupported."""
    combination, weights = _combination(wire)
    targets = _vector_targets(wire, collection)
    return NearVector(
        _weighted(targets, weights, combination),
        combination,
        parse_threshold("near_vector", wire),
        parse_mmr(wire),
    )


def parse_near_object(wire: near_pb2.NearObject) -> NearObject:
    """Read `near_object`. Raises InvalidRequest."""
    if not wire.id:
        raise InvalidRequest("near_object: id is required")
    combination, targets = parse_targets(wire)
    return NearObject(
        parse_object_id(wire.id),
        targets,
        combination,
        parse_threshold("near_object", wire),
        parse_mmr(wire),
    )


def parse_near_text(wire: near_pb2.NearTextSearch) -> NearText:
    """Read `near_text`. Raises InvalidRequest."""
    if not wire.query:
        raise InvalidRequest("near_text: query is required")
    combination, targets = parse_targets(wire)
    return NearText(
        tuple(wire.query),
        targets,
        combination,
        parse_threshold("near_text", wire),
        _move(wire.move_to) if wire.HasField("move_to") else None,
        _move(wire.move_away) if wire.HasField("move_away") else None,
        parse_mmr(wire),
    )


def parse_targets(wire: Targeted) -> tuple[Combination, tuple[Target, ...]]:
    """Read targets that bring no vectors; none at all means the only vector."""
    combination, weights = _combination(wire)
    targets = [Target(VectorName(name)) for name in target_names(wire)]
    return combination, _weighted(targets, weights, combination)


class _Thresholded(Protocol):
    certainty: float
    distance: float

    def HasField(self, field_name: str, /) -> bool: ...


def parse_threshold(label: str, wire: _Thresholded) -> Threshold:
    """Read the cut-off. Raises InvalidRequest if both are given."""
    has_distance, has_certainty = wire.HasField("distance"), wire.HasField("certainty")
    if has_distance and has_certainty:
        raise InvalidRequest(f"{label}: cannot provide distance and certainty")
    if has_distance:
        return Threshold(distance=wire.distance)
    if has_certainty:
        return Threshold(certainty=wire.certainty)
    return _OPEN


_OPEN = Threshold()


class _Selective(Protocol):
    @property
    def selection(self) -> vectors_pb2.Selection: ...

    def HasField(self, field_name: str, /) -> bool: ...


def parse_mmr(wire: _Selective) -> Mmr | None:
    """Read the selection; engine/planner.py checks its numbers. Raises InvalidRequest."""
    if not wire.HasField("selection"):
        return None
    selection = wire.selection
    if selection.WhichOneof("selection") != "mmr":
        raise InvalidRequest("selection: the only selection is mmr")
    mmr = selection.mmr
    return Mmr(
        mmr.limit if mmr.HasField("limit") else None,
        mmr.balance if mmr.HasField("balance") else None,
    )


def _move(wire: near_pb2.NearTextSearch.Move) -> Move:
    return Move(
        wire.force, tuple(wire.concepts), tuple(parse_object_id(text) for text in wire.uuids)
    )


def _combination(request: Targeted) -> tuple[Combination, list[tuple[str, float]]]:
    if not request.HasField("targets"):
        return Combination.MINIMUM, []
    wire = request.targets
    combination = _COMBINATIONS.get(wire.combination)
    if combination is None:
        raise Unsupported(f"targets: combination {wire.combination} is not known to this build")
    return combination, [(item.target, item.weight) for item in wire.weights_for_targets]


def _weighted(
    targets: list[Target], weights: list[tuple[str, float]], combination: Combination
) -> tuple[Target, ...]:
    """Hand out the weights, which name targets and may name one several times, in order."""
    if combination not in _WEIGHTED:
        return tuple(targets)
    if len(weights) != len(targets):
        raise InvalidRequest(
            f"extract target vectors: number of weights ({len(weights)}) does not match "
            f"number of targets ({len(targets)})"
        )
    waiting: dict[str, list[float]] = {}
    for name, weight in weights:
        waiting.setdefault(name, []).append(weight)
    out = []
    for target in targets:
        own = waiting.get(target.name)
        if not own:
            raise InvalidRequest(
                f"extract target vectors: no weight for target vector {target.name}"
            )
        out.append(replace(target, weight=own.pop(0)))
    return tuple(out)


def _vector_targets(wire: near_pb2.NearVector, collection: Collection) -> list[Target]:
    names = target_names(wire)
    if wire.vector_for_targets:
        entries = [(entry.name, list(_entry_rows(entry))) for entry in wire.vector_for_targets]
        return _each_its_own(names, entries, collection)
    if wire.vector_per_target:
        per_target = [
            (name, [decode_single(wire.vector_per_target[name])])
            for name in dict.fromkeys(names or sorted(wire.vector_per_target))
            if name in wire.vector_per_target
        ]
        return _each_its_own(names, per_target, collection)
    vectors = [decode_vectors(entry) for entry in wire.vectors]
    if not vectors:
        older = decode_any(wire.vector_bytes, wire.vector)
        vectors = [older] if older is not None else []
    if not vectors or not all(vector.size for vector in vectors):
        raise InvalidRequest("near_vector: vector is required")
    named = [VectorName(name) for name in names] or [UNNAMED]
    return [Target(name, vector) for name in named for vector in vectors]


def _entry_rows(entry: vectors_pb2.VectorForTarget) -> Iterable[Vector]:
    if entry.vectors:
        for vector in entry.vectors:
            yield decode_vectors(vector)
    else:
        yield decode_single(entry.vector_bytes)


def _each_its_own(
    names: list[str], entries: list[tuple[str, list[Vector]]], collection: Collection
) -> list[Target]:
    given = [name for name, _ in entries]
    wanted = list(dict.fromkeys(names)) if names else given
    if len(given) != len(wanted) or len(set(given)) != len(given):
        raise InvalidRequest("near_vector: vector for target must have the same lengths as targets")
    by_name = dict(entries)
    out = []
    for name in wanted:
        if name not in by_name:
            raise InvalidRequest(
                f"near_vector: vector for target {name} is required. "
                f"All target vectors: [{' '.join(names)}] "
                f"all vectors for targets [{' '.join(given)}]"
            )
        for vector in by_name[name]:
            if not vector.size:
                raise InvalidRequest(f"near_vector: vector for target {name} is empty")
            rows = _rows(VectorName(name), vector, collection)
            out += [Target(VectorName(name), row) for row in rows]
    return out


def _rows(name: VectorName, vector: Vector, collection: Collection) -> Iterable[Vector]:
    """A matrix is one query for a multi-vector, and several queries for any other vector."""
    config = collection.vector_by_name.get(name)
    if vector.ndim == 1:
        return (vector,)
    if config is not None and config.multi_vector:
        return (vector,)
    return tuple(vector)


NEAR_FIELDS = ("near_vector", "near_object", "near_text")


class NearRequest(Protocol):
    """A message with the searches by vector."""

    @property
    def near_vector(self) -> near_pb2.NearVector: ...
    @property
    def near_object(self) -> near_pb2.NearObject: ...
    @property
    def near_text(self) -> near_pb2.NearTextSearch: ...

    def HasField(self, field_name: str, /) -> bool: ...


def parse_near(wire: NearRequest, collection: Collection) -> Near | None:
    """Read the search by vector, if there is one. Raises InvalidRequest, Unsupported."""
    if wire.HasField("near_vector"):
        return parse_near_vector(wire.near_vector, collection)
    if wire.HasField("near_object"):
        return parse_near_object(wire.near_object)
    if wire.HasField("near_text"):
        return parse_near_text(wire.near_text)
    for field in MEDIA:
        if wire.HasField(field):
            raise Unsupported(f"{field}: no module that embeds media is part of this build")
    return None
