"""Stop words: the words that a query leaves out because nearly every text has them."""

from __future__ import annotations

from weftdb.core.errors import SchemaViolation
from weftdb.core.schema import Collection, InvertedConfig, Property, Tokenization

ENGLISH = frozenset(
    (
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is",
        "it", "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there",
        "these", "they", "this", "to", "was", "will", "with",
    )
)  # fmt: skip

PRESETS = {"en": ENGLISH, "none": frozenset[str]()}

NO_STOPWORDS = frozenset[str]()


def stopwords_of(inverted: InvertedConfig) -> frozenset[str]:
    """The stop words of a collection: its preset with additions, without removals.

    Raises SchemaViolation for an unknown preset.
    """
    words = preset_words(inverted, inverted.stopword_preset)
    added = words | {word.lower() for word in inverted.stopword_additions}
    return added - {word.lower() for word in inverted.stopword_removals}


def preset_words(inverted: InvertedConfig, name: str) -> frozenset[str]:
    """The words of a preset, the collection's own presets first. Raises SchemaViolation."""
    own = inverted.stopword_presets.get(name)
    if own is not None:
        return frozenset(word.lower() for word in own)
    if name in PRESETS:
        return PRESETS[name]
    known = ", ".join(sorted({*PRESETS, *inverted.stopword_presets}))
    raise SchemaViolation(f"unknown stopword preset {name!r}, known are: {known}")


def property_stopwords(collection: Collection, item: Property) -> frozenset[str]:
    """The words that queries of `item` leave out; only `word` texts have any.

    A preset of the property takes the place of the collection's stop words.
    """
    if item.tokenization is not Tokenization.WORD:
        return NO_STOPWORDS
    if item.analyzer.stopword_preset is not None:
        return preset_words(collection.inverted, item.analyzer.stopword_preset)
    return stopwords_of(collection.inverted)
