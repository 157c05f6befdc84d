"""ClusterSettings: whether a server is a node of a cluster, and how it finds the others.

    cluster.metadata   local     one node, which keeps its metadata itself
                       managed   the nodes run etcd themselves, as children
                       etcd      an etcd of somebody else's holds the metadata
                       (nothing) managed where the variables below name other nodes, else local

The variables are the reference's, so that a set-up that was written for it starts here as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from weftdb.core.errors import InvalidRequest
from weftdb.core.types import NodeName
from weftdb.server.etcd.member_plan import (
    RAFT_INTERNAL_RPC_PORT,
    RAFT_PORT,
    MemberSettings,
    ask_at,
    hosts_of,
    names_of,
    seats,
)

GOSSIP_PORT = 7946
SECRET_CHARS_MIN = 16
LOCAL, MANAGED, ETCD = "local", "managed", "etcd"
KINDS = (LOCAL, MANAGED, ETCD)
_ANYWHERE, _LOCALHOST = "0.0.0.0", "127.0.0.1"
_NAME_BREAKERS = "/,:@ "


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The section `cluster`. Ports are TCP."""

    metadata: str = ""
    name: str = "weftdb"
    """Clusters that share an etcd have different names."""
    zone: str = ""
    """Nodes of one zone fail together; replicas of a shard go into different ones."""
    join: str = ""
    raft_join: str = ""
    bootstrap_expect: int = 1
    bootstrap_timeout_s: float = 600.0
    raft_port: int = RAFT_PORT
    raft_client_port: int = RAFT_INTERNAL_RPC_PORT
    gossip_port: int = GOSSIP_PORT
    """Nobody gossips here; it says where `data_port` is, as in the reference."""
    data_port: int = 0
    """Of the service for other nodes; 0: the one after `gossip_port`."""
    bind: str = ""
    """Address that the ports for other nodes listen on; nothing: all, or loopback in localhost."""
    advertise_host: str = ""
    """Where other nodes find this one; nothing: its name, or the address that leads to them."""
    advertise_port: int = 0
    """0: `data_port`."""
    in_localhost: bool = False
    domain: str = ""
    """What is put behind names in `raft_join` to find their addresses, such as a headless service
    of Kubernetes."""
    hosts: str = ""
    """name=host,...: where nodes are found whose names do not resolve."""
    secret: str = ""
    """Every node knows it, and answers nobody who does not."""
    network_trusted: bool = True
    """Nobody else can reach the ports for other nodes, so that neither secret nor certificates are
    asked for. As in the reference, this is the default, and the log says so."""
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def node_port(self) -> int:
        """The port that the service for other nodes listens on."""
        return self.data_port or self.gossip_port + 1

    @property
    def told_port(self) -> int:
        """The port that other nodes are told."""
        return self.advertise_port or self.node_port

    @property
    def bind_host(self) -> str:
        """The address that the ports for other nodes listen on."""
        return self.bind or (_LOCALHOST if self.in_localhost else _ANYWHERE)

    def member(self, node: NodeName) -> MemberSettings:
        """What the node's own etcd needs to know."""
        return MemberSettings(
            node,
            self.raft_join,
            self.bootstrap_expect,
            self.raft_port,
            self.raft_client_port,
            self.join,
            self.in_localhost,
            is_encrypted=self.certificate is not None,
            domain=self.domain,
            hosts=self.hosts,
        )


@dataclass(frozen=True, slots=True)
class EtcdServerSettings:
    """The section `etcd`: somebody else's, and the program that we start ourselves."""

    endpoints: str = ""
    """host:port,... of the members."""
    timeout_s: float = 5.0
    user: str = ""
    password: str = ""
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    binary: str = "etcd"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The endpoints, one by one."""
        return tuple(each.strip() for each in self.endpoints.split(",") if each.strip())


@dataclass(frozen=True, slots=True)
class NodeInCluster:
    """What decides about a node: its name and both sections."""

    node: NodeName
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    etcd: EtcdServerSettings = field(default_factory=EtcdServerSettings)

    @property
    def kind(self) -> str:
        """`local`, `managed` or `etcd`. Raises InvalidRequest for names that cannot be read."""
        return self.cluster.metadata or (MANAGED if self._names_others() else LOCAL)

    @property
    def is_cluster(self) -> bool:
        """Whether this server is a node of a cluster."""
        return self.kind != LOCAL

    def check(self) -> None:
        """Raise InvalidRequest for settings that contradict each other."""
        for what in self._faults():
            raise InvalidRequest(what)
        hosts_of(self.cluster.hosts)
        if self.kind == MANAGED:
            seats(self.cluster.member(self.node))
            if not ask_at(self.cluster.member(self.node)):
                raise InvalidRequest("neither RAFT_JOIN nor CLUSTER_JOIN names a node to ask")

    def _names_others(self) -> bool:
        cluster = self.cluster
        if cluster.bootstrap_expect > 1:
            return True
        # RAFT_JOIN is the whole list; CLUSTER_JOIN names a service, which may be this node.
        text = cluster.raft_join or cluster.join
        variable = "RAFT_JOIN" if cluster.raft_join else "CLUSTER_JOIN"
        own = {self.node, "localhost", _LOCALHOST}
        return any(name not in own for name in names_of(variable, text))

    def _faults(self) -> Iterator[str]:
        cluster, etcd = self.cluster, self.etcd
        if cluster.metadata == LOCAL and self._names_others():
            yield (
                "CLUSTER_METADATA=local is one node, but CLUSTER_JOIN, RAFT_JOIN or "
                "RAFT_BOOTSTRAP_EXPECT ask for others: leave one of them out"
            )
        if self.kind == LOCAL:
            return
        if any(each in self.node for each in _NAME_BREAKERS) or not self.node.isprintable():
            yield f"CLUSTER_HOSTNAME={self.node!r}: a node's name has none of {_NAME_BREAKERS!r}"
        if "/" in cluster.name or not cluster.name.isprintable():
            yield f"cluster.name={cluster.name!r}: a cluster's name has no slash"
        if self.kind == ETCD and not etcd.addresses:
            yield "CLUSTER_METADATA=etcd needs WEFTDB_ETCD_ENDPOINTS=host:port,..."
        for each in etcd.addresses:
            host, colon, port = each.rpartition(":")
            if not (host and colon and port.isascii() and port.isdigit()):
                yield f"WEFTDB_ETCD_ENDPOINTS={etcd.endpoints!r}: {each!r} is no host:port"
        yield from self._tls_faults()
        yield from self._port_faults()

    def _tls_faults(self) -> Iterator[str]:
        cluster, etcd = self.cluster, self.etcd
        files = (cluster.authority, cluster.certificate, cluster.key)
        if 0 < len(cluster.secret) < SECRET_CHARS_MIN:
            yield (
                f"cluster.secret has {len(cluster.secret)} characters; {SECRET_CHARS_MIN} is the "
                "least (openssl rand -hex 32 makes a good one)"
            )
        if any(files) and not all(files):
            yield "cluster.authority, cluster.certificate and cluster.key go together"
        if (etcd.certificate is None) != (etcd.key is None):
            yield "etcd.certificate and etcd.key go together: one of them is missing"
        if etcd.certificate is not None and etcd.authority is None:
            yield "etcd.certificate needs etcd.authority: whom to trust"
        if bool(etcd.user) != bool(etcd.password):
            yield "etcd.user and etcd.password go together: one of them is missing"
        for path in (*files, etcd.authority, etcd.certificate, etcd.key):
            if path is not None and not path.is_file():
                yield f"there is no file {path}"

    def _port_faults(self) -> Iterator[str]:
        cluster = self.cluster
        ports = {"CLUSTER_DATA_BIND_PORT": cluster.node_port}
        if self.kind == MANAGED:
            ports |= {
                "RAFT_PORT": cluster.raft_port,
                "RAFT_INTERNAL_RPC_PORT": cluster.raft_client_port,
            }
        for name, port in ports.items():
            if not 0 < port < 1 << 16:
                yield f"{name}={port}: other nodes must know a port from 1 to 65535"
        if len(set(ports.values())) != len(ports):
            yield f"two ports for other nodes are the same: {ports}"
