"""The command `weftdb`, and the composition root of the server: the only place that names
implementations.

Exit status: 0 stopped as asked; 1 a bug; 2 bad settings or arguments; 3 another process holds the
data directory; 4 an address cannot be used; 5 the data cannot be opened; 6 the cluster cannot be
joined.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from weftdb import __version__
from weftdb.core.config import read_environment
from weftdb.core.env import Env
from weftdb.core.errors import Fault, StoreHeld, WeftError
from weftdb.core.machine import map_large_blocks
from weftdb.engine.admission import Admission
from weftdb.engine.assembly import Engine, open_engine
from weftdb.engine.collection import LocalCollection
from weftdb.server.agreement.entry import check_alone
from weftdb.server.cli.commands import add_commands
from weftdb.server.grpc.door import Door, DoorSettings
from weftdb.server.grpc.service import Service
from weftdb.server.logging import start_logging
from weftdb.server.metrics import (
    CONTENT_TYPE,
    CollectionFigures,
    Figures,
    Metrics,
    RecallFigures,
    ResourceFigures,
)
from weftdb.server.rest.app import make_app
from weftdb.server.rest.context import RestContext
from weftdb.server.right_of_way import RightOfWay
from weftdb.server.search_driver import SearchDriver
from weftdb.server.settings import BadSettings, ServerSettings, load_settings
from weftdb.storage.kv import KeyValueStore

if TYPE_CHECKING:
    from types import FrameType

    from weftdb.server.cluster_node import ClusterNode, JoiningNode

log = logging.getLogger("weftdb.server")

_LOOPBACK = ("127.", "localhost", "::1")
_BACKLOG = 1024
_IDLE_S_MAX = 75
"""How long a connection of REST stays open unused: longer than clients keep theirs (httpx: 5 s).
Who closes first never meets a request that is on its way."""
_RECALL_K = 10
"""Metrics tell the recall of searches for so many results."""
SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter from another one that wants it. Python's default is
5 ms, several searches long. A shorter one than a search is no better: threads then take it from the
loop in the middle of an answer. Threads that write let the loop go first (right_of_way.py)."""


FULL_COLLECTION_EVERY = 100
"""Collections of the middle generation. Python's 10 are, in an import, a full one every few
batches: it finds nothing, and no search gets the interpreter meanwhile."""


LOOP_NICENESS = -10
"""Of the event loop and of the threads that search, where it is permitted: to root, with
CAP_SYS_NICE, or by the limit `nice` (LimitNICE of systemd). A turn of the kernel is a tick of 4 ms:
a search that waits for another thread's turn is ten times as late."""
WORK_NICENESS = 4
"""Of threads that import and delete, above the loop's, and of slow reads where that is less than
what the process has. They hold the interpreter: while other processes, or threads that link, go
before one that does, the loop waits for it, 4 ms and more."""


class Exit(IntEnum):
    """Exit status of `weftdb serve`."""

    OK = 0
    BUG = 1
    USAGE = 2
    HELD = 3
    ADDRESS = 4
    DATA = 5
    CLUSTER = 6


_FLAGS = {
    "--data": ("data", "directory that holds the data"),
    "--host": ("http.host", "address to listen on"),
    "--port": ("http.port", "port of REST"),
    "--grpc-port": ("grpc.port", "port of gRPC"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="weftdb", description="WeftDB, a vector database")
    parser.add_argument("--version", action="version", version=f"weftdb {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands.add_parser("serve", help="run the server"))
    add_commands(commands)
    chosen = parser.parse_args(arguments)
    status: int = chosen.run(chosen)
    return status


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config-file", default="", help="YAML file with settings")
    for flag, (path, about) in _FLAGS.items():
        parser.add_argument(flag, dest=path, default=None, help=about)
    parser.set_defaults(run=_serve)


def _serve(chosen: argparse.Namespace) -> int:
    given = vars(chosen)
    flags = {path: given[path] for path, _ in _FLAGS.values() if given[path] is not None}
    try:
        loaded = load_settings(read_environment(), flags, chosen.config_file)
    except BadSettings as error:
        return _fail(Exit.USAGE, str(error))
    if not __debug__:
        return _fail(Exit.USAGE, "python -O removes checks that WeftDB relies on; run without it")
    settings = loaded.settings
    start_logging(settings.log)
    for note in loaded.notes:
        log.warning("%s", note)
    if not settings.http.host.startswith(_LOOPBACK):
        log.warning("listening on %s without authentication: open to all", settings.http.host)
    try:
        return serve(settings)
    except StoreHeld as error:
        return _fail(Exit.HELD, str(error))
    except OSError as error:
        return _fail(Exit.ADDRESS, str(error))
    except Fault as error:
        return _fail(Exit.DATA, str(error))
    except WeftError as error:
        return _fail(Exit.CLUSTER, str(error))


def _fail(status: Exit, text: str) -> int:
    print(f"weftdb: {text}", file=sys.stderr, flush=True)
    return status


@dataclass(frozen=True, slots=True)
class Node:
    """An open engine, its metrics, and who goes first in its process."""

    engine: Engine
    metrics: Metrics
    way: RightOfWay
    cluster: ClusterNode | None = None
    """Where settings name one."""


def serve(settings: ServerSettings) -> int:
    """Open the data, serve until SIGTERM or SIGINT, close.

    Raises StoreHeld, Fault (the data), OSError (an address), other WeftErrors (the cluster).
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    map_large_blocks()
    way = RightOfWay()
    listener = _listen(settings.http.host, settings.http.port)
    with contextlib.closing(listener), contextlib.ExitStack() as opened:
        opened.callback(way.close)
        node = _open(settings, way, opened)
        _keep_what_is_loaded()
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_run(settings, node, listener))
    log.info("stopped")
    return Exit.OK


def _keep_what_is_loaded() -> None:
    """Spare modules and schemas the collector of cycles: a full collection would look at all of
    it each time, with the interpreter's lock held."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION_EVERY)


def _answer_first() -> int:
    """Let this thread, which runs the loop, and those that it starts have a processor before
    others, where that is permitted; return the niceness before."""
    usual = _niceness()
    try:
        _take_niceness(usual + LOOP_NICENESS)
    except PermissionError:
        log.info("searches have the usual priority: a lower niceness is not permitted")
    return usual


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0) if sys.platform == "linux" else 0


def _take_niceness(niceness: int) -> None:
    """Set the priority of the calling thread, on Linux, where it has one of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, max(min(niceness, 19), -20))


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # Not there on Windows.

    return uvloop.new_event_loop()


def _listen(host: str, port: int) -> socket.socket:
    """Take the REST address first: to fail here costs nothing, after a long recovery it does."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(f"HTTP cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def _open(settings: ServerSettings, way: RightOfWay, opened: contextlib.ExitStack) -> Node:
    """Open the engine, and join the cluster; `opened` closes what this has opened."""
    env = Env(give_way=way.give_way, end_turn=way.end_turn)
    joining = _joining(settings, env)
    if joining is not None:
        opened.callback(joining.close)
    enter, config = _enter_alone, settings.engine
    if joining is not None:
        enter = joining.enter
        config = replace(config, replication=replace(config.replication, keeps_states=True))
    engine = open_engine(settings.data, config, env=env, enter=enter)
    opened.callback(engine.close)
    cluster = None if joining is None else joining.join(engine)
    if cluster is not None:
        opened.callback(cluster.close)
        cluster.start()
    database, metrics = engine.database, Metrics(__version__)

    def collections() -> Iterator[CollectionFigures]:
        for schema in database.collections():
            local = database.collection(schema.name)
            yield _collection_figures(schema.name, local)

    metrics.watch(
        Figures(collections, database.store.metrics, lambda: _resources(database.admission))
    )
    return Node(engine, metrics, way, cluster)


def _joining(settings: ServerSettings, env: Env) -> JoiningNode | None:
    """The node on its way into the cluster that the settings name, if they name one."""
    if not settings.in_cluster.is_cluster:
        return None
    # What a cluster needs (etcd's client, gRPC's runtime) is no weight of a single node's.
    from weftdb.server.cluster_node import JoiningNode

    # Waiting for the others may take long, and process 1 of a container ignores what it does not
    # handle. The loop takes the signals over.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_opening)
    return JoiningNode(settings.in_cluster, settings.data, env)


def _stop_opening(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _enter_alone(directory: KeyValueStore) -> int:
    check_alone(directory)
    return 0


def _collection_figures(name: str, local: LocalCollection) -> CollectionFigures:
    recalls = [
        RecallFigures(vector, found.target, found.achieved, found.ef)
        for vector, found in local.figures.recalls(_RECALL_K).items()
    ]
    figures = local.figures
    return CollectionFigures(
        name,
        figures.objects,
        figures.pending,
        figures.oldest_pending_s,
        figures.slowed_s,
        recalls,
        figures.graph_upkeep,
        len(figures.link_faults),
        figures.quantizers,
        figures.tombstones,
    )


def _resources(admission: Admission) -> ResourceFigures:
    memory, disk = admission.memory, admission.disk
    return ResourceFigures(
        memory=memory.consumption().parts,
        memory_used=memory.used_bytes,
        memory_budget=memory.budget_bytes,
        disk_percentage=disk.used_percentage,
        refused={"memory": memory.refused, "disk": disk.refused},
    )


class _RestServer(uvicorn.Server):
    """uvicorn without signal handlers: this file stops both doors together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def _run(settings: ServerSettings, node: Node, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def is_ready() -> bool:
        return not stop.is_set()

    threads = settings.grpc
    usual = _answer_first()
    work = _niceness() + WORK_NICENESS
    read = min(work, usual)
    with (
        ThreadPoolExecutor(threads.read_threads, "weft-read", _take_niceness, (read,)) as readers,
        ThreadPoolExecutor(threads.write_threads, "weft-write", _take_niceness, (work,)) as writers,
        contextlib.closing(
            SearchDriver(loop, settings.engine.index.threads, readers, node.way)
        ) as driver,
    ):
        service = Service(
            node.engine.catalogue,
            settings.engine.query,
            driver,
            readers=readers,
            writers=writers,
            stopping=stop,
        )
        door = Door(
            service.unary(),
            service.streams(),
            _door_settings(settings),
            node.metrics.door("grpc"),
            node.way,
        )
        app = make_app(_rest_context(settings, node, is_ready))
        rest = _RestServer(_uvicorn_config(app, node.metrics, settings))
        async with _among_others(node, stop, driver, settings.stop_grace_s):
            await _serve_until(stop, settings, door, [(rest, listener), *_scrape(node, settings)])


@contextlib.asynccontextmanager
async def _among_others(
    node: Node, stop: asyncio.Event, searches: SearchDriver, grace_s: float
) -> AsyncIterator[None]:
    """Be there for other nodes of the cluster, if there is one."""
    if node.cluster is None:
        yield
        return
    from weftdb.server.cluster_figures import ClusterCollector
    from weftdb.server.internode.peer_figures import LinkCollector
    from weftdb.server.internode.replication_figures import ReplicationCollector
    from weftdb.server.moving.figures import MovingCollector
    from weftdb.server.node_links import Lent

    metrics, clock = node.metrics, node.engine.env.clock
    lent = Lent(metrics.door("nodes"), metrics.door("to_nodes"), node.way, searches)
    async with node.cluster.running(stop, lent, grace_s=grace_s) as links:
        metrics.include(LinkCollector(links.figures))
        metrics.include(ReplicationCollector(links.replication.figures, clock))
        metrics.include(ClusterCollector(node.cluster.figures))
        metrics.include(MovingCollector(node.cluster.moved))
        yield


async def _serve_until(
    stop: asyncio.Event,
    settings: ServerSettings,
    door: Door,
    servers: list[tuple[_RestServer, socket.socket]],
) -> None:
    """Open both doors, say so, wait for `stop`, let running requests finish."""
    grpc_port = await door.start()
    tasks = [asyncio.create_task(rest.serve(sockets=[own])) for rest, own in servers]
    while not all(rest.started for rest, _ in servers):
        await asyncio.sleep(0.01)
    host, port = servers[0][1].getsockname()[:2]
    print(
        f"weftdb {__version__} is ready: REST http://{host}:{port}, "
        f"gRPC {settings.http.host}:{grpc_port}, data {settings.data}",
        flush=True,
    )
    await stop.wait()
    log.info("stopping: running requests have %g s", settings.stop_grace_s)
    for rest, _ in servers:
        rest.should_exit = True
    await asyncio.gather(door.stop(settings.stop_grace_s), *tasks)


def _rest_context(
    settings: ServerSettings, node: Node, is_ready: Callable[[], bool]
) -> RestContext:
    return RestContext(
        database=node.engine.database,
        catalogue=node.engine.catalogue,
        vectorizers=node.engine.vectorizers,
        config=settings.engine,
        env=node.engine.env,
        grpc_message_bytes_max=settings.grpc.message_bytes_max,
        is_ready=is_ready,
        cluster=None if node.cluster is None else node.cluster.reports,
        moving=None if node.cluster is None else node.cluster.movements,
    )


def _door_settings(settings: ServerSettings) -> DoorSettings:
    grpc = settings.grpc
    return DoorSettings(
        settings.http.host, grpc.port, grpc.message_bytes_max, grpc.certificate, grpc.key
    )


def _uvicorn_config(app: Starlette, metrics: Metrics, settings: ServerSettings) -> uvicorn.Config:
    app.add_route("/metrics", _metrics_route(metrics))
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE_S_MAX,
        lifespan="off",
        timeout_graceful_shutdown=max(1, int(settings.stop_grace_s)),
    )


def _metrics_route(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        body = await asyncio.to_thread(metrics.render)
        return Response(body, media_type=CONTENT_TYPE)

    return answer


def _scrape(node: Node, settings: ServerSettings) -> list[tuple[_RestServer, socket.socket]]:
    """The listener of its own for Prometheus, if it is switched on."""
    if not settings.metrics.enabled:
        return []
    listener = _listen(settings.http.host, settings.metrics.port)
    return [(_RestServer(_uvicorn_config(Starlette(), node.metrics, settings)), listener)]


if __name__ == "__main__":
    sys.exit(main())
