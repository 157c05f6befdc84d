"""The database that a command works on: a data directory or a running server."""

from __future__ import annotations

import argparse
from pathlib import Path

from weftdb.client import WeftClient, connect
from weftdb.client.connecting import GRPC_PORT_DEFAULT, open_embedded

URL_DEFAULT = "http://localhost:8080"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --data, --url, --grpc-port and --api-key."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--data", metavar="DIR", type=Path, help="open this data directory in this process"
    )
    place.add_argument(
        "--url", default=URL_DEFAULT, help=f"REST address of a server (default {URL_DEFAULT})"
    )
    parser.add_argument(
        "--grpc-port", type=int, default=GRPC_PORT_DEFAULT, help="gRPC port of the server"
    )
    parser.add_argument("--api-key", help="key for a server that asks for one")


def open_database(arguments: argparse.Namespace, *, may_create: bool = False) -> WeftClient:
    """Open what the options say.

    Raises FileNotFoundError for a directory that is not there (unless it may be made), StoreHeld,
    Unavailable.
    """
    if arguments.data is None:
        return connect(arguments.url, grpc_port=arguments.grpc_port, api_key=arguments.api_key)
    if not may_create and not arguments.data.is_dir():
        raise FileNotFoundError(f"there is no data directory {arguments.data}")
    return open_embedded(arguments.data)
