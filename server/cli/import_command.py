"""`weftdb import`: a file into a collection, with a progress bar."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weftdb.client import Collection, Configure, WeftClient, generate_uuid5
from weftdb.client.batch import BATCH_SIZE_DEFAULT, Batch
from weftdb.server.cli.connection import add_options, open_database
from weftdb.server.cli.records import BadRecord, read_records, record_count

if TYPE_CHECKING:
    from weftdb.server.cli.commands import Commands

EXAMPLES = """examples:
  weftdb import articles.jsonl --collection Article --data ./my-data
  weftdb import rows.csv.gz --collection Row --types year=int,price=number
  weftdb import vectors.jsonl --collection Item --vectorizer none --vector-field embedding"""

FAILURES_SHOWN_MAX = 10


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Add `import`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "import",
        help="import a .jsonl or .csv file",
        description="Import a .jsonl, .ndjson or .csv file (also .gz), an object a record. A "
        "collection that is not there is made, properties are added as they come.",
    )
    parser.add_argument("file", type=Path, help="the file")
    parser.add_argument("--collection", required=True, metavar="NAME", help="where to")
    parser.add_argument(
        "--vectorizer",
        default="text2vec-model2vec",
        metavar="MODULE",
        help="for a collection that is made: the module that embeds, or none "
        "(default text2vec-model2vec, which embeds in the database's process)",
    )
    parser.add_argument("--id-field", metavar="FIELD", help="field with the id (any text)")
    parser.add_argument("--vector-field", metavar="FIELD", help="field with the vector")
    parser.add_argument(
        "--types", type=_types, default={}, metavar="COLUMN=TYPE,...", help="types of CSV columns"
    )
    parser.add_argument("--batch-size", type=_positive, default=BATCH_SIZE_DEFAULT)
    parser.add_argument("--limit", type=_positive, metavar="N", help="stop after N records")
    add_options(parser)
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return int(text)


def _types(text: str) -> dict[str, str]:
    types = {}
    for part in text.split(","):
        name, mark, kind = part.partition("=")
        if not mark or not name or not kind:
            raise argparse.ArgumentTypeError(f"expected COLUMN=TYPE, got {part!r}")
        types[name.strip()] = kind.strip()
    return types


def run(arguments: argparse.Namespace) -> int:
    """Import; 0 when every object was stored, 1 when some were refused."""
    count = record_count(arguments.file)
    if arguments.limit is not None and count is not None:
        count = min(count, arguments.limit)
    started = time.monotonic()
    with open_database(arguments, may_create=True) as client:
        collection = _collection(client, arguments)
        records = read_records(arguments.file, {**_schema_types(collection), **arguments.types})
        batch = collection.batch.fixed_size(arguments.batch_size, progress=True, total=count)
        with batch:
            for record in islice(records, arguments.limit):
                _add(batch, record, arguments)
    return _report(batch, collection.name, time.monotonic() - started)


def _collection(client: WeftClient, arguments: argparse.Namespace) -> Collection:
    collection = client.collections.get(arguments.collection)
    if collection.exists():
        return collection
    vector = (
        Configure.Vectors.self_provided()
        if arguments.vectorizer == "none"
        else Configure.Vectors.custom(
            module_name=arguments.vectorizer, module_config={"vectorizeClassName": False}
        )
    )
    return client.collections.create(collection.name, vector_config=vector)


def _schema_types(collection: Collection) -> Mapping[str, str]:
    """Types of the properties there are, for the columns of a CSV file."""
    properties = collection.config.get().get("properties") or []
    return {item["name"]: item["dataType"][0] for item in properties}


def _add(batch: Batch, record: dict[str, Any], arguments: argparse.Namespace) -> None:
    object_id, vector = None, None
    if arguments.id_field is not None:
        given = record.pop(arguments.id_field, None)
        if given is None:
            raise BadRecord(f"{arguments.file}: a record without the field {arguments.id_field!r}")
        object_id = _object_id(str(given))
    if arguments.vector_field is not None:
        vector = record.pop(arguments.vector_field, None)
    batch.add_object(record, uuid=object_id, vector=vector)


def _object_id(text: str) -> str:
    """A UUID as it is; other text becomes the same UUID every time, so that imports repeat."""
    import uuid

    try:
        return str(uuid.UUID(text))
    except ValueError:
        return generate_uuid5(text)


def _report(batch: Batch, name: str, elapsed_s: float) -> int:
    rate = batch.stored_count / max(elapsed_s, 1e-9)
    print(f"{batch.stored_count:,} objects into {name} in {elapsed_s:.1f} s ({rate:,.0f}/s)")
    for failure in batch.failed_objects[:FAILURES_SHOWN_MAX]:
        print(f"refused {failure.object_id}: {failure.message}", file=sys.stderr)
    hidden = len(batch.failed_objects) - FAILURES_SHOWN_MAX
    if hidden > 0:
        print(f"... and {hidden:,} more refused", file=sys.stderr)
    return 1 if batch.failed_objects else 0
