"""Objects that the engine's tests share."""

from __future__ import annotations

import numpy as np

from weftdb.core.objects import ObjectDraft
from weftdb.core.types import UNNAMED, ObjectId

DOC = {
    "class": "Doc",
    "properties": [
        {"name": "title", "dataType": ["text"]},
        {"name": "size", "dataType": ["int"]},
    ],
}


def uid(number: int) -> ObjectId:
    """A readable id: its last bytes are `number`."""
    return ObjectId(b"\x00" * 8 + number.to_bytes(8, "big"))


def draft(number: int, title: str = "", vector: list[float] | None = None) -> ObjectDraft:
    """An object with an id, a title, and perhaps a vector."""
    vectors = {} if vector is None else {UNNAMED: np.array(vector, dtype=np.float32)}
    return ObjectDraft(uid(number), {"title": title or f"object {number}", "size": number}, vectors)
