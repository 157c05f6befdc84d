"""Our server on real texts: keyword and hybrid search over gRPC, and import with embedding."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.server_process import ServerProcess

from .loadgen import Load, LoadGenerator, build_load_generator, write_messages
from .material import Texts
from .server_run import Import, ServerPoint, create, measure_points, raw_import
from .wire import SEARCH, batch_requests, found_numbers, hybrid_requests, keyword_requests

COLLECTION = "Packages"
PROPERTIES = {"name": "text", "section": "text", "size": "int", "text": "text"}
RETURNED = ("name", "size")
VECTORIZER = "text2vec-model2vec"


@dataclass
class TextResult:
    """What the server reached on the texts."""

    given_vectors: Import
    embedding: Import
    """The server makes the vectors itself."""
    keyword_eight: Load
    keyword_one: Load
    hybrid_eight: Load
    hybrid_one: Load
    points: list[ServerPoint] = field(default_factory=list)
    keyword_found: float = 0.0
    """Share of the keyword replies that hold anything: a fast empty answer is no answer."""


def measure_texts(
    texts: Texts, scratch: Path, *, seconds: float, embedded: int, tell: Callable[[str], None]
) -> TextResult:
    """Import with vectors given, then a part without; search in both text ways."""
    with ServerProcess(scratch / "texts") as server:
        create(server, COLLECTION, PROPERTIES, vectorizer=VECTORIZER)
        requests = scratch / "texts-batches"
        rows = texts.vectors.rows
        write_messages(requests, batch_requests(COLLECTION, texts.documents, rows))
        given = raw_import(server, requests, len(texts.documents))
        tell(f"texts, vectors given: {given}")
        points = measure_points(server, texts.vectors, COLLECTION, RETURNED, seconds=seconds)
        load = LoadGenerator(build_load_generator(), f"127.0.0.1:{server.grpc_port}")
        queries = texts.term_queries
        keyword = list(keyword_requests(COLLECTION, queries, "text", RETURNED))
        hybrid = list(hybrid_requests(COLLECTION, queries, texts.vectors.queries, "text", RETURNED))
        keyword_loads, found = _measure(load, keyword, seconds)
        tell(f"keyword {keyword_loads[0].per_s:.0f}/s")
        hybrid_loads, _ = _measure(load, hybrid, seconds)
        tell(f"hybrid {hybrid_loads[0].per_s:.0f}/s")
        create(server, "Embedded", PROPERTIES, vectorizer=VECTORIZER)
        part = texts.documents[:embedded]
        write_messages(requests, batch_requests("Embedded", part, None))
        embedding = raw_import(server, requests, len(part))
        tell(f"texts, embedded by the server: {embedding}")
    return TextResult(given, embedding, *keyword_loads, *hybrid_loads, points, found)


def _measure(
    load: LoadGenerator, messages: Iterable[bytes], seconds: float
) -> tuple[tuple[Load, Load], float]:
    """Eight in flight and one at a time; and the share of replies that hold hits."""
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        requests = Path(scratch) / "requests"
        write_messages(requests, messages)
        once = load.run(SEARCH, requests, in_flight=4, seconds=300, keep_replies=True)
        assert once.errors == 0, once.first_error
        found = [bool(found_numbers(reply)) for reply in once.replies]
        eight = load.best_of_three(SEARCH, requests, in_flight=8, seconds=seconds)
        one = load.best_of_three(SEARCH, requests, in_flight=1, seconds=seconds)
    return (eight, one), sum(found) / len(found)
