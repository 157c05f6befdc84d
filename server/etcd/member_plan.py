"""What a node does about an etcd member of its own: decided from settings and what it finds.

The variables of the reference are read as follows.

    CLUSTER_HOSTNAME        name of the node, and of its member
    RAFT_JOIN               name[:port],...  nodes that have a member; the port is their RAFT_PORT
    RAFT_BOOTSTRAP_EXPECT   so many of them, from the front, found the cluster together
    RAFT_PORT               port on which members talk to each other
    RAFT_INTERNAL_RPC_PORT  port on which members are asked; as far from RAFT_PORT on every node
    CLUSTER_JOIN            host[:port],...  nodes to ask, where RAFT_JOIN names nobody
    CLUSTER_IN_LOCALHOST    all nodes are on this machine

A node that RAFT_JOIN does not name has no member: three or five of them agree for any number of
nodes, and the others ask them. The founders need no word with each other: all of them derive the
same list. Whoever comes later asks those who are there to be added, first as a learner, which has
no vote until it knows everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from weftdb.core.errors import InvalidRequest
from weftdb.core.types import NodeName

RAFT_PORT = 8300
RAFT_INTERNAL_RPC_PORT = 8301
_LOCALHOST = "127.0.0.1"
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """The variables above, with their defaults."""

    name: NodeName
    raft_join: str = ""
    bootstrap_expect: int = 1
    raft_port: int = RAFT_PORT
    client_port: int = RAFT_INTERNAL_RPC_PORT
    cluster_join: str = ""
    in_localhost: bool = False
    is_encrypted: bool = False
    """Whether members speak TLS; all of them must, or none."""
    domain: str = ""
    """Put behind a name to find its address; nothing where names resolve as they are."""
    hosts: str = ""
    """name=host,...  where nodes are found whose names do not resolve."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A node that has a member, and where that is found."""

    name: NodeName
    peer_url: str
    endpoint: str
    """host:port for clients."""


@dataclass(frozen=True, slots=True)
class FoundMember:
    """A member that a running cluster knows. One that was added has no name until it starts."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    has_started: bool = True
    """Whether it has ever been there: it has told where clients find it."""
    is_learner: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """Start the member from its data, which knows everything else."""


@dataclass(frozen=True, slots=True)
class Found:
    """Start a member of a new cluster; every founder has this same list."""

    founders: tuple[Seat, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Have the running cluster add this member, then start it.

    `replaces`: the member that stood here before and has lost its data must be removed first, or
    it would come back without what it once promised to remember.
    """

    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class Enter:
    """The running cluster has added this member already: start it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nobody answers, and it is not for this node to found the cluster: ask again later."""


@dataclass(frozen=True, slots=True)
class Ask:
    """No member here: be a client of these endpoints."""

    endpoints: tuple[str, ...]


MemberPlan: TypeAlias = Resume | Found | Join | Enter | Wait | Ask


def seats(settings: MemberSettings) -> tuple[Seat, ...]:
    """The nodes with a member, in the order of RAFT_JOIN. Raises InvalidRequest."""
    distance = settings.client_port - settings.raft_port
    if not distance:
        raise InvalidRequest(f"RAFT_PORT and RAFT_INTERNAL_RPC_PORT are both {settings.raft_port}")
    text = settings.raft_join or ("" if settings.cluster_join else settings.name)
    scheme = "https" if settings.is_encrypted else "http"
    hosts, found = hosts_of(settings.hosts), []
    for name, port in _addresses("RAFT_JOIN", text, settings.raft_port):
        host = hosts.get(NodeName(name)) or _host_of(name, settings.domain)
        if settings.in_localhost:
            host = _LOCALHOST
        peer_url, endpoint = f"{scheme}://{host}:{port}", f"{host}:{port + distance}"
        found.append(Seat(NodeName(name), peer_url, endpoint))
    _check(settings, found)
    return tuple(found)


def decide(
    settings: MemberSettings, *, has_data: bool, members: Sequence[FoundMember] | None
) -> MemberPlan:
    """The next step. `members` is what a running cluster says; None: nobody answers.

    Raises InvalidRequest for settings that contradict each other.
    """
    seated = seats(settings)
    own = next((seat for seat in seated if seat.name == settings.name), None)
    if own is None:
        return Ask(ask_at(settings))
    if has_data:
        return Resume()
    founders = seated[: settings.bootstrap_expect]
    if members is None:
        return Found(founders) if own in founders else Wait()
    for member in members:
        if own.peer_url in member.peer_urls:
            if member.has_started:
                return Join(replaces=member.id)
            # The others have begun without this founder, or have added it and it never came.
            return Found(founders) if member.name and own in founders else Enter()
    for member in members:
        if member.name == own.name:
            # Its address has changed: the old one is as good as gone.
            return Join(replaces=member.id)
    return Join()


def ask_at(settings: MemberSettings) -> tuple[str, ...]:
    """Where this node asks etcd: at its own member first. Raises InvalidRequest."""
    seated = seats(settings)
    if seated:
        ordered = sorted(seated, key=lambda seat: seat.name != settings.name)
        return tuple(seat.endpoint for seat in ordered)
    # The port in CLUSTER_JOIN is that of the gossip, which we do not have.
    hosts = _addresses("CLUSTER_JOIN", settings.cluster_join, settings.client_port)
    return tuple(
        f"{_LOCALHOST if settings.in_localhost else host}:{settings.client_port}"
        for host, _ in hosts
    )


def names_of(variable: str, text: str) -> tuple[str, ...]:
    """The names in a list of name[:port]. Raises InvalidRequest that names the variable."""
    return tuple(name for name, _ in _addresses(variable, text, 1))


def hosts_of(text: str) -> dict[NodeName, str]:
    """The hosts in a list of name=host. Raises InvalidRequest."""
    found: dict[NodeName, str] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, host = (each.strip() for each in part.partition("="))
        if not (name and equals and host) or any(each in host for each in "/:@= "):
            raise InvalidRequest(f"WEFTDB_CLUSTER_HOSTS={text!r}: {part!r} is no name=host")
        if name in found:
            raise InvalidRequest(f"WEFTDB_CLUSTER_HOSTS={text!r} names {name} twice")
        found[NodeName(name)] = host
    return found


def _host_of(name: str, domain: str) -> str:
    return f"{name}.{domain}" if domain and "." not in name else name


def _check(settings: MemberSettings, found: Sequence[Seat]) -> None:
    for what in ("name", "peer_url"):
        values = [getattr(seat, what) for seat in found]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise InvalidRequest(f"RAFT_JOIN={settings.raft_join!r} names {twice[0]} twice")
    if settings.bootstrap_expect < 1:
        raise InvalidRequest(f"RAFT_BOOTSTRAP_EXPECT={settings.bootstrap_expect}: at least 1")
    if found and settings.bootstrap_expect > len(found):
        raise InvalidRequest(
            f"RAFT_BOOTSTRAP_EXPECT={settings.bootstrap_expect}, but RAFT_JOIN="
            f"{settings.raft_join!r} names {len(found)}: the cluster could never begin"
        )
    for seat in found:
        port = int(seat.peer_url.rpartition(":")[2])
        if seat.name == settings.name and port != settings.raft_port:
            raise InvalidRequest(
                f"RAFT_JOIN={settings.raft_join!r} gives {seat.name} the port {port}, but "
                f"RAFT_PORT is {settings.raft_port}"
            )


def _addresses(variable: str, text: str, port: int) -> list[tuple[str, int]]:
    """Names or hosts with their ports, `port` where there is none. Raises InvalidRequest."""
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, colon, digits = part.rpartition(":") if ":" in part else (part, "", "")
        if colon and not (digits.isascii() and digits.isdigit() and 0 < int(digits) <= _PORT_MAX):
            raise InvalidRequest(f"{variable}={text!r}: {part!r} has no port behind its colon")
        if not name or any(each in name for each in "/:@ "):
            raise InvalidRequest(f"{variable}={text!r}: {part!r} is no name or name:port")
        found.append((name.rstrip("."), int(digits) if colon else port))
    return found
