"""Where other nodes find this one, and how much room it has: what it says of itself."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from weftdb import __version__
from weftdb.cluster.metadata.records import NodeRecord
from weftdb.server.cluster_settings import NodeInCluster
from weftdb.server.etcd.member_plan import hosts_of

_LOCALHOST = "127.0.0.1"
_ROOM_STEPS = 64
"""Free disk is told in so many steps of the whole disk, so that few changes are worth telling."""


def told_address(settings: NodeInCluster, asked: Sequence[str]) -> str:
    """host:port under which others reach this node; `asked` is whom this node asks (host:port).

    In this order: the address that the settings give; loopback, where all nodes are on one machine;
    the host that they give for its name; the name, where certificates need it or it resolves to
    this machine; the machine's address on the way to the others.
    """
    cluster = settings.cluster
    port = cluster.told_port
    if cluster.advertise_host:
        return f"{cluster.advertise_host}:{port}"
    if cluster.in_localhost:
        return f"{_LOCALHOST}:{port}"
    host = hosts_of(cluster.hosts).get(settings.node)
    if host is not None:
        return f"{host}:{port}"
    name = settings.node if not cluster.domain else f"{settings.node}.{cluster.domain}"
    if cluster.certificate is not None or _is_here(name):
        return f"{name}:{port}"
    for endpoint in asked:
        found = _way_to(endpoint)
        if found is not None and not found.startswith("127."):
            return f"{found}:{port}"
    return f"{name}:{port}"


def node_record(
    address: str, generation: int, data: Path, *, is_leaving: bool = False
) -> Callable[[], bytes]:
    """What the node's record says from now on, whenever it is asked."""

    def record() -> bytes:
        return NodeRecord(address, __version__, generation, _room(data), is_leaving).encode()

    return record


def _room(data: Path) -> int:
    """Free bytes of the disk, in steps."""
    usage = shutil.disk_usage(data)
    step = max(1, usage.total // _ROOM_STEPS)
    return usage.free // step * step or min(usage.free, step)


def _is_here(name: str) -> bool:
    """Whether `name` resolves to an address of this machine that others can reach."""
    try:
        found = socket.getaddrinfo(name, 0, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for *_, address in found:
        host = str(address[0])
        if host.startswith("127."):
            continue
        with socket.socket() as trial:
            try:
                trial.bind((host, 0))
            except OSError:
                continue
            return True
    return False


def _way_to(endpoint: str) -> str | None:
    """The address of this machine on the way to another; nothing is sent."""
    host, _, port = endpoint.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((host, int(port)))
        except OSError:
            return None
        return str(trial.getsockname()[0])
