"""What a revision of an object consists of, all of it derived from (key, revision).

A revision has a unique word in its text, a unique tag and a vector of its own, so each read path
can be asked for exactly this revision.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import numpy as np

COLLECTION = "CrashRound"
COMMON_WORD = "everywhere"
DIMENSIONS = 16
VECTOR = "default"


def object_id(key: str) -> uuid.UUID:
    """The id of a key; keys are 32 hex digits."""
    return uuid.UUID(key)


def word(key: str, revision: int) -> str:
    """The word that only this revision's text holds."""
    return f"w{key}r{revision}"


def tag(key: str, revision: int) -> str:
    """The value that only this revision's tag holds."""
    return f"tag-{key}-{revision}"


def vector(key: str, revision: int) -> list[float]:
    """A direction of this revision's own, float32 values."""
    seed = int.from_bytes(hashlib.blake2b(f"{key}/{revision}".encode(), digest_size=8).digest())
    row = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return [float(item) for item in row / np.linalg.norm(row)]


def properties(key: str, revision: int, writer: int) -> dict[str, Any]:
    """The properties of a revision."""
    return {
        "tag": tag(key, revision),
        "body": f"{COMMON_WORD} {word(key, revision)} some words that all objects have",
        "revision": revision,
        "writer": writer,
    }


def is_intact(
    key: str, shown: dict[str, Any], shown_vector: list[float] | None, writer: int
) -> bool:
    """True when properties and vector belong to one revision of the key."""
    revision = int(shown["revision"])
    if dict(shown) != properties(key, revision, writer):
        return False
    if shown_vector is None or len(shown_vector) != DIMENSIONS:
        return False
    return bool(np.allclose(shown_vector, vector(key, revision), atol=1e-5))
