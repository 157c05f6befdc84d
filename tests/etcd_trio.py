"""Trio: three nodes on this machine, each with a real etcd member as its child, to be hurt."""

from __future__ import annotations

import os
import random
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.etcd_process import etcd_binary
from tests.server_process import free_ports
from weftdb.core.env import SystemClock
from weftdb.core.types import NodeName
from weftdb.proto.etcd import members_pb2 as members
from weftdb.server.etcd.connection import EtcdConnection, EtcdSettings, EtcdTls
from weftdb.server.etcd.member import EtcdMember, MemberPlace, open_member
from weftdb.server.etcd.member_plan import MemberSettings
from weftdb.server.etcd.methods import MEMBER_LIST
from weftdb.server.etcd.store import EtcdMetadata

START_S_MAX = 60.0
NAMES = ("n1", "n2", "n3")


class Trio:
    """Three nodes on this machine, written as for the reference server."""

    def __init__(
        self, folder: Path, names: tuple[str, ...] = NAMES, tls: EtcdTls | None = None
    ) -> None:
        self.folder = folder
        self.tls = tls
        self.ports = dict(zip(names, pairs(len(names)), strict=True))
        self.raft_join = ",".join(f"{name}:{port}" for name, port in self.ports.items())
        self.running: dict[str, EtcdMember] = {}
        # The kernel ends a member with the thread that started it: these live as long as the test.
        self._threads = ThreadPoolExecutor(len(names))

    def settings(self, name: str, expect: int) -> MemberSettings:
        port = self.ports[name]
        return MemberSettings(
            NodeName(name),
            self.raft_join,
            expect,
            port,
            port + 1,
            in_localhost=True,
            is_encrypted=self.tls is not None,
        )

    def open(self, *names: str, expect: int = 3) -> None:
        """Start nodes at the same time."""

        def start(name: str) -> None:
            place = MemberPlace(
                self.folder / name, "127.0.0.1", self.tls, etcd_binary(), START_S_MAX
            )
            found = open_member(
                self.settings(name, expect), place, SystemClock(), random.Random(name)
            )
            assert found is not None
            self.running[name] = found

        for done in [self._threads.submit(start, name) for name in names]:
            done.result(timeout=2 * START_S_MAX)

    def kill(self, name: str) -> None:
        """SIGKILL one member."""
        os.kill(self.running[name].pid, signal.SIGKILL)
        self.running.pop(name).stop()

    def pause(self, name: str) -> None:
        """SIGSTOP one member."""
        os.kill(self.running[name].pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT one member."""
        os.kill(self.running[name].pid, signal.SIGCONT)

    def store(self, name: str, client: str = "", timeout_s: float = 15.0) -> EtcdMetadata:
        """A client of a node, with its endpoints."""
        settings = EtcdSettings(self.running[name].endpoints, timeout_s, self.tls)
        session = f"/sessions/{client or name}"
        return EtcdMetadata(settings, session, SystemClock(), random.Random())

    def voters(self, name: str) -> dict[str, bool]:
        """Who is in, by name, and whether each may vote."""
        settings = EtcdSettings(self.running[name].endpoints[:1], 15, self.tls)
        connection = EtcdConnection(settings, SystemClock(), random.Random())
        try:
            reply = connection.ask(MEMBER_LIST, members.MemberListRequest())
            return {each.name: not each.is_learner for each in reply.members}
        finally:
            connection.close()

    def close(self) -> None:
        """End what runs."""
        for found in self.running.values():
            found.stop()
        self._threads.shutdown()


def pairs(count: int) -> list[int]:
    """Free ports whose next one is free, too."""
    found: list[int] = []
    for port in free_ports(50 * count):
        if port + 1 not in found and port - 1 not in found and is_free(port + 1):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no pairs of free ports")


def is_free(port: int) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
