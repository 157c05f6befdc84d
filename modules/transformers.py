"""`text2vec-transformers`: a transformer container, or an ONNX model in this process.

Address: `inferenceUrl`, then `passageInferenceUrl`/`queryInferenceUrl` of the collection, then the
node's; without any, the collection's `modelPath`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import SchemaViolation
from weftdb.core.types import Rows
from weftdb.modules.http.address import check_address, guard_address
from weftdb.modules.http.container import ContainerClient
from weftdb.modules.local.onnx import KEYS, MODULE, OnnxVectorizer, pooling_strategy
from weftdb.modules.settings import check_common, check_keys, read_count, read_text


class TransformersVectorizer:
    """Chooses between service and local model by the collection's settings. Thread-safe."""

    def __init__(self, config: ModulesConfig) -> None:
        common, passage, query = (
            config.transformers_url,
            config.transformers_passage_url,
            config.transformers_query_url,
        )
        _check_addresses(common, passage, query)
        self._config = config
        self._container = ContainerClient(MODULE, config)
        self._onnx = OnnxVectorizer(config)

    @property
    def name(self) -> str:
        """The module name that collections use."""
        return MODULE

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Check a collection's settings; contacts nobody. Raises SchemaViolation."""
        check_keys(settings, KEYS, module=MODULE)
        check_common(settings, module=MODULE)
        pooling_strategy(settings)
        read_count(settings, "dimensions")
        if not self._address(settings, is_query=False):
            self._onnx.validate(settings)

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        """One row a text, float32[len(texts), dim]. Raises ModuleFailure, SchemaViolation."""
        address = self._address(settings, is_query=is_query)
        if not address:
            return self._onnx.embed(texts, settings, is_query=is_query)
        if self._config.validate_urls and not self._is_own(address):
            guard_address(address, module=MODULE)
        config: dict[str, Any] = {
            "pooling_strategy": pooling_strategy(settings),
            "task_type": "query" if is_query else "passage",
        }
        dimensions = read_count(settings, "dimensions")
        if dimensions is not None:
            config["dimensions"] = dimensions
        return self._container.vectors(address, texts, config)

    def meta(self) -> Mapping[str, Any]:
        """Name the service, or the local models; asks nobody, because probes read this."""
        if self._config.transformers_url:
            return {"type": "http", "url": self._config.transformers_url}
        if self._config.transformers_passage_url:
            return {
                "type": "http",
                "passage": {"url": self._config.transformers_passage_url},
                "query": {"url": self._config.transformers_query_url},
            }
        return self._onnx.meta()

    def _is_own(self, address: str) -> bool:
        config = self._config
        own = (config.transformers_url, config.transformers_passage_url)
        return address in {url.rstrip("/") for url in (*own, config.transformers_query_url)}

    def _address(self, settings: Mapping[str, Any], *, is_query: bool) -> str:
        """The service to ask, or nothing for a local model. Raises SchemaViolation."""
        own = (
            read_text(settings, "inferenceUrl"),
            read_text(settings, "passageInferenceUrl"),
            read_text(settings, "queryInferenceUrl"),
        )
        _check_addresses(*own)
        if not any(own) and not read_text(settings, "modelPath"):
            config = self._config
            own = (
                config.transformers_url,
                config.transformers_passage_url,
                config.transformers_query_url,
            )
        common, passage, query = own
        address = common or (query if is_query else passage)
        return check_address(address, module=MODULE, key="inferenceUrl") if address else ""


def _check_addresses(common: str, passage: str, query: str) -> None:
    """Allow one address for both directions, or one for each. Raises SchemaViolation."""
    if common and (passage or query):
        raise SchemaViolation(
            f"module '{MODULE}': either inferenceUrl or passageInferenceUrl together with "
            "queryInferenceUrl needs to be set, not both"
        )
    for given, other, given_key, other_key in (
        (query, passage, "queryInferenceUrl", "passageInferenceUrl"),
        (passage, query, "passageInferenceUrl", "queryInferenceUrl"),
    ):
        if given and not other:
            raise SchemaViolation(
                f"module '{MODULE}': {given_key} is set but {other_key} is empty, "
                "both needs to be set"
            )
