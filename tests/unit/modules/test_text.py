"""Which text is embedded: the examples of the fact sheet, and moving a query vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weftdb.core.errors import InvalidRequest, SchemaViolation
from weftdb.core.schema import Collection, DataType, Property, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.modules.text import move_away, move_towards, object_text, split_words

OBJECT = {
    "title": "A Title",
    "bodyText": "Some BODY",
    "tags": ["Zed", "alpha"],
    "n": 7,
    "d": "2020-01-02T03:04:05Z",
    "o": {"x": "in"},
    "f": 1.5,
    "b": True,
    "ns": [3, 4],
}


def collection(
    name: str, module: str = "text2vec-transformers", **per_property: dict[str, Any]
) -> Collection:
    types = {
        "title": (DataType.TEXT, False),
        "bodyText": (DataType.TEXT, False),
        "tags": (DataType.TEXT, True),
        "n": (DataType.INT, False),
        "d": (DataType.DATE, False),
        "o": (DataType.OBJECT, False),
        "f": (DataType.NUMBER, False),
        "b": (DataType.BOOLEAN, False),
        "ns": (DataType.INT, True),
        "picture": (DataType.BLOB, False),
    }
    return Collection(
        name=name,
        properties=tuple(
            Property(key, kind, is_array, module_settings={module: per_property.get(key, {})})
            for key, (kind, is_array) in types.items()
        ),
    )


def vector(
    *,
    sources: tuple[str, ...] | None = None,
    module: str = "text2vec-transformers",
    **settings: Any,
) -> VectorConfig:
    return VectorConfig(
        UNNAMED, vectorizer=module, vectorizer_settings=settings, source_properties=sources
    )


def test_joins_class_name_and_texts_in_order_of_names() -> None:
    text = object_text(OBJECT, collection("TrLegacyCase"), vector())
    assert text == "Tr Legacy Case Some BODY Zed alpha A Title"


def test_property_settings_skip_and_name() -> None:
    schema = collection(
        "Any",
        tags={"skip": True},
        title={"vectorizePropertyName": True},
        bodyText={"vectorizePropertyName": "true"},
    )
    text = object_text(OBJECT, schema, vector(vectorizeClassName=False))
    assert text == "body Text Some BODY title A Title"


def test_source_properties_bring_every_scalar_and_ignore_skip() -> None:
    sources = ("title", "n", "d", "o", "f", "b", "ns", "tags", "picture", "absent")
    schema = collection("Any", title={"skip": True})
    text = object_text(
        {**OBJECT, "picture": "aGk="}, schema, vector(sources=sources, vectorizeClassName=False)
    )
    assert text == 'true 2020-01-02T03:04:05Z 1.5 7 3 4 {"x":"in"} Zed alpha A Title'


def test_class_name_stands_in_where_there_is_no_text() -> None:
    assert object_text({"n": 1}, collection("TrVpn"), vector(vectorizeClassName=False)) == "Tr Vpn"


def test_no_text_at_all_means_no_vector() -> None:
    schema = collection("Any")
    assert object_text({"title": ""}, schema, vector(vectorizeClassName=False)) == ""
    lonely = vector(sources=("title",), vectorizeClassName=False)
    assert object_text({"n": 1}, schema, lonely) == ""


def test_null_is_absent_and_unknown_properties_do_not_count() -> None:
    found = object_text({"title": None, "stranger": "x"}, collection("Any"), vector())
    assert found == "Any"


def test_class_name_default_depends_on_the_module() -> None:
    schema = collection("Any", module="text2vec-model2vec")
    assert object_text({"title": "t"}, schema, vector(module="text2vec-model2vec")) == "t"
    assert object_text({"title": "t"}, schema, vector()) == "Any t"


def test_lower_case_covers_everything() -> None:
    text = object_text({"title": "Ä T"}, collection("AbC"), vector(), lowercase=True)
    assert text == "ab c ä t"


def test_a_setting_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(SchemaViolation, match="vectorizeClassName"):
        object_text({}, collection("Any"), vector(vectorizeClassName=3))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("TrLegacyCase", "Tr Legacy Case"),
        ("Mist2", "Mist 2"),
        ("bodyText", "body Text"),
        ("HTTPServer", "HTTP Server"),
        ("plain", "plain"),
        ("a_b", "a _ b"),
        ("", ""),
    ],
)
def test_names_are_split_at_case_and_digits(name: str, words: str) -> None:
    assert split_words(name) == words


def test_moves_towards_and_away() -> None:
    query = np.array([1, 0], dtype=np.float32)
    aim = np.array([0, 1], dtype=np.float32)
    np.testing.assert_allclose(move_towards(query, aim, 1.0), [0.5, 0.5])
    np.testing.assert_allclose(move_towards(query, aim, 0.5), [0.75, 0.25])
    np.testing.assert_allclose(move_towards(query, aim, 0.0), query)
    np.testing.assert_allclose(move_away(query, aim, 1.0), [1.5, -0.5])
    np.testing.assert_allclose(move_away(query, aim, 3.0), [2.5, -1.5])
    assert move_towards(query, aim, 0.5).dtype == move_away(query, aim, 0.5).dtype == np.float32


@pytest.mark.parametrize("force", [1.01, -0.1, float("nan"), float("inf")])
def test_refuses_forces_out_of_range(force: float) -> None:
    row = np.zeros(2, dtype=np.float32)
    with pytest.raises(InvalidRequest, match="force must be between 0 and 1"):
        move_towards(row, row, force)
    if force != 1.01:
        with pytest.raises(InvalidRequest, match="force must not be negative"):
            move_away(row, row, force)


def test_refuses_an_aim_of_another_length() -> None:
    for move in (move_towards, move_away):
        with pytest.raises(InvalidRequest, match="2 dimensions, its aim 3"):
            move(np.zeros(2, np.float32), np.zeros(3, np.float32), 0.5)
