"""Delta: the inverted entries of one write batch, as bytes; and DeltaWriter, which makes them.

The grammar of the bytes stands in index/kernels/src/segment.h: a delta is one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weftdb.core.codec import encode_text
from weftdb.core.errors import InvalidRequest
from weftdb.core.limits import TERM_BYTES_MAX
from weftdb.core.schema import Tokenization
from weftdb.core.types import DocId
from weftdb.index.analysis import NOT_CUT
from weftdb.index.kernels import _native

TOKENIZATION_CODES = {
    Tokenization.WORD: 0,
    Tokenization.LOWERCASE: 1,
    Tokenization.WHITESPACE: 2,
    Tokenization.FIELD: 3,
    Tokenization.TRIGRAM: 4,
}
"""The tokenizations that native code knows, by its numbers (postings_text.h)."""

_TERM_CHARS_SAFE = TERM_BYTES_MAX // 4
"""A term of so many characters is short enough in any alphabet."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one batch adds. Empty bytes: nothing on that side, nothing has to be stored.

    `first_doc` names the delta in the store; it is the batch's lowest doc id.
    """

    first_doc: DocId
    filterable: bytes
    searchable: bytes


class DeltaWriter:
    """Collects the entries of one batch. Satisfies `FieldSink`."""

    def __init__(self) -> None:
        self._builder = _native.DeltaBuilder()

    def add_values(self, field: bytes, doc_ids: Sequence[int], values: Sequence[bytes]) -> None:
        """Filterable entries: `values[i]` belongs to `doc_ids[i]`; a pair may come twice."""
        self._builder.add_values(field, list(doc_ids), list(values))

    def add_terms(
        self, field: bytes, doc_ids: Sequence[int], terms: Sequence[Sequence[str]]
    ) -> None:
        """Searchable entries: all terms of a doc, repeated ones repeated.

        Raises InvalidRequest for half a surrogate pair.
        """
        rows = [_short_terms(row) for row in terms]
        try:
            self._builder.add_terms(field, list(doc_ids), rows)
        except UnicodeEncodeError:
            raise InvalidRequest("text holds half of a surrogate pair: not valid Unicode") from None

    def add_text(
        self, field: bytes, tokenization: Tokenization, doc_ids: Sequence[int], texts: Sequence[str]
    ) -> NDArray[np.uint32]:
        """Searchable entries cut natively: terms per text, `NOT_CUT` where that was not done
        (letters beyond ASCII, very long texts, a tokenization that native code does not have)."""
        code = TOKENIZATION_CODES.get(tokenization)
        if code is None:
            return np.full(len(texts), NOT_CUT, dtype=np.uint32)
        counts: NDArray[np.uint32] = self._builder.add_text(field, code, list(doc_ids), list(texts))
        return counts

    def lengths(self, field: bytes) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Doc ids and number of terms of every doc that was given for a searchable field."""
        doc_ids, lengths = self._builder.lengths(field)
        return doc_ids, lengths

    def finish(self, first_doc: DocId) -> Delta:
        """Give the delta out; the writer is empty afterwards."""
        filterable, searchable = self._builder.finish()
        return Delta(first_doc, filterable, searchable)


def _short_terms(terms: Sequence[str]) -> list[str | bytes]:
    if all(len(term) <= _TERM_CHARS_SAFE for term in terms):
        return list(terms)
    return [encode_text(term) for term in terms]
