"""Makes clients: over the network, or of an engine in this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .client import WeftClient

if TYPE_CHECKING:
    from weftdb.core.config import Config

GRPC_PORT_DEFAULT = 50_051


def connect(
    url: str = "http://localhost:8080",
    *,
    grpc_port: int = GRPC_PORT_DEFAULT,
    api_key: str | None = None,
    timeout_s: float = 60.0,
) -> WeftClient:
    """Connect to a server: `url` is its REST address, `grpc_port` is on the same host.

    Raises ValueError for a URL of another form, Unavailable if the server does not answer.
    """
    from .remote import RemoteTransport

    transport = RemoteTransport(url, grpc_port=grpc_port, api_key=api_key, timeout_s=timeout_s)
    transport.check()
    return WeftClient(transport)


def open_embedded(path: str | os.PathLike[str], config: Config | None = None) -> WeftClient:
    """Open (or make) a data directory in this process.

    Raises core.errors.StoreHeld naming the process that has it, CorruptData, DiskFull.
    """
    from pathlib import Path

    from weftdb.engine.assembly import open_engine

    from .embedded import EmbeddedTransport

    return WeftClient(EmbeddedTransport(open_engine(Path(path), config)))
