"""`python -m benchmarks.vector_contest.server`: our server on real vectors beside hnswlib.

hnswlib builds and searches in a process of its own, before the server starts and again after its
run, the better counts. The server imports the same rows with their texts and columns over gRPC,
then answers eight searches in flight, plain and filtered, with two properties a hit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.loadgen import (
    Load,
    LoadGenerator,
    LoadGeneratorMissing,
    build_load_generator,
    shared_folder,
    write_messages,
)
from benchmarks.machine import describe_machine
from benchmarks.report import write_report
from benchmarks.server_client import ServerClient
from benchmarks.server_run import create, raw_import
from benchmarks.wire import SEARCH, batch_requests, found_numbers, vector_requests
from tests.server_process import ServerProcess
from weftdb.proto.v1 import search_pb2

from .contest import ANSWER_TIMEOUT_S, BUILD_TIMEOUT_S, RECALLS
from .curve import Point, knobs_around
from .datasets import Dataset, Ints, K, MaterialMissing, load_dataset
from .engines import knobs
from .filtered import Filter, filters_of
from .outcome import FilteredPoint, Outcome, ServedPoint
from .sentences import Sentence, read_sentences
from .server_verdict import server_floors
from .worker import Build, Worker, WorkerFailed

CACHE = Path(__file__).resolve().parents[2] / "build" / "bench-vector"
COLLECTION = "Sentences"
PROPERTIES = {"text": "text", "section": "text", "source": "text", "year": "int", "rank": "int"}
RETURNED = ("text", "year")
IN_FLIGHT = 8
FILTERED_EFS = (64, 96, 128, 192, 256, 384)
FILTERED_RECALL = 0.97
START_TIMEOUT_S = 60.0
SCALES = {"full": (400_000, 6.0), "small": (20_000, 1.5)}
"""Rows, and seconds of load for each point."""


def tell(text: str) -> None:
    """Say where the run is."""
    print(f"  {text}", flush=True)


def peer_points(worker: Worker, seen: Sequence[Point]) -> list[Point]:
    """hnswlib's curve with one thread; the better of now and before."""
    best = {point.knob: point for point in seen}
    for knob in knobs(worker.name, limit=1024):
        if seen and knob not in best:
            continue
        old = best.get(knob)
        recall = old.recall if old else worker.ask("recall", knob, timeout_s=ANSWER_TIMEOUT_S)
        rate = max(worker.ask("rate", knob, 1, timeout_s=ANSWER_TIMEOUT_S) for _ in range(2))
        best[knob] = Point(knob, recall, max(rate, old.one_per_s if old else 0.0))
        if recall >= max(RECALLS):
            break
    return list(best.values())


def object_properties(sentence: Sentence) -> dict[str, str | int]:
    """What is stored of a sentence; most have no rank."""
    values: dict[str, str | int] = {
        "text": sentence.text, "section": sentence.section, "source": sentence.source,
        "year": sentence.year,
    }  # fmt: skip
    return values | ({"rank": sentence.rank} if sentence.rank else {})


def as_ids(replies: Sequence[bytes | None]) -> Ints:
    """Found numbers of each reply, int64[replies, K], -1 where there are fewer."""
    ids = np.full((len(replies), K), -1, dtype=np.int64)
    for row, reply in zip(ids, replies, strict=True):
        numbers = found_numbers(reply)[:K]
        row[: len(numbers)] = numbers
    return ids


class Service:
    """The running server with the collection in it, under load."""

    def __init__(self, server: ServerProcess, scratch: Path, seconds: float) -> None:
        self._client = ServerClient(server)
        self._load = LoadGenerator(build_load_generator(), f"127.0.0.1:{server.grpc_port}")
        self._scratch = scratch
        self._seconds = seconds

    def ask(self, requests: Path, ef: int) -> Ints:
        """Send every request once; the ids that came back."""
        self._client.set_ef(COLLECTION, ef)
        once = self._load.run(SEARCH, requests, in_flight=2, seconds=180, keep_replies=True)
        assert once.errors == 0, once.first_error
        return as_ids(once.replies)

    def press(self, requests: Path) -> Load:
        """The best of three runs with eight in flight, without its replies."""
        load = self._load.best_of_three(
            SEARCH, requests, in_flight=IN_FLIGHT, seconds=self._seconds
        )
        return replace(load, replies=())

    def requests(self, data: Dataset, filter_: Filter | None) -> Path:
        """The queries as serialised requests, in a file."""
        path = self._scratch / "requests"
        plain = vector_requests(COLLECTION, data.queries, RETURNED)
        if filter_ is None:
            write_messages(path, plain)
            return path
        messages = (search_pb2.SearchRequest.FromString(message) for message in plain)
        write_messages(path, (filter_.applied(message) for message in messages))
        return path

    def plain(self, data: Dataset) -> list[ServedPoint]:
        """Recall of every ef, then load around the wanted ones."""
        requests = self.requests(data, None)
        recall_of: dict[int, float] = {}
        for ef in knobs("hnswlib", limit=1024):
            recall_of[ef] = data.recall(self.ask(requests, ef))
            if recall_of[ef] >= max(RECALLS):
                break
        points = []
        for ef in knobs_around(recall_of, RECALLS):
            self._client.set_ef(COLLECTION, ef)
            points.append(ServedPoint(ef, recall_of[ef], self.press(requests)))
            tell(f"ef {ef}: recall {recall_of[ef]:.4f}, {points[-1].load.per_s:,.0f}/s")
        return points

    def filtered(self, data: Dataset, filter_: Filter) -> FilteredPoint:
        """Raise ef until the recall is good enough, then press."""
        requests = self.requests(data, filter_)
        seen = filter_.narrowed(data)
        for ef in FILTERED_EFS:
            found = self.ask(requests, ef)
            recall = seen.recall(found)
            if recall >= FILTERED_RECALL:
                break
        wanted = min(K, int(filter_.allowed.sum()))
        is_exact = bool(np.all((found >= 0).sum(axis=1) == wanted))
        is_exact = is_exact and bool(np.all(filter_.allowed[found[found >= 0]]))
        point = FilteredPoint(
            filter_.name, filter_.share, ef, recall, is_exact, self.press(requests)
        )
        tell(f"{point.name} ({point.share:.2%}): ef {ef}, recall {recall:.4f}, "
             f"{point.load.per_s:,.0f}/s")  # fmt: skip
        return point


def serve_and_measure(
    data: Dataset, sentences: Sequence[Sentence], outcome: Outcome, scratch: Path, seconds: float
) -> None:
    """Import, search, filter; the server is gone afterwards whatever happens."""
    batches = scratch / "batches"
    properties = [object_properties(item) for item in sentences]
    write_messages(batches, batch_requests(COLLECTION, properties, data.rows))
    with ServerProcess(scratch / "server", timeout_s=START_TIMEOUT_S) as server:
        create(server, COLLECTION, PROPERTIES)
        outcome.imported = raw_import(server, batches, len(data.rows))
        batches.unlink()
        tell(f"import {outcome.imported.indexed_per_s:,.0f}/s until searchable")
        service = Service(server, scratch, seconds)
        outcome.points = service.plain(data)
        outcome.resident_bytes = server.resident_bytes()
        outcome.anonymous_bytes = server.anonymous_bytes()
        tell(f"memory {outcome.resident_bytes / 1e6:,.0f} MB, "
             f"{outcome.anonymous_bytes / 1e6:,.0f} MB of it anonymous")  # fmt: skip
        outcome.filtered = [service.filtered(data, item) for item in filters_of(sentences)]


def measure(data: Dataset, folder: Path, sentences: Sequence[Sentence], seconds: float) -> Outcome:
    """hnswlib, our server, hnswlib again."""
    worker = Worker(folder, data.metric, "hnswlib")
    try:
        build: Build = worker.ask("build", len(data.rows), 2, timeout_s=BUILD_TIMEOUT_S)
        outcome = Outcome(len(data.rows), build)
        tell(f"hnswlib builds {build.rows / build.seconds:,.0f}/s with two threads")
        outcome.peer_points = peer_points(worker, [])
        with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
            serve_and_measure(data, sentences, outcome, Path(scratch), seconds)
        outcome.peer_points = peer_points(worker, outcome.peer_points)
    finally:
        worker.close()
    return outcome


def report(name: str, outcome: Outcome) -> Path:
    """Write the page and print the promises."""
    floors = server_floors(outcome)
    results = {f"sentences {outcome.rows:,} x 256": outcome}
    page = write_report(name, machine=describe_machine(), results=results, floors=floors)
    print(*floors, f"written to {page}", sep="\n")
    return page


def main(run: Callable[..., Outcome] = measure) -> int:
    """Make the material, run both sides, print the promises."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vector_contest.server")
    parser.add_argument("--scale", choices=sorted(SCALES), default="full")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the vectors are kept")
    parser.add_argument("--name", default=None, help="name of the page")
    arguments = parser.parse_args()
    count, seconds = SCALES[arguments.scale]
    try:
        build_load_generator()
        data = load_dataset(arguments.cache, "text", count)
        sentences = read_sentences(shared_folder() / "data" / "text" / "debian_packages.jsonl.gz")
        outcome = run(data, arguments.cache / data.name, sentences[:count], seconds)
    except (LoadGeneratorMissing, MaterialMissing, WorkerFailed) as problem:
        print(f"the server benchmark cannot run: {problem}", file=sys.stderr)
        return 2
    suffix = "" if arguments.scale == "full" else "-small"
    report(arguments.name or f"{date.today().isoformat()}-vector-server{suffix}", outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
