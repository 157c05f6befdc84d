"""`python -m benchmarks.ranking`: is what comes first what people judged relevant?

Puts judged collections (`data/ir` of the shared folder) into the engine, asks their queries and
computes nDCG@10 with `ir-measures`. BM25 has its defaults (k1 1.2, b 0.75, English stop words, no
stemming) over one property: the title and the text in a row.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
from ir_measures import nDCG
from numpy.typing import NDArray

from weftdb.core.definition import parse_collection
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import Hybrid, Keyword, NearVector, Search, Target
from weftdb.core.types import UNNAMED, ObjectId
from weftdb.engine.assembly import open_engine
from weftdb.engine.collection import LocalCollection
from weftdb.storage.object_codec import stored_id

from .loadgen import shared_folder

K = 10
MEASURE = nDCG @ K
COLLECTION = "Ranked"
HYBRID_ALPHA = 0.75

FLOORS = {"cranfield": 0.500, "cacm": 0.365, "xquad_en": 0.955}
"""nDCG@10 that BM25 must reach."""


@dataclass(frozen=True)
class Judged:
    """Documents, queries, and which document answers which query how well."""

    name: str
    documents: Sequence[dict[str, Any]]
    queries: Sequence[dict[str, Any]]
    judgements: Sequence[Any]
    document_vectors: NDArray[np.float32] | None
    query_vectors: NDArray[np.float32] | None


def judged_folder() -> Path:
    """Where the judged collections lie."""
    return shared_folder() / "data" / "ir"


def load_judged(name: str) -> Judged:
    """Read one judged collection."""
    folder = judged_folder() / name
    judgements = []
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        judgements.append(ir_measures.Qrel(query, document, int(gain)))
    return Judged(
        name=name,
        documents=_read_lines(folder / "corpus.jsonl"),
        queries=_read_lines(folder / "queries.jsonl"),
        judgements=judgements,
        document_vectors=_read_vectors(folder / "minilm_int8_docs.npy"),
        query_vectors=_read_vectors(folder / "minilm_int8_queries.npy"),
    )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _read_vectors(path: Path) -> NDArray[np.float32] | None:
    return np.load(path).astype(np.float32) if path.exists() else None


def _fill(collection: LocalCollection, judged: Judged) -> None:
    drafts = []
    for row, document in enumerate(judged.documents):
        text = f"{document.get('title', '')} {document['text']}".strip()
        vectors = {}
        if judged.document_vectors is not None:
            vectors[UNNAMED] = judged.document_vectors[row]
        drafts.append(ObjectDraft(_id_of(row), {"text": text}, vectors))
    errors = [error for error in collection.put(drafts) if error is not None]
    assert not errors, errors[:1]
    assert collection.wait_indexed(300.0), "the graph was not ready in time"


def _id_of(row: int) -> ObjectId:
    return ObjectId((row + 1).to_bytes(16, "big"))


def _score(judged: Judged, collection: LocalCollection, searches: Sequence[Search]) -> float:
    found = []
    for query, search in zip(judged.queries, searches, strict=True):
        for rank, stored in enumerate(collection.search(search).stored):
            row = int.from_bytes(stored_id(stored), "big") - 1
            document = str(judged.documents[row]["_id"])
            # The order is what counts: ties are broken by the engine, not by the measure.
            found.append(ir_measures.ScoredDoc(str(query["_id"]), document, K - rank))
    return float(ir_measures.calc_aggregate([MEASURE], judged.judgements, found)[MEASURE])


def measure(judged: Judged, path: Path) -> dict[str, float]:
    """nDCG@10 of every kind of search that the material allows, by name."""
    engine = open_engine(path)
    try:
        definition = {
            "class": COLLECTION,
            "properties": [{"name": "text", "dataType": ["text"], "tokenization": "word"}],
        }
        collection = engine.database.create_collection(parse_collection(definition))
        _fill(collection, judged)
        words = [
            Search(COLLECTION, keyword=Keyword(query["text"]), limit=K) for query in judged.queries
        ]
        scores = {"bm25": _score(judged, collection, words)}
        if judged.query_vectors is not None:
            nears = [NearVector((Target(UNNAMED, vector),)) for vector in judged.query_vectors]
            vectors = [Search(COLLECTION, near=near, limit=K) for near in nears]
            scores["vector"] = _score(judged, collection, vectors)
            both = [
                Search(
                    COLLECTION,
                    hybrid=Hybrid(query["text"], near=near, alpha=HYBRID_ALPHA),
                    limit=K,
                )
                for query, near in zip(judged.queries, nears, strict=True)
            ]
            scores["hybrid"] = _score(judged, collection, both)
        return scores
    finally:
        engine.close()


def main() -> None:
    """Measure every judged collection and print one line each."""
    for folder in sorted(item for item in judged_folder().iterdir() if item.is_dir()):
        judged = load_judged(folder.name)
        with tempfile.TemporaryDirectory() as scratch:
            scores = measure(judged, Path(scratch) / "data")
        shown = "  ".join(f"{name} {score:.4f}" for name, score in scores.items())
        floor = FLOORS.get(judged.name)
        verdict = "" if floor is None else f"  floor {floor} {_verdict(scores['bm25'], floor)}"
        print(f"{judged.name:10} {shown}{verdict}", flush=True)


def _verdict(score: float, floor: float) -> str:
    return "PASS" if score >= floor else "MISS"


if __name__ == "__main__":
    main()
