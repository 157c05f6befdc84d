"""Registry: the embedding providers of this process, by module name.

Our own come first; other packages add theirs by an entry point:

    [project.entry-points."weftdb.vectorizers"]
    text2vec-mine = "my_package:make_vectorizer"     # (ModulesConfig) -> TextVectorizer

A provider is made at its first use, so a missing or broken one costs nothing until it is wanted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import metadata

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import ModuleFailure, SchemaViolation
from weftdb.modules.model2vec import Model2VecVectorizer
from weftdb.modules.ports import TextVectorizer
from weftdb.modules.transformers import TransformersVectorizer

ENTRY_POINT_GROUP = "weftdb.vectorizers"

OWN: Mapping[str, Callable[[ModulesConfig], TextVectorizer]] = {
    "text2vec-model2vec": Model2VecVectorizer,
    "text2vec-transformers": TransformersVectorizer,
}


class Registry:
    """Makes and keeps providers; satisfies `modules.ports.Vectorizers`. Thread-safe."""

    def __init__(self, config: ModulesConfig | None = None) -> None:
        self._config = config or ModulesConfig()
        self._lock = threading.Lock()
        self._made: dict[str, TextVectorizer] = {}

    def get(self, name: str) -> TextVectorizer:
        """The provider called `name`.

        Raises SchemaViolation if there is none, ModuleFailure if it cannot be loaded.
        """
        made = self._made.get(name)
        if made is not None:
            return made
        with self._lock:
            made = self._made.get(name)
            if made is None:
                made = self._made[name] = self._make(name)
        return made

    def names(self) -> Sequence[str]:
        """Every module name, sorted."""
        return sorted({*OWN, *self._entry_points})

    @cached_property
    def _entry_points(self) -> Mapping[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}

    def _make(self, name: str) -> TextVectorizer:
        if name in OWN:
            return OWN[name](self._config)
        point = self._entry_points.get(name)
        if point is None:
            raise SchemaViolation(f'no module with name "{name}" present')
        try:
            made: TextVectorizer = point.load()(self._config)
        except (ImportError, AttributeError, TypeError, ValueError, OSError) as error:
            raise ModuleFailure(
                f"module '{name}': {point.value} cannot be loaded: {error}"
            ) from error
        return made
