"""The fate of every environment variable that the reference server reads.

HONOURED   a setting of ours does the same (server/settings.py names it)
MAPPED     WeftDB always behaves as the variable asks, whatever its value
IGNORED    it has no meaning here; one line of the log says so
REFUSED    passing over it would weaken safety or change what clients see: the server does not
           start, unless the value switches nothing on

A name that ends or begins with `*` stands for all that begin or end so; a full name goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """What becomes of a variable."""

    HONOURED = "honoured"
    MAPPED = "mapped"
    IGNORED = "ignored"
    REFUSED = "refused"


def _never(_text: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Treatment:
    """A fate, why, and for REFUSED which values ask for nothing."""

    kind: Fate
    reason: str
    is_harmless: Callable[[str], bool] = _never


def _is_off(text: str) -> bool:
    return text.strip().lower() in ("", "false", "off", "0", "disabled", "no")


def _is_on(text: str) -> bool:
    return text.strip().lower() in ("true", "on", "1", "enabled", "yes")


def _is_unlimited(text: str) -> bool:
    return text.strip().startswith("-") or text.strip() == ""


def _is_read_write(text: str) -> bool:
    return text.strip().lower() == "readwrite"


_MODULE = "this build has no module that uses it"
_NO_BACKUP = "this build has no backups yet"
_ENGINE = "it tunes the reference's storage engine, which WeftDB does not have"
_MAINTENANCE = "this build cannot take a node out of service while it runs"
_CLUSTER = "it tunes the reference's consensus and gossip; etcd and leases do that here"
_NO_AUTH = (
    "this build has no authentication or authorization yet, and to start without what was asked "
    "for would leave the data open"
)
_NO_LIMIT = "this build does not enforce usage limits yet"

_MAPPED = {
    "CLUSTER_BASIC_AUTH_USERNAME": "the password alone is what the nodes share",
    "DISABLE_TELEMETRY": "there is no telemetry",
    "DISABLE_LAZY_LOAD_SHARDS": "shards are loaded at the start",
    "HNSW_STARTUP_WAIT_FOR_VECTOR_CACHE": "the server is ready when its vectors are",
    "INVERTED_SORTER_DISABLED": "the planner decides",
    "TRACK_VECTOR_DIMENSIONS": "dimensions are always known",
    "USE_BLOCKMAX_WAND": "keyword search always skips blocks",
    "USE_INVERTED_SEARCHABLE": "keyword search always skips blocks",
}

_REFUSED: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": (_NO_AUTH, _is_on),
    "AUTHENTICATION_APIKEY_ENABLED": (_NO_AUTH, _is_off),
    "AUTHENTICATION_DB_USERS_ENABLED": (_NO_AUTH, _is_off),
    "AUTHENTICATION_OIDC_ENABLED": (_NO_AUTH, _is_off),
    "AUTHORIZATION_ADMINLIST_ENABLED": (_NO_AUTH, _is_off),
    "AUTHORIZATION_ENABLE_RBAC": (_NO_AUTH, _is_off),
    "AUTHORIZATION_RBAC_ENABLED": (_NO_AUTH, _is_off),
    "MAINTENANCE_NODES": (_MAINTENANCE, lambda text: not text.strip()),
    "MAXIMUM_ALLOWED_COLLECTIONS_COUNT": (_NO_LIMIT, _is_unlimited),
    "MAXIMUM_ALLOWED_OBJECTS_COUNT": (_NO_LIMIT, _is_unlimited),
    "MAXIMUM_ALLOWED_SHARDS_PER_COLLECTION": (_NO_LIMIT, _is_unlimited),
    "MAXIMUM_ALLOWED_TENANTS_PER_COLLECTION": (_NO_LIMIT, _is_unlimited),
    "NAMESPACES_ENABLED": ("this build has no namespaces", _is_off),
    "OPERATIONAL_MODE": ("this build always reads and writes", _is_read_write),
}

_IGNORED = {
    "ALLOWED_COMPRESSION_TYPES": _NO_LIMIT,
    "ALLOWED_VECTOR_INDEX_TYPES": _NO_LIMIT,
    "API_BASED_MODULES_DISABLED": _MODULE,
    "ASYNC_INDEXING_*": _ENGINE,
    "ASYNC_REPLICATION_HASHTREE_HEIGHT": "replicas compare trees of one height: see asyncConfig",
    "ASYNC_REPLICATION_HASHTREE_INIT_CONCURRENCY": "hash trees are made as shards are opened",
    "ASYNC_REPLICATION_LOGGING_FREQUENCY": "what is compared stands in the metrics",
    "ASYNC_REPLICATION_ROOT_PREFILTER_BATCH_SIZE": "equal replicas cost one request each",
    "ASYNC_REPLICATION_*": "there is no such choice in comparing replicas",
    "AUTHENTICATION_*": "it belongs to a kind of authentication that is not switched on",
    "AUTHORIZATION_*": "it belongs to a kind of authorization that is not switched on",
    "AWS_ACCESS_KEY": _MODULE,
    "AWS_ACCESS_KEY_ID": _MODULE,
    "AWS_DEFAULT_REGION": _MODULE,
    "AWS_ENDPOINT": _MODULE,
    "AWS_REGION": _MODULE,
    "AWS_SECRET_ACCESS_KEY": _MODULE,
    "AWS_SECRET_KEY": _MODULE,
    "AWS_SESSION_TOKEN": _MODULE,
    "AZURE_*": _MODULE,
    "BACKUP_*": _NO_BACKUP,
    "BIND_INFERENCE_API": _MODULE,
    "BLOCKMAX_*": _ENGINE,
    "BM25_*": _ENGINE,
    "CLIP_*": _MODULE,
    "CLUSTER_*": _CLUSTER,
    "CLUSTER_ADVERTISE_PORT": "it is of the gossip; WEFTDB_CLUSTER_ADVERTISE_PORT is of data",
    "CONTEXTIONARY_URL": _MODULE,
    "CORS_*": "this build sends no CORS headers yet",
    "DATABRICKS_TOKEN": _MODULE,
    "DEBUG_ENDPOINTS_ENABLED": "there are no debug endpoints",
    "DIMENSION_METRICS_DISABLED": "there are no such metrics",
    "DISABLE_GRAPHQL": "this build has no GraphQL yet",
    "DISABLE_RECOVERY_ON_PANIC": _ENGINE,
    "DISABLE_SROAR_MERGE_BUDGET": _ENGINE,
    "DISTRIBUTED_TASKS_*": _CLUSTER,
    "DROP_VECTOR_INDEX_RECONCILE_INTERVAL_SECONDS": _ENGINE,
    "ENABLE_CLEANUP_UNFINISHED_BACKUPS": _NO_BACKUP,
    "ENABLE_MODULES": "the modules of this build are always there; see /v1/meta",
    "ENABLE_TOKENIZER_*": "this build has no such tokenizer; `word` segments Chinese and Japanese",
    "EXPERIMENTAL_*": "this build has no such experiment",
    "EXPORT_*": "this build has no export yet",
    "FAST_FAILURE_DETECTION": _CLUSTER,
    "FLAT_INDEX_DISABLE_FORCED_COMPACTION": _ENGINE,
    "FORCE_FULL_REPLICAS_SEARCH": _CLUSTER,
    "FRIENDLI_TOKEN": _MODULE,
    "GCLOUD_PROJECT": _MODULE,
    "GCP_PROJECT": _MODULE,
    "GCS_MODULE_*": _MODULE,
    "GOOGLE_CLOUD_PROJECT": _MODULE,
    "GO_*": "there is no Go runtime here",
    "GPT4ALL_*": _MODULE,
    "GRPC_IDLE_CONN_TIMEOUT": "idle connections stay open",
    "GRPC_MAX_OPEN_CONNS": "connections are not bounded",
    "HALT_FOR_TRANSFER_TIMEOUT": _CLUSTER,
    "HNSW_*": "the planner of filtered searches decides by itself",
    "IMAGE_INFERENCE_API": _MODULE,
    "INDEX_*": _ENGINE,
    "LAZY_LOAD_*": _ENGINE,
    "MAXIMUM_CONCURRENT_*": "the thread counts of http and grpc bound what runs at a time",
    "MAX_IMPORT_GOROUTINES_FACTOR": _ENGINE,
    "MCP_*": "this build has no such surface",
    "MEMBERLIST_*": _CLUSTER,
    "MINIMUM_INTERNAL_TIMEOUT": _CLUSTER,
    "MODEL2VEC_WAIT_FOR_STARTUP": "a service that is away never keeps the node from starting",
    "NAMESPACE_CLEANUP_INTERVAL": "this build has no namespaces",
    "NER_*": _MODULE,
    "OBJECTS_TTL_*": "expired objects are deleted in one go, at every tick of the schedule",
    "OFFLOAD_*": "this build has no tenants yet",
    "OPENAI_ORGANIZATION": _MODULE,
    "ORIGIN": "links in replies are relative",
    "PERSISTENCE_*": _ENGINE,
    "PROMETHEUS_MONITOR*": "there is no such choice: /metrics has what it has",
    "QNA_*": _MODULE,
    "QUERY_*": "this build has no such limit, or not the feature that it bounds",
    "QUEUE_*": _ENGINE,
    "RAFT_*": _CLUSTER,
    "RECOUNT_PROPERTIES_AT_STARTUP": _ENGINE,
    "REINDEX_*": _ENGINE,
    "REPLICATION_*": _CLUSTER,
    "REPLICA_MOVEMENT_*": _CLUSTER,
    "RERANKER_*": _MODULE,
    "RESTRICTIONS_ERROR_MESSAGE": _NO_LIMIT,
    "REVECTORIZE_CHECK_DISABLED": "texts are embedded again only where they changed",
    "RUNTIME_*": "settings are read once, at the start",
    "SHARD_NOOP_PROVIDER_ENABLED": _ENGINE,
    "SPELLCHECK_INFERENCE_API": _MODULE,
    "SUM_*": _MODULE,
    "SWEEP_OUTPUT": _ENGINE,
    "TELEMETRY_*": "there is no telemetry",
    "TENANT_ACTIVITY_*": "this build has no tenants yet",
    "TEST_DURATION": "it belongs to the reference's own tests",
    "TOMBSTONE_DELETION_*": _ENGINE,
    "TRACK_VECTOR_DIMENSIONS_INTERVAL": _ENGINE,
    "TRANSFER_INACTIVITY_TIMEOUT": _CLUSTER,
    "TRANSFORMERS_WAIT_FOR_STARTUP": "a service that is away never keeps the node from starting",
    "USAGE_*": _NO_LIMIT,
    "USE_GOOGLE_AUTH": _MODULE,
    "USE_T2V_*": _MODULE,
    "VECTOR_DB_UUID": _MODULE,
    "WEAVIATE_*": "it belongs to the reference's previews and tests",
    "*_APIKEY": _MODULE,
}

_EXACT: dict[str, Treatment] = {
    **{name: Treatment(Fate.IGNORED, reason) for name, reason in _IGNORED.items()},
    **{name: Treatment(Fate.MAPPED, reason) for name, reason in _MAPPED.items()},
    **{name: Treatment(Fate.REFUSED, *why) for name, why in _REFUSED.items()},
}
_PREFIXES = {name[:-1]: fate for name, fate in _EXACT.items() if name.endswith("*")}
_SUFFIXES = {name[1:]: fate for name, fate in _EXACT.items() if name.startswith("*")}


def fate_of(name: str) -> Treatment | None:
    """What becomes of a variable that no setting of ours honours; None if it is not known."""
    if name in _EXACT:
        return _EXACT[name]
    fitting = [prefix for prefix in _PREFIXES if name.startswith(prefix)]
    if fitting:
        return _PREFIXES[max(fitting, key=len)]
    for suffix, fate in _SUFFIXES.items():
        if name.endswith(suffix):
            return fate
    return None
