"""ServerProcess: `weftdb serve` on free ports of the loopback, for as long as it is needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

START_S_MAX = 60.0
STOP_S_MAX = 20.0
POLL_S = 0.1


class ServerProcess:
    """A server as a subprocess; `with` stops it gracefully."""

    def __init__(self, directory: Path, log: Path) -> None:
        self._directory = directory
        self._log = log
        self.rest_port, self.grpc_port = _free_ports()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServerProcess:
        command = [
            *(sys.executable, "-m", "weftdb", "serve", "--host", "127.0.0.1"),
            *("--data", str(self._directory)),
            *("--port", str(self.rest_port), "--grpc-port", str(self.grpc_port)),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=os.environ.copy()
            )
        try:
            self._wait_ready()
        except RuntimeError:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait_ready(self) -> None:
        """Raises RuntimeError with the end of the log."""
        assert self._process is not None
        deadline = time.monotonic() + START_S_MAX
        url = f"http://127.0.0.1:{self.rest_port}/v1/.well-known/ready"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                code = self._process.returncode
                raise RuntimeError(f"the server ended with {code}:\n{self._log_end()}")
            try:
                with urllib.request.urlopen(url, timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(POLL_S)
        raise RuntimeError(f"the server is not ready after {START_S_MAX} s:\n{self._log_end()}")

    def _log_end(self) -> str:
        return self._log.read_text("utf-8", "replace")[-2_000:]

    def stop(self) -> None:
        """Ask the process to end; after a while, end it."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
