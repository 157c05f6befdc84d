"""Who may speak as a node of this cluster.

Either of two, or both:

- **Mutual TLS**: each node has a certificate that one authority signed; both sides show theirs, and
  take nobody who has none. The authority is the cluster's own: whoever it signs for is a node.
- **A shared secret**: every call proves that its sender knows it, in a header. What travels is
  HMAC-SHA256(secret, cluster's name), not the secret; but who hears it can repeat it, and without
  TLS all data can be heard, too. It keeps strangers out, not listeners.

With neither, a node talks only over its own machine (loopback), unless it is told that its network
is trusted.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc

from weftdb.core.errors import InvalidRequest

HEADER = "weftdb-cluster-proof"
SECRET_CHARS_MIN = 16


@dataclass(frozen=True, slots=True)
class InternodeTls:
    """PEM files: who we are, and who signs for the nodes of the cluster."""

    certificate: Path
    key: Path
    authority: Path
    server_name: str = ""
    """A name that the certificates of all nodes bear, where they do not bear their addresses."""


@dataclass(frozen=True, slots=True)
class InternodeSecurity:
    """How nodes of one cluster know each other."""

    cluster: str
    """Its name: a node of another cluster is refused, whatever it can prove."""
    tls: InternodeTls | None = None
    secret: str = ""
    is_network_trusted: bool = False
    """Neither of the two is needed: nobody else can reach the port."""

    def check(self, host: str) -> None:
        """Refuse to listen on `host` unprotected, or with a weak secret. Raises InvalidRequest."""
        if self.secret and len(self.secret) < SECRET_CHARS_MIN:
            raise InvalidRequest(
                f"the cluster's secret has {len(self.secret)} characters; "
                f"{SECRET_CHARS_MIN} is the least (openssl rand -hex 32 makes a good one)"
            )
        if self.tls or self.secret or self.is_network_trusted or _is_loopback(host):
            return
        raise InvalidRequest(
            f"other nodes would reach {host} without proving who they are: set certificate, key "
            "and authority for mutual TLS, or a shared secret; or say that the network is trusted"
        )

    def proof(self) -> str:
        """What a call carries in `HEADER`; empty without a secret."""
        if not self.secret:
            return ""
        text = f"weftdb node of {self.cluster}"
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def admits(self, proof: str) -> bool:
        """Whether a caller with that header may ask; takes the same time for every wrong one."""
        return hmac.compare_digest(proof.encode(), self.proof().encode()) if self.secret else True

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Of a connection to another node; None without TLS. Raises OSError."""
        if self.tls is None:
            return None
        return grpc.ssl_channel_credentials(
            self.tls.authority.read_bytes(),
            self.tls.key.read_bytes(),
            self.tls.certificate.read_bytes(),
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
