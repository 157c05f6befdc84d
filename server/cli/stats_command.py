"""`weftdb stats`: what a database holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weftdb.client import WeftClient
from weftdb.server.cli.connection import add_options, open_database
from weftdb.server.cli.screen import show_table

if TYPE_CHECKING:
    from weftdb.server.cli.commands import Commands

EXAMPLES = """examples:
  weftdb stats --data ./my-data
  weftdb stats --url http://localhost:8080 --json"""


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Add `stats`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "stats", help="list collections", description="List collections and their objects."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Count and print."""
    with open_database(arguments) as client:
        rows = [_row(client, name, body) for name, body in client.collections.list_all().items()]
    if arguments.json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return 0
    heads = ["collection", "objects", "properties", "vectors"]
    show_table(
        "collections",
        heads,
        [
            [
                row["collection"],
                f"{row['objects']:,}",
                ", ".join(f"{name} {kind}" for name, kind in row["properties"].items()),
                ", ".join(f"{name or 'vector'} {kind}" for name, kind in row["vectors"].items()),
            ]
            for row in rows
        ],
    )
    return 0


def _row(client: WeftClient, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "collection": name,
        "objects": len(client.collections.get(name)),
        "properties": {
            item["name"]: "/".join(item["dataType"]) for item in body.get("properties") or []
        },
        "vectors": _vectors(body),
    }


def _vectors(body: Mapping[str, Any]) -> dict[str, str]:
    """The vectorizer of each vector; the one without a name is ''."""
    named = body.get("vectorConfig")
    if named:
        return {name: next(iter(item["vectorizer"]), "none") for name, item in named.items()}
    return {"": str(body["vectorizer"])} if body.get("vectorizer") else {}
