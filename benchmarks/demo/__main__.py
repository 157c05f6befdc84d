"""The demo, `make demo`: real text in through the official client, out again in four ways.

1. docstrings of the Python that runs this become objects, embedded by the server in its process;
2. keyword search, search by meaning, hybrid search, hybrid search with filters;
3. the server stops, the same directory is opened as a library, and gives the same hits.

Ends with code 1 if a search is not relevant or the library disagrees with the server.
"""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import weaviate
from rich.console import Console
from rich.progress import track
from rich.table import Table
from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
from weaviate.classes.query import Filter, MetadataQuery

import weftdb
import weftdb.client as own
from benchmarks.demo.corpus import Document, gather
from benchmarks.demo.questions import QUESTIONS, Hit, Question, ask, is_relevant
from benchmarks.demo.server_process import ServerProcess

COLLECTION = "PythonDocument"
BATCH_OBJECTS = 1_000
DOCUMENTS_MIN = 5_000
RANK_TOLERANCE = 1e-4
"""Scores travel as float32."""

OFFICIAL = SimpleNamespace(Filter=Filter, MetadataQuery=MetadataQuery)

console = Console(width=None if sys.stdout.isatty() else 110)
faults: list[str] = []


@contextlib.contextmanager
def step(label: str) -> Iterator[None]:
    """Say how long a part took."""
    started = time.perf_counter()
    yield
    console.print(f"[bold]{label}[/bold]: {time.perf_counter() - started:.1f} s")


def create(client: weaviate.WeaviateClient) -> Any:
    """Make the collection, with a vector of name and docstring by the in-process embedding."""
    return client.collections.create(
        COLLECTION,
        properties=[
            Property(name="docstring", data_type=DataType.TEXT),
            Property(name="kind", data_type=DataType.TEXT, tokenization=Tokenization.FIELD),
            Property(name="lines", data_type=DataType.INT),
            Property(name="module", data_type=DataType.TEXT, tokenization=Tokenization.FIELD),
            Property(name="name", data_type=DataType.TEXT),
            Property(name="package", data_type=DataType.TEXT, tokenization=Tokenization.FIELD),
            Property(name="signature", data_type=DataType.TEXT),
        ],
        vector_config=Configure.Vectors.text2vec_model2vec(
            source_properties=["name", "docstring"],
            vectorize_collection_name=False,
            vector_index_config=Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE),
        ),
    )


def load(collection: Any, documents: Sequence[Document]) -> None:
    """Import in batches. Every error counts as a fault of the demo."""
    started = time.perf_counter()
    starts = range(0, len(documents), BATCH_OBJECTS)
    for start in track(starts, description="importing", console=console):
        batch = [item.properties() for item in documents[start : start + BATCH_OBJECTS]]
        errors = collection.data.insert_many(batch).errors
        faults.extend(f"import: {error.message}" for error in list(errors.values())[:3])
    rate = len(documents) / (time.perf_counter() - started)
    console.print(f"{len(documents):,} documents imported, embedded and indexed ({rate:,.0f}/s)")
    if len(collection) != len(documents):
        faults.append(f"{len(collection)} objects of {len(documents)} are there")


def show(question: Question, hits: Sequence[Hit], took_ms: float) -> None:
    """Print hits as a table."""
    table = Table(title=f"{question.title} ({took_ms:.1f} ms)", title_justify="left", expand=True)
    table.add_column("distance" if question.way == "meaning" else "score", width=8)
    table.add_column("name", ratio=2, overflow="fold", style="cyan")
    table.add_column("kind", width=8)
    table.add_column("lines", justify="right", width=5)
    table.add_column("docstring", ratio=2, no_wrap=True, overflow="ellipsis")
    for hit in hits:
        text = str(hit.properties["docstring"]).strip().splitlines()[0]
        cells = [hit.properties["name"], hit.properties["kind"], str(hit.properties["lines"]), text]
        table.add_row(f"{hit.rank:.3f}", *cells)
    console.print(table)


def ask_all(collection: Any, classes: Any, *, shown: bool) -> list[list[Hit]]:
    """Ask every question."""
    answers = []
    for question in QUESTIONS:
        started = time.perf_counter()
        hits = ask(collection, question, classes)
        took_ms = 1_000 * (time.perf_counter() - started)
        if shown:
            show(question, hits, took_ms)
        if not is_relevant(hits, question):
            faults.append(f"{question.title}: {question.expects} is not among the hits")
        answers.append(hits)
    return answers


def compare(first: list[list[Hit]], second: list[list[Hit]]) -> None:
    """Note where the library's hits differ from the server's."""
    for question, ours, theirs in zip(QUESTIONS, second, first, strict=True):
        same = [hit.id for hit in ours] == [hit.id for hit in theirs] and all(
            math.isclose(a.rank, b.rank, abs_tol=RANK_TOLERANCE)
            for a, b in zip(ours, theirs, strict=True)
        )
        if not same:
            told = ", ".join(f"{hit.properties['name']} {hit.rank:.5f}" for hit in ours)
            asked = ", ".join(f"{hit.properties['name']} {hit.rank:.5f}" for hit in theirs)
            faults.append(f"{question.title}: the library gives {told}; the server {asked}")


def main() -> int:
    """Run the demo; 0 when everything was as promised."""
    with tempfile.TemporaryDirectory(prefix="weftdb-demo-") as name:
        directory = Path(name) / "data"
        with step("reading docstrings"):
            documents = gather()
        if len(documents) < DOCUMENTS_MIN:
            faults.append(f"only {len(documents)} documents, expected {DOCUMENTS_MIN}")
        with ServerProcess(directory, Path(name) / "server.log") as server:
            client = weaviate.connect_to_local(
                host="127.0.0.1", port=server.rest_port, grpc_port=server.grpc_port
            )
            with client:
                with step("import through the official client"):
                    collection = create(client)
                    load(collection, documents)
                by_server = ask_all(collection, OFFICIAL, shown=True)
        with step("the same directory as a library"), weftdb.open(directory) as database:
            by_library = ask_all(database.collections.use(COLLECTION), own, shown=False)
        compare(by_server, by_library)
    for fault in faults:
        console.print(f"[bold red]fault[/bold red] {fault}")
    if not faults:
        console.print("[bold green]The library gives the same hits as the server.[/bold green]")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
