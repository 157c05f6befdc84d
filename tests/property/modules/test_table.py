"""Static embedding equals its definition: the normalised mean of the tokens' rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.modules.local.table import TOKENS_COLUMNWISE_MAX, StaticTable

tokenizers = pytest.importorskip("tokenizers")

WORDS = [f"w{number}" for number in range(20)]
ROWS = np.random.default_rng(7).normal(size=(len(WORDS), 6)).astype(np.float32)

lengths = st.one_of(
    st.integers(0, 6), st.integers(TOKENS_COLUMNWISE_MAX - 1, TOKENS_COLUMNWISE_MAX + 2)
)
texts_of_words = st.builds(
    lambda length, start: [(start + 7 * step) % len(WORDS) for step in range(length)],
    lengths,
    st.integers(0, len(WORDS) - 1),
)


def table() -> StaticTable:
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, WORDS[0])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return StaticTable(ROWS.copy(), tokenizer)


TABLE = table()


@given(st.lists(texts_of_words, max_size=12))
@settings(max_examples=60, deadline=None)
def test_embedding_is_the_normalised_mean(ids: list[list[int]]) -> None:
    found = TABLE.embed([" ".join(WORDS[number] for number in text) for text in ids])
    expected = np.zeros((len(ids), ROWS.shape[1]))
    for position, text in enumerate(ids):
        if text:
            mean = ROWS[text].astype(np.float64).mean(axis=0)
            expected[position] = mean / np.linalg.norm(mean)
    np.testing.assert_allclose(found, expected, atol=2e-4)
