"""`text2vec-model2vec`: a model2vec container, or a static table in this process.

Address: `inferenceUrl` of the collection, then the node's; without one, the local table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weftdb.core.config import ModulesConfig
from weftdb.core.types import Rows
from weftdb.modules.http.address import check_address, guard_address
from weftdb.modules.http.container import ContainerClient
from weftdb.modules.local.static import MODULE, StaticVectorizer
from weftdb.modules.settings import read_text


class Model2VecVectorizer:
    """Chooses between service and local table by the collection's settings. Thread-safe."""

    def __init__(self, config: ModulesConfig) -> None:
        self._config = config
        self._container = ContainerClient(MODULE, config)
        self._static = StaticVectorizer(config)

    @property
    def name(self) -> str:
        """The module name that collections use."""
        return MODULE

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Check a collection's settings; contacts nobody. Raises SchemaViolation."""
        self._static.validate(settings)
        self._address(settings)

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        """One row a text, float32[len(texts), dim]. Raises ModuleFailure, SchemaViolation."""
        address = self._address(settings)
        if not address:
            return self._static.embed(texts, settings, is_query=is_query)
        if self._config.validate_urls and address != self._config.model2vec_url.rstrip("/"):
            guard_address(address, module=MODULE)
        config = {"task_type": "query" if is_query else "passage"}
        return self._container.vectors(address, texts, config)

    def meta(self) -> Mapping[str, Any]:
        """Name the service or the model; asks nobody, because probes read this."""
        if self._config.model2vec_url:
            return {"type": "http", "url": self._config.model2vec_url}
        return self._static.meta()

    def _address(self, settings: Mapping[str, Any]) -> str:
        """The service to ask, or nothing for the local table. Raises SchemaViolation."""
        address = read_text(settings, "inferenceUrl")
        if not address and not read_text(settings, "modelPath"):
            address = self._config.model2vec_url
        return check_address(address, module=MODULE, key="inferenceUrl") if address else ""
