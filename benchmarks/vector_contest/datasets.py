"""Datasets: the vectors of a contest, made or read once, kept as .npy below a cache folder.

    <cache>/<name>/rows.npy f32[n, d] · queries.npy f32[q, d] · truth.npy i64[q, >= 10] ·
    limit.npy f32[q]

`limit` is the exact distance of the tenth neighbour: a found row counts when it is not farther, so
that rows at equal distance are worth the same. Files are written whole and renamed into place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.loadgen import shared_folder
from benchmarks.material import clustered, unit

K = 10
QUERIES = 1000
SLACK = 1e-5
"""Relative rounding that a distance may be off and still count."""
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class MaterialMissing(Exception):
    """A file that a dataset is made from is not on this machine."""


@dataclass(frozen=True)
class Dataset:
    """Rows (mapped), queries and their truth; `metric` is "cosine" (unit rows) or "l2"."""

    name: str
    metric: str
    rows: Floats
    queries: Floats
    truth: Ints
    limit: Floats

    def recall(self, found: Ints) -> float:
        """Mean share of the nearest `K` that were found, int[queries, <= K], -1 is none."""
        assert len(found) <= len(self.queries), (found.shape, self.queries.shape)
        hits = 0
        for query, ids, limit in zip(self.queries, found, self.limit, strict=False):
            known = np.unique(ids[ids >= 0])[:K]
            hits += int(np.sum(distances(self.metric, query, self.rows[known]) <= limit))
        return min(hits / (len(found) * K), 1.0)


def distances(metric: str, query: Floats, rows: Floats) -> Floats:
    """Exact distances of rows to one query, f32[rows]."""
    if metric == "cosine":
        return np.asarray(1.0 - rows @ query, dtype=np.float32)
    difference = rows - query
    return np.asarray(np.einsum("ij,ij->i", difference, difference), dtype=np.float32)


def nearest(metric: str, rows: Floats, queries: Floats) -> Ints:
    """The exact `K` nearest rows of each query, best first, int64[queries, K]."""
    lengths = np.einsum("ij,ij->i", rows, rows) if metric == "l2" else np.zeros(len(rows), "f4")
    found = []
    for start in range(0, len(queries), 64):
        block = queries[start : start + 64]
        scores = lengths - (2.0 if metric == "l2" else 1.0) * (block @ rows.T)
        best = np.argpartition(scores, K, axis=1)[:, :K]
        order = np.argsort(np.take_along_axis(scores, best, axis=1), axis=1)
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found).astype(np.int64)


def limits(metric: str, rows: Floats, queries: Floats, truth: Ints) -> Floats:
    """Distance of the `K`th true neighbour of each query, with the slack on it."""
    farthest = [
        distances(metric, query, rows[ids[:K]]).max()
        for query, ids in zip(queries, truth, strict=True)
    ]
    return np.asarray(farthest, dtype=np.float32) * (1 + SLACK) + np.float32(1e-6)


def read_vecs(path: Path, kind: type) -> NDArray[np.generic]:
    """Read an .fvecs or .ivecs file: each row begins with its length as i32."""
    words = np.fromfile(path, dtype=np.int32)
    width = int(words[0])
    return words.reshape(-1, width + 1)[:, 1:].copy().view(kind)


Raw = tuple[Floats, Floats, Ints | None]


def bigann(count: int) -> Raw:
    """SIFT descriptors with the given truth."""
    folder = _existing(shared_folder() / "data" / "ann" / "bigann10k")
    rows = read_vecs(folder / "holdout500_base.fvecs", np.float32)[:count]
    queries = read_vecs(folder / "holdout500_query.fvecs", np.float32)
    truth = read_vecs(folder / "holdout500_groundtruth.ivecs", np.int32)
    return _floats(rows), _floats(queries), truth.astype(np.int64)


def mnist(count: int) -> Raw:
    """Handwritten digits with the given truth."""
    folder = _existing(shared_folder() / "data" / "ann" / "mnist10k")
    rows = np.load(folder / "base.npy")[:count]
    truth = np.load(folder / "groundtruth_l2_ids.npy").astype(np.int64)
    return _floats(rows), _floats(np.load(folder / "query.npy")), truth


def text_embeddings(count: int) -> Raw:
    """In-process embeddings of package sentences; queries are held-out sentences."""
    from weftdb.modules.registry import Registry

    from .sentences import read_sentences

    path = _existing(shared_folder() / "data" / "text" / "debian_packages.jsonl.gz")
    sentences = read_sentences(path)
    if len(sentences) < count + QUERIES:
        raise MaterialMissing(f"{path} gives {len(sentences)} texts, {count + QUERIES} are wanted")
    model = Registry().get("text2vec-model2vec")
    chosen = sentences[: count + QUERIES]
    rows = unit(model.embed([item.text for item in chosen], {}, is_query=False))
    return rows[:count], rows[count:], None


def synthetic(count: int) -> Raw:
    """Seeded clusters of unequal size, 128 dimensions."""
    made = clustered(count, 128, query_count=QUERIES)
    return made.rows, made.queries, made.truth


SOURCES: dict[str, tuple[str, Callable[[int], Raw]]] = {
    "bigann": ("l2", bigann),
    "mnist": ("l2", mnist),
    "text": ("cosine", text_embeddings),
    "synthetic": ("cosine", synthetic),
}


def load_dataset(cache: Path, source: str, count: int) -> Dataset:
    """Take a dataset from the cache, or make it first. Raises MaterialMissing."""
    metric, make = SOURCES[source]
    folder = cache / f"{source}-{count}"
    if not (folder / "rows.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        rows, queries, given = make(count)
        truth = nearest(metric, rows, queries) if given is None or len(rows) < count else given
        content = {
            "limit": limits(metric, rows, queries, truth), "truth": truth, "queries": queries,
            "rows": rows,
        }  # fmt: skip
        for name, array in content.items():  # rows last: they tell that the rest is there
            part = folder / f"{name}.part.npy"
            np.save(part, array)
            os.replace(part, folder / f"{name}.npy")
    return open_dataset(folder, metric)


def open_dataset(folder: Path, metric: str) -> Dataset:
    """Map a dataset that is in the cache."""
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    return Dataset(
        folder.name,
        metric,
        rows,
        np.load(folder / "queries.npy"),
        np.load(folder / "truth.npy"),
        np.load(folder / "limit.npy"),
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise MaterialMissing(f"{path} is not there: set WEFTDB_SHARED")
    return path


def _floats(rows: NDArray[np.generic]) -> Floats:
    return np.ascontiguousarray(rows, dtype=np.float32)
