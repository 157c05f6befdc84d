"""Reads `invertedIndexConfig`: ranking, stop words, and which pseudo properties are indexed."""

from __future__ import annotations

from typing import Any

from weftdb.core.definition.json_fields import Fields
from weftdb.core.errors import SchemaViolation
from weftdb.core.schema import InvertedConfig

STOPWORD_PRESETS = ("en", "none")
CLEANUP_INTERVAL_S = 60
BM25_K1 = 1.2
BM25_B = 0.75


def parse_inverted(fields: Fields) -> tuple[InvertedConfig, dict[str, Any]]:
    """Return the settings and their canonical JSON. Raises SchemaViolation."""
    k1, b = _ranking(fields)
    interval = fields.integer("cleanupIntervalSeconds", CLEANUP_INTERVAL_S)
    if interval < 0:
        raise SchemaViolation("cleanup interval seconds must be > 0")
    presets = _presets(fields)
    stopwords = fields.child("stopwords")
    preset = stopwords.text("preset") or STOPWORD_PRESETS[0]
    additions, removals = stopwords.texts("additions"), stopwords.texts("removals")
    _check_stopwords(preset, additions or [], removals or [], presets)
    config = InvertedConfig(
        k1=k1,
        b=b,
        stopword_preset=preset,
        stopword_additions=tuple(additions or ()),
        stopword_removals=tuple(removals or ()),
        stopword_presets=presets,
        index_timestamps=fields.flag("indexTimestamps"),
        index_null_state=fields.flag("indexNullState"),
        index_property_length=fields.flag("indexPropertyLength"),
    )
    rendered: dict[str, Any] = {
        "bm25": {"b": b, "k1": k1},
        "cleanupIntervalSeconds": interval or CLEANUP_INTERVAL_S,
        "stopwords": {"additions": additions, "preset": preset, "removals": removals},
        "usingBlockMaxWAND": True,
    }
    for name in ("indexTimestamps", "indexNullState", "indexPropertyLength"):
        if fields.flag(name):
            rendered[name] = True
    if presets:
        rendered["stopwordPresets"] = {name: list(words) for name, words in presets.items()}
    return config, rendered


def _ranking(fields: Fields) -> tuple[float, float]:
    # Half a `bm25` object makes the other half zero; the recorded server does so, and clients
    # always send both.
    is_given = fields.has("bm25")
    bm25 = fields.child("bm25")
    k1 = bm25.number("k1", 0.0 if is_given else BM25_K1)
    b = bm25.number("b", 0.0 if is_given else BM25_B)
    if k1 < 0:
        raise SchemaViolation("BM25.k1 must be >= 0")
    if not 0 <= b <= 1:
        raise SchemaViolation("BM25.b must be >= 0 and <= 1")
    return k1, b


def _presets(fields: Fields) -> dict[str, tuple[str, ...]]:
    presets = fields.child("stopwordPresets")
    out = {}
    for name in presets.body:
        words = presets.texts(name) or []
        if not name.strip():
            raise SchemaViolation("invertedIndexConfig.stopwordPresets: a preset needs a name")
        for word in words:
            if not word.strip():
                raise SchemaViolation(f"stopwordPresets: an empty word in preset '{name}'")
        out[name] = tuple(words)
    return out


def _check_stopwords(
    preset: str, additions: list[str], removals: list[str], presets: dict[str, tuple[str, ...]]
) -> None:
    if preset not in STOPWORD_PRESETS and preset not in presets:
        raise SchemaViolation(f"stopwordPreset '{preset}' does not exist")
    for key, words in (("additions", additions), ("removals", removals)):
        if any(not word.strip() for word in words):
            raise SchemaViolation(f"cannot use whitespace in stopword.{key}")
    for word in additions:
        if word in removals:
            raise SchemaViolation(
                f"found '{word}' in both stopwords.additions and stopwords.removals"
            )
