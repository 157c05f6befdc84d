"""ServerProcess: a real `weftdb serve` in a process of its own, on free loopback ports.

Used by whatever needs a server that can die: crash rounds, packaging, benchmarks. Its output goes
to a file beside the data, which is shown when the server does not come up.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

READY_PATH = "/v1/.well-known/ready"
POLL_S = 0.02


class ServerDidNotStart(Exception):
    """The process ended, or did not answer in time; the message holds the end of its output."""


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody holds at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what makes a child slow (coverage) or takes its ports."""
    dropped = ("COVERAGE_", "COV_CORE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, **extra}


@dataclass
class ServerProcess:
    """One server over `data`: `start` waits until ready, `kill` is SIGKILL, `stop` SIGTERM."""

    data: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    python: Sequence[str] = (sys.executable,)
    timeout_s: float = 60.0
    host: str = "127.0.0.1"
    keeps_ports: bool = False
    """Starts again on the ports that it had."""
    http_port: int = 0
    grpc_port: int = 0
    start_s: float = 0.0
    """How long the last start took until the ready answer."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file that takes the server's output."""
        return self.data.with_name(self.data.name + ".log")

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> Self:
        """Start, mostly on new ports, and wait until ready. Raises ServerDidNotStart."""
        assert self._process is None, "already started"
        if not (self.keeps_ports and self.http_port):
            self.http_port, self.grpc_port = free_ports(2)
        command = [
            *self.python, "-m", "weftdb", "serve", "--data", str(self.data),
            "--host", self.host, "--port", str(self.http_port),
            "--grpc-port", str(self.grpc_port),
        ]  # fmt: skip
        began = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, env=child_environment(self.environment)
            )
        while not self._is_ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() - began > self.timeout_s:
                self.kill()
                raise ServerDidNotStart(f"{' '.join(command)}\n{self.tail()}")
            time.sleep(POLL_S)
        self.start_s = time.monotonic() - began
        return self

    def _is_ready(self) -> bool:
        url = f"http://{self.host}:{self.http_port}{READY_PATH}"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return 200 <= answer.status < 300
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def tail(self, bytes_max: int = 4000) -> str:
        """The end of the server's output."""
        return self.log.read_bytes()[-bytes_max:].decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL this process, by its id, and reap it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def stop(self, timeout_s: float = 20.0) -> int:
        """SIGTERM and wait; returns the exit code. Killed when it does not end in time."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None
        return code

    def signal_stop(self) -> None:
        """SIGTERM, without waiting; `stop` waits."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGTERM)

    def resident_bytes(self) -> int:
        """Resident memory of the server, from /proc (0 where there is none)."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return 0
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(fields["VmRSS"].split()[0]) * 1024

    def anonymous_bytes(self) -> int:
        """Resident memory that no file backs."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return 0
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(fields["RssAnon"].split()[0]) * 1024

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                return
