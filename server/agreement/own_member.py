"""OwnMember: the etcd member of this node, kept running for as long as the node does.

A thread starts the child and lives as long as it, because the kernel ends the child with the
thread that started it. A member that dies is started again, with pauses that double up to half a
minute: data goes on meanwhile, and etcd by its other members. One that was taken out of the cluster
(its node leaves, or was replaced) ends, too, and stays so: the node asks the other members.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet

from weftdb.core.env import Clock
from weftdb.core.errors import Fault, WeftError
from weftdb.server.etcd.member import (
    STOP_S,
    EtcdMember,
    MemberPlace,
    is_taken_out,
    open_member,
)
from weftdb.server.etcd.member_plan import MemberSettings, ask_at

log = logging.getLogger("weftdb.cluster")

WATCHED_EVERY_S = 0.5
PAUSE_S = 1.0
PAUSE_S_MAX = 30.0
TOLD_EVERY_S = 5.0
"""How often the log says whom a start waits for."""
_CONNECT_S = 1.0

Open = Callable[[MemberSettings, MemberPlace, Clock, random.Random], EtcdMember | None]
Ask = Callable[[MemberSettings, MemberPlace, Clock, random.Random], bool]


class OwnMember:
    """The member of a managed cluster that is this node's; some nodes have none, and ask others."""

    def __init__(
        self,
        settings: MemberSettings,
        place: MemberPlace,
        clock: Clock,
        randomness: random.Random,
        opening: Open = open_member,
        taken_out: Ask = is_taken_out,
    ) -> None:
        self.restarts = 0
        """How often it had to be started again."""
        self._settings = settings
        self._place = place
        self._clock = clock
        self._random = randomness
        self._open = opening
        self._taken_out = taken_out
        self._ready: Future[None] = Future()
        self._stopping = threading.Event()
        self._member: EtcdMember | None = None
        self._thread = threading.Thread(target=self._run, name="weft-etcd", daemon=True)

    @property
    def pid(self) -> int | None:
        """The child, while it runs."""
        member = self._member
        return None if member is None else member.pid

    def start(self) -> tuple[str, ...]:
        """Start it and wait until the cluster answers; return where etcd is asked, here first.

        Raises InvalidRequest, Fault, MetadataUnavailable: see `open_member`.
        """
        endpoints = ask_at(self._settings)
        self._thread.start()
        while True:
            try:
                self._ready.result(TOLD_EVERY_S)
            except NotYet:
                log.warning(
                    "waiting for the metadata of the cluster: %s",
                    "; ".join(absent(endpoints)) or "its nodes are there, and do not agree yet",
                )
            else:
                return endpoints

    def stop(self) -> None:
        """End the child. Its part in the cluster stays: it will come back."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * STOP_S)  # One that is still starting ends with the process.

    def _run(self) -> None:
        try:
            self._member = self._open(self._settings, self._place, self._clock, self._random)
        except (WeftError, OSError) as error:
            self._ready.set_exception(error)
            return
        else:
            self._ready.set_result(None)
        finally:
            if not self._ready.done():  # A bug: whoever waits for the start must not wait for ever.
                self._ready.set_exception(Fault("the start of etcd ended in a bug, see the log"))
        if self._member is None:
            return
        while not self._stopping.wait(WATCHED_EVERY_S):
            if self._member.exit_status is not None and not self._revive(self._member):
                break
        self._member.stop()

    def _revive(self, dead: EtcdMember) -> bool:
        """Start it again until it runs or the node stops; False where it is not to run again."""
        dead.stop()
        if self._is_out():
            return False
        log.error("etcd ended with status %s and is started again", dead.exit_status)
        pause_s = PAUSE_S
        while not self._stopping.wait(pause_s):
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
            try:
                member = self._open(self._settings, self._place, self._clock, self._random)
            except WeftError as error:
                if self._is_out():
                    return False
                log.warning("etcd does not start, next try in %g s: %s", pause_s, error)
                continue
            assert member is not None, "settings do not change while the process lives"
            self._member = member
            self.restarts += 1
            return True
        return False

    def _is_out(self) -> bool:
        is_out = self._taken_out(self._settings, self._place, self._clock, self._random)
        if is_out:
            log.warning("the etcd member of this node was taken out: the others are asked")
        return is_out


def absent(endpoints: Sequence[str]) -> list[str]:
    """Which of `endpoints` (host:port) cannot be reached, and why."""
    found = []
    for endpoint in endpoints:
        host, _, port = endpoint.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        except socket.gaierror:
            found.append(
                f"the name {host} does not resolve (WEFTDB_CLUSTER_HOSTS says where nodes are that "
                "are called otherwise than their hosts)"
            )
        except OSError as error:
            found.append(f"{endpoint}: {error.strerror or error}")
    return found
