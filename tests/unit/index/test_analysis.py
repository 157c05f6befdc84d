"""What is indexed of an object, and under which field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from weftdb.core.codec import TRUE, encode_instant, encode_int
from weftdb.core.definition import parse_collection
from weftdb.core.errors import InvalidRequest
from weftdb.core.schema import Tokenization
from weftdb.core.types import DocId
from weftdb.index.analysis import NOT_CUT, CollectionAnalysis, Entry


class RecordingSink:
    """Notes every call; cuts ASCII texts at spaces, as native code would."""

    def __init__(self) -> None:
        self.values: dict[bytes, list[tuple[int, bytes]]] = {}
        self.terms: dict[bytes, dict[int, list[str]]] = {}
        self.native: dict[bytes, dict[int, str]] = {}

    def add_values(self, field: bytes, doc_ids: Sequence[int], values: Sequence[bytes]) -> None:
        assert field not in self.values, "one call a field"
        assert list(doc_ids) == sorted(doc_ids)
        self.values[field] = list(zip(doc_ids, values, strict=True))

    def add_terms(
        self, field: bytes, doc_ids: Sequence[int], terms: Sequence[Sequence[str]]
    ) -> None:
        self.terms[field] = {d: list(t) for d, t in zip(doc_ids, terms, strict=True)}

    def add_text(
        self, field: bytes, tokenization: Tokenization, doc_ids: Sequence[int], texts: Sequence[str]
    ) -> NDArray[np.uint32]:
        assert isinstance(tokenization, Tokenization)
        self.native[field] = {
            doc_id: text for doc_id, text in zip(doc_ids, texts, strict=True) if text.isascii()
        }
        counts = [len(text.split()) if text.isascii() else NOT_CUT for text in texts]
        return np.array(counts, dtype=np.uint32)


def entries(*properties: dict[str, Any]) -> list[Entry]:
    return [Entry(DocId(10 + at), item, 1_000, 2_000) for at, item in enumerate(properties)]


def test_ascii_texts_go_to_native_code_and_others_as_terms() -> None:
    collection = parse_collection(
        {"class": "A", "properties": [{"name": "t", "dataType": ["text"]}]}
    )
    sink = RecordingSink()
    lengths = CollectionAnalysis(collection).write(
        entries({"t": "one two"}, {}, {"t": "Größe der Welt"}, {"t": ""}, {"t": None}), sink
    )
    assert sink.native == {b"t\x00v": {10: "one two"}}
    assert sink.terms == {b"t\x00v": {12: ["größe", "der", "welt"]}}
    assert sink.values == {}
    assert lengths["t"].tolist() == [2, 0, 3, 0, 0]


def test_text_that_is_only_filterable_stands_on_the_filterable_side_once() -> None:
    collection = parse_collection(
        {
            "class": "A",
            "properties": [
                {"name": "t", "dataType": ["text"], "indexSearchable": False},
                {
                    "name": "u",
                    "dataType": ["text"],
                    "indexSearchable": False,
                    "indexFilterable": False,
                },
            ],
        }
    )
    sink = RecordingSink()
    analysis = CollectionAnalysis(collection)
    assert analysis.write(entries({"t": "b a b", "u": "x"}), sink) == {}
    assert sorted(sink.values[b"t\x00v"]) == [(10, b"a"), (10, b"b")]
    assert list(sink.values) == [b"t\x00v"]
    assert analysis.searchable == ()


def test_arrays_are_indexed_by_element_and_searched_as_one_text() -> None:
    collection = parse_collection(
        {
            "class": "A",
            "properties": [
                {"name": "n", "dataType": ["int[]"]},
                {"name": "t", "dataType": ["text[]"]},
            ],
        }
    )
    sink = RecordingSink()
    lengths = CollectionAnalysis(collection).write(
        entries({"n": [3, 1, 3], "t": ["a b", "c"]}, {"n": [], "t": []}), sink
    )
    assert sorted(sink.values[b"n\x00v"]) == [(10, encode_int(1)), (10, encode_int(3))]
    assert sink.terms == {b"t\x00v": {10: ["a", "b", "c"]}}
    assert lengths["t"].tolist() == [3, 0]


def test_states_are_written_where_the_collection_asks() -> None:
    collection = parse_collection(
        {
            "class": "A",
            "invertedIndexConfig": {
                "indexNullState": True,
                "indexPropertyLength": True,
                "indexTimestamps": True,
            },
            "properties": [
                {"name": "n", "dataType": ["int[]"], "indexFilterable": False},
                {"name": "g", "dataType": ["geoCoordinates"], "indexFilterable": False},
            ],
        }
    )
    sink = RecordingSink()
    place = {"latitude": 1.0, "longitude": 2.0}
    CollectionAnalysis(collection).write(entries({"n": [5, 5], "g": place}, {"n": []}), sink)
    assert sink.values == {
        b"n\x00p": [(10, TRUE)],
        b"n\x00l": [(10, encode_int(2))],
        b"_creationTimeUnix\x00v": [(d, encode_instant(10**9)) for d in (10, 11)],
        b"_lastUpdateTimeUnix\x00v": [(d, encode_instant(2 * 10**9)) for d in (10, 11)],
    }


def test_a_value_that_cannot_be_encoded_is_refused() -> None:
    collection = parse_collection(
        {"class": "A", "properties": [{"name": "x", "dataType": ["number"]}]}
    )
    with pytest.raises(InvalidRequest, match="NaN"):
        CollectionAnalysis(collection).write(entries({"x": float("nan")}), RecordingSink())
