"""Surroundings: what a definition is checked against beside itself.

Stored definitions are read without: a collection whose reference target is gone, or whose module is
switched off, must still open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weftdb.core.errors import SchemaViolation

TOKENIZER_SWITCHES: Mapping[str, tuple[str, str]] = {
    "gse": ("GSE", "ENABLE_TOKENIZER_GSE"),
    "gse_ch": ("Chinese", "ENABLE_TOKENIZER_GSE_CH"),
    "kagome_ja": ("Japanese", "ENABLE_TOKENIZER_KAGOME_JA"),
    "kagome_kr": ("Korean", "ENABLE_TOKENIZER_KAGOME_KR"),
}
"""Tokenizations with a dictionary: what they are called and what switches them on."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The node as a definition finds it."""

    collections: frozenset[str] = frozenset()
    """Names that references may point to."""
    vectorizers: frozenset[str] = frozenset()
    """Modules that can make vectors; "none" needs no module."""
    tokenizations: frozenset[str] = field(default_factory=frozenset)
    """Which of `TOKENIZER_SWITCHES` are switched on."""
    node_count: int = 1
    factor_default: int = 1
    """Replicas of a collection that asks for no number."""
    async_indexing: bool = False
    deletes_expired: bool = False
    """Whether somebody looks for expired objects."""

    def check_vectorizer(self, name: str) -> None:
        """Raise SchemaViolation if no module called `name` is there."""
        if name != "none" and name not in self.vectorizers:
            raise SchemaViolation(f'vectorizer: no module with name "{name}" present')

    def check_tokenization(self, name: str) -> None:
        """Raise SchemaViolation if the tokenizer is not switched on."""
        if name in TOKENIZER_SWITCHES and name not in self.tokenizations:
            language, switch = TOKENIZER_SWITCHES[name]
            raise SchemaViolation(
                f"the {language} tokenizer is not enabled; set '{switch}' to 'true' to enable"
            )
