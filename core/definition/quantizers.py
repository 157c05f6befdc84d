"""Reads the quantizer objects of a vector index: `pq`, `bq`, `sq`, `rq`.

At most one may be enabled. All of them are in the canonical JSON, those that are off too.
"""

from __future__ import annotations

from typing import Any

from weftdb.core.definition.json_fields import Fields
from weftdb.core.errors import SchemaViolation
from weftdb.core.schema import Compression, Metric, Quantizer

Rendered = dict[str, Any]

RQ_BITS = (8, 4, 1)
RQ_RESCORE_LIMIT = 20
RQ_RESCORE_LIMIT_ONE_BIT = 512
SQ_RESCORE_LIMIT = 20
TRAINING_LIMIT = 100_000
PQ_CENTROIDS = 256
FLAT_RESCORE_LIMIT = -1
HFRESH_RESCORE_LIMIT = 350
ENCODERS = ("kmeans", "tile")
DISTRIBUTIONS = ("log-normal", "normal")
METRICS = (Metric.COSINE, Metric.DOT, Metric.L2_SQUARED)
"""Distances that codes can estimate: those that follow from products and lengths."""


def only_one(names: list[Compression]) -> Compression | None:
    """Return the quantizer that is enabled, if any. Raises SchemaViolation if there are two."""
    if len(names) > 1:
        raise SchemaViolation("invalid hnsw config: more than a single compression methods enabled")
    return names[0] if names else None


def parse_hnsw_quantizers(fields: Fields, default: str) -> tuple[Quantizer | None, Rendered]:
    """Read all four, as an hnsw index has them. `default` ("rq-8", "bq", ...) is switched on where
    the definition names none and does not ask to skip it."""
    is_skipped = fields.flag("skipDefaultQuantization")
    is_tracked = fields.flag("trackDefaultQuantization")
    chosen = {kind: fields.child(kind.value).flag("enabled") for kind in Compression}
    bits = 8
    names_any = any(fields.has(kind.value) for kind in Compression)
    if default and not is_skipped and not names_any:
        kind_by_default, bits = default_quantizer(default)
        chosen[kind_by_default] = True
        is_tracked = True
    pq, rendered_pq = _product(fields.child("pq"))
    sq, rendered_sq = _scalar(fields.child("sq"))
    rq, rendered_rq = _rotational(fields.child("rq"), bits)
    by_kind = {
        Compression.PRODUCT: pq,
        Compression.BINARY: Quantizer(Compression.BINARY),
        Compression.SCALAR: sq,
        Compression.ROTATIONAL: rq,
    }
    kind = only_one([kind for kind, is_on in chosen.items() if is_on])
    rendered: Rendered = {
        "pq": {"enabled": chosen[Compression.PRODUCT], **rendered_pq},
        "bq": {"enabled": chosen[Compression.BINARY]},
        "sq": {"enabled": chosen[Compression.SCALAR], **rendered_sq},
        "rq": {"enabled": chosen[Compression.ROTATIONAL], **rendered_rq},
        "skipDefaultQuantization": is_skipped,
        "trackDefaultQuantization": is_tracked,
    }
    return by_kind[kind] if kind else None, rendered


def check_metric(metric: Metric, quantizer: Quantizer | None, kind: str) -> None:
    """Raise SchemaViolation where codes cannot estimate the distance of an index of `kind`."""
    if quantizer is not None and metric not in METRICS:
        raise SchemaViolation(
            f"invalid {kind} config: {quantizer.kind.value} does not support the distance "
            f"'{metric.value}', choose one of cosine, dot, l2-squared"
        )


def check_dimensions(quantizer: Quantizer | None, dimensions: int) -> None:
    """Raise SchemaViolation where vectors of this length cannot be cut into the segments of pq."""
    if quantizer is None or quantizer.kind is not Compression.PRODUCT or not quantizer.segments:
        return
    if quantizer.encoder == "tile" and quantizer.segments != dimensions:
        raise SchemaViolation(
            "invalid pq config: the tile encoder needs as many segments as dimensions: "
            f"{quantizer.segments} segments, vectors of length {dimensions}"
        )
    if dimensions % quantizer.segments:
        raise SchemaViolation(
            "invalid pq config: segments must divide the length of the vectors: "
            f"{quantizer.segments} segments, vectors of length {dimensions}"
        )


def default_quantizer(setting: str) -> tuple[Compression, int]:
    """Read DEFAULT_QUANTIZATION: kind and, for rq, bits. Raises SchemaViolation."""
    known = {kind.value: (kind, 8) for kind in Compression}
    known |= {f"rq-{bits}": (Compression.ROTATIONAL, bits) for bits in RQ_BITS}
    if setting not in known:
        raise SchemaViolation(
            f"DEFAULT_QUANTIZATION is '{setting}', it should be one of {', '.join(sorted(known))}"
        )
    return known[setting]


def parse_flat_quantizers(fields: Fields) -> tuple[Quantizer | None, Rendered]:
    """Read all four, as a flat index has them: only bq and rq work there."""
    rendered: Rendered = {}
    enabled = []
    by_kind = {}
    for kind in Compression:
        given = fields.child(kind.value)
        is_on = given.flag("enabled")
        rescore = given.integer("rescoreLimit", FLAT_RESCORE_LIMIT)
        cache = given.flag("cache")
        item: Rendered = {"enabled": is_on, "rescoreLimit": rescore, "cache": cache}
        bits = 8
        if kind is Compression.ROTATIONAL:
            bits = item["bits"] = _bits(given, 8)
        rendered[kind.value] = item
        by_kind[kind] = Quantizer(kind, rescore_limit=rescore, cache=cache, bits=bits)
        if is_on:
            enabled.append(kind)
    for kind in (Compression.PRODUCT, Compression.SCALAR):
        if kind in enabled:
            name = kind.value.upper()
            raise SchemaViolation(f"{name} is not currently supported for flat indices")
    kind_on = only_one(enabled)
    rendered["skipDefaultQuantization"] = fields.flag("skipDefaultQuantization")
    rendered["trackDefaultQuantization"] = fields.flag("trackDefaultQuantization")
    return by_kind[kind_on] if kind_on else None, rendered


def parse_hfresh_quantizer(fields: Fields) -> tuple[Quantizer | None, Rendered]:
    """Read `rq` of an hfresh index, on by default with one bit."""
    given = fields.child("rq")
    is_on = given.flag("enabled", default=True)
    bits = _bits(given, 1)
    rescore = given.integer("rescoreLimit", HFRESH_RESCORE_LIMIT)
    rendered = {"enabled": is_on, "bits": bits, "rescoreLimit": rescore}
    quantizer = Quantizer(Compression.ROTATIONAL, rescore_limit=rescore, bits=bits)
    return quantizer if is_on else None, rendered


def _product(fields: Fields) -> tuple[Quantizer, Rendered]:
    encoder = fields.child("encoder")
    # The official client writes `type_`, and sends back the `type` that it read beside it.
    kind = encoder.text("type_") or encoder.text("type") or ENCODERS[0]
    distribution = encoder.text("distribution") or DISTRIBUTIONS[0]
    if kind not in ENCODERS:
        raise SchemaViolation(f"invalid encoder type {kind}")
    if distribution not in DISTRIBUTIONS:
        raise SchemaViolation(f"invalid encoder distribution {distribution}")
    quantizer = Quantizer(
        Compression.PRODUCT,
        training_limit=fields.integer("trainingLimit", TRAINING_LIMIT),
        segments=fields.integer("segments", 0),
        centroids=fields.integer("centroids", PQ_CENTROIDS),
        encoder=kind,
        distribution=distribution,
    )
    _check_training_limit(quantizer)
    if quantizer.segments < 0:
        raise SchemaViolation("invalid pq config: segments must not be negative")
    if not 1 <= quantizer.centroids <= PQ_CENTROIDS:
        raise SchemaViolation(f"invalid pq config: centroids must be between 1 and {PQ_CENTROIDS}")
    rendered: Rendered = {
        "bitCompression": fields.flag("bitCompression"),
        "segments": quantizer.segments,
        "centroids": quantizer.centroids,
        "trainingLimit": quantizer.training_limit,
        "encoder": {"type": kind, "distribution": distribution},
    }
    return quantizer, rendered


def _scalar(fields: Fields) -> tuple[Quantizer, Rendered]:
    training = fields.integer("trainingLimit", TRAINING_LIMIT)
    rescore = fields.integer("rescoreLimit", SQ_RESCORE_LIMIT)
    quantizer = Quantizer(Compression.SCALAR, rescore_limit=rescore, training_limit=training)
    _check_training_limit(quantizer)
    return quantizer, {"trainingLimit": training, "rescoreLimit": rescore}


def _rotational(fields: Fields, default_bits: int) -> tuple[Quantizer, Rendered]:
    bits = _bits(fields, default_bits)
    default = RQ_RESCORE_LIMIT_ONE_BIT if bits == 1 else RQ_RESCORE_LIMIT
    rescore = fields.integer("rescoreLimit", default)
    quantizer = Quantizer(Compression.ROTATIONAL, rescore_limit=rescore, bits=bits)
    return quantizer, {"bits": bits, "rescoreLimit": rescore}


def _check_training_limit(quantizer: Quantizer) -> None:
    if quantizer.training_limit < 1:
        raise SchemaViolation(
            f"invalid {quantizer.kind.value} config: trainingLimit must be a positive integer"
        )


def _bits(fields: Fields, default: int) -> int:
    bits = fields.integer("bits", default)
    if bits not in RQ_BITS:
        raise SchemaViolation("RQ bits must be 8, 4 or 1")
    return bits
