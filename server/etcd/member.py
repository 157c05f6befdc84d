"""EtcdMember: an etcd of this node's own, as a child process that lives and dies with it.

`open_member` carries out what member_plan.py decides: it asks the others, has itself added or
replaced, starts the process and waits until the cluster answers. The member's data lies in the
node's data directory; its lines go to the log `weftdb.etcd`; on Linux the kernel ends it when this
process dies in whatever way.

With certificates, members and clients must all show one that the authority has signed. Without
them, etcd speaks in the clear and asks nobody who they are: like the reference's, these ports then
belong into a network of the nodes' own.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc

from weftdb.core.config import read_environment
from weftdb.core.env import Clock
from weftdb.core.errors import Fault, MetadataUnavailable
from weftdb.core.limits import (
    ETCD_REQUEST_BYTES_MAX,
    ETCD_TRANSACTION_PARTS_MAX,
    METADATA_STORE_BYTES_MAX,
)
from weftdb.proto.etcd import key_values_pb2 as kv
from weftdb.proto.etcd import members_pb2 as members
from weftdb.server.etcd.connection import (
    EtcdAway,
    EtcdConnection,
    EtcdRefused,
    EtcdSettings,
    EtcdTls,
)
from weftdb.server.etcd.member_plan import (
    Ask,
    Enter,
    Found,
    FoundMember,
    Join,
    MemberPlan,
    MemberSettings,
    Resume,
    Seat,
    Wait,
    ask_at,
    decide,
    seats,
)
from weftdb.server.etcd.methods import (
    MEMBER_ADD,
    MEMBER_LIST,
    MEMBER_PROMOTE,
    MEMBER_REMOVE,
    RANGE,
)

log = logging.getLogger("weftdb.etcd")

BOOTSTRAP_TIMEOUT_S = 600.0
"""RAFT_BOOTSTRAP_TIMEOUT: how long the nodes wait for each other at the first start."""
STOP_S = 3.0
"""A member that has not ended so long after SIGTERM is killed; its data does not mind."""
HISTORY = "1h"
"""So long a watch may be away without having to list anew."""
_ASK_S = 2.0
_ASK_S_MIN = 0.2
_PR_SET_PDEATHSIG = 1
_LEVELS = {"debug": logging.DEBUG, "info": logging.DEBUG, "warn": logging.WARNING}
"""etcd's info is our debug: it tells of every connection. What is not here is an error."""


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """Where a member lives on this machine."""

    directory: Path
    """Of its data; made if need be. Nothing else may be in it."""
    bind: str
    """Address that its two ports listen on."""
    tls: EtcdTls | None = None
    """With certificate and key, for both sides of both ports; the names in it are the nodes'."""
    binary: str = "etcd"
    bootstrap_timeout_s: float = BOOTSTRAP_TIMEOUT_S


class EtcdMember:
    """A running member. `endpoints` are for a client: its own first, then the others."""

    def __init__(self, process: subprocess.Popen[str], endpoints: tuple[str, ...]) -> None:
        self.endpoints = endpoints
        self._process = process
        self._is_stopping = False
        assert process.stderr is not None
        self._reader = threading.Thread(
            target=self._forward, args=(process.stderr,), name="weft-etcd-log", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """End it, within STOP_S. Its part in the cluster stays: it will come back."""
        self._is_stopping = True
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                log.warning("etcd did not stop in %g s and is killed", STOP_S)
                self._process.kill()
                self._process.wait()
        self._reader.join(STOP_S)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _forward(self, lines: IO[str]) -> None:
        """Write the lines of etcd into our log until it ends."""
        try:
            for line in lines:
                level, text = line_of(line.rstrip())
                # Of a member that stops, each broken connection would be a warning.
                log.log(logging.DEBUG if self._is_stopping else level, "etcd: %s", text)
        except ValueError:
            return  # `stop` has closed the pipe.


def open_member(
    settings: MemberSettings, place: MemberPlace, clock: Clock, randomness: random.Random
) -> EtcdMember | None:
    """Start this node's member and wait until the cluster answers; None where it has none.

    Raises InvalidRequest (settings), Fault (no binary; the member ended), MetadataUnavailable (the
    others did not come in time). Requires: the calling thread lives as long as the member, because
    the kernel takes the end of that thread for the end of the parent.
    """
    return _Opening(settings, place, clock, randomness).run()


def is_taken_out(
    settings: MemberSettings, place: MemberPlace, clock: Clock, randomness: random.Random
) -> bool:
    """Whether the running cluster says that this node's member is none of it; False where nobody
    can say."""
    return _Opening(settings, place, clock, randomness).is_taken_out()


class _Opening:
    """One start of one member."""

    def __init__(
        self,
        settings: MemberSettings,
        place: MemberPlace,
        clock: Clock,
        randomness: random.Random,
    ) -> None:
        assert settings.is_encrypted == (place.tls is not None), "TLS for both or for none"
        self._settings = settings
        self._place = place
        self._clock = clock
        self._seats = {seat.name: seat for seat in seats(settings)}
        endpoints = ask_at(settings)
        self._connect: Callable[[Sequence[str]], EtcdConnection] = lambda some: EtcdConnection(
            EtcdSettings(tuple(some), timeout_s=_ASK_S, tls=place.tls), clock, randomness
        )
        self._endpoints = endpoints
        self._deadline = clock.monotonic_s() + place.bootstrap_timeout_s
        self._last_plan: MemberPlan | None = None

    def run(self) -> EtcdMember | None:
        """Take step after step until the member is there."""
        tries = 0
        others = self._others()
        connection = self._connect(others or self._endpoints)
        try:
            while True:
                cause: Exception | None = None
                try:
                    plan = self._plan(connection if others else None)
                    if isinstance(plan, Ask):
                        return None
                    if not isinstance(plan, Wait):
                        return self._start(plan, connection)
                except (EtcdAway, EtcdRefused) as error:
                    # Another node is just being taken in, or the others are not all well yet.
                    cause = error
                tries += 1
                if not connection.pause(tries, self._deadline):
                    raise MetadataUnavailable(self._nobody(cause))
        finally:
            connection.close()

    def is_taken_out(self) -> bool:
        """Ask the others, once."""
        others = self._others()
        if not others:
            return False
        connection = self._connect(others)
        try:
            found = self._members(connection)
        except (EtcdAway, EtcdRefused):
            return False
        finally:
            connection.close()
        own = self._own.peer_url
        return found is not None and all(own not in each.peer_urls for each in found)

    def _others(self) -> list[str]:
        own = self._settings.name
        return [seat.endpoint for name, seat in self._seats.items() if name != own]

    def _plan(self, connection: EtcdConnection | None) -> MemberPlan:
        has_data = (self._place.directory / "member").is_dir()
        found = None if has_data or connection is None else self._members(connection)
        plan = decide(self._settings, has_data=has_data, members=found)
        if plan != self._last_plan:
            log.info("etcd of %s: %s", self._settings.name, plan)
            self._last_plan = plan
        return plan

    def _start(self, plan: MemberPlan, connection: EtcdConnection) -> EtcdMember:
        """Carry out a plan that starts the process."""
        state, cluster = "existing", ""
        match plan:
            case Found(founders):
                state = "new"
                cluster = ",".join(f"{seat.name}={seat.peer_url}" for seat in founders)
            case Join(replaces):
                cluster = self._add(connection, replaces)
            case Enter():
                cluster = self._listing(self._members(connection) or ())
            case Resume():
                state, cluster = "new", f"{self._settings.name}={self._own.peer_url}"
            case _:
                raise AssertionError(f"unreachable: {plan} starts nothing")
        member = EtcdMember(self._spawn(state, cluster), self._endpoints)
        try:
            self._wait_ready(member)
        except BaseException:
            member.stop()
            raise
        return member

    def _add(self, connection: EtcdConnection, replaces: int | None) -> str:
        """Have the cluster add this member as a learner; return who is in it then."""
        if replaces is not None:
            try:
                connection.ask(MEMBER_REMOVE, members.MemberRemoveRequest(id=replaces))
            except EtcdRefused as refused:
                if refused.code is not grpc.StatusCode.NOT_FOUND:
                    raise
        request = members.MemberAddRequest(peer_urls=[self._own.peer_url], is_learner=True)
        until = self._soon()
        reply = connection.attempt(MEMBER_ADD, request, until)
        return self._listing([_found(each) for each in reply.members])

    def _listing(self, found: Sequence[FoundMember]) -> str:
        """A running cluster as `--initial-cluster`; the member without a name is this one."""
        return ",".join(
            f"{each.name or self._settings.name}={url}" for each in found for url in each.peer_urls
        )

    def _spawn(self, state: str, cluster: str) -> subprocess.Popen[str]:
        """Start the process. Raises Fault."""
        binary = shutil.which(self._place.binary)
        if binary is None:
            raise Fault(
                f"no etcd at {self._place.binary!r}: install it (Debian: etcd-server), or let "
                "another etcd hold the metadata"
            )
        self._place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = [binary, *self._flags(state, cluster)]
        # Without the ETCD_ variables of somebody else's etcd.
        kept = ("PATH", "HOME", "LANG")
        environment = {name: text for name, text in read_environment().items() if name in kept}
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            preexec_fn=_die_with(os.getpid()),
        )

    def _flags(self, state: str, cluster: str) -> list[str]:
        own, bind = self._own, self._place.bind
        scheme = "https" if self._settings.is_encrypted else "http"
        values = {
            "name": own.name,
            "data-dir": str(self._place.directory),
            "listen-peer-urls": f"{scheme}://{bind}:{self._settings.raft_port}",
            "initial-advertise-peer-urls": own.peer_url,
            "listen-client-urls": f"{scheme}://{bind}:{self._settings.client_port}",
            "advertise-client-urls": f"{scheme}://{own.endpoint}",
            "initial-cluster": cluster,
            "initial-cluster-state": state,
            "initial-cluster-token": "weftdb",
            "quota-backend-bytes": str(METADATA_STORE_BYTES_MAX),
            "max-request-bytes": str(ETCD_REQUEST_BYTES_MAX),
            "max-txn-ops": str(ETCD_TRANSACTION_PARTS_MAX),
            "auto-compaction-mode": "periodic",
            "auto-compaction-retention": HISTORY,
            "logger": "zap",
            "log-outputs": "stderr",
            **_certificates(self._place.tls),
        }
        return [f"--{name}={value}" for name, value in values.items()]

    def _wait_ready(self, member: EtcdMember) -> None:
        """Wait until it answers a read that a majority stands behind, and votes itself."""
        connection, tries = self._connect([self._own.endpoint]), 0
        try:
            while True:
                status = member.exit_status
                if status is not None:
                    raise Fault(f"etcd ended with status {status}; its last lines are in the log")
                if self._is_ready(connection):
                    return
                tries += 1
                if not connection.pause(tries, self._deadline):
                    raise MetadataUnavailable(self._nobody())
        finally:
            connection.close()

    def _is_ready(self, connection: EtcdConnection) -> bool:
        until = self._soon()
        try:
            connection.ask(RANGE, kv.RangeRequest(key=b"/", count_only=True), until)
        except (EtcdRefused, MetadataUnavailable) as error:
            log.debug("etcd of %s: not ready yet: %s", self._settings.name, error)
            self._promote()  # A learner answers nothing until it has a vote.
            return False
        return True

    def _promote(self) -> None:
        """Ask the others to let it vote if it is a learner; they refuse until it has caught up."""
        others = [endpoint for endpoint in self._endpoints if endpoint != self._own.endpoint]
        if not others:
            return
        connection = self._connect(others)
        try:
            for each in self._list(connection):
                if self._own.peer_url in each.peer_urls and each.is_learner:
                    connection.ask(MEMBER_PROMOTE, members.MemberPromoteRequest(id=each.id))
        except (EtcdRefused, MetadataUnavailable) as error:
            log.debug("etcd: not promoted yet: %s", error)
        finally:
            connection.close()

    def _members(self, connection: EtcdConnection) -> tuple[FoundMember, ...] | None:
        """What the running cluster says; None where nobody answers, so that there may be none.

        Raises EtcdAway where somebody answers and has no majority: such a one may not know who is
        in, but it knows that the cluster is there, and nobody may found it again.
        """
        try:
            self._list(connection)
        except MetadataUnavailable:
            return None
        try:
            until = self._soon()
            connection.ask(RANGE, kv.RangeRequest(key=b"/", count_only=True), until)
            return self._list(connection)
        except MetadataUnavailable as error:
            raise EtcdAway(f"the cluster has no majority: {error}") from None

    def _list(self, connection: EtcdConnection) -> tuple[FoundMember, ...]:
        until = self._soon()
        reply = connection.ask(MEMBER_LIST, members.MemberListRequest(), until)
        return tuple(_found(each) for each in reply.members)

    def _soon(self) -> float:
        """When one question must be answered: in time for the whole start, too."""
        now = self._clock.monotonic_s()
        return max(min(now + _ASK_S, self._deadline), now + _ASK_S_MIN)

    @property
    def _own(self) -> Seat:
        return self._seats[self._settings.name]

    def _nobody(self, cause: Exception | None = None) -> str:
        why = "" if cause is None else f": {cause}"
        return (
            f"the etcd cluster of {self._settings.name} did not come up in "
            f"{self._place.bootstrap_timeout_s:g} s: a majority of "
            f"{', '.join(sorted(self._seats))} must run (at {', '.join(self._endpoints)}){why}"
        )


def _certificates(tls: EtcdTls | None) -> dict[str, str]:
    """The flags that make both ports ask for certificates, and show ours."""
    if tls is None:
        return {}
    assert tls.certificate is not None, "a member shows a certificate"
    assert tls.key is not None, "a member shows a certificate"
    return {
        f"{side}{name}": value
        for side in ("", "peer-")
        for name, value in {
            "cert-file": str(tls.certificate),
            "key-file": str(tls.key),
            "trusted-ca-file": str(tls.authority),
            "client-cert-auth": "true",
        }.items()
    }


def _found(member: members.Member) -> FoundMember:
    return FoundMember(
        member.id,
        member.name,
        tuple(member.peer_urls),
        bool(member.client_urls),
        member.is_learner,
    )


def _die_with(parent: int) -> Callable[[], None] | None:
    """What the child does first: ask the kernel to end it with `parent`."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # Looked up before the fork: afterwards, little is safe.

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # The parent died in between.

    return ask


def line_of(line: str) -> tuple[int, str]:
    """Level and text of one line: JSON of zap, or anything that a crash prints."""
    try:
        fields = json.loads(line)
        level, message = fields.pop("level"), fields.pop("msg")
    except (ValueError, KeyError, AttributeError, TypeError):
        return logging.WARNING, line
    for name in ("ts", "caller"):
        fields.pop(name, None)
    rest = " ".join(f"{name}={value}" for name, value in fields.items())
    return _LEVELS.get(level, logging.ERROR), f"{message} {rest}".rstrip()
