"""In-process transformers, with a model of two lines made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import ModuleFailure, SchemaViolation
from weftdb.modules.transformers import TransformersVectorizer

onnx = pytest.importorskip("onnx", reason="the package onnx makes the test's model")
pytest.importorskip("onnxruntime")
tokenizers = pytest.importorskip("tokenizers")

TABLE = np.array([[9, 9], [1, 0], [0, 1], [5, 5]], dtype=np.float32)
WORDS = ["?", "east", "north", "[CLS]"]


def write_model(directory: Path, inputs: tuple[str, ...] = ("input_ids", "attention_mask")) -> None:
    """A model whose output for a token is that token's row of TABLE."""
    helper, types = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "tiny",
        [helper.make_tensor_value_info(name, types.INT64, ["b", "t"]) for name in inputs],
        [helper.make_tensor_value_info("last_hidden_state", types.FLOAT, ["b", "t", 2])],
        [onnx.numpy_helper.from_array(TABLE, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(directory / "model.onnx"))
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, "?")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(directory / "tokenizer.json"))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    write_model(tmp_path / "tiny")
    return tmp_path


def embed(models: Path, texts: list[str], **settings: object) -> np.ndarray:
    made = TransformersVectorizer(ModulesConfig(models_directory=str(models), threads=1))
    chosen = {"modelPath": "tiny", **settings}
    made.validate(chosen)
    return made.embed(texts, chosen, is_query=False)


def test_means_over_the_attention_mask(models: Path) -> None:
    rows = embed(models, ["east north", "north", "east east east north"])
    np.testing.assert_allclose(rows, [[0.5, 0.5], [0, 1], [0.75, 0.25]])


def test_many_texts_keep_their_order(models: Path) -> None:
    texts = ["east " * (i % 7 + 1) + "north" for i in range(100)]
    rows = embed(models, texts)
    expected = [[(i % 7 + 1) / (i % 7 + 2), 1 / (i % 7 + 2)] for i in range(100)]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


def test_cls_takes_the_first_token(models: Path) -> None:
    assert embed(models, ["north east"], poolingStrategy="cls").tolist() == [[0, 1]]


def test_texts_are_cut_to_what_the_model_takes(models: Path) -> None:
    (models / "tiny" / "config.json").write_text(json.dumps({"max_position_embeddings": 2}))
    assert embed(models, ["east east north north"]).tolist() == [[1, 0]]


def test_no_texts(models: Path) -> None:
    assert embed(models, []).shape == (0, 0)


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        ("model.onnx", "not a model", "model.onnx"),
        ("tokenizer.json", "{", "not a tokenizer"),
        ("config.json", "[]", "config.json"),
    ],
)
def test_damaged_files_are_named(models: Path, file: str, content: str, text: str) -> None:
    (models / "tiny" / file).write_text(content)
    with pytest.raises(ModuleFailure, match=text):
        embed(models, ["east"])


def test_a_missing_model_file_is_named(models: Path) -> None:
    (models / "tiny" / "model.onnx").unlink()
    with pytest.raises(ModuleFailure, match=r"has neither model\.onnx"):
        embed(models, ["east"])


def test_a_model_of_another_kind_is_refused(models: Path) -> None:
    write_model(models / "tiny", inputs=("input_ids", "pixel_values"))
    with pytest.raises(ModuleFailure, match="unexpected inputs"):
        embed(models, ["east"])


def test_a_model_path_must_exist(models: Path) -> None:
    made = TransformersVectorizer(ModulesConfig(models_directory=str(models)))
    with pytest.raises(SchemaViolation, match="is no directory"):
        made.validate({"modelPath": "other"})
