"""`python -m benchmarks [--scale small] [--part NAME ...]`: all parts, side by side, one run."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from . import floors as floors_of
from .echo import METHOD, echo_server
from .floors import Floor
from .hnswlib_peer import HnswlibResult, measure_hnswlib
from .library_run import measure_library
from .loadgen import LoadGeneratorMissing, build_load_generator, shared_folder, write_messages
from .machine import describe_machine
from .material import Vectors, clustered, packages
from .report import write_report
from .server_run import ServerResult, measure_restarts, measure_server
from .tantivy_peer import measure_tantivy
from .text_run import measure_texts

PARTS = ("echo", "vectors", "texts", "restart")


@dataclass(frozen=True)
class Scale:
    """How big a run is."""

    vectors: int
    client_objects: int
    documents: int | None
    embedded: int
    restart_objects: int
    seconds: float


SCALES = {
    "full": Scale(100_000, 100_000, None, 20_000, 300_000, 6.0),
    "small": Scale(20_000, 10_000, 10_000, 5_000, 20_000, 2.0),
}


def tell(text: str) -> None:
    """Say where the run is."""
    print(f"  {text}", flush=True)


def run_echo(scale: Scale, scratch: Path) -> tuple[dict[str, Any], list[Floor]]:
    """The bare door."""
    requests = scratch / "echo"
    write_messages(requests, [b"\0" * 600] * 1000)
    with echo_server() as load:
        eight = load.run(METHOD, requests, in_flight=8, seconds=scale.seconds, count=10**7)
        one = load.run(METHOD, requests, in_flight=1, seconds=scale.seconds, count=10**7)
    tell(f"echo {eight.per_s:.0f}/s at 8, p50 {one.p50_ms:.3f} ms at 1")
    return {"bare grpc.aio echo": {"eight": eight, "one": one}}, []


def vector_floors(peer: HnswlibResult, ours: ServerResult) -> list[Floor]:
    """The promises about vector search, imports and memory."""
    best = ours.best_point
    same = peer.at_recall(best.recall)
    client_per_s = ours.client_import.indexed_per_s if ours.client_import else float("nan")
    return [
        *floors_of.search_floors(
            ours_per_s=best.eight.per_s,
            ours_p50_ms=best.one.p50_ms,
            peer_per_s=same.searches_per_s,
            peer_p50_ms=same.p50_ms,
            detail=f"recall {best.recall:.3f}, ef {best.ef} and about {same.ef}",
        ),
        *floors_of.import_floors(
            raw_per_s=ours.raw_import.indexed_per_s,
            client_per_s=client_per_s,
            peer_per_s=peer.build_per_s,
        ),
        floors_of.memory_floor(ours.resident_bytes, ours.raw_bytes),
    ]


def run_vectors(scale: Scale, scratch: Path) -> tuple[dict[str, Any], list[Floor]]:
    """Synthetic vectors: hnswlib, our library, our server; hnswlib again, the better counts."""
    vectors = clustered(scale.vectors, 128)
    first = measure_hnswlib(vectors, seconds=scale.seconds / 3)
    tell(f"hnswlib builds {first.build_per_s:.0f}/s; at recall .95 {first.at_recall(0.95)}")
    ours = measure_server(
        vectors, scratch, seconds=scale.seconds, client_objects=scale.client_objects, tell=tell
    )
    library = measure_library(
        vectors, scratch / "library", ef=ours.best_point.ef, seconds=scale.seconds / 2
    )
    tell(f"library {library}")
    again = measure_hnswlib(vectors, seconds=scale.seconds / 3)
    peer = HnswlibResult(
        max(first.build_per_s, again.build_per_s),
        tuple(
            max(pair, key=lambda item: item.searches_per_s)
            for pair in zip(first.points, again.points, strict=False)
        ),
    )
    results = {f"hnswlib, {vectors.name}": peer, f"server, {vectors.name}": ours}
    results[f"library, {vectors.name}"] = library
    return results, vector_floors(peer, ours)


def run_texts(scale: Scale, scratch: Path) -> tuple[dict[str, Any], list[Floor]]:
    """Real texts: tantivy, hnswlib on the embeddings, our server."""
    path = shared_folder() / "data" / "text" / "debian_packages.jsonl.gz"
    texts = packages(path, scale.documents)
    tantivy = measure_tantivy(texts, seconds=scale.seconds)
    tell(f"tantivy {tantivy.searches_per_s:.0f}/s")
    peer = measure_hnswlib(texts.vectors, seconds=scale.seconds / 3)
    ours = measure_texts(texts, scratch, seconds=scale.seconds, embedded=scale.embedded, tell=tell)
    again = measure_tantivy(texts, seconds=scale.seconds)
    peer_per_s = max(tantivy.searches_per_s, again.searches_per_s)
    name = texts.vectors.name
    results = {f"tantivy, {name}": tantivy, f"hnswlib, {name}": peer, f"server, {name}": ours}
    promises = floors_of.text_floors(
        keyword_per_s=ours.keyword_eight.per_s,
        hybrid_per_s=ours.hybrid_eight.per_s,
        peer_per_s=peer_per_s,
    )
    return results, promises


def run_restart(scale: Scale, scratch: Path) -> tuple[dict[str, Any], list[Floor]]:
    """SIGKILL with everything stored, and the way back."""
    vectors: Vectors = clustered(scale.restart_objects, 128, query_count=20)
    found = measure_restarts(vectors, scratch, tell=tell)
    promises = [
        floors_of.restart_floor(item.seconds, item.objects, is_right=item.is_right, when=when)
        for when, item in found.items()
    ]
    return {f"restart, {when}": item for when, item in found.items()}, promises


RUNS: dict[str, Callable[[Scale, Path], tuple[dict[str, Any], list[Floor]]]] = {
    "echo": run_echo,
    "vectors": run_vectors,
    "texts": run_texts,
    "restart": run_restart,
}


def main() -> int:
    """Run the parts, write the report, print the floors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", choices=sorted(SCALES), default="full")
    parser.add_argument("--part", choices=PARTS, action="append", help="only these parts")
    parser.add_argument("--name", default=None, help="name of the report")
    arguments = parser.parse_args()
    try:
        build_load_generator()
    except LoadGeneratorMissing as missing:
        print(f"the benchmarks need the load generator: {missing}", file=sys.stderr)
        return 2
    machine = describe_machine()
    results: dict[str, Any] = {}
    floors: list[Floor] = []
    for part in arguments.part or PARTS:
        print(f"{part}:", flush=True)
        with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
            numbers, promises = RUNS[part](SCALES[arguments.scale], Path(scratch))
        results |= numbers
        floors += promises
    name = arguments.name or f"{date.today().isoformat()}-{arguments.scale}"
    page = write_report(name, machine=machine, results=results, floors=floors)
    print(*floors, f"written to {page}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
