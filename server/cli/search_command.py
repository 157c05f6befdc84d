"""`weftdb search`: the best hits of a query."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from weftdb.client import Collection, MetadataQuery, NotFound
from weftdb.client.filters import Filters
from weftdb.client.results import Object
from weftdb.server.cli.conditions import parse_conditions
from weftdb.server.cli.connection import add_options, open_database
from weftdb.server.cli.screen import show_table

if TYPE_CHECKING:
    from weftdb.server.cli.commands import Commands

EXAMPLES = """examples:
  weftdb search "how to weave" --collection Article --data ./my-data
  weftdb search loom --collection Article --by keyword --where 'year>=2000' --limit 5
  weftdb search loom --collection Article --properties title --json"""

METHODS = ("hybrid", "keyword", "meaning")


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Add `search`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "search", help="search a collection", description="Search a collection."
    )
    parser.add_argument("query", help="what to look for")
    parser.add_argument("--collection", required=True, metavar="NAME", help="where")
    parser.add_argument("--by", choices=METHODS, default=METHODS[0], help="default hybrid")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="property>=value; also = != > < <= and ~ (like); may come several times",
    )
    parser.add_argument("--limit", type=int, default=10, help="default 10")
    parser.add_argument("--properties", metavar="NAME,...", help="which properties to show")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Search and print."""
    with open_database(arguments) as client:
        collection = client.collections.get(arguments.collection)
        if not collection.exists():
            names = ", ".join(client.collections.list_all()) or "none at all"
            raise NotFound(f"there is no collection {collection.name}, only {names}")
        filters = parse_conditions(arguments.where, collection.config.get())
        hits = _search(collection, arguments, filters)
    if arguments.json:
        for hit in hits:
            print(json.dumps(_json(hit), ensure_ascii=False, default=str))
    else:
        _show(hits, arguments.query)
    return 0


def _search(
    collection: Collection, arguments: argparse.Namespace, filters: Filters | None
) -> list[Object]:
    options: dict[str, Any] = {
        "limit": arguments.limit,
        "filters": filters,
        "return_properties": arguments.properties.split(",") if arguments.properties else None,
    }
    query = collection.query
    if arguments.by == "keyword":
        options["return_metadata"] = MetadataQuery(score=True)
        return query.bm25(arguments.query, **options).objects
    if arguments.by == "meaning":
        options["return_metadata"] = MetadataQuery(distance=True)
        return query.near_text(arguments.query, **options).objects
    options["return_metadata"] = MetadataQuery(score=True)
    return query.hybrid(arguments.query, **options).objects


def _rank(hit: Object) -> float | None:
    score = hit.metadata.score
    return score if score is not None else hit.metadata.distance


def _json(hit: Object) -> dict[str, Any]:
    return {
        "id": str(hit.uuid),
        "score": hit.metadata.score,
        "distance": hit.metadata.distance,
        "properties": hit.properties,
    }


def _show(hits: list[Object], query: str) -> None:
    names = sorted({name for hit in hits for name in hit.properties})
    rank = "distance" if hits and hits[0].metadata.score is None else "score"
    rows = []
    for hit in hits:
        number = _rank(hit)
        cells = [_text(hit.properties.get(name)) for name in names]
        rows.append([f"{number:.4f}" if number is not None else "", *cells])
    show_table(query, [rank, *names], rows)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
