"""Filter sweep: filtered vector search from 90 % of the docs allowed down to none.

    python -m benchmarks.filter_sweep [--scale small|full] [--keep FOLDER] [--save NAME]
        [--only synthetic|texts] [--share 0.9 ...] [--relation independent ...]

Every share is measured with filters that are independent of the query, correlated with its
neighbourhood (whole clusters, the nearest first) and anti-correlated (the farthest first). The same
queries go one by one, in the same process, to our filtered search, the exact scan of the allowed
docs, our search without a filter, and faiss' HNSWFlat under an `IDSelectorBitmap`. A query counts
with the best of its rounds: other load disturbs a round, not all of them. Time is the index's; the
bitset of a filter is made beforehand. `ef` is the same for everyone: the smallest with which our
unfiltered search finds 0.98. Docs as near as the tenth count as found: real texts repeat.
Promised: recall@10 >= 0.97 and min(k, matches) results in
every cell, p95 at most 1.5 times the better of exact scan and unfiltered search.

Needs faiss (extra of the benchmarks); without it that column is empty. `--keep` saves vectors and
graphs in a folder and takes them from there the next time. A run of some shares or relations asks
with the filters of the whole sweep.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.kernels import _native

from .floors import Floor
from .loadgen import shared_folder
from .machine import describe_machine
from .material import SEED, Floats, Vectors, clustered, packages
from .report import write_report

K = 10
SHARES = (0.9, 0.5, 0.1, 0.03, 0.01, 0.001, 0.0001, 0.0)
RELATIONS = ("independent", "correlated", "anti-correlated")
CELLS = tuple((share, relation) for share in SHARES for relation in RELATIONS)
RECALL_MIN = 0.97
SLOWDOWN_MAX = 1.5
ALWAYS_EXACT = 2**31
EFS = (64, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800)
PLAIN_RECALL_MIN = 0.98
TIE = 2e-6
CLUSTER_DOCS = 200
"""Docs in a cluster, on average: the values of the property that filters ask for."""


@dataclass(frozen=True)
class Scale:
    """How big a run is."""

    synthetic: int
    dimensions: int
    documents: int | None
    queries: int
    rounds: int


SCALES = {
    "small": Scale(20_000, 64, 10_000, 50, 3),
    "full": Scale(200_000, 128, None, 100, 4),
}


@dataclass(frozen=True)
class Contestant:
    """A way to search; `find` gives the doc ids for a query under a filter."""

    name: str
    find: Callable[[Floats, Filter], NDArray[np.int64]]


@dataclass
class Filter:
    """The docs allowed for one query, in the forms that the contestants take."""

    allow: AllowList
    mask: NDArray[np.bool_]
    selector: object


@dataclass(frozen=True)
class Cell:
    """What one contestant did with one kind of filter; times in µs."""

    recall: float
    counts_exact: bool
    p50_us: float
    p95_us: float


def tell(text: str) -> None:
    """Say where the run is."""
    print(text, flush=True)


def cluster_ranks(vectors: Vectors, queries: Floats) -> NDArray[np.int32]:
    """How near the cluster of each doc is to each query, int32[queries, docs]; 0 is nearest."""
    random = np.random.default_rng(SEED)
    count = max(16, len(vectors.rows) // CLUSTER_DOCS)
    centres = vectors.rows[random.choice(len(vectors.rows), size=count, replace=False)]
    parts = [
        np.argmax(vectors.rows[at : at + 8192] @ centres.T, axis=1)
        for at in range(0, len(vectors.rows), 8192)
    ]
    member = np.concatenate(parts)
    order = np.argsort(-(queries @ centres.T), axis=1)
    rank_of = np.empty_like(order)
    np.put_along_axis(rank_of, order, np.arange(count)[None, :], axis=1)
    return rank_of[:, member].astype(np.int32)


def masks(
    ranks: NDArray[np.int32], share: float, relation: str, seed: int
) -> Iterator[NDArray[np.bool_]]:
    """The allowed docs of each query: exactly `share` of all, ties within a cluster at random."""
    random = np.random.default_rng(seed)
    docs = ranks.shape[1]
    wanted = round(docs * share)
    for row in ranks:
        luck = random.random(docs, dtype=np.float32)
        key = {"independent": luck, "correlated": row + luck, "anti-correlated": luck - row}
        mask = np.zeros(docs, dtype=np.bool_)
        mask[np.argpartition(key[relation], wanted)[:wanted]] = True
        yield mask


@dataclass(frozen=True)
class Truth:
    """What a search should find: how many docs, and how near they have to be."""

    count: int
    nearest: NDArray[np.float32]
    score_min: float

    def hits(self, found: NDArray[np.int64]) -> int:
        """How many of `found` are as near as the last true one."""
        return int((self.nearest[found] >= self.score_min - TIE).sum())


def exact_under(scores: Floats, mask: NDArray[np.bool_]) -> Truth:
    """The true neighbours among the allowed docs."""
    allowed = np.where(mask, scores, np.float32(-np.inf))
    count = min(K, int(mask.sum()))
    last = -np.inf if count == 0 else float(np.partition(allowed, -count)[-count])
    return Truth(count, allowed, last)


def choose_ef(index: HnswIndex, vectors: Vectors, queries: Floats) -> int:
    """The smallest `ef` with which the unfiltered search is as good as promised, with a margin."""
    scores = queries @ vectors.rows.T
    everything = np.ones(len(vectors.rows), dtype=np.bool_)
    truth = [exact_under(row, everything) for row in scores]
    for ef in EFS:
        found = index.search_many(queries, K, ef=ef)
        hits = [
            true.hits(one.doc_ids.astype(np.int64)) for true, one in zip(truth, found, strict=True)
        ]
        if sum(hits) >= PLAIN_RECALL_MIN * K * len(queries):
            return ef
    return EFS[-1]


def make_ours(vectors: Vectors, keep: Path | None) -> HnswIndex:
    """Our index over all rows, linked."""
    _native.set_link_niceness(0)
    config = VectorConfig(UNNAMED, metric=Metric.COSINE)
    index = HnswIndex(config, IndexConfig(threads=2))
    path = None if keep is None else keep / f"{_slug(vectors)}.graph"
    if path is None or not _load(index, path, len(vectors.rows)):
        index.add(np.arange(len(vectors.rows), dtype=np.uint32), vectors.rows)
    begun = time.perf_counter()
    while not index.wait_indexed(0.5):
        assert time.perf_counter() - begun < 3600, "linking does not end"
    if path is not None and not path.exists():
        index.save(path)
    return index


def _load(index: HnswIndex, path: Path, count: int) -> bool:
    try:
        index.load(path, AllowList(BitMap(range(count))))
    except FileNotFoundError:
        return False
    except CorruptData as error:
        tell(f"built anew: {error}")
        path.unlink()
        return False
    return True


def _slug(vectors: Vectors) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in vectors.name)


def contestants(index: HnswIndex, vectors: Vectors, ef: int, keep: Path | None) -> list[Contestant]:
    """Ours, the two that bound it, and faiss where it is installed."""
    free, exact = HnswSettings(ef=ef), HnswSettings(flat_search_cutoff=ALWAYS_EXACT)

    def ours(query: Floats, asked: Filter) -> NDArray[np.int64]:
        index.configure(free)
        return index.search(query, K, allow=asked.allow).doc_ids.astype(np.int64)

    def scan(query: Floats, asked: Filter) -> NDArray[np.int64]:
        index.configure(exact)
        return index.search(query, K, allow=asked.allow).doc_ids.astype(np.int64)

    def plain(query: Floats, _asked: Filter) -> NDArray[np.int64]:
        index.configure(free)
        return index.search(query, K).doc_ids.astype(np.int64)

    found = [Contestant("ours", ours), Contestant("exact", scan), Contestant("plain", plain)]
    if importlib.util.find_spec("faiss") is not None:
        found.append(Contestant("faiss", _faiss_search(vectors, ef, keep)))
    return found


def _faiss_search(
    vectors: Vectors, ef: int, keep: Path | None
) -> Callable[[Floats, Filter], NDArray[np.int64]]:
    faiss: Any = importlib.import_module("faiss")  # What it says of its types is not so.
    faiss.omp_set_num_threads(2)
    path = None if keep is None else keep / f"{_slug(vectors)}.faiss"
    if path is not None and path.exists():
        peer = faiss.read_index(str(path))
    else:
        peer = faiss.IndexHNSWFlat(vectors.rows.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        peer.hnsw.efConstruction = 128
        peer.add(vectors.rows)
        if path is not None:
            faiss.write_index(peer, str(path))
    faiss.omp_set_num_threads(1)

    def find(query: Floats, asked: Filter) -> NDArray[np.int64]:
        if asked.selector is None:
            bits = np.packbits(asked.mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            asked.selector = (faiss.SearchParametersHNSW(sel=selector, efSearch=ef), selector, bits)
            return np.empty(0, dtype=np.int64)  # The first call is not measured.
        assert isinstance(asked.selector, tuple)
        ids = peer.search(query[None, :], K, params=asked.selector[0])[1][0]
        return np.asarray(ids[ids >= 0], dtype=np.int64)

    return find


def measure(
    who: Contestant,
    queries: Floats,
    filters: list[Filter],
    truth: list[Truth],
    best: NDArray[np.float64],
) -> Cell:
    """One round; `best` holds the least time of each query so far, in seconds."""
    hits = wanted = 0
    counts_exact = True
    for number, (query, asked) in enumerate(zip(queries, filters, strict=True)):
        begun = time.perf_counter()
        found = who.find(query, asked)
        best[number] = min(best[number], time.perf_counter() - begun)
        if who.name != "plain":
            hits += truth[number].hits(found)
            wanted += truth[number].count
            counts_exact = counts_exact and len(found) == truth[number].count
    p50, p95 = np.percentile(best, [50, 95]) * 1e6
    recall = hits / wanted if wanted else 1.0
    return Cell(recall, counts_exact, float(p50), float(p95))


def sweep(
    vectors: Vectors, scale: Scale, keep: Path | None, wanted: set[tuple[float, str]]
) -> dict[str, dict[str, Cell]]:
    """The wanted cells of one set of vectors: "share relation" -> contestant -> cell."""
    queries = vectors.queries[: scale.queries]
    index = make_ours(vectors, keep)
    ef = choose_ef(index, vectors, queries)
    everyone = contestants(index, vectors, ef, keep)
    scores = queries @ vectors.rows.T
    ranks = cluster_ranks(vectors, queries)
    table: dict[str, dict[str, Cell]] = {}
    tell(f"\n{vectors.name}, ef {ef}: recall, count, p50 / p95 in µs\n{_heading(everyone)}")
    for seed, (share, relation) in enumerate(CELLS):
        if (share, relation) not in wanted:
            continue
        filters, truth = [], []
        for number, mask in enumerate(masks(ranks, share, relation, seed)):
            filters.append(Filter(AllowList(BitMap(np.flatnonzero(mask))), mask, None))
            filters[-1].allow.words()
            truth.append(exact_under(scores[number], mask))
        cells = cells_of(everyone, queries, filters, truth, scale.rounds)
        table[f"{share:.2%} {relation}"] = cells
        tell(_line(share, relation, cells))
    index.close()
    return table


def cells_of(
    everyone: list[Contestant],
    queries: Floats,
    filters: list[Filter],
    truth: list[Truth],
    rounds: int,
) -> dict[str, Cell]:
    """What each contestant did with one kind of filter."""
    best = {who.name: np.full(len(queries), np.inf) for who in everyone}
    for who in everyone:  # Warm; makes the selectors.
        measure(who, queries[:5], filters[:5], truth[:5], np.full(5, np.inf))
        _touch(who, queries, filters)
    is_wide = len(filters) > 0 and filters[0].mask.mean() > 0.2
    cells: dict[str, Cell] = {}
    for round_number in range(rounds):
        # Back and forth, so that everyone once finds the caches as the neighbour left them.
        for who in everyone if round_number % 2 == 0 else everyone[::-1]:
            if who.name == "exact" and is_wide and round_number > 0:
                continue  # Long past the other bound; its time does not matter.
            cells[who.name] = measure(who, queries, filters, truth, best[who.name])
    return {who.name: cells[who.name] for who in everyone}


def _touch(who: Contestant, queries: Floats, filters: list[Filter]) -> None:
    for query, asked in zip(queries, filters, strict=True):
        if who.name == "faiss" and asked.selector is None:
            who.find(query, asked)


def slowdown(cells: dict[str, Cell]) -> float:
    """Our p95 over the better of exact scan and unfiltered search."""
    return cells["ours"].p95_us / min(cells["exact"].p95_us, cells["plain"].p95_us)


def _heading(everyone: list[Contestant]) -> str:
    names = " | ".join(who.name for who in everyone)
    return f"| allowed | relation | {names} | p95 ratio |\n|---|---|{'---|' * len(everyone)}---|"


def _line(share: float, relation: str, cells: dict[str, Cell]) -> str:
    texts = [
        f"{cell.p50_us:,.0f} / {cell.p95_us:,.0f}"
        if name == "plain"
        else f"{cell.recall:.3f}{'' if cell.counts_exact else ' short'}, "
        f"{cell.p50_us:,.0f} / {cell.p95_us:,.0f}"
        for name, cell in cells.items()
    ]
    failed = [
        name
        for name, is_kept in (
            ("recall", cells["ours"].recall >= RECALL_MIN),
            ("count", cells["ours"].counts_exact),
            ("p95", slowdown(cells) <= SLOWDOWN_MAX),
        )
        if not is_kept
    ]
    verdict = f" MISS {' '.join(failed)}" if failed else ""
    return f"| {share:.2%} | {relation} | {' | '.join(texts)} | {slowdown(cells):.2f}{verdict} |"


def floors_of(name: str, table: dict[str, dict[str, Cell]]) -> list[Floor]:
    """The promises over all cells of one set of vectors, by the worst cell."""
    worst = min(table, key=lambda cell: table[cell]["ours"].recall)
    slowest = max(table, key=lambda cell: slowdown(table[cell]))
    short = [cell for cell in table if not table[cell]["ours"].counts_exact]
    recall, ratio = table[worst]["ours"].recall, slowdown(table[slowest])
    return [
        Floor(f"{name}: recall@10", recall, RECALL_MIN, unit="", detail=f"worst: {worst}"),
        Floor(f"{name}: p95", ratio, SLOWDOWN_MAX, at_most=True, detail=f"worst: {slowest}"),
        Floor(
            f"{name}: short answers",
            len(short),
            0,
            at_most=True,
            unit="cells",
            detail=", ".join(short),
        ),
    ]


def materials(scale: Scale, keep: Path | None, only: str | None) -> Iterator[Vectors]:
    """Clustered synthetic vectors, then embeddings of real texts where those are at hand."""
    slug = f"clustered-{scale.synthetic}-{scale.dimensions}"
    if only != "texts":
        yield _kept(keep, slug, lambda: clustered(scale.synthetic, scale.dimensions))
    if only == "synthetic":
        return
    path = shared_folder() / "data" / "text" / "debian_packages.jsonl.gz"
    if not path.exists():
        tell(f"no real texts at {path}: set WEFTDB_SHARED")
        return
    slug = f"texts-{scale.documents}"
    yield _kept(keep, slug, lambda: packages(path, scale.documents).vectors)


def _kept(keep: Path | None, slug: str, make: Callable[[], Vectors]) -> Vectors:
    saved = None if keep is None else keep / f"{slug}.npz"
    if saved is not None and saved.exists():
        with np.load(saved) as held:
            return Vectors(str(held["name"]), held["rows"], held["queries"], held["truth"])
    made = make()
    if saved is not None:
        np.savez(saved, name=made.name, rows=made.rows, queries=made.queries, truth=made.truth)
    return made


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=sorted(SCALES), default="small")
    parser.add_argument("--keep", type=Path, help="folder for vectors and graphs between runs")
    parser.add_argument("--only", choices=("synthetic", "texts"), help="one of the two materials")
    parser.add_argument("--share", type=float, choices=SHARES, action="append")
    parser.add_argument("--relation", choices=RELATIONS, action="append")
    parser.add_argument("--save", help="write results/NAME.md and .json")
    options = parser.parse_args()
    scale = SCALES[options.scale]
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    shares, relations = options.share or SHARES, options.relation or RELATIONS
    wanted = {(share, relation) for share, relation in CELLS if share in shares}
    wanted = {(share, relation) for share, relation in wanted if relation in relations}
    results: dict[str, dict[str, dict[str, Cell]]] = {}
    promises: list[Floor] = []
    for vectors in materials(scale, options.keep, options.only):
        results[vectors.name] = sweep(vectors, scale, options.keep, wanted)
        promises += floors_of(vectors.name, results[vectors.name])
    for floor in promises:
        tell(f"{floor.verdict} {floor.name} {floor.value:.3f} ({floor.detail})")
    if options.save:
        page = write_report(
            options.save, machine=describe_machine(), results=results, floors=promises
        )
        tell(f"written: {page}")


if __name__ == "__main__":
    main()
