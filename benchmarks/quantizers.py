"""Quantizers on real embeddings: recall after rescoring, speed beside vectors, bytes.

    python -m benchmarks.quantizers [--scale small|full] [--save NAME]

Two indexes hold the embeddings of the Debian package texts: one with vectors, one that is switched
from quantizer to quantizer, its vectors on disk. Queries are texts that were left out. The same go
to both in turn, one by one, with the `ef` with which the uncompressed one finds 0.98
(filter_sweep.py); a query counts with the best of its rounds. Docs as near as the tenth count as
found: real texts repeat. Promised: recall@10 >= 0.97 (RQ with 8 bits, SQ) or 0.95 (all others),
speed of the first two not below the uncompressed, memory of codes as computed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.memory_estimate import code_bytes
from weftdb.core.schema import Compression, Metric, Quantizer, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.graph import HnswIndex

from .filter_sweep import Truth, choose_ef, exact_under, make_ours, tell
from .floors import Floor
from .loadgen import shared_folder
from .machine import describe_machine
from .material import SEED, Floats, Vectors, packages
from .report import write_report

K = 10
WAIT_S = 3_600.0
QUANTIZERS = {
    "rq8": Quantizer(Compression.ROTATIONAL, bits=8, rescore_limit=20),
    "rq4": Quantizer(Compression.ROTATIONAL, bits=4, rescore_limit=20),
    "rq1": Quantizer(Compression.ROTATIONAL, bits=1, rescore_limit=512),
    "sq": Quantizer(Compression.SCALAR, rescore_limit=20),
    "bq": Quantizer(Compression.BINARY),
    "pq": Quantizer(Compression.PRODUCT),
}
FINE = ("rq8", "sq")
RECALL_MIN_FINE = 0.97
RECALL_MIN = 0.95


@dataclass(frozen=True)
class Scale:
    """How big a run is."""

    documents: int | None
    queries: int
    rounds: int


SCALES = {"small": Scale(40_000, 200, 3), "full": Scale(None, 500, 6)}


@dataclass(frozen=True)
class Line:
    """What one quantizer did."""

    recall: float
    recall_plain: float
    speed: float
    """Searches a second as a multiple of the uncompressed index's, same `ef`, same moment."""
    code_bytes: int
    code_bytes_computed: int
    memory_mib: float
    switch_s: float


def leave_out(vectors: Vectors, count: int) -> tuple[Vectors, Floats]:
    """The vectors without `count` of them, and those: queries of the same kind."""
    chosen = np.random.default_rng(SEED).permutation(len(vectors.rows))
    queries = vectors.rows[np.sort(chosen[:count])]
    rows = np.ascontiguousarray(vectors.rows[np.sort(chosen[count:])])
    name = f"{vectors.name}, {count} left out"
    return Vectors(name, rows, queries, np.zeros((0, K), dtype=np.int64)), queries


def measure(
    plain: HnswIndex, coded: HnswIndex, queries: Floats, truth: list[Truth], ef: int, rounds: int
) -> tuple[float, float, float]:
    """Recall of the coded and of the plain index, and the speed of the first over the second's."""
    best = np.full((2, len(queries)), np.inf)
    hits = [0, 0]
    for turn in range(rounds):
        for at, query in enumerate(queries):
            for side, index in enumerate((coded, plain)):
                begun = time.perf_counter()
                found = index.search(query, K, ef=ef)
                best[side, at] = min(best[side, at], time.perf_counter() - begun)
                if turn == 0:
                    hits[side] += truth[at].hits(found.doc_ids.astype(np.int64))
    asked = K * len(queries)
    return hits[0] / asked, hits[1] / asked, float(best[1].sum() / best[0].sum())


def run(
    vectors: Vectors, queries: Floats, rounds: int, folder: Path
) -> tuple[int, dict[str, Line]]:
    """Switch through all quantizers."""
    plain = make_ours(vectors, folder)
    ef = choose_ef(plain, vectors, queries)
    everything = np.ones(len(vectors.rows), dtype=np.bool_)
    tell(f"{vectors.name}, ef {ef}")
    truth = [exact_under(row, everything) for row in queries @ vectors.rows.T]
    (graph,) = folder.glob("*.graph")
    coded = HnswIndex(VectorConfig(UNNAMED, metric=Metric.COSINE), IndexConfig(threads=2))
    coded.load(graph, AllowList(BitMap(range(len(vectors.rows)))))
    coded.keep_rows_in(folder)
    lines = {}
    for name, quantizer in QUANTIZERS.items():
        begun = time.perf_counter()
        coded.quantize(VectorConfig(UNNAMED, quantizer=quantizer))
        assert coded.wait_indexed(WAIT_S), name
        switch_s = time.perf_counter() - begun
        assert coded.code_bytes > 0, coded.quantizer_fault
        recall, recall_plain, speed = measure(plain, coded, queries, truth, ef, rounds)
        lines[name] = Line(
            round(recall, 4),
            round(recall_plain, 4),
            round(speed, 2),
            coded.code_bytes,
            code_bytes(quantizer, vectors.rows.shape[1]),
            round(coded.memory_bytes() / 2**20, 1),
            round(switch_s, 2),
        )
        tell(f"{name}: {lines[name]}")
    plain.close()
    coded.close()
    return ef, lines


def floors_of(lines: dict[str, Line]) -> list[Floor]:
    """The promises."""
    floors = []
    for name, line in lines.items():
        bound = RECALL_MIN_FINE if name in FINE else RECALL_MIN
        floors.append(
            Floor(f"recall@10 of {name}", line.recall, bound, unit="", detail="after rescoring")
        )
        if name in FINE:
            floors.append(Floor(f"speed of {name}", line.speed, 1.0, detail="of the uncompressed"))
        floors.append(
            Floor(
                f"bytes of a code of {name}",
                line.code_bytes,
                line.code_bytes_computed,
                at_most=True,
                unit="bytes",
                detail="as computed",
            )
        )
    return floors


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--save", default=None, help="write results/<NAME>.md and .json")
    given = parser.parse_args()
    scale = SCALES[given.scale]
    path = shared_folder() / "data" / "text" / "debian_packages.jsonl.gz"
    embedded = packages(path, scale.documents, query_count=1).vectors
    vectors, queries = leave_out(embedded, scale.queries)
    with tempfile.TemporaryDirectory() as folder:
        ef, lines = run(vectors, queries, scale.rounds, Path(folder))
    floors = floors_of(lines)
    for floor in floors:
        tell(str(floor))
    if given.save:
        results = {"settings": {"material": vectors.name, "ef": ef}, "quantizers": lines}
        write_report(given.save, machine=describe_machine(), results=results, floors=floors)


if __name__ == "__main__":
    main()
