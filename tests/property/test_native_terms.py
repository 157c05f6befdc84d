"""Native code and Python cut a text into the same terms, and write the same bytes for them."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weftdb.core.codec import encode_text
from weftdb.core.limits import TERM_BYTES_MAX
from weftdb.core.schema import Tokenization
from weftdb.index.analysis import NOT_CUT
from weftdb.index.kernels import _native as native
from weftdb.index.tokenizer import tokenizer

CODES = (
    Tokenization.WORD,
    Tokenization.LOWERCASE,
    Tokenization.WHITESPACE,
    Tokenization.FIELD,
    Tokenization.TRIGRAM,
)
"""Position = number that native code knows the tokenization by."""

FIELD = b"t\x00v"
TEXTS = st.one_of(
    st.text(st.characters(max_codepoint=127), max_size=40),
    st.text(st.sampled_from(" \t\n_-'aZ09\x1c\x1f\x00é"), max_size=12),
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(range(len(CODES))), st.lists(TEXTS, min_size=1, max_size=4))
@example(0, ["The Quick-Brown fox_jumps 100%"])
@example(3, ["", " ", "a" * (TERM_BYTES_MAX + 1)])
@example(4, ["ab", "abc", "a b c d"])
def test_both_cut_alike(code: int, texts: list[str]) -> None:
    cut = tokenizer(CODES[code])
    wanted = [cut(text) for text in texts]
    doc_ids = list(range(len(texts)))
    fast = native.DeltaBuilder()
    counts = np.asarray(fast.add_text(FIELD, code, doc_ids, texts))
    for text, count, terms in zip(texts, counts, wanted, strict=True):
        if count == NOT_CUT:
            is_strange = any(letter in text for letter in "\x1c\x1d\x1e\x1f")
            assert is_strange or not text.isascii() or len(text) >= TERM_BYTES_MAX
        else:
            assert count == len(terms)
    left = [at for at, count in enumerate(counts) if count == NOT_CUT]
    if left:
        return  # Order in the bytes is by doc; a mixed batch is compared in the index's own tests.
    slow = native.DeltaBuilder()
    slow.add_terms(FIELD, doc_ids, [[encode_text(term) for term in terms] for terms in wanted])
    assert fast.finish() == slow.finish()
