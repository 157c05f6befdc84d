"""RestContext: what the REST routes work with, made once by server/main.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from weftdb.core import limits
from weftdb.core.config import Config
from weftdb.core.env import Env
from weftdb.core.types import NodeName
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.database import Database
from weftdb.modules.ports import Vectorizers
from weftdb.server.node_reports import NodeReports, OwnReports
from weftdb.server.own_facts import REPORTED_VERSION, OwnFacts

if TYPE_CHECKING:
    from weftdb.server.moving.movements import Movements

__all__ = ["REPORTED_VERSION", "RestContext", "context_of"]


@dataclass(frozen=True, slots=True)
class RestContext:
    """The engine and the facts that routes tell about this node."""

    database: Database
    catalogue: Catalogue
    vectorizers: Vectorizers
    config: Config
    env: Env = field(default_factory=Env)
    body_bytes_max: int = limits.REQUEST_BODY_BYTES_MAX
    grpc_message_bytes_max: int = limits.GRPC_MESSAGE_BYTES_MAX
    is_ready: Callable[[], bool] = lambda: True
    """False while starting and while draining."""
    cluster: Callable[[], NodeReports] | None = None
    """Reports of the cluster that this node is one of."""
    moving: Callable[[], Movements] | None = None
    """What moves data in that cluster."""

    @property
    def reports(self) -> NodeReports:
        """What is told of nodes: of all nodes of the cluster, or of this one alone."""
        if self.cluster is not None:
            return self.cluster()
        own = OwnFacts(NodeName(self.config.node_name), self.database, holds_all=True)
        return OwnReports(own)


def context_of(request: Request) -> RestContext:
    """The context that `make_app` put into the application."""
    context: RestContext = request.app.state.context
    return context
