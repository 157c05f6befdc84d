"""In-process static embedding: the built-in table, model directories, damaged files."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import CorruptData, InvalidRequest, ModuleFailure, SchemaViolation
from weftdb.modules.local import packages
from weftdb.modules.local.safetensors import read_matrix
from weftdb.modules.local.static import StaticVectorizer
from weftdb.modules.local.table import TOKENS_COLUMNWISE_MAX, StaticTable

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def vectorizer() -> StaticVectorizer:
    pytest.importorskip("wordllama")
    return StaticVectorizer(ModulesConfig())


def write_safetensors(path: Path, matrix: np.ndarray, **extra: object) -> None:
    header = {
        "table": {
            "dtype": {"float16": "F16", "float32": "F32", "int8": "I8"}[matrix.dtype.name],
            "shape": list(matrix.shape),
            "data_offsets": [0, matrix.nbytes],
        },
        "__metadata__": {"format": "np"},
        **extra,
    }
    data = json.dumps(header).encode()
    path.write_bytes(len(data).to_bytes(8, "little") + data + matrix.tobytes())


def write_tokenizer(path: Path, words: list[str]) -> None:
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, words[0])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(path))


@pytest.fixture
def model_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "models" / "tiny"
    directory.mkdir(parents=True)
    table = np.array([[0, 0], [1, 0], [0, 1]], dtype=np.float16)
    write_safetensors(directory / "model.safetensors", table)
    write_tokenizer(directory / "tokenizer.json", ["?", "east", "north"])
    return directory


def test_near_meanings_are_near(vectorizer: StaticVectorizer) -> None:
    rows = vectorizer.embed(
        ["a fast car on the road", "quick automobile driving", "boil the potatoes in salt water"],
        {},
        is_query=False,
    )
    assert rows.shape == (3, 256)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


def test_a_batch_equals_its_texts_one_by_one(vectorizer: StaticVectorizer) -> None:
    texts = ["one", "", "two words", "long " * (TOKENS_COLUMNWISE_MAX + 50), "ünïcode 漢字 🎉"]
    texts = texts * 60
    together = vectorizer.embed(texts, {}, is_query=False)
    alone = np.vstack([vectorizer.embed([text], {}, is_query=True) for text in texts[:5]])
    np.testing.assert_allclose(together[:5], alone, atol=1e-6)
    np.testing.assert_array_equal(together[:5], together[255:260])


def test_pooling_is_the_mean_of_the_token_rows(model_directory: Path) -> None:
    table = StaticTable.load(
        model_directory / "model.safetensors", model_directory / "tokenizer.json"
    )
    rows = table.embed(["east", "east north north", "", "unknown"])
    expected = np.array([[1, 0], [1 / 5**0.5, 2 / 5**0.5], [0, 0], [0, 0]])
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert table.embed([]).shape == (0, 2)


def test_loads_once_for_many_threads(model_directory: Path) -> None:
    config = ModulesConfig(models_directory=str(model_directory.parent))
    made = StaticVectorizer(config)
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(
                made.embed(["north"], {"modelPath": "tiny"}, is_query=False)
            )
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(results) == 8
    assert len(made._tables._models) == 1


@pytest.mark.parametrize("path", ["../outside", "/etc", "tiny/../../outside"])
def test_a_model_path_cannot_leave_the_models_directory(model_directory: Path, path: str) -> None:
    made = StaticVectorizer(ModulesConfig(models_directory=str(model_directory)))
    with pytest.raises(SchemaViolation, match="leads out of the models directory"):
        made.validate({"modelPath": path})


def test_a_link_out_of_the_models_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "models" / "link").symlink_to(tmp_path / "secret")
    made = StaticVectorizer(ModulesConfig(models_directory=str(tmp_path / "models")))
    with pytest.raises(SchemaViolation, match="leads out"):
        made.validate({"modelPath": "link"})


def test_a_model_path_without_a_models_directory_is_refused() -> None:
    with pytest.raises(SchemaViolation, match="WEFTDB_MODELS_DIRECTORY"):
        StaticVectorizer(ModulesConfig()).validate({"modelPath": "tiny"})


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    made = StaticVectorizer(ModulesConfig(models_directory=str(tmp_path)))
    with pytest.raises(SchemaViolation, match="is no directory"):
        made.validate({"modelPath": "absent"})


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff" * 8,
        (5).to_bytes(8, "little") + b"{}abc",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_damaged_table_names_the_file(model_directory: Path, damage: bytes) -> None:
    (model_directory / "model.safetensors").write_bytes(damage)
    made = StaticVectorizer(ModulesConfig(models_directory=str(model_directory.parent)))
    with pytest.raises(ModuleFailure, match=r"text2vec-model2vec.*tiny.*model.safetensors"):
        made.embed(["x"], {"modelPath": "tiny"}, is_query=False)


def test_a_failed_load_is_tried_again(model_directory: Path) -> None:
    weights = model_directory / "model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    made = StaticVectorizer(ModulesConfig(models_directory=str(model_directory.parent)))
    with pytest.raises(ModuleFailure):
        made.embed(["x"], {"modelPath": "tiny"}, is_query=False)
    weights.write_bytes(kept)
    assert made.embed(["east"], {"modelPath": "tiny"}, is_query=False).tolist() == [[1, 0]]


@pytest.mark.parametrize("content", ["{", "{}", '"text"'])
def test_a_damaged_tokenizer_names_the_file(model_directory: Path, content: str) -> None:
    (model_directory / "tokenizer.json").write_text(content)
    made = StaticVectorizer(ModulesConfig(models_directory=str(model_directory.parent)))
    with pytest.raises(ModuleFailure, match=r"tokenizer\.json: not a tokenizer"):
        made.embed(["x"], {"modelPath": "tiny"}, is_query=False)


def test_a_tokenizer_larger_than_its_table_is_refused(model_directory: Path) -> None:
    write_tokenizer(model_directory / "tokenizer.json", ["?", "a", "b", "c"])
    made = StaticVectorizer(ModulesConfig(models_directory=str(model_directory.parent)))
    with pytest.raises(ModuleFailure, match="knows 4 tokens, the table has 3 rows"):
        made.embed(["x"], {"modelPath": "tiny"}, is_query=False)


def test_table_types_and_shapes_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    write_safetensors(path, np.ones((2, 3), np.float32))
    assert read_matrix(path).tolist() == [[1, 1, 1], [1, 1, 1]]
    for matrix in (np.ones((2, 3), np.int8), np.ones(3, np.float32)):
        write_safetensors(path, matrix)
        with pytest.raises(CorruptData, match=r"tensor type|expected one matrix"):
            read_matrix(path)
    broken = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 999]}
    write_safetensors(path, np.ones(3, np.float32), other=broken)
    with pytest.raises(CorruptData, match="does not fit"):
        read_matrix(path)


def test_text_without_utf8_form_is_refused(model_directory: Path) -> None:
    made = StaticVectorizer(ModulesConfig(models_directory=str(model_directory.parent)))
    with pytest.raises(InvalidRequest, match="not valid Unicode"):
        made.embed(["\ud800"], {"modelPath": "tiny"}, is_query=False)


def test_settings_are_checked() -> None:
    made = StaticVectorizer(ModulesConfig())
    made.validate({"vectorizeClassName": True, "properties": ["title"]})
    for settings, text in (
        ({"inferenceURL": "x"}, "unknown setting 'inferenceURL'"),
        ({"properties": "title"}, "array type, got: str"),
        ({"properties": []}, "at least 1 property"),
        ({"properties": [1]}, "must be a string"),
        ({"vectorizeClassName": "maybe"}, "true or false"),
        ({"modelPath": 1}, "must be text"),
    ):
        with pytest.raises(SchemaViolation, match=text):
            made.validate(settings)


def test_missing_packages_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleFailure, match=r"pip install weftdb\[local\]"):
        packages.require("no_such_package_at_all", purpose="in-process embedding")
    with pytest.raises(ModuleFailure, match=r"not installed: pip install weftdb\[local\]"):
        packages.package_file("no-such-distribution-at-all", "x")
    with pytest.raises(ModuleFailure, match="has no file"):
        packages.package_file("numpy", "no/such/file")
