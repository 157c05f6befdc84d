"""OnnxVectorizer: `text2vec-transformers` without a service, by an ONNX model in this process.

A model directory holds `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`, as sentence
transformers are published; `config.json` may bound the length of the input. Token vectors become
one by the mean over the attention mask, or by the first token where the collection says
`poolingStrategy: "cls"`. A model whose first output has two axes has pooled already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import CorruptData, InvalidRequest, ModuleFailure, SchemaViolation
from weftdb.core.types import Rows
from weftdb.modules.local.loading import LoadedModels
from weftdb.modules.local.model_path import resolve_model_path
from weftdb.modules.local.packages import require
from weftdb.modules.local.tokenizer_file import read_tokenizer
from weftdb.modules.settings import check_common, check_keys, read_text

MODULE = "text2vec-transformers"
KEYS = (
    "dimensions",
    "inferenceUrl",
    "modelPath",
    "passageInferenceUrl",
    "poolingStrategy",
    "queryInferenceUrl",
)
POOLING_STRATEGIES = ("masked_mean", "cls")

TEXTS_PER_RUN = 32
"""Texts of similar length run together; more only grows the activations."""

TOKENS_MAX_DEFAULT = 512
"""Length to which texts are cut when `config.json` does not say what the model takes."""


class OnnxModel:
    """A transformer encoder with its tokenizer. Thread-safe: a session may run concurrently."""

    def __init__(self, directory: Path, *, threads: int) -> None:
        """Load. Raises CorruptData, OSError, ModuleFailure (package missing)."""
        runtime = require("onnxruntime", purpose="in-process transformer embedding")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        path = _model_file(directory)
        self._run_errors = _error_types(runtime)
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except self._run_errors as error:
            raise CorruptData(f"{path}: {error}") from error
        self._inputs = [item.name for item in self._session.get_inputs()]
        unknown = set(self._inputs) - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown or "input_ids" not in self._inputs:
            raise CorruptData(f"{path}: unexpected inputs {sorted(self._inputs)}")
        self._tokenizer = read_tokenizer(directory / "tokenizer.json")
        self._tokenizer.enable_truncation(_tokens_max(directory))
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str], *, pooling: str) -> Rows:
        """One vector a text, float32[len(texts), dim]. Raises InvalidRequest, CorruptData."""
        try:
            encodings = self._tokenizer.encode_batch(list(texts))
        except TypeError as error:
            raise InvalidRequest(f"text to embed is not valid Unicode: {error}") from error
        ids = [encoding.ids for encoding in encodings]
        order = sorted(range(len(ids)), key=lambda position: len(ids[position]))
        rows: list[Rows] = []
        for start in range(0, len(order), TEXTS_PER_RUN):
            chosen = order[start : start + TEXTS_PER_RUN]
            rows.append(self._run([ids[position] for position in chosen], pooling=pooling))
        pooled = np.concatenate(rows)
        result = np.empty_like(pooled)
        result[order] = pooled
        return result

    def _run(self, ids: list[list[int]], *, pooling: str) -> Rows:
        width = max(1, max(map(len, ids)))
        tokens = np.zeros((len(ids), width), dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.int64)
        for row, text_ids in enumerate(ids):
            tokens[row, : len(text_ids)] = text_ids
            mask[row, : len(text_ids)] = 1
        values = {
            "input_ids": tokens,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(tokens),
        }
        try:
            output = self._session.run(None, {name: values[name] for name in self._inputs})[0]
        except self._run_errors as error:
            raise CorruptData(f"the model cannot run: {error}") from error
        return _pool(np.asarray(output, dtype=np.float32), mask, pooling=pooling)


def _pool(output: Rows, mask: np.ndarray[Any, np.dtype[np.int64]], *, pooling: str) -> Rows:
    if output.ndim == 2:
        return output
    if output.ndim != 3 or output.shape[:2] != mask.shape:
        raise CorruptData(f"the model's first output has the shape {output.shape}")
    if pooling == "cls":
        return np.ascontiguousarray(output[:, 0])
    weights = mask[:, :, None].astype(np.float32)
    summed = (output * weights).sum(axis=1)
    mean: Rows = summed / np.maximum(weights.sum(axis=1), 1e-9)
    return mean


def _error_types(runtime: Any) -> tuple[type[Exception], ...]:
    """What the runtime raises: a dozen classes of its own without a common root."""
    own = vars(runtime.capi.onnxruntime_pybind11_state).values()
    classes = [item for item in own if isinstance(item, type) and issubclass(item, Exception)]
    return (RuntimeError, ValueError, *classes)


def _model_file(directory: Path) -> Path:
    for candidate in (directory / "model.onnx", directory / "onnx" / "model.onnx"):
        if candidate.is_file():
            return candidate
    raise CorruptData(f"{directory}: has neither model.onnx nor onnx/model.onnx")


def _tokens_max(directory: Path) -> int:
    path = directory / "config.json"
    if not path.is_file():
        return TOKENS_MAX_DEFAULT
    try:
        value = json.loads(path.read_text("utf-8")).get("max_position_embeddings")
    except (ValueError, AttributeError) as error:
        raise CorruptData(f"{path}: not a JSON object: {error}") from error
    return value if isinstance(value, int) and value > 0 else TOKENS_MAX_DEFAULT


class OnnxVectorizer:
    """Embeds with local transformer models. Thread-safe."""

    def __init__(self, config: ModulesConfig) -> None:
        self._config = config
        self._models: LoadedModels[OnnxModel] = LoadedModels(MODULE, self._load)

    @property
    def name(self) -> str:
        """The module name that collections use."""
        return MODULE

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Check a collection's settings. Raises SchemaViolation."""
        check_keys(settings, KEYS, module=MODULE)
        check_common(settings, module=MODULE)
        pooling_strategy(settings)
        self._directory(settings)

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        """One vector a text; query and document are embedded alike. Raises ModuleFailure."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        directory = self._directory(settings)
        model = self._models.get(directory)
        try:
            return model.embed(texts, pooling=pooling_strategy(settings))
        except CorruptData as error:
            raise ModuleFailure(f"module '{MODULE}': {directory}: {error}") from error

    def meta(self) -> Mapping[str, Any]:
        """Say where models are looked for."""
        return {"type": "in-process", "modelsDirectory": self._config.models_directory}

    def _directory(self, settings: Mapping[str, Any]) -> Path:
        path = read_text(settings, "modelPath")
        if not path:
            raise SchemaViolation(
                f"module '{MODULE}': set inferenceUrl, or TRANSFORMERS_INFERENCE_API for the node, "
                "or modelPath to a model in the node's models directory"
            )
        return resolve_model_path(path, self._config, module=MODULE)

    def _load(self, directory: Path | None) -> OnnxModel:
        assert directory is not None, "there is no built-in transformer"
        return OnnxModel(directory, threads=self._config.threads)


def pooling_strategy(settings: Mapping[str, Any]) -> str:
    """The collection's pooling. Raises SchemaViolation for an unknown one."""
    pooling = read_text(settings, "poolingStrategy", default=POOLING_STRATEGIES[0])
    if pooling not in POOLING_STRATEGIES:
        raise SchemaViolation(
            f"module '{MODULE}': poolingStrategy {pooling!r} is none of "
            f"{', '.join(POOLING_STRATEGIES)}"
        )
    return pooling
