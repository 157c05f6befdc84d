"""`weftdb estimate-memory`: what a vector index of a given size will take of memory."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from weftdb.core.definition.json_fields import Fields
from weftdb.core.memory_estimate import MemoryEstimate, estimate_memory
from weftdb.core.schema import IndexKind
from weftdb.server.cli.screen import show_table

if TYPE_CHECKING:
    from weftdb.server.cli.commands import Commands

EXAMPLES = """examples:
  weftdb estimate-memory --count 1000000 --dim 768
  weftdb estimate-memory --count 1000000 --dim 768 --settings '{"rq": {"enabled": true}}' --json
  weftdb estimate-memory --count 100000 --dim 128 --rows 60 \\
      --settings '{"multivector": {"enabled": true, "muvera": {"enabled": true}}}'"""

_PARTS = ("vectors", "codes", "links", "bookkeeping", "total")


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Add `estimate-memory`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "estimate-memory",
        help="memory that an index will take",
        description="Estimate the memory of a vector index; the process takes some on top.",
    )
    parser.add_argument("--count", required=True, type=int, metavar="N", help="vectors")
    parser.add_argument("--dim", required=True, type=int, metavar="N", help="dimensions")
    parser.add_argument(
        "--rows", type=float, metavar="N", help="rows of a matrix on average, for multi-vectors"
    )
    kinds = [kind.value for kind in IndexKind]
    parser.add_argument("--kind", choices=kinds, default=kinds[0], help=f"default {kinds[0]}")
    parser.add_argument(
        "--settings", default="{}", metavar="JSON", help="vectorIndexConfig of the collection"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Compute and print."""
    settings = _settings(arguments.settings)
    estimate = estimate_memory(
        arguments.count, arguments.dim, settings, kind=arguments.kind, rows=arguments.rows
    )
    parts = {name: _part(estimate, name) for name in _PARTS}
    if arguments.json:
        print(json.dumps(parts))
        return 0
    show_table("memory", ["part", "bytes"], [[name, f"{size:,}"] for name, size in parts.items()])
    return 0


def _part(estimate: MemoryEstimate, name: str) -> int:
    size: int = getattr(estimate, name)
    return size


def _settings(text: str) -> Any:
    try:
        return Fields(json.loads(text), "--settings").body
    except json.JSONDecodeError as error:
        raise ValueError(f"--settings is no JSON: {error}") from None
