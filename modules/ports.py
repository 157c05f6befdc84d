"""What a provider must do: small Protocols that the engine calls without knowing who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from weftdb.core.types import Rows


class TextVectorizer(Protocol):
    """Makes vectors of texts. Thread-safe.

    `settings` is the collection's module configuration (`vectorizer_settings`).
    Raises ModuleFailure naming module, address and cause.
    """

    @property
    def name(self) -> str:
        """The module name that collections use, e.g. "text2vec-model2vec"."""
        ...

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Check a collection's settings when it is created. Raises SchemaViolation."""
        ...

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        """One row a text, float32[len(texts), dim]."""
        ...

    def meta(self) -> Mapping[str, Any]:
        """What `/v1/meta` says of this module."""
        ...


class Vectorizers(Protocol):
    """The providers of this process, by module name."""

    def get(self, name: str) -> TextVectorizer:
        """The provider called `name`. Raises SchemaViolation naming the ones there are."""
        ...

    def names(self) -> Sequence[str]:
        """Every module name, sorted."""
        ...
