"""EtcdProcess: a real etcd member on loopback ports, which tests may kill, pause and restart.

The binary is looked up on PATH (Debian: the package `etcd-server`); tests skip where there is none.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from tests.server_process import free_ports
from weftdb.proto.etcd import key_values_pb2 as kv
from weftdb.server.etcd.methods import RANGE

START_S_MAX = 30.0
POLL_S = 0.05


def etcd_binary() -> str:
    """The path of etcd; skips the test where there is none."""
    found = shutil.which("etcd")
    if found is None:
        pytest.skip("no etcd on PATH (Debian: apt-get install etcd-server)")
    return found


@dataclass
class EtcdProcess:
    """One member that is a cluster of its own, over `data`. Stop it with `stop` in any case."""

    data: Path
    arguments: tuple[str, ...] = ()
    scheme: str = "http"
    peer_port: int = 0
    client_port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self.client_port}"

    def start(self, *, wait: bool = True) -> None:
        """Start, on the same ports as before, and wait until it answers a linearizable read."""
        assert self._process is None
        if not self.client_port:
            self.peer_port, self.client_port = free_ports(2)
        peer = f"http://127.0.0.1:{self.peer_port}"
        client = f"{self.scheme}://{self.endpoint}"
        command = [
            etcd_binary(), "--name", "one", "--data-dir", str(self.data),
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"one={peer}",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--unsafe-no-fsync", *self.arguments,
        ]  # fmt: skip
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        if wait:
            self._wait()

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGKILL, also where it is paused or gone: nothing of it is needed any more."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP; returns when every thread has stopped."""
        self._send(signal.SIGSTOP)
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task")
        until = time.monotonic() + 10
        while not all(_is_stopped(task) for task in tasks.iterdir()):
            assert time.monotonic() < until, "etcd does not stop"
            time.sleep(POLL_S)

    def resume(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        self._send(number)
        assert self._process is not None
        self._process.wait(timeout=30)
        self._process = None

    def _wait(self) -> None:
        until = time.monotonic() + START_S_MAX
        assert self._process is not None
        while time.monotonic() < until:
            assert self._process.poll() is None, self._tail()
            if self.scheme == "https" or is_ready(self.endpoint):
                return
            time.sleep(POLL_S)
        raise AssertionError(f"etcd did not come up: {self._tail()}")

    def _tail(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")[-2000:]


def _is_stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


def is_ready(endpoint: str) -> bool:
    """Whether a member answers a read that needs a majority."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(endpoint, options=options) as channel:
        call = channel.unary_unary(
            RANGE.path,
            request_serializer=RANGE.request.SerializeToString,
            response_deserializer=RANGE.reply.FromString,
        )
        try:
            call(kv.RangeRequest(key=b"/"), timeout=1.0)
        except grpc.RpcError:
            return False
        return True
