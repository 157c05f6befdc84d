"""Collections as the engine sees them: typed, complete, immutable.

`core/definition/` reads and writes the JSON form (validation, defaults, updates); nothing else
parses definitions. A `Collection` holds its canonical JSON too, because a client gets back every
key it sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from weftdb.core.types import UNNAMED, VectorName


class DataType(Enum):
    """Element type of a property; arrays say so in `Property.is_array`."""

    TEXT = "text"
    INT = "int"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    UUID = "uuid"
    BLOB = "blob"
    BLOB_HASH = "blobHash"
    GEO = "geoCoordinates"
    PHONE = "phoneNumber"
    OBJECT = "object"
    REFERENCE = "cref"


class Tokenization(Enum):
    """How text becomes terms (index/tokenizer.py)."""

    WORD = "word"
    LOWERCASE = "lowercase"
    WHITESPACE = "whitespace"
    FIELD = "field"
    TRIGRAM = "trigram"
    GSE = "gse"
    GSE_CH = "gse_ch"
    KAGOME_JA = "kagome_ja"
    KAGOME_KR = "kagome_kr"


class Metric(Enum):
    """Distance between two vectors; smaller is closer."""

    COSINE = "cosine"
    DOT = "dot"
    L2_SQUARED = "l2-squared"
    MANHATTAN = "manhattan"
    HAMMING = "hamming"


class IndexKind(Enum):
    """Structure that answers nearest-neighbour searches."""

    HNSW = "hnsw"
    FLAT = "flat"
    DYNAMIC = "dynamic"
    HFRESH = "hfresh"


@dataclass(frozen=True, slots=True)
class TextAnalyzer:
    """What happens to text before it is cut into terms."""

    ascii_fold: bool = False
    ascii_fold_ignore: tuple[str, ...] = ()
    stopword_preset: str | None = None


@dataclass(frozen=True)
class Property:
    """One property. For references `data_type` is REFERENCE and `targets` names collections."""

    name: str
    data_type: DataType
    is_array: bool = False
    tokenization: Tokenization | None = None
    filterable: bool = True
    searchable: bool = False
    range_filters: bool = False
    analyzer: TextAnalyzer = TextAnalyzer()
    nested: tuple[Property, ...] = ()
    targets: tuple[str, ...] = ()
    module_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class HnswSettings:
    """`vectorIndexConfig` of an hnsw index (also the hnsw half of dynamic)."""

    ef_construction: int = 128
    max_connections: int = 32
    ef: int = -1
    dynamic_ef_min: int = 100
    dynamic_ef_max: int = 500
    dynamic_ef_factor: int = 8
    flat_search_cutoff: int = 40_000
    cleanup_interval_s: int = 300
    filter_strategy: str = "acorn"
    skip: bool = False
    target_recall: float = 0.0
    """An extension: where `ef` is not set, it is tuned to reach this recall; 0 is off."""

    def ef_for(self, k: int) -> int:
        """Candidates to keep for `k` results: fixed, or k x factor between the bounds."""
        if self.ef > 0:
            return max(self.ef, k)
        bounded = min(max(k * self.dynamic_ef_factor, self.dynamic_ef_min), self.dynamic_ef_max)
        return max(bounded, k)


class Compression(Enum):
    """How the vectors in an index are made smaller."""

    PRODUCT = "pq"
    BINARY = "bq"
    SCALAR = "sq"
    ROTATIONAL = "rq"


@dataclass(frozen=True)
class Quantizer:
    """The quantizer of an index that is switched on. Settings that its kind does not have keep
    their defaults; `rescore_limit` -1 leaves the number to the index."""

    kind: Compression
    rescore_limit: int = -1
    training_limit: int = 100_000
    bits: int = 8
    segments: int = 0
    """0 chooses by the dimension."""
    centroids: int = 256
    encoder: str = "kmeans"
    distribution: str = "log-normal"
    cache: bool = False


ENCODING_LENGTH_MAX = 65_536
"""Longer encodings are folded."""


@dataclass(frozen=True)
class Muvera:
    """How a multi-vector becomes one vector of fixed length."""

    ksim: int = 4
    dprojections: int = 16
    repetitions: int = 10

    def length(self, dimensions: int) -> int:
        """Length of the encoding of rows of `dimensions` (index/kernels/src/muvera.h)."""
        length = (1 << self.ksim) * min(self.dprojections, dimensions) * self.repetitions
        return min(length, ENCODING_LENGTH_MAX)


@dataclass(frozen=True)
class HfreshSettings:
    """`vectorIndexConfig` of an hfresh index."""

    posting_size_max_kb: int = 48
    replicas: int = 4
    search_probe: int = 256


@dataclass(frozen=True)
class ObjectTtl:
    """When objects expire: `lifetime_s` after the creation, the last update or a date property."""

    delete_on: str
    lifetime_s: int
    filter_expired: bool = False


@dataclass(frozen=True)
class VectorConfig:
    """One vector of a collection. `vectorizer` is "none" or a module's name.

    `quantizer` belongs to the index of the kind given; of a dynamic index it is the quantizer of
    the hnsw half, and `flat_quantizer` that of the flat half.
    """

    name: VectorName
    index: IndexKind = IndexKind.HNSW
    metric: Metric = Metric.COSINE
    hnsw: HnswSettings = HnswSettings()
    vectorizer: str = "none"
    vectorizer_settings: Mapping[str, Any] = field(default_factory=dict)
    source_properties: tuple[str, ...] | None = None
    multi_vector: bool = False
    quantizer: Quantizer | None = None
    flat_quantizer: Quantizer | None = None
    dynamic_threshold: int = 10_000
    muvera: Muvera | None = None
    hfresh: HfreshSettings = HfreshSettings()


@dataclass(frozen=True)
class InvertedConfig:
    """`invertedIndexConfig`."""

    k1: float = 1.2
    b: float = 0.75
    stopword_preset: str = "en"
    stopword_additions: tuple[str, ...] = ()
    stopword_removals: tuple[str, ...] = ()
    stopword_presets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index_timestamps: bool = False
    index_null_state: bool = False
    index_property_length: bool = False


@dataclass(frozen=True)
class Collection:
    """One collection: what its objects look like and how they are indexed.

    `definition` is the canonical JSON, every default filled in. `is_named` tells whether vectors
    have names; if not, there is at most one, called `UNNAMED`.
    """

    name: str
    properties: tuple[Property, ...] = ()
    vectors: tuple[VectorConfig, ...] = ()
    inverted: InvertedConfig = InvertedConfig()
    is_named: bool = False
    multi_tenant: bool = False
    auto_tenant_creation: bool = False
    auto_tenant_activation: bool = False
    shard_count: int = 1
    """Shards of a collection without tenants; with tenants each tenant is a shard."""
    replication_factor: int = 1
    hash_tree_height: int = 16
    """Of the trees that replicas of a shard compare (engine/hash_tree.py): 2**height leaves."""
    ttl: ObjectTtl | None = None
    definition: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @cached_property
    def property_by_name(self) -> Mapping[str, Property]:
        """Properties by their name."""
        return {item.name: item for item in self.properties}

    @cached_property
    def vector_by_name(self) -> Mapping[VectorName, VectorConfig]:
        """Vectors by their name; the single one of an unnamed collection is under `UNNAMED`."""
        return {item.name: item for item in self.vectors}

    @cached_property
    def only_vector(self) -> VectorName | None:
        """The vector that is meant when none is named, or None if there is no single one."""
        if not self.is_named:
            return UNNAMED if self.vectors else None
        return self.vectors[0].name if len(self.vectors) == 1 else None


def canonical_collection_name(name: str) -> str:
    """Upper-case the first letter: `article` and `Article` are one collection. Every entrance
    (REST, gRPC, filters, references, command line) calls this one function."""
    return name[:1].upper() + name[1:]


def canonical_property_name(name: str) -> str:
    """Lower-case the first letter, as the reference does for properties."""
    return name[:1].lower() + name[1:]
