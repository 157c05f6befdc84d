"""CollectionRow: what is stored of a collection beside its data.

    row    := JSON {"format": 2, "shards": [shard …], "definition": {...}}
    shard  := {"number": u32, "name": text, "files": text}
    row 1  := JSON {"format": 1, "shard": u32, "shard_name": text, "definition": {...}}

`files` is the name by which index files know whose they are: the same in no other shard of any
database, while replicas on other nodes share `name`. Format 1 had one shard, whose name was both;
it is read, and written anew with the next change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weftdb.core.errors import CorruptData
from weftdb.core.types import ShardId, ShardName

FORMAT = 2


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard of a collection on this node."""

    number: ShardId
    name: ShardName
    files: str


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """What is stored of one collection."""

    shards: Sequence[ShardEntry]
    definition: Mapping[str, Any]

    def encoded(self) -> bytes:
        """The bytes of the row."""
        shards = [
            {"number": one.number, "name": one.name, "files": one.files} for one in self.shards
        ]
        row = {"format": FORMAT, "shards": shards, "definition": self.definition}
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def read_row(value: bytes) -> CollectionRow:
    """Read a row of any format. Raises CorruptData."""
    try:
        row = json.loads(value)
        known = row["format"]
        if known == 1:
            name = row["shard_name"]
            shards = [ShardEntry(ShardId(row["shard"]), ShardName(name), name)]
        elif known == FORMAT:
            shards = [
                ShardEntry(ShardId(one["number"]), ShardName(one["name"]), one["files"])
                for one in row["shards"]
            ]
        else:
            raise CorruptData(f"a collection row has format {known}, not 1 to {FORMAT}")
        return CollectionRow(shards, row["definition"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"a collection row cannot be read: {error!r}") from error
