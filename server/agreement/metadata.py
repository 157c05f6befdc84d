"""AgreedMetadata: the metadata store of a cluster, opened as the settings ask.

`managed` starts this node's own etcd first and stops it last; `etcd` waits for somebody else's.
Where a name does not resolve yet, or nobody listens yet (all containers start at once), opening
goes on trying for as long as RAFT_BOOTSTRAP_TIMEOUT allows, and the log says whom it waits for.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.store import MetadataStore
from weftdb.core.env import Clock
from weftdb.core.errors import CommitUnknown, MetadataUnavailable
from weftdb.server.agreement.own_member import OwnMember, absent
from weftdb.server.cluster_settings import MANAGED, NodeInCluster
from weftdb.server.etcd.connection import EtcdSettings, EtcdTls
from weftdb.server.etcd.member import MemberPlace
from weftdb.server.etcd.store import EtcdMetadata

log = logging.getLogger("weftdb.cluster")

T = TypeVar("T")

PAUSE_S = 0.5
READ_TIMEOUT_S = 0.5
"""Of a read that somebody waits for who would rather have no answer than wait."""


@dataclass(frozen=True, slots=True)
class AgreedMetadata:
    """An open store of a cluster's metadata."""

    keys: ClusterKeys
    store: MetadataStore
    reads: MetadataStore
    """The same, for reads that give up soon."""
    asked: EtcdSettings
    """Where etcd is, and how it is asked."""
    member: OwnMember | None = None
    """Of a managed cluster; not every node has one."""

    def close(self) -> None:
        """Let go of the store, then stop the own member."""
        self.reads.close()
        self.store.close()
        if self.member is not None:
            self.member.stop()


def open_metadata(
    settings: NodeInCluster, directory: Path, clock: Clock, randomness: random.Random
) -> AgreedMetadata:
    """Open the metadata, with the own member's data below `directory`, and wait until it answers.

    Raises MetadataUnavailable, InvalidRequest, Fault. Requires: the settings are checked.
    """
    cluster, etcd = settings.cluster, settings.etcd
    keys = ClusterKeys(cluster.name)
    if settings.kind == MANAGED:
        tls = _tls(cluster.authority, cluster.certificate, cluster.key)
        place = MemberPlace(
            directory / "etcd",
            cluster.bind_host,
            tls,
            etcd.binary,
            cluster.bootstrap_timeout_s,
        )
        member = OwnMember(cluster.member(settings.node), place, clock, randomness)
        asked = EtcdSettings(member.start(), etcd.timeout_s, tls)
    else:
        member = None
        tls = _tls(etcd.authority, etcd.certificate, etcd.key)
        asked = EtcdSettings(etcd.addresses, etcd.timeout_s, tls, etcd.user, etcd.password)
    quick = EtcdSettings(
        asked.endpoints, min(READ_TIMEOUT_S, etcd.timeout_s), tls, asked.user, asked.password
    )
    found = AgreedMetadata(
        keys,
        EtcdMetadata(asked, keys.session(settings.node), clock, randomness),
        EtcdMetadata(quick, keys.session(f"{settings.node}!reads"), clock, randomness),
        asked,
        member,
    )
    try:
        _wait(found, asked.endpoints, clock.monotonic_s() + cluster.bootstrap_timeout_s, clock)
    except BaseException:
        found.close()
        raise
    return found


def patiently(work: Callable[[], T], deadline_s: float, clock: Clock) -> T:
    """Do `work` again and again while the metadata is away, or has lost an answer, until the
    deadline: a disk that is slow for some seconds must not end a start. Requires: to do it twice is
    as good as once. Raises MetadataUnavailable, CommitUnknown."""
    while True:
        try:
            return work()
        except (MetadataUnavailable, CommitUnknown) as error:
            if clock.monotonic_s() >= deadline_s:
                raise
            log.warning("the start waits for the metadata: %s", error)
            time.sleep(PAUSE_S)


def _wait(
    found: AgreedMetadata, endpoints: tuple[str, ...], deadline_s: float, clock: Clock
) -> None:
    """Wait until the store answers. Raises MetadataUnavailable at the deadline."""
    while True:
        try:
            found.store.get(found.keys.identity)
        except MetadataUnavailable as error:
            if clock.monotonic_s() >= deadline_s:
                raise
            missing = "; ".join(absent(endpoints)) or str(error)
            log.warning("waiting for the metadata of the cluster: %s", missing)
        else:
            return


def _tls(authority: Path | None, certificate: Path | None, key: Path | None) -> EtcdTls | None:
    return None if authority is None else EtcdTls(authority, certificate, key)
