"""ServerClient: what the benchmarks ask of a running server besides searches."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.server_process import ServerProcess

POLL_S = 0.1
LINKS_LAYER_0 = 32
EF_CONSTRUCTION = 128


class NeverIndexed(Exception):
    """The vector queue did not become empty in time."""


@dataclass
class ServerClient:
    """Plain REST calls to the server's own API."""

    server: ServerProcess

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send JSON, get JSON (None for an empty answer). Raises with the server's words."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.http_port}/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error
        return json.loads(content) if content else None

    def set_ef(self, collection: str, ef: int) -> None:
        """Change the ef of a collection's graph, online."""
        definition = self.call("GET", f"/schema/{collection}")
        definition["vectorIndexConfig"]["ef"] = ef
        self.call("PUT", f"/schema/{collection}", definition)

    def pending(self) -> int:
        """Vectors that wait to be linked into a graph, all shards."""
        nodes = self.call("GET", "/nodes?output=verbose")["nodes"]
        shards = [shard for node in nodes for shard in node.get("shards") or []]
        return sum(int(shard.get("vectorQueueLength", 0)) for shard in shards)

    def wait_indexed(self, timeout_s: float = 1800.0) -> float:
        """Wait until no vector is pending; returns the seconds it took."""
        began = time.perf_counter()
        while self.pending() > 0:
            if time.perf_counter() - began > timeout_s:
                raise NeverIndexed(f"{self.pending()} vectors still wait after {timeout_s} s")
            time.sleep(POLL_S)
        return time.perf_counter() - began


def collection_definition(
    name: str, properties: Mapping[str, str], *, vectorizer: str = "none"
) -> dict[str, Any]:
    """A collection with the peers' graph settings: M 16, efConstruction 128, cosine.

    `maxConnections` counts the links on layer 0, which are 32 at hnswlib's M = 16.
    """
    return {
        "class": name,
        "vectorizer": vectorizer,
        "vectorIndexType": "hnsw",
        "vectorIndexConfig": {
            "distance": "cosine",
            "maxConnections": LINKS_LAYER_0,
            "efConstruction": EF_CONSTRUCTION,
        },
        "properties": [{"name": key, "dataType": [kind]} for key, kind in properties.items()],
    }
