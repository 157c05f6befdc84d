"""MemoryFields: the inverted index as plain dicts, the twin that tests hold the native one against.

Takes entries as `FieldSink` and reads one side as `FieldReader`. Correct, not fast.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.codec import encode_text
from weftdb.core.schema import Tokenization
from weftdb.index.analysis import NOT_CUT


class MemorySide:
    """One side: (field, value) -> docs. Satisfies `FieldReader`."""

    def __init__(self) -> None:
        self._docs: dict[tuple[bytes, bytes], BitMap] = {}
        self._values: dict[bytes, list[bytes]] = {}

    def add(self, field: bytes, value: bytes, doc_id: int) -> None:
        """Note that the doc holds the value."""
        key = (field, value)
        if key not in self._docs:
            self._docs[key] = BitMap()
            insort(self._values.setdefault(field, []), value)
        self._docs[key].add(doc_id)

    def docs_equal(self, field: bytes, value: bytes) -> BitMap:
        """As `FieldReader`."""
        return BitMap(self._docs.get((field, value), ()))

    def docs_any(self, field: bytes, values: Sequence[bytes]) -> BitMap:
        """As `FieldReader`."""
        return BitMap().union(*[self.docs_equal(field, value) for value in values])

    def docs_between(
        self,
        field: bytes,
        low: bytes | None,
        high: bytes | None,
        *,
        low_inclusive: bool,
        high_inclusive: bool,
    ) -> BitMap:
        """As `FieldReader`."""
        found = [
            value
            for value in self._values.get(field, [])
            if (low is None or value > low or (low_inclusive and value == low))
            and (high is None or value < high or (high_inclusive and value == high))
        ]
        return self.docs_any(field, found)

    def values(self, field: bytes, prefix: bytes = b"") -> Iterator[bytes]:
        """As `FieldReader`."""
        values = self._values.get(field, [])
        for value in values[bisect_left(values, prefix) :]:
            if not value.startswith(prefix):
                return
            yield value

    def docs_present(self, field: bytes) -> BitMap:
        """As `FieldReader`."""
        return self.docs_any(field, self._values.get(field, []))


class MemoryFields:
    """Both sides. Satisfies `FieldSink`; leaves the cutting of texts to the caller."""

    def __init__(self) -> None:
        self.filterable = MemorySide()
        self.searchable = MemorySide()

    def add_values(self, field: bytes, doc_ids: Sequence[int], values: Sequence[bytes]) -> None:
        """As `FieldSink`."""
        for doc_id, value in zip(doc_ids, values, strict=True):
            self.filterable.add(field, value, doc_id)

    def add_terms(
        self, field: bytes, doc_ids: Sequence[int], terms: Sequence[Sequence[str]]
    ) -> None:
        """As `FieldSink`."""
        for doc_id, doc_terms in zip(doc_ids, terms, strict=True):
            for term in doc_terms:
                self.searchable.add(field, encode_text(term), doc_id)

    def add_text(
        self, field: bytes, tokenization: Tokenization, doc_ids: Sequence[int], texts: Sequence[str]
    ) -> NDArray[np.uint32]:
        """As `FieldSink`; cuts nothing."""
        return np.full(len(texts), NOT_CUT, dtype=np.uint32)
