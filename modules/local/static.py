"""StaticVectorizer: `text2vec-model2vec` without a service, by a static table in this process.

The table comes with the package `wordllama` (256 dimensions, English first, MIT licence), or from
a model2vec directory (`model.safetensors`, `tokenizer.json`) that the collection names by
`modelPath`. Loaded at the first text, shared by all collections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weftdb.core.config import ModulesConfig
from weftdb.core.types import Rows
from weftdb.modules.local.loading import LoadedModels
from weftdb.modules.local.model_path import resolve_model_path
from weftdb.modules.local.packages import package_file
from weftdb.modules.local.table import StaticTable
from weftdb.modules.settings import check_common, check_keys, read_text

MODULE = "text2vec-model2vec"
DEFAULT_DISTRIBUTION = "wordllama"
DEFAULT_WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
DEFAULT_TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"


class StaticVectorizer:
    """Embeds with static tables. Thread-safe."""

    def __init__(self, config: ModulesConfig) -> None:
        self._config = config
        self._tables: LoadedModels[StaticTable] = LoadedModels(MODULE, _load_table)

    @property
    def name(self) -> str:
        """The module name that collections use."""
        return MODULE

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Check a collection's settings. Raises SchemaViolation."""
        check_keys(settings, ("inferenceUrl", "modelPath"), module=MODULE)
        check_common(settings, module=MODULE)
        self._directory(settings)

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        """One unit vector a text; query and document are embedded alike."""
        return self._tables.get(self._directory(settings)).embed(texts)

    def meta(self) -> Mapping[str, Any]:
        """Name the model."""
        return {"type": "in-process", "model": DEFAULT_WEIGHTS.rpartition("/")[2]}

    def _directory(self, settings: Mapping[str, Any]) -> Path | None:
        path = read_text(settings, "modelPath")
        return resolve_model_path(path, self._config, module=MODULE) if path else None


def _load_table(directory: Path | None) -> StaticTable:
    if directory is None:
        return StaticTable.load(
            package_file(DEFAULT_DISTRIBUTION, DEFAULT_WEIGHTS),
            package_file(DEFAULT_DISTRIBUTION, DEFAULT_TOKENIZER),
        )
    return StaticTable.load(directory / "model.safetensors", directory / "tokenizer.json")
