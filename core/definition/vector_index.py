"""Reads `vectorIndexConfig`: the settings of an index of each kind, quantizers included.

Every reader returns the typed settings and the canonical JSON with every default filled in. Values
of a wrong form raise SchemaViolation with the words that clients know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.quantizers import (
    METRICS,
    Rendered,
    check_dimensions,
    check_metric,
    parse_flat_quantizers,
    parse_hfresh_quantizer,
    parse_hnsw_quantizers,
)
from weftdb.core.errors import SchemaViolation
from weftdb.core.schema import (
    HfreshSettings,
    HnswSettings,
    IndexKind,
    Metric,
    Muvera,
    Quantizer,
    VectorConfig,
)

VECTOR_CACHE_OBJECTS_MAX = 1_000_000_000_000
DYNAMIC_THRESHOLD = 10_000
FILTER_STRATEGIES = ("sweeping", "acorn")
HFRESH_METRICS = (Metric.COSINE, Metric.L2_SQUARED)
MAX_CONNECTIONS_BOUND = 2048
KSIM_MAX = 10


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What one `vectorIndexConfig` says, typed."""

    kind: IndexKind
    metric: Metric
    hnsw: HnswSettings = field(default_factory=HnswSettings)
    hfresh: HfreshSettings = field(default_factory=HfreshSettings)
    quantizer: Quantizer | None = None
    flat_quantizer: Quantizer | None = None
    threshold: int = DYNAMIC_THRESHOLD
    multi_vector: bool = False
    muvera: Muvera | None = None


@dataclass(frozen=True, slots=True)
class IndexDefaults:
    """What the node puts where a definition says nothing."""

    kind: str = "hnsw"
    distance: str = "cosine"
    quantization: str = ""


def parse_index_kind(name: str, defaults: IndexDefaults, *, async_indexing: bool) -> IndexKind:
    """Return the kind that `name` means ("" takes the default). Raises SchemaViolation."""
    try:
        kind = IndexKind(name or defaults.kind)
    except ValueError:
        raise SchemaViolation(f'unrecognized or unsupported vectorIndexType "{name}"') from None
    if kind is IndexKind.DYNAMIC and not async_indexing:
        raise SchemaViolation(
            "the dynamic index can only be created when async indexing is enabled"
        )
    return kind


def parse_index(
    fields: Fields, kind: IndexKind, defaults: IndexDefaults
) -> tuple[IndexSettings, Rendered]:
    """Read the settings of an index of `kind`. Raises SchemaViolation."""
    if kind is IndexKind.HNSW:
        return _hnsw(fields, defaults)
    if kind is IndexKind.FLAT:
        return _flat(fields, defaults)
    if kind is IndexKind.HFRESH:
        return _hfresh(fields, defaults)
    return _dynamic(fields, defaults)


def check_length(vector: VectorConfig | None, dimensions: int) -> None:
    """Raise SchemaViolation where the settings of a vector do not suit vectors of this length."""
    if vector is None or vector.hnsw.skip:
        return
    if vector.muvera is not None:  # Codes are made of encodings.
        dimensions = vector.muvera.length(dimensions)
    check_dimensions(vector.quantizer, dimensions)


def _metric(fields: Fields, defaults: IndexDefaults) -> Metric:
    name = fields.text("distance") or defaults.distance
    try:
        return Metric(name)
    except ValueError:
        choices = ", ".join(f'"{metric.value}"' for metric in Metric)
        raise SchemaViolation(
            f'unrecognized distance metric "{name}", choose one of [{choices}]'
        ) from None


def _hnsw(fields: Fields, defaults: IndexDefaults) -> tuple[IndexSettings, Rendered]:
    metric = _metric(fields, defaults)
    hnsw, rendered = _graph(fields)
    # The node's default is for vectors that it suits; a definition's own choice must suit.
    default = defaults.quantization if metric in METRICS else ""
    quantizer, rendered_quantizers = parse_hnsw_quantizers(fields, default)
    check_metric(metric, quantizer, "hnsw")
    multi_vector, muvera, rendered_multi = _multi_vector(fields, aggregation="maxSim")
    settings = IndexSettings(
        IndexKind.HNSW,
        metric,
        hnsw=hnsw,
        quantizer=quantizer,
        multi_vector=multi_vector,
        muvera=muvera,
    )
    rendered |= {
        "distance": metric.value,
        **rendered_quantizers,
        "filterStrategy": hnsw.filter_strategy,
        "multivector": rendered_multi,
    }
    return settings, rendered


def _graph(fields: Fields) -> tuple[HnswSettings, dict[str, Any]]:
    base = HnswSettings()
    hnsw = HnswSettings(
        ef_construction=fields.integer("efConstruction", base.ef_construction),
        max_connections=fields.integer("maxConnections", base.max_connections),
        ef=fields.integer("ef", base.ef),
        dynamic_ef_min=fields.integer("dynamicEfMin", base.dynamic_ef_min),
        dynamic_ef_max=fields.integer("dynamicEfMax", base.dynamic_ef_max),
        dynamic_ef_factor=fields.integer("dynamicEfFactor", base.dynamic_ef_factor),
        flat_search_cutoff=fields.integer("flatSearchCutoff", base.flat_search_cutoff),
        cleanup_interval_s=fields.integer("cleanupIntervalSeconds", base.cleanup_interval_s),
        filter_strategy=fields.text("filterStrategy") or base.filter_strategy,
        skip=fields.flag("skip"),
        target_recall=fields.number("targetRecall", base.target_recall),
    )
    for name, value in (
        ("maxConnections", hnsw.max_connections),
        ("efConstruction", hnsw.ef_construction),
    ):
        if value < 4:
            raise SchemaViolation(
                f"invalid hnsw config: {name} must be a positive integer with a minimum of 4"
            )
    if not 0.0 <= hnsw.target_recall < 1.0:
        raise SchemaViolation(
            "invalid hnsw config: targetRecall must be at least 0 (off) and less than 1, "
            f"got {hnsw.target_recall}"
        )
    if hnsw.max_connections >= MAX_CONNECTIONS_BOUND:
        raise SchemaViolation(
            f"invalid hnsw config: maxConnections must be less than {MAX_CONNECTIONS_BOUND}"
        )
    if hnsw.filter_strategy not in FILTER_STRATEGIES:
        raise SchemaViolation(
            "invalid hnsw config: filterStrategy must be either 'sweeping' or 'acorn'"
        )
    rendered: dict[str, Any] = {
        "skip": hnsw.skip,
        "cleanupIntervalSeconds": hnsw.cleanup_interval_s,
        "maxConnections": hnsw.max_connections,
        "efConstruction": hnsw.ef_construction,
        "ef": hnsw.ef,
        "dynamicEfMin": hnsw.dynamic_ef_min,
        "dynamicEfMax": hnsw.dynamic_ef_max,
        "dynamicEfFactor": hnsw.dynamic_ef_factor,
        "vectorCacheMaxObjects": fields.integer("vectorCacheMaxObjects", VECTOR_CACHE_OBJECTS_MAX),
        "flatSearchCutoff": hnsw.flat_search_cutoff,
    }
    if hnsw.target_recall:  # Only where it was asked for: clients know the keys of the reference.
        rendered["targetRecall"] = hnsw.target_recall
    return hnsw, rendered


def _multi_vector(
    fields: Fields, *, aggregation: str
) -> tuple[bool, Muvera | None, dict[str, Any]]:
    multi = fields.child("multivector")
    is_enabled = multi.flag("enabled")
    aggregation = multi.text("aggregation") or aggregation
    if aggregation not in ("", "maxSim"):
        raise SchemaViolation(f"invalid multivector aggregation type '{aggregation}'")
    given = multi.child("muvera")
    base = Muvera()
    muvera = Muvera(
        ksim=given.integer("ksim", base.ksim),
        dprojections=given.integer("dprojections", base.dprojections),
        repetitions=given.integer("repetitions", base.repetitions),
    )
    if not 1 <= muvera.ksim <= KSIM_MAX:
        raise SchemaViolation(f"invalid muvera config: ksim must be between 1 and {KSIM_MAX}")
    if min(muvera.dprojections, muvera.repetitions) < 1:
        raise SchemaViolation(
            "invalid muvera config: dprojections and repetitions must be positive"
        )
    is_encoded = given.flag("enabled")
    rendered = {
        "enabled": is_enabled,
        "muvera": {
            "enabled": is_encoded,
            "ksim": muvera.ksim,
            "dprojections": muvera.dprojections,
            "repetitions": muvera.repetitions,
        },
        "aggregation": aggregation,
    }
    return is_enabled, muvera if is_enabled and is_encoded else None, rendered


def _flat(fields: Fields, defaults: IndexDefaults) -> tuple[IndexSettings, Rendered]:
    if fields.child("multivector").flag("enabled"):
        raise SchemaViolation("multi vector is not supported for a flat index")
    metric = _metric(fields, defaults)
    quantizer, rendered_quantizers = parse_flat_quantizers(fields)
    check_metric(metric, quantizer, "flat")
    rendered: Rendered = {
        "distance": metric.value,
        "vectorCacheMaxObjects": fields.integer("vectorCacheMaxObjects", VECTOR_CACHE_OBJECTS_MAX),
        **rendered_quantizers,
    }
    return IndexSettings(IndexKind.FLAT, metric, quantizer=quantizer), rendered


def _hfresh(fields: Fields, defaults: IndexDefaults) -> tuple[IndexSettings, Rendered]:
    metric = _metric(fields, defaults)
    if metric not in HFRESH_METRICS:
        raise SchemaViolation(
            f"invalid hfresh config: unsupported distance type '{metric.value}', HFresh only "
            "supports 'cosine' or 'l2-squared' for the distance metric"
        )
    base = HfreshSettings()
    hfresh = HfreshSettings(
        posting_size_max_kb=fields.integer("maxPostingSizeKB", base.posting_size_max_kb),
        replicas=fields.integer("replicas", base.replicas),
        search_probe=fields.integer("searchProbe", base.search_probe),
    )
    for name, value, low, high in (
        ("maxPostingSizeKB", hfresh.posting_size_max_kb, 8, 1024),
        ("replicas", hfresh.replicas, 1, 10),
        ("searchProbe", hfresh.search_probe, 1, 2**31),
    ):
        if not low <= value <= high:
            raise SchemaViolation(
                f"invalid hfresh config: {name} must be between {low} and {high}, got {value}"
            )
    multi_vector, muvera, rendered_multi = _multi_vector(fields, aggregation="")
    quantizer, rendered_rq = parse_hfresh_quantizer(fields)
    rendered: Rendered = {
        "maxPostingSizeKB": hfresh.posting_size_max_kb,
        "replicas": hfresh.replicas,
        "searchProbe": hfresh.search_probe,
        "distance": metric.value,
        "rq": rendered_rq,
        "multivector": rendered_multi,
    }
    settings = IndexSettings(
        IndexKind.HFRESH,
        metric,
        hfresh=hfresh,
        quantizer=quantizer,
        multi_vector=multi_vector,
        muvera=muvera,
    )
    return settings, rendered


def _dynamic(fields: Fields, defaults: IndexDefaults) -> tuple[IndexSettings, Rendered]:
    metric = _metric(fields, defaults)
    threshold = fields.integer("threshold", DYNAMIC_THRESHOLD)
    if threshold < 1:
        raise SchemaViolation("invalid dynamic config: threshold must be a positive integer")
    inner = IndexDefaults(distance=metric.value, quantization=defaults.quantization)
    hnsw, rendered_hnsw = _hnsw(fields.child("hnsw"), inner)
    flat, rendered_flat = _flat(fields.child("flat"), inner)
    if hnsw.multi_vector:
        raise SchemaViolation("multi vector is not supported for a dynamic index")
    settings = IndexSettings(
        IndexKind.DYNAMIC,
        metric,
        hnsw=hnsw.hnsw,
        quantizer=hnsw.quantizer,
        flat_quantizer=flat.quantizer,
        threshold=threshold,
    )
    rendered: Rendered = {
        "distance": metric.value,
        "threshold": threshold,
        "hnsw": rendered_hnsw,
        "flat": rendered_flat,
    }
    return settings, rendered


__all__ = [
    "IndexDefaults",
    "IndexSettings",
    "parse_index",
    "parse_index_kind",
]
