"""Material: vectors and texts that every contestant gets, seeded, with exact neighbours.

Synthetic vectors are clustered (centres with noise, the clusters of unequal size), because uniform
ones are harder than anything real and equal clusters easier.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

K = 10
SEED = 20_261
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Vectors:
    """Unit vectors, queries of the same kind, and the exact `K` neighbours of each query."""

    name: str
    rows: Floats
    queries: Floats
    truth: Ints

    @property
    def raw_bytes(self) -> int:
        """What the rows take as float32."""
        return self.rows.nbytes

    def recall(self, found: list[list[int]]) -> float:
        """Mean share of the true neighbours among those found, query by query."""
        assert len(found) == len(self.truth), (len(found), len(self.truth))
        hits = [
            len(set(items[:K]) & set(true.tolist()))
            for items, true in zip(found, self.truth, strict=True)
        ]
        return float(np.mean(hits)) / K


@dataclass(frozen=True)
class Texts:
    """Real texts with columns, their embeddings, and queries of five terms."""

    vectors: Vectors
    documents: list[dict[str, str | int]]
    term_queries: list[str]


def unit(rows: Floats) -> Floats:
    """Scale every row to length one; empty rows become the first axis."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    scaled[lengths[:, 0] == 0, 0] = 1.0
    return np.ascontiguousarray(scaled, dtype=np.float32)


def exact_neighbours(rows: Floats, queries: Floats) -> Ints:
    """The `K` rows of the largest dot product, best first, int64[queries, K]."""
    found = []
    for start in range(0, len(queries), 256):
        scores = queries[start : start + 256] @ rows.T
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found).astype(np.int64)


def clustered(count: int, dimensions: int, *, query_count: int = 1000) -> Vectors:
    """Seeded synthetic vectors: a mixture with a long tail of cluster sizes."""
    random = np.random.default_rng(SEED)
    centres = random.standard_normal((max(8, count // 500), dimensions)).astype(np.float32)
    weights = random.pareto(1.5, len(centres)) + 0.05
    total = count + query_count
    member = random.choice(len(centres), size=total, p=weights / weights.sum())
    noise = random.standard_normal((total, dimensions)).astype(np.float32)
    spread = random.uniform(0.5, 0.9, len(centres)).astype(np.float32)
    rows = unit(centres[member] + noise * spread[member, None])
    stored, queries = rows[:count], rows[count:]
    name = f"clustered {count:,} x {dimensions}"
    return Vectors(name, stored, queries, exact_neighbours(stored, queries))


def package_documents(path: Path, count: int | None) -> list[dict[str, str | int]]:
    """The Debian package descriptions: name, section, size and one text."""
    documents: list[dict[str, str | int]] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            package = json.loads(line)
            documents.append(
                {
                    "name": package["name"],
                    "section": package["section"],
                    "size": int(package["size"]),
                    "text": f"{package['summary']}\n{package['description']}",
                }
            )
            if count is not None and len(documents) >= count:
                break
    return documents


def five_term_queries(documents: list[dict[str, str | int]], count: int) -> list[str]:
    """Queries of five distinct words of one document each."""
    random = np.random.default_rng(SEED)
    queries: list[str] = []
    for number in random.permutation(len(documents)):
        words = sorted(set(re.findall(r"[a-z]{4,}", str(documents[number]["text"]).lower())))
        if len(words) >= 8:
            queries.append(" ".join(random.choice(words, size=5, replace=False)))
        if len(queries) == count:
            break
    return queries


def packages(path: Path, count: int | None, *, query_count: int = 1000) -> Texts:
    """Texts with in-process embeddings; queries are held-out five-term texts."""
    from weftdb.modules.registry import Registry

    documents = package_documents(path, count)
    queries = five_term_queries(documents, query_count)
    model = Registry().get("text2vec-model2vec")
    rows = unit(model.embed([str(item["text"]) for item in documents], {}, is_query=False))
    asked = unit(model.embed(queries, {}, is_query=True))
    name = f"Debian packages {len(documents):,} x {rows.shape[1]}"
    vectors = Vectors(name, rows, asked, exact_neighbours(rows, asked))
    return Texts(vectors, documents, queries)
