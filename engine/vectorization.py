"""Makes the vectors that an incoming object lacks, with its collection's vectorizers."""

from __future__ import annotations

from collections.abc import Sequence

from weftdb.core.errors import DimensionMismatch, ModuleFailure, SchemaViolation, WeftError
from weftdb.core.objects import ObjectDraft
from weftdb.core.schema import Collection, VectorConfig
from weftdb.modules.ports import Vectorizers
from weftdb.modules.text import object_text

TEXTS_PER_CALL_MAX = 1_000
"""Texts handed to a provider at once: bounds the memory of one call."""


def fill_vectors(
    drafts: Sequence[ObjectDraft], schema: Collection, vectorizers: Vectorizers
) -> list[WeftError | None]:
    """Embed every draft that has no vector where a vectorizer is configured; changes the drafts.

    The result has one entry a draft: the error that keeps it out, or None. An object without any
    text to embed is stored without a vector.
    """
    errors: list[WeftError | None] = [None] * len(drafts)
    for config in schema.vectors:
        if config.vectorizer == "none":
            continue
        wanting = [
            (position, text)
            for position, draft in enumerate(drafts)
            if errors[position] is None and config.name not in draft.vectors
            for text in (object_text(draft.properties, schema, config),)
            if text
        ]
        for start in range(0, len(wanting), TEXTS_PER_CALL_MAX):
            _embed(wanting[start : start + TEXTS_PER_CALL_MAX], drafts, config, vectorizers, errors)
    return errors


def _embed(
    wanting: Sequence[tuple[int, str]],
    drafts: Sequence[ObjectDraft],
    config: VectorConfig,
    vectorizers: Vectorizers,
    errors: list[WeftError | None],
) -> None:
    try:
        vectorizer = vectorizers.get(config.vectorizer)
        rows = vectorizer.embed(
            [text for _, text in wanting], config.vectorizer_settings, is_query=False
        )
    except (ModuleFailure, SchemaViolation, DimensionMismatch) as error:
        for position, _ in wanting:
            errors[position] = error
        return
    assert len(rows) == len(wanting), (len(rows), len(wanting))
    for (position, _), row in zip(wanting, rows, strict=True):
        drafts[position].vectors[config.name] = row
