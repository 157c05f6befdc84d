"""AllowList: the docs that a search may return, as roaring bitmap and as dense bitset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.types import DocIds
from weftdb.index.kernels import _native


class AllowList:
    """An immutable set of doc ids. Each form is made once, when it is first asked for."""

    __slots__ = ("_words", "bitmap", "count")

    def __init__(self, bitmap: BitMap) -> None:
        self.bitmap = bitmap
        self.count = len(bitmap)
        self._words: NDArray[np.uint64] | None = None

    def doc_ids(self) -> DocIds:
        """The members, ascending, u32[count]."""
        return np.asarray(self.bitmap.to_array(), dtype=np.uint32)

    def words(self) -> NDArray[np.uint64]:
        """Bit `i % 64` of word `i // 64` tells whether doc `i` is allowed; docs past the end are
        not."""
        if self._words is None:
            self._words = _native.bitset_from_roaring(self.bitmap.serialize())
        return self._words
