"""StaticTable: one vector a token; a text is the normalised mean of its tokens' vectors.

This is the shape of model2vec and wordllama models. No network runs: the work is tokenizing and
adding rows, so a core embeds ten thousands of short texts a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import CorruptData, InvalidRequest
from weftdb.core.types import Rows
from weftdb.modules.local.safetensors import read_matrix
from weftdb.modules.local.tokenizer_file import read_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEXTS_PER_STEP = 256
"""Texts pooled together: their sums (256 x 256 float32) stay in the second-level cache."""

TOKENS_COLUMNWISE_MAX = 256
"""Longer texts are summed one by one, so that few long ones do not cost a step a token."""

TEXTS_ONE_BY_ONE_MAX = 4
"""Up to here (a query, above all) arranging columns costs more than it saves."""


class StaticTable:
    """Embeds texts by a table. Immutable, hence thread-safe."""

    def __init__(self, rows: Rows, tokenizer: Tokenizer) -> None:
        if tokenizer.get_vocab_size() > len(rows):
            raise CorruptData(
                f"the tokenizer knows {tokenizer.get_vocab_size()} tokens, "
                f"the table has {len(rows)} rows"
            )
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._rows = rows
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, weights: Path, tokenizer: Path) -> StaticTable:
        """Read a model. Raises CorruptData, OSError, ModuleFailure (package missing)."""
        return cls(read_matrix(weights), read_tokenizer(tokenizer))

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return int(self._rows.shape[1])

    def embed(self, texts: Sequence[str]) -> Rows:
        """One unit vector a text, float32[len(texts), dimensions]; zeros for a text without tokens.

        Raises InvalidRequest for text that has no UTF-8 form.
        """
        pooled = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), TEXTS_PER_STEP):
            batch = list(texts[start : start + TEXTS_PER_STEP])
            self._sum_tokens(self._token_ids(batch), pooled[start : start + len(batch)])
        norms = np.linalg.norm(pooled, axis=1, keepdims=True)
        np.divide(pooled, norms, out=pooled, where=norms > 0)
        return pooled

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        try:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            raise InvalidRequest(f"text to embed is not valid Unicode: {error}") from error
        return [encoding.ids for encoding in encodings]

    def _sum_tokens(self, ids: list[list[int]], sums: Rows) -> None:
        """Add up token rows, a column of tokens at a time, longest text first."""
        lengths = np.fromiter(map(len, ids), np.intp, len(ids))
        order = np.argsort(-lengths, kind="stable")
        is_long = lengths > (TOKENS_COLUMNWISE_MAX if len(ids) > TEXTS_ONE_BY_ONE_MAX else 0)
        for position in np.flatnonzero(is_long):
            sums[position] = self._rows[ids[position]].sum(axis=0)
        order = order[np.count_nonzero(is_long) :]
        if len(order) == 0 or lengths[order[0]] == 0:
            return
        ordered = np.zeros((len(order), sums.shape[1]), dtype=np.float32)
        columns = _columns([ids[position] for position in order], lengths[order])
        for column in columns:
            ordered[: len(column)] += self._rows[column]
        sums[order] = ordered


def _columns(ids: list[list[int]], lengths: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Cut token lists, longest first, into columns: the n-th tokens of all texts that have one."""
    flat = np.fromiter(chain.from_iterable(ids), np.intp, int(lengths.sum()))
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    counts = np.searchsorted(-lengths, -np.arange(lengths[0]), side="left")
    return [flat[starts[:count] + column] for column, count in enumerate(counts)]
