"""Analysis: from the objects of a batch to the entries that the inverted index gets, in columns.

`CollectionAnalysis` is compiled once a schema. Texts that are searchable stand on the searchable
side only, filters read them there; everything else stands on the filterable side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from weftdb.core.codec import TRUE, encode_instant, encode_int
from weftdb.core.schema import Collection, DataType, Property, Tokenization
from weftdb.core.types import DocId
from weftdb.index.fields import (
    CREATED,
    UPDATED,
    VALUE_ENCODERS,
    Encode,
    has_length,
    has_presence,
    has_values,
    length_field,
    presence_field,
    value_field,
)
from weftdb.index.tokenizer import Tokenize, tokenizer_of

NOT_CUT = 0xFFFF_FFFF
"""Length that `FieldSink.add_text` gives for a text that it left to the caller."""

_NANOSECONDS_PER_MS = 1_000_000


class FieldSink(Protocol):
    """Takes the entries of one batch. Doc ids ascend; one may come several times in a row."""

    def add_values(self, field: bytes, doc_ids: Sequence[int], values: Sequence[bytes]) -> None:
        """Filterable entries: `values[i]` belongs to `doc_ids[i]`."""
        ...

    def add_terms(
        self, field: bytes, doc_ids: Sequence[int], terms: Sequence[Sequence[str]]
    ) -> None:
        """Searchable entries: all terms of a doc, in order, repeated ones repeated."""
        ...

    def add_text(
        self, field: bytes, tokenization: Tokenization, doc_ids: Sequence[int], texts: Sequence[str]
    ) -> NDArray[np.uint32]:
        """Searchable entries cut natively: terms per text, `NOT_CUT` where not done."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as analysis sees it. Properties are validated; times in ms since 1970."""

    doc_id: DocId
    properties: Mapping[str, Any]
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class _ValuePlan:
    name: str
    field: bytes
    encode: Encode
    is_array: bool


@dataclass(frozen=True, slots=True)
class _TextPlan:
    name: str
    field: bytes
    tokenize: Tokenize
    tokenization: Tokenization
    is_array: bool
    is_native: bool
    is_searchable: bool


class CollectionAnalysis:
    """What is indexed of the objects of one collection. Immutable."""

    def __init__(self, collection: Collection) -> None:
        items = collection.properties
        inverted = collection.inverted
        self._values = [
            _value_plan(item)
            for item in items
            if has_values(item) and item.data_type is not DataType.TEXT
        ]
        self._texts = [
            _text_plan(item)
            for item in items
            if has_values(item) and item.data_type is DataType.TEXT
        ]
        self._lengths = [
            (item.name, length_field(item.name))
            for item in items
            if inverted.index_property_length and has_length(item)
        ]
        self._presences = [
            (item.name, presence_field(item.name))
            for item in items
            if inverted.index_null_state and has_presence(item)
        ]
        self._has_times = inverted.index_timestamps
        self.searchable = tuple(plan.name for plan in self._texts if plan.is_searchable)
        """Names of the properties whose lengths `write` gives back."""

    def write(self, entries: Sequence[Entry], sink: FieldSink) -> dict[str, NDArray[np.uint32]]:
        """Hand all entries of a batch (ascending doc ids) to `sink`.

        Returns for each searchable property how many terms each object has there, u32[entries].
        Raises InvalidRequest for a value that cannot be encoded; nothing must be kept then.
        """
        for value_plan in self._values:
            _write_values(value_plan, entries, sink)
        self._write_states(entries, sink)
        lengths = {}
        for text_plan in self._texts:
            if text_plan.is_searchable:
                lengths[text_plan.name] = _write_text(text_plan, entries, sink)
            else:
                _write_filter_terms(text_plan, entries, sink)
        return lengths

    def _write_states(self, entries: Sequence[Entry], sink: FieldSink) -> None:
        for name, field in self._presences:
            doc_ids = [e.doc_id for e in entries if is_present(e.properties.get(name))]
            if doc_ids:
                sink.add_values(field, doc_ids, [TRUE] * len(doc_ids))
        for name, field in self._lengths:
            found = [(e.doc_id, value) for e in entries if (value := e.properties.get(name))]
            if found:
                sizes = [encode_int(len(value)) for _, value in found]
                sink.add_values(field, [doc_id for doc_id, _ in found], sizes)
        if self._has_times and entries:
            doc_ids = [e.doc_id for e in entries]
            created = [encode_instant(e.created_ms * _NANOSECONDS_PER_MS) for e in entries]
            updated = [encode_instant(e.updated_ms * _NANOSECONDS_PER_MS) for e in entries]
            sink.add_values(value_field(CREATED), doc_ids, created)
            sink.add_values(value_field(UPDATED), doc_ids, updated)


def is_present(value: Any) -> bool:
    """Whether a value counts as there: not missing, not null, no empty array."""
    return value is not None and value != []


def _value_plan(item: Property) -> _ValuePlan:
    encode = VALUE_ENCODERS[item.data_type]
    return _ValuePlan(item.name, value_field(item.name), encode, item.is_array)


def _text_plan(item: Property) -> _TextPlan:
    assert item.tokenization is not None, f"text property {item.name} without tokenization"
    return _TextPlan(
        name=item.name,
        field=value_field(item.name),
        tokenize=tokenizer_of(item),
        tokenization=item.tokenization,
        is_array=item.is_array,
        is_native=not item.is_array,
        is_searchable=item.searchable,
    )


def _write_values(plan: _ValuePlan, entries: Sequence[Entry], sink: FieldSink) -> None:
    name, encode = plan.name, plan.encode
    doc_ids: list[int] = []
    values: list[bytes] = []
    for entry in entries:
        value = entry.properties.get(name)
        if value is None:
            continue
        if plan.is_array:
            encoded = {encode(item) for item in value}
            values.extend(encoded)
            doc_ids.extend([entry.doc_id] * len(encoded))
        else:
            values.append(encode(value))
            doc_ids.append(entry.doc_id)
    if doc_ids:
        sink.add_values(plan.field, doc_ids, values)


def _write_filter_terms(plan: _TextPlan, entries: Sequence[Entry], sink: FieldSink) -> None:
    encode = VALUE_ENCODERS[DataType.TEXT]
    doc_ids: list[int] = []
    values: list[bytes] = []
    for entry in entries:
        encoded = {encode(term) for term in _terms(plan, entry.properties.get(plan.name))}
        values.extend(encoded)
        doc_ids.extend([entry.doc_id] * len(encoded))
    if doc_ids:
        sink.add_values(plan.field, doc_ids, values)


def _write_text(plan: _TextPlan, entries: Sequence[Entry], sink: FieldSink) -> NDArray[np.uint32]:
    lengths = np.zeros(len(entries), dtype=np.uint32)
    rows = [row for row, entry in enumerate(entries) if entry.properties.get(plan.name)]
    if not rows:
        return lengths
    if plan.is_native:
        doc_ids = [entries[row].doc_id for row in rows]
        texts = [entries[row].properties[plan.name] for row in rows]
        counts = sink.add_text(plan.field, plan.tokenization, doc_ids, texts)
        lengths[rows] = counts
        rows = [rows[at] for at in np.flatnonzero(counts == NOT_CUT)]
    if rows:
        terms = [_terms(plan, entries[row].properties[plan.name]) for row in rows]
        sink.add_terms(plan.field, [entries[row].doc_id for row in rows], terms)
        lengths[rows] = [len(row_terms) for row_terms in terms]
    return lengths


def _terms(plan: _TextPlan, value: Any) -> list[str]:
    if not value:
        return []
    if plan.is_array:
        return [term for item in value for term in plan.tokenize(item)]
    return plan.tokenize(value)
