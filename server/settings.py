"""The settings of a server: one frozen tree, read once from flags, environment and one file.

    flag  >  environment  >  file (--config-file or WEFTDB_CONFIG, YAML)  >  default

Every setting has a path in the tree (`query.default_limit`), which is its place in the file, and a
variable `WEFTDB_QUERY_DEFAULT_LIMIT`. Where the reference has a variable for the same thing, that
name works too. What happens to all other variables of the reference: reference_settings.py.
`deploy/weftdb.sample.yaml` shows every setting; a test holds it to this table.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from weftdb.core.config import Config
from weftdb.core.definition.layout import DELETION_STRATEGIES
from weftdb.core.errors import InvalidRequest
from weftdb.core.limits import GRPC_MESSAGE_BYTES_MAX, SHARDS_PER_COLLECTION_MAX, MiB
from weftdb.core.types import NodeName
from weftdb.server import setting_values as values
from weftdb.server.cluster_settings import (
    KINDS,
    ClusterSettings,
    EtcdServerSettings,
    NodeInCluster,
)
from weftdb.server.reference_settings import Fate, fate_of
from weftdb.server.setting_values import BadValue, Reader

Tree = TypeVar("Tree")

PREFIX = "WEFTDB_"
CONFIG_VARIABLE = "WEFTDB_CONFIG"
_NOT_OURS = ("WEFTDB_SHARED", "WEFTDB_CRASH_SEED", "WEFTDB_FUZZ_TIMES")
"""Variables of the test suite, which may be set where a test starts a server."""


class BadSettings(Exception):
    """Settings that cannot be used; the text names variable or line, value and expectation."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The REST listener."""

    host: str = "127.0.0.1"
    port: int = 8080


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """The gRPC listener; it shares the REST listener's host."""

    port: int = 50_051
    message_bytes_max: int = GRPC_MESSAGE_BYTES_MAX
    certificate: Path | None = None
    key: Path | None = None
    read_threads: int = 4
    write_threads: int = 16


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: str = "info"
    format: str = "text"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """A listener of its own for Prometheus; /metrics of the REST listener is always there."""

    enabled: bool = False
    port: int = 2112


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything that a server needs to know. `engine` is what a library user gives, too."""

    data: Path = Path("data")
    http: HttpSettings = field(default_factory=HttpSettings)
    grpc: GrpcSettings = field(default_factory=GrpcSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    engine: Config = field(default_factory=Config)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    etcd: EtcdServerSettings = field(default_factory=EtcdServerSettings)
    stop_grace_s: float = 8.0

    @property
    def in_cluster(self) -> NodeInCluster:
        """What decides whether this server is a node of a cluster."""
        return NodeInCluster(NodeName(self.engine.node_name), self.cluster, self.etcd)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its path in the tree, what it holds, the reference's variable."""

    path: str
    reader: Reader
    reference: str = ""
    scale: int = 1
    """What one of the reference's units is in ours."""

    @property
    def variable(self) -> str:
        """Our variable."""
        return _OWN_NAMES.get(self.path) or PREFIX + self.path.replace(".", "_").upper()


_OWN_NAMES = {
    "index.kernels": "WEFTDB_KERNELS",
    "modules.models_directory": "WEFTDB_MODELS_DIRECTORY",
}
_TOKENIZATIONS = ("word", "lowercase", "whitespace", "field", "trigram")
_METRICS = ("cosine", "dot", "l2-squared", "manhattan", "hamming")
_LEVELS = ("trace", "debug", "info", "warning", "error", "fatal", "panic")
_QUANTIZERS = ("none", "pq", "bq", "sq", "rq-1", "rq-4", "rq-8")

SETTINGS: tuple[Setting, ...] = (
    Setting("data", values.PATH, "PERSISTENCE_DATA_PATH"),
    Setting("http.host", values.NAME, "HOST"),
    Setting("http.port", values.PORT, "PORT"),
    Setting("grpc.port", values.PORT, "GRPC_PORT"),
    Setting("grpc.message_bytes_max", values.size(1 * MiB), "GRPC_MAX_MESSAGE_SIZE"),
    Setting("grpc.certificate", values.OPTIONAL_PATH, "GRPC_CERT_FILE"),
    Setting("grpc.key", values.OPTIONAL_PATH, "GRPC_KEY_FILE"),
    Setting("grpc.read_threads", values.whole(1, 256)),
    Setting("grpc.write_threads", values.whole(1, 256)),
    Setting("log.level", values.choice(_LEVELS), "LOG_LEVEL"),
    Setting("log.format", values.choice(("text", "json")), "LOG_FORMAT"),
    Setting("metrics.enabled", values.FLAG, "PROMETHEUS_MONITORING_ENABLED"),
    Setting("metrics.port", values.PORT, "PROMETHEUS_MONITORING_PORT"),
    Setting("stop_grace_s", values.duration(0.0)),
    Setting("node_name", values.NAME, "CLUSTER_HOSTNAME"),
    Setting("storage.block_cache_bytes", values.size(1 * MiB)),
    Setting("storage.object_cache_bytes", values.size(0)),
    Setting(
        "storage.write_buffer_bytes",
        values.size(1 * MiB),
        "PERSISTENCE_MEMTABLES_MAX_SIZE_MB",
        scale=MiB,
    ),
    Setting("storage.background_jobs", values.whole(1, 64)),
    Setting("storage.salvage_log", values.FLAG),
    Setting("index.threads", values.whole(1, 256), "GOMAXPROCS"),
    Setting("index.term_cache_bytes", values.size(0)),
    Setting("index.kernels", values.choice(("auto", "native", "reference"))),
    Setting("index.engine", values.choice(("native", "hnswlib"))),
    Setting("index.originals", values.choice(("disk", "memory"))),
    Setting("index.snapshot_interval_s", values.duration(1.0)),
    Setting("index.tail_scan_s_max", values.duration(0.0)),
    Setting("index.tail_wait_s_max", values.duration(0.0)),
    Setting("resources.memory_budget_bytes", values.BUDGET, "GOMEMLIMIT"),
    Setting("resources.limited", values.FLAG, "LIMIT_RESOURCES"),
    Setting(
        "resources.memory_warning_percentage", values.whole(0, 100), "MEMORY_WARNING_PERCENTAGE"
    ),
    Setting(
        "resources.memory_readonly_percentage", values.whole(0, 100), "MEMORY_READONLY_PERCENTAGE"
    ),
    Setting(
        "resources.disk_warning_percentage", values.whole(0, 100), "DISK_USE_WARNING_PERCENTAGE"
    ),
    Setting(
        "resources.disk_readonly_percentage", values.whole(0, 100), "DISK_USE_READONLY_PERCENTAGE"
    ),
    Setting("query.default_limit", values.whole(1), "QUERY_DEFAULTS_LIMIT"),
    Setting("query.maximum_results", values.whole(1), "QUERY_MAXIMUM_RESULTS"),
    Setting("query.hybrid_maximum_results", values.whole(1), "QUERY_HYBRID_MAXIMUM_RESULTS"),
    Setting("schema.auto_schema", values.FLAG, "AUTOSCHEMA_ENABLED"),
    Setting("schema.auto_schema_text", values.choice(("text",)), "AUTOSCHEMA_DEFAULT_STRING"),
    Setting(
        "schema.auto_schema_number", values.choice(("number", "int")), "AUTOSCHEMA_DEFAULT_NUMBER"
    ),
    Setting("schema.auto_schema_date", values.choice(("date", "text")), "AUTOSCHEMA_DEFAULT_DATE"),
    Setting("schema.default_vectorizer", values.NAME, "DEFAULT_VECTORIZER_MODULE"),
    Setting(
        "schema.default_vector_index",
        values.choice(("hnsw", "flat", "dynamic", "hfresh")),
        "DEFAULT_VECTOR_INDEX",
    ),
    Setting("schema.default_distance", values.choice(_METRICS), "DEFAULT_VECTOR_DISTANCE_METRIC"),
    Setting(
        "schema.default_quantization",
        values.choice(_QUANTIZERS, empty=True),
        "DEFAULT_QUANTIZATION",
    ),
    Setting("schema.default_tokenization", values.choice(_TOKENIZATIONS), "DEFAULT_TOKENIZATION"),
    Setting(
        "schema.default_sharding_count",
        values.whole(0, SHARDS_PER_COLLECTION_MAX),
        "DEFAULT_SHARDING_COUNT",
    ),
    Setting("schema.async_indexing", values.FLAG, "ASYNC_INDEXING"),
    Setting("schema.ttl_sweep_interval_s", values.SCHEDULE, "OBJECTS_TTL_DELETE_SCHEDULE"),
    Setting("modules.model2vec_url", values.TEXT, "MODEL2VEC_INFERENCE_API"),
    Setting("modules.transformers_url", values.TEXT, "TRANSFORMERS_INFERENCE_API"),
    Setting("modules.transformers_passage_url", values.TEXT, "TRANSFORMERS_PASSAGE_INFERENCE_API"),
    Setting("modules.transformers_query_url", values.TEXT, "TRANSFORMERS_QUERY_INFERENCE_API"),
    Setting("modules.models_directory", values.TEXT),
    Setting("modules.timeout_s", values.duration(0.1), "MODULES_CLIENT_TIMEOUT"),
    Setting("modules.attempts_max", values.whole(1, 20)),
    Setting("modules.calls_in_parallel_max", values.whole(1, 256)),
    Setting("modules.validate_urls", values.FLAG, "MODULES_VALIDATE_BASE_URL"),
    Setting("modules.threads", values.whole(1, 256)),
    Setting("replication.tombstone_grace_s", values.duration(60.0)),
    Setting("replication.clock_ahead_s_max", values.duration(600.0)),
    Setting("replication.factor_min", values.whole(1), "REPLICATION_MINIMUM_FACTOR"),
    Setting("replication.factor_max", values.whole(0), "REPLICATION_MAXIMUM_FACTOR"),
    Setting("replication.moving_bytes_per_s_max", values.size(0)),
    Setting(
        "comparing.deletion_strategy",
        values.choice(DELETION_STRATEGIES, empty=True),
        "REPLICATION_FORCE_DELETION_STRATEGY",
    ),
    Setting("comparing.disabled", values.FLAG, "ASYNC_REPLICATION_DISABLED"),
    Setting("comparing.exchanges_max", values.whole(1, 64), "ASYNC_REPLICATION_SCHEDULER_WORKERS"),
    Setting("comparing.period_s", values.duration(0.001), "ASYNC_REPLICATION_FREQUENCY"),
    Setting(
        "comparing.period_s_busy",
        values.duration(0.001),
        "ASYNC_REPLICATION_FREQUENCY_WHILE_PROPAGATING",
    ),
    Setting(
        "comparing.diff_batch_objects",
        values.whole(1, 100_000),
        "ASYNC_REPLICATION_DIFF_BATCH_SIZE",
    ),
    Setting(
        "comparing.diff_timeout_s", values.duration(1.0), "ASYNC_REPLICATION_DIFF_PER_NODE_TIMEOUT"
    ),
    Setting(
        "comparing.pre_propagation_timeout_s",
        values.duration(1.0),
        "ASYNC_REPLICATION_PRE_PROPAGATION_TIMEOUT",
    ),
    Setting(
        "comparing.propagation_timeout_s",
        values.duration(1.0),
        "ASYNC_REPLICATION_PROPAGATION_TIMEOUT",
    ),
    Setting(
        "comparing.propagation_objects_max",
        values.whole(1, 1_000_000),
        "ASYNC_REPLICATION_PROPAGATION_LIMIT",
    ),
    Setting(
        "comparing.propagation_delay_s",
        values.duration(0.0),
        "ASYNC_REPLICATION_PROPAGATION_DELAY",
    ),
    Setting(
        "comparing.propagation_concurrency",
        values.whole(1, 20),
        "ASYNC_REPLICATION_PROPAGATION_CONCURRENCY",
    ),
    Setting(
        "comparing.propagation_batch_objects",
        values.whole(1, 10_000),
        "ASYNC_REPLICATION_PROPAGATION_BATCH_SIZE",
    ),
    Setting("cluster.metadata", values.choice(KINDS, empty=True), "CLUSTER_METADATA"),
    Setting("cluster.name", values.NAME),
    Setting("cluster.zone", values.TEXT),
    Setting("cluster.join", values.TEXT, "CLUSTER_JOIN"),
    Setting("cluster.raft_join", values.TEXT, "RAFT_JOIN"),
    Setting("cluster.bootstrap_expect", values.whole(1, 9), "RAFT_BOOTSTRAP_EXPECT"),
    Setting("cluster.bootstrap_timeout_s", values.duration(1.0), "RAFT_BOOTSTRAP_TIMEOUT"),
    Setting("cluster.raft_port", values.PORT, "RAFT_PORT"),
    Setting("cluster.raft_client_port", values.PORT, "RAFT_INTERNAL_RPC_PORT"),
    Setting("cluster.gossip_port", values.PORT, "CLUSTER_GOSSIP_BIND_PORT"),
    Setting("cluster.data_port", values.PORT, "CLUSTER_DATA_BIND_PORT"),
    Setting("cluster.bind", values.TEXT),
    Setting("cluster.advertise_host", values.TEXT, "CLUSTER_ADVERTISE_ADDR"),
    Setting("cluster.advertise_port", values.PORT),
    Setting("cluster.in_localhost", values.FLAG, "CLUSTER_IN_LOCALHOST"),
    Setting("cluster.domain", values.TEXT),
    Setting("cluster.hosts", values.TEXT),
    Setting("cluster.secret", values.TEXT, "CLUSTER_BASIC_AUTH_PASSWORD"),
    Setting("cluster.network_trusted", values.FLAG),
    Setting("cluster.authority", values.OPTIONAL_PATH),
    Setting("cluster.certificate", values.OPTIONAL_PATH),
    Setting("cluster.key", values.OPTIONAL_PATH),
    Setting("etcd.endpoints", values.TEXT),
    Setting("etcd.timeout_s", values.duration(0.5)),
    Setting("etcd.user", values.TEXT),
    Setting("etcd.password", values.TEXT),
    Setting("etcd.authority", values.OPTIONAL_PATH),
    Setting("etcd.certificate", values.OPTIONAL_PATH),
    Setting("etcd.key", values.OPTIONAL_PATH),
    Setting("etcd.binary", values.NAME),
)

_BY_PATH = {setting.path: setting for setting in SETTINGS}
_BY_VARIABLE = {setting.variable: setting for setting in SETTINGS}
_BY_REFERENCE = {setting.reference: setting for setting in SETTINGS if setting.reference}
_SERVER_PARTS = ("http", "grpc", "log", "metrics", "cluster", "etcd")
_SERVER_FIELDS = ("data", "stop_grace_s")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The tree, and what an operator should read about how it came about."""

    settings: ServerSettings
    notes: tuple[str, ...]


def load_settings(
    environment: Mapping[str, str], flags: Mapping[str, str], config_file: str = ""
) -> Loaded:
    """Read all sources; `flags` maps paths to texts. Raises BadSettings."""
    found: dict[str, Any] = {}
    name = config_file or environment.get(CONFIG_VARIABLE, "")
    if name:
        found.update(_read_file(Path(name)))
    found.update(_read_environment(environment))
    for path, text in flags.items():
        found[path] = _read(f"--{path.rpartition('.')[2]}", text, _BY_PATH[path])
    settings = _tree(found)
    _check_together(settings)
    settings = _checked_node(settings, is_named="node_name" in found)
    return Loaded(settings, tuple(_notes(environment)))


def _read(label: str, value: Any, setting: Setting) -> Any:
    try:
        return setting.reader.read(value)
    except BadValue as error:
        raise BadSettings(f"{label}={value!r}: expected {error}") from None


def _read_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield path and value. Of our name and the reference's, ours wins where they agree; where they
    do not, nobody can know what was meant."""
    own: dict[str, tuple[str, Any]] = {}
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE or name in _NOT_OURS:
            continue
        setting = _BY_VARIABLE.get(name)
        if setting is None:
            raise BadSettings(f"{name}={text!r}: there is no such setting")
        own[setting.path] = (name, _read(name, text, setting))
    for name, text in sorted(environment.items()):
        setting = _BY_REFERENCE.get(name)
        if setting is None or not text.strip():
            continue
        value = _read(name, _scaled(name, text, setting), setting)
        ours = own.get(setting.path)
        if ours is not None and ours[1] != value:
            raise BadSettings(
                f"{ours[0]}={environment[ours[0]]!r} and {name}={text!r} set the same to "
                "different values: leave one out"
            )
        yield setting.path, value
    for path, (_, value) in own.items():
        yield path, value


def _scaled(name: str, text: str, setting: Setting) -> str:
    if setting.scale == 1:
        return text
    try:
        return str(int(text) * setting.scale)
    except ValueError:
        raise BadSettings(f"{name}={text!r}: expected a whole number") from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"settings file {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(f"settings file {path} is no YAML: {error}") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise BadSettings(f"settings file {path}: expected names with values at the top")
    found = {}
    for name, value in _leaves(body, ""):
        setting = _BY_PATH.get(name)
        if setting is None:
            raise BadSettings(f"settings file {path}: there is no setting '{name}'")
        found[name] = _read(f"settings file {path}: {name}", value, setting)
    return found


def _leaves(body: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in body.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _leaves(value, name + ".")
        else:
            yield name, "" if value is None else value


def _tree(found: Mapping[str, Any]) -> ServerSettings:
    server: dict[str, Any] = {}
    engine: dict[str, Any] = {}
    for path, value in found.items():
        part, _, name = path.rpartition(".")
        home = server if part in _SERVER_PARTS or path in _SERVER_FIELDS else engine
        if part:
            home.setdefault(part, {})[name] = value
        else:
            home[name] = value
    return _replaced(ServerSettings(engine=_replaced(Config(), engine)), server)


def _replaced(base: Tree, changes: Mapping[str, Any]) -> Tree:
    """`base` with the changes, which are mappings for parts that are trees themselves."""
    replaced = {
        name: _replaced(getattr(base, name), value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return dataclasses.replace(base, **replaced)  # type: ignore[type-var]  # Any dataclass.


def _check_together(settings: ServerSettings) -> None:
    query, grpc = settings.engine.query, settings.grpc
    if query.default_limit > query.maximum_results:
        raise BadSettings(
            f"query.default_limit={query.default_limit} is above "
            f"query.maximum_results={query.maximum_results}"
        )
    if (grpc.certificate is None) != (grpc.key is None):
        raise BadSettings("grpc.certificate and grpc.key go together: one of them is missing")
    ports = [settings.http.port, settings.grpc.port]
    if settings.metrics.enabled:
        ports.append(settings.metrics.port)
    chosen = [port for port in ports if port]
    if len(set(chosen)) != len(chosen):
        raise BadSettings(f"two listeners have the same port: {chosen}")


def _checked_node(settings: ServerSettings, *, is_named: bool) -> ServerSettings:
    """The settings with a name that tells the nodes of a cluster apart. Raises BadSettings."""
    try:
        if settings.in_cluster.is_cluster and not is_named:
            engine = dataclasses.replace(settings.engine, node_name=socket.gethostname())
            settings = dataclasses.replace(settings, engine=engine)
        settings.in_cluster.check()
    except InvalidRequest as error:
        raise BadSettings(str(error)) from None
    factors = settings.engine.replication
    if factors.factor_max and factors.factor_max < factors.factor_min:
        raise BadSettings(
            f"REPLICATION_MINIMUM_FACTOR={factors.factor_min} is above "
            f"REPLICATION_MAXIMUM_FACTOR={factors.factor_max}"
        )
    if factors.factor_min > 1 and not settings.in_cluster.is_cluster:
        raise BadSettings(
            f"REPLICATION_MINIMUM_FACTOR={factors.factor_min}: one node holds one replica"
        )
    return settings


def _notes(environment: Mapping[str, str]) -> Iterator[str]:
    """A line for every variable of the reference that does not do what it says there."""
    for name, text in sorted(environment.items()):
        if name in _BY_REFERENCE or name.startswith(PREFIX) or not text.strip():
            continue
        fate = fate_of(name)
        if fate is None:
            continue
        if fate.kind is Fate.REFUSED and not fate.is_harmless(text):
            raise BadSettings(f"{name}={text!r}: {fate.reason}")
        if fate.kind is Fate.IGNORED:
            yield f"{name} is ignored: {fate.reason}"
