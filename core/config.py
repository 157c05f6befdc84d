"""The settings, one frozen tree, parsed once at the edge.

Only this module reads `os.environ`. Sizes are bytes, times are seconds unless the name says `_ms`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from weftdb.core import limits
from weftdb.core.limits import MiB

NO_SETTING = {"is_setting": False}
"""Of a field that follows from others: no user sets it."""


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """RocksDB's budgets. One block cache and one write buffer for all column families."""

    block_cache_bytes: int = 32 * MiB
    object_cache_bytes: int = 32 * MiB
    """Stored objects kept for replies; 0 keeps none."""
    write_buffer_bytes: int = 32 * MiB
    background_jobs: int = 2
    salvage_log: bool = False
    """Open a store whose log is damaged before its end, with what comes before the damage."""


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """What the in-memory side may use, and how it works in the background."""

    threads: int = 2
    """Native threads that link vectors into the graph."""
    term_cache_bytes: int = 64 * MiB
    """Decoded postings and bitmaps kept for reuse, all shards together."""
    kernels: str = field(default_factory=lambda: os.environ.get("WEFTDB_KERNELS", "auto"))
    """`auto`, `native` or `reference`."""
    engine: str = "native"
    """Of indexes of kind hnsw and hfresh: `native`, or `hnswlib`, the package of that name."""
    originals: str = "disk"
    """Where vectors lie while a quantizer's codes stand for them: `disk` (a nameless file that is
    mapped) or `memory`."""
    snapshot_interval_s: float = 60.0
    tail_scan_s_max: float = 0.0001
    """Writers wait while a search scans vectors that are not linked yet for longer; 0: never."""
    tail_wait_s_max: float = 30.0
    """How long one write waits for that."""


@dataclass(frozen=True, slots=True)
class ResourcesConfig:
    """What the process may take of the machine before it refuses writes. 0 switches a mark off."""

    memory_budget_bytes: int = 0
    """0 takes 90 % of what control group and machine allow."""
    limited: bool = False
    """Take 80 % instead, where no budget is given."""
    memory_warning_percentage: int = 80
    memory_readonly_percentage: int = 0
    disk_warning_percentage: int = 80
    disk_readonly_percentage: int = 90


@dataclass(frozen=True, slots=True)
class QueryConfig:
    """Limits of one read."""

    default_limit: int = limits.QUERY_DEFAULTS_LIMIT
    maximum_results: int = limits.QUERY_MAXIMUM_RESULTS
    hybrid_maximum_results: int = limits.QUERY_HYBRID_MAXIMUM_RESULTS


@dataclass(frozen=True, slots=True)
class SchemaConfig:
    """Defaults that new collections take."""

    auto_schema: bool = True
    auto_schema_text: str = "text"
    auto_schema_number: str = "number"
    auto_schema_date: str = "date"
    default_vectorizer: str = "none"
    default_vector_index: str = "hnsw"
    default_distance: str = "cosine"
    default_quantization: str = ""
    default_tokenization: str = "word"
    default_sharding_count: int = 0
    """DEFAULT_SHARDING_COUNT: shards of a collection that asks for no number; 0: as many as there
    are nodes."""
    async_indexing: bool = False
    """ASYNC_INDEXING: whether a collection may have a dynamic index. Linking itself is always in
    the background."""
    ttl_sweep_interval_s: float = 0.0
    """How often expired objects are deleted; 0 is off, and then no collection may ask for it."""


@dataclass(frozen=True, slots=True)
class ModulesConfig:
    """Where embedding services are, and what in-process embedding may use.

    An empty address means: embed in this process.
    """

    model2vec_url: str = ""
    """MODEL2VEC_INFERENCE_API"""
    transformers_url: str = ""
    """TRANSFORMERS_INFERENCE_API"""
    transformers_passage_url: str = ""
    """TRANSFORMERS_PASSAGE_INFERENCE_API"""
    transformers_query_url: str = ""
    """TRANSFORMERS_QUERY_INFERENCE_API"""
    models_directory: str = ""
    """WEFTDB_MODELS_DIRECTORY: a collection's `modelPath` is looked up below it, nowhere else."""
    timeout_s: float = 50.0
    """MODULES_CLIENT_TIMEOUT: bound of one outgoing call, its retries included."""
    attempts_max: int = 3
    calls_in_parallel_max: int = 8
    """Concurrent calls to a service that takes one text a call."""
    validate_urls: bool = False
    """MODULES_VALIDATE_BASE_URL: refuse addresses of collections that are not https or internal."""
    threads: int = 2
    """Native threads of one in-process model."""


@dataclass(frozen=True, slots=True)
class ReplicationConfig:
    """How replicas of a shard agree."""

    tombstone_grace_s: float = 604_800.0
    """How long deletions are remembered. A node that was away for longer must be emptied before it
    takes part again; every hint must have been played back, and every shard compared, by then."""
    clock_ahead_s_max: float = 3_600.0
    """How far the version of a state that another node sends may be ahead of this node's clock;
    more is refused. Above the difference that clocks may have (`Grace.skew_ms`)."""
    keeps_states: bool = field(default=False, metadata=NO_SETTING)
    """Keep states and hash trees of collections with one replica, too: in a cluster it may be
    copied elsewhere, and copies are made by comparing. Who opens the engine says so."""
    factor_min: int = 1
    """REPLICATION_MINIMUM_FACTOR: collections with fewer replicas are refused."""
    factor_max: int = 0
    """REPLICATION_MAXIMUM_FACTOR: collections with more are; 0 is no bound."""
    moving_bytes_per_s_max: int = 0
    """Of objects that this node sends on to fill and to hand over replicas that move; 0 is no
    bound."""


@dataclass(frozen=True, slots=True)
class ComparingConfig:
    """How replicas are compared in the background, where a collection's `asyncConfig` does not say.

    The names of the fields are those of core/definition/async_replication.py.
    """

    deletion_strategy: str = ""
    """REPLICATION_FORCE_DELETION_STRATEGY: who wins where one replica deleted and another one
    changed, in place of what collections say; nothing: as they say."""
    disabled: bool = False
    """ASYNC_REPLICATION_DISABLED: nothing is compared by a schedule; hints that were lost, and
    replicas that are rebuilt, still are."""
    exchanges_max: int = 2
    """Comparisons that one node runs at a time."""
    period_s: float = 30.0
    period_s_busy: float = 5.0
    diff_batch_objects: int = 1000
    diff_timeout_s: float = 10.0
    pre_propagation_timeout_s: float = 300.0
    propagation_timeout_s: float = 60.0
    propagation_objects_max: int = 1000
    propagation_delay_s: float = 30.0
    propagation_concurrency: int = 1
    propagation_batch_objects: int = 100


@dataclass(frozen=True, slots=True)
class Config:
    """Everything an engine needs to know. The server adds its own tree (server/settings.py)."""

    storage: StorageConfig = field(default_factory=StorageConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    query: QueryConfig = field(default_factory=QueryConfig)
    schema: SchemaConfig = field(default_factory=SchemaConfig)
    modules: ModulesConfig = field(default_factory=ModulesConfig)
    replication: ReplicationConfig = field(default_factory=ReplicationConfig)
    comparing: ComparingConfig = field(default_factory=ComparingConfig)
    node_name: str = "node1"


def read_environment() -> Mapping[str, str]:
    """A copy of the environment; the one place that reads it."""
    return dict(os.environ)
