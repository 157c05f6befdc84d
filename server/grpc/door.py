"""The gRPC door: listens, and hands every connection the table of handlers.

A table maps a method's path to its handler: `async handler(request bytes, call) -> reply bytes`,
or a generator of bytes for a stream. Message packages do not travel on the wire, so our messages
answer under the paths of the public API. A handler raises `WeftError`; the connection makes a
status of it. Anything else that escapes is a bug of ours: it is logged and answered INTERNAL, and
the server goes on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from weftdb.core.limits import GRPC_CALLS_MAX, GRPC_HEADER_BYTES_MAX
from weftdb.server.grpc.connection import (
    CallTable,
    Connection,
    Method,
    Observer,
    StreamHandler,
    UnaryHandler,
)
from weftdb.server.right_of_way import RightOfWay

LINGER_S = 0.5
"""How long the last bytes of a closed connection may take to leave."""
_LINGER_STEP_S = 0.005
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Where the door is and what goes through it."""

    host: str
    port: int
    message_bytes_max: int
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    """Only callers whose certificate it signed are let in; None: whoever comes."""


class Door:
    """One gRPC listener. Lives in the event loop that starts it."""

    def __init__(
        self,
        unary: Mapping[str, UnaryHandler],
        streams: Mapping[str, StreamHandler],
        settings: DoorSettings,
        observer: Observer,
        way: RightOfWay | None = None,
    ) -> None:
        self._settings = settings
        self._table = CallTable(
            methods=(
                *(Method(path, unary=handler) for path, handler in unary.items()),
                *(Method(path, stream=handler) for path, handler in streams.items()),
            ),
            message_bytes_max=settings.message_bytes_max,
            calls_max=GRPC_CALLS_MAX,
            header_bytes_max=GRPC_HEADER_BYTES_MAX,
            observer=observer,
            way=way or RightOfWay(),
        )
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; return the port. Raises OSError when the address cannot be used."""
        settings, loop = self._settings, asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self._table, loop, self._connections),
                settings.host,
                settings.port,
                ssl=_context(settings),
                backlog=_BACKLOG,
            )
        except OSError as error:
            address = f"{settings.host}:{settings.port}"
            raise OSError(f"gRPC cannot listen on {address}: {error}") from error
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no new calls and give running ones `grace_s` seconds."""
        if self._server is None:
            return
        self._server.close()
        running = {task for each in self._connections for task in each.go_away()}
        if running:
            await asyncio.wait(running, timeout=grace_s)
        for connection in tuple(self._connections):
            connection.close()
        await self._server.wait_closed()
        await self._last_bytes()

    async def _last_bytes(self) -> None:
        """Wait until connections are gone; a peer that takes nothing more is cut off."""
        until = asyncio.get_running_loop().time() + LINGER_S
        while self._connections and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LINGER_STEP_S)
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # for the loop to say that they are lost


def _context(settings: DoorSettings) -> ssl.SSLContext | None:
    """How connections are encrypted. Raises OSError for files that are none of this."""
    if settings.certificate is None or settings.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if settings.authority is not None:
        context.load_verify_locations(settings.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(settings.certificate, settings.key)
    context.set_alpn_protocols(["h2"])
    return context
