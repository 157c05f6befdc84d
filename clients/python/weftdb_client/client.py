"""WeftClient: the object that `weftdb.open` and `connect` give."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .collections import Collections
from .transport import Transport


class WeftClient:
    """A database, in this process or behind a server. Thread-safe; close it, or use `with`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.collections = Collections(transport)

    def get_meta(self) -> Mapping[str, Any]:
        """Version and modules of the database."""
        return self._transport.meta()

    def is_ready(self) -> bool:
        """Whether the database answers requests."""
        return self._transport.is_ready()

    def close(self) -> None:
        """Let go of the database. Closing twice is fine."""
        self._transport.close()

    def __enter__(self) -> WeftClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
