"""Describing a collection: properties, vectors, indexes; all of it ends in the public JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .multi_vectors import MultiVector, MultiVectorEncoding

Json = dict[str, Any]


class DataType(StrEnum):
    """Types of a property."""

    TEXT = "text"
    TEXT_ARRAY = "text[]"
    INT = "int"
    INT_ARRAY = "int[]"
    NUMBER = "number"
    NUMBER_ARRAY = "number[]"
    BOOL = "boolean"
    BOOL_ARRAY = "boolean[]"
    DATE = "date"
    DATE_ARRAY = "date[]"
    UUID = "uuid"
    UUID_ARRAY = "uuid[]"
    GEO_COORDINATES = "geoCoordinates"
    PHONE_NUMBER = "phoneNumber"
    BLOB = "blob"
    OBJECT = "object"
    OBJECT_ARRAY = "object[]"


class Tokenization(StrEnum):
    """How text is cut into terms."""

    WORD = "word"
    LOWERCASE = "lowercase"
    WHITESPACE = "whitespace"
    FIELD = "field"
    TRIGRAM = "trigram"


class VectorDistances(StrEnum):
    """Distances between vectors."""

    COSINE = "cosine"
    DOT = "dot"
    L2_SQUARED = "l2-squared"
    MANHATTAN = "manhattan"
    HAMMING = "hamming"


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property. None leaves the choice to the server."""

    name: str
    data_type: DataType
    description: str | None = None
    index_filterable: bool | None = None
    index_searchable: bool | None = None
    index_range_filters: bool | None = None
    tokenization: Tokenization | None = None
    nested_properties: Sequence[Property] = ()
    skip_vectorization: bool = False
    vectorize_property_name: bool = False
    """The official client embeds the name unless told otherwise; here it is as the server does."""

    def to_json(self, modules: Sequence[str] = ()) -> Json:
        """The JSON form; `modules` are the vectorizers that the property's settings are for."""
        chosen: Json = {
            "name": self.name,
            "dataType": [self.data_type.value],
            "description": self.description,
            "indexFilterable": self.index_filterable,
            "indexSearchable": self.index_searchable,
            "indexRangeFilters": self.index_range_filters,
            "tokenization": self.tokenization.value if self.tokenization else None,
            "nestedProperties": [item.to_json() for item in self.nested_properties] or None,
        }
        if modules:
            settings = {
                "skip": self.skip_vectorization,
                "vectorizePropertyName": self.vectorize_property_name,
            }
            chosen["moduleConfig"] = dict.fromkeys(modules, settings)
        return _given(chosen)


@dataclass(frozen=True)
class VectorIndex:
    """A vector index and its settings in JSON form."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VectorConfig:
    """One vector of a collection. Without a name it is called `default`."""

    module: str
    name: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    index: VectorIndex | None = None

    def to_json(self) -> Json:
        """The value of this vector in `vectorConfig`."""
        body: Json = {"vectorizer": {self.module: dict(self.settings)}}
        if self.index is not None:
            body |= {
                "vectorIndexType": self.index.kind,
                "vectorIndexConfig": dict(self.index.settings),
            }
        return body


class VectorIndexes:
    """`Configure.VectorIndex`: kinds of vector indexes."""

    MultiVector = MultiVector

    @staticmethod
    def hnsw(
        *,
        distance_metric: VectorDistances | None = None,
        ef: int | None = None,
        ef_construction: int | None = None,
        max_connections: int | None = None,
        dynamic_ef_min: int | None = None,
        dynamic_ef_max: int | None = None,
        dynamic_ef_factor: int | None = None,
        flat_search_cutoff: int | None = None,
    ) -> VectorIndex:
        """A navigable graph: the default."""
        settings = {
            "distance": distance_metric.value if distance_metric else None,
            "ef": ef,
            "efConstruction": ef_construction,
            "maxConnections": max_connections,
            "dynamicEfMin": dynamic_ef_min,
            "dynamicEfMax": dynamic_ef_max,
            "dynamicEfFactor": dynamic_ef_factor,
            "flatSearchCutoff": flat_search_cutoff,
        }
        return VectorIndex("hnsw", _given(settings))

    @staticmethod
    def flat(*, distance_metric: VectorDistances | None = None) -> VectorIndex:
        """An exact scan."""
        settings = {"distance": distance_metric.value if distance_metric else None}
        return VectorIndex("flat", _given(settings))


class Vectors:
    """`Configure.Vectors`: where the vectors of a collection come from."""

    @staticmethod
    def self_provided(
        *, name: str | None = None, vector_index_config: VectorIndex | None = None
    ) -> VectorConfig:
        """The caller brings them."""
        return VectorConfig("none", name, {}, vector_index_config)

    @staticmethod
    def text2vec_model2vec(
        *,
        name: str | None = None,
        source_properties: Sequence[str] | None = None,
        vector_index_config: VectorIndex | None = None,
        vectorize_collection_name: bool = False,
        inference_url: str | None = None,
        model_path: str | None = None,
    ) -> VectorConfig:
        """A static table, in the database's process unless there is an address."""
        settings = {
            "vectorizeClassName": vectorize_collection_name,
            "properties": list(source_properties) if source_properties is not None else None,
            "inferenceUrl": inference_url,
            "modelPath": model_path,
        }
        return VectorConfig("text2vec-model2vec", name, _given(settings), vector_index_config)

    @staticmethod
    def text2vec_transformers(
        *,
        name: str | None = None,
        source_properties: Sequence[str] | None = None,
        vector_index_config: VectorIndex | None = None,
        vectorize_collection_name: bool = False,
        inference_url: str | None = None,
        passage_inference_url: str | None = None,
        query_inference_url: str | None = None,
        pooling_strategy: str | None = None,
        dimensions: int | None = None,
        model_path: str | None = None,
    ) -> VectorConfig:
        """A transformer: a container, or a local ONNX model named by `model_path`."""
        settings = {
            "vectorizeClassName": vectorize_collection_name,
            "properties": list(source_properties) if source_properties is not None else None,
            "inferenceUrl": inference_url,
            "passageInferenceUrl": passage_inference_url,
            "queryInferenceUrl": query_inference_url,
            "poolingStrategy": pooling_strategy,
            "dimensions": dimensions,
            "modelPath": model_path,
        }
        return VectorConfig("text2vec-transformers", name, _given(settings), vector_index_config)

    @staticmethod
    def custom(
        *,
        module_name: str,
        name: str | None = None,
        module_config: Mapping[str, Any] | None = None,
        vector_index_config: VectorIndex | None = None,
    ) -> VectorConfig:
        """Any module by its name."""
        return VectorConfig(module_name, name, dict(module_config or {}), vector_index_config)


class MultiVectors:
    """`Configure.MultiVectors`: vectors that are matrices, one row a token."""

    @staticmethod
    def self_provided(
        *,
        name: str,
        encoding: MultiVectorEncoding | None = None,
        vector_index_config: VectorIndex | None = None,
    ) -> VectorConfig:
        """The caller brings them. Without an encoding, rows are searched one by one."""
        index = vector_index_config or VectorIndex("hnsw")
        settings = {**index.settings, "multivector": MultiVector.settings(encoding)}
        return VectorConfig("none", name, {}, VectorIndex(index.kind, settings))


class Configure:
    """Where descriptions of vectors and indexes begin."""

    Vectors = Vectors
    MultiVectors = MultiVectors
    VectorIndex = VectorIndexes

    @staticmethod
    def inverted_index(
        *,
        bm25_b: float | None = None,
        bm25_k1: float | None = None,
        index_null_state: bool | None = None,
        index_property_length: bool | None = None,
        index_timestamps: bool | None = None,
        stopwords_preset: str | None = None,
        stopwords_additions: Sequence[str] | None = None,
        stopwords_removals: Sequence[str] | None = None,
    ) -> Json:
        """Settings of keyword search and filters."""
        if (bm25_b is None) != (bm25_k1 is None):
            raise ValueError("bm25_b and bm25_k1 are given together")
        stopwords = _given(
            {
                "preset": stopwords_preset,
                "additions": list(stopwords_additions) if stopwords_additions else None,
                "removals": list(stopwords_removals) if stopwords_removals else None,
            }
        )
        return _given(
            {
                "bm25": {"b": bm25_b, "k1": bm25_k1} if bm25_b is not None else None,
                "indexNullState": index_null_state,
                "indexPropertyLength": index_property_length,
                "indexTimestamps": index_timestamps,
                "stopwords": stopwords or None,
            }
        )


def collection_json(
    name: str,
    *,
    description: str | None,
    properties: Sequence[Property],
    vector_config: VectorConfig | Sequence[VectorConfig] | None,
    inverted_index_config: Mapping[str, Any] | None,
) -> Json:
    """The definition that creates a collection. Raises ValueError for two vectors of one name."""
    if vector_config is None:
        vector_config = Vectors.self_provided()
    several = [vector_config] if isinstance(vector_config, VectorConfig) else list(vector_config)
    vectors: dict[str, Json] = {}
    for vector in several:
        key = vector.name or "default"
        if key in vectors:
            raise ValueError(f"two vectors are called {key!r}")
        vectors[key] = vector.to_json()
    modules = sorted({vector.module for vector in several} - {"none"})
    return _given(
        {
            "class": name,
            "description": description,
            "properties": [item.to_json(modules) for item in properties],
            "vectorConfig": vectors,
            "invertedIndexConfig": dict(inverted_index_config) if inverted_index_config else None,
        }
    )


def _given(values: Mapping[str, Any]) -> Json:
    return {key: value for key, value in values.items() if value is not None}
