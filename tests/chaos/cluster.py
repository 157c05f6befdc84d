"""ChaosCluster: three or five real servers, each with its etcd, and what can be done to them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import weaviate
from weaviate.classes.init import AdditionalConfig, Timeout

from tests.chaos.namespaces import Namespaces
from tests.chaos.skewed_server import offset_read
from tests.cluster_trio import ClusterTrio

ANSWER_S_MAX = 30
"""What a client waits for: longer than a pause."""
NAME = "Thing"
"""The collection that is written to."""
ASKED = 8
"""Ids, so that most shards are asked."""
CLOCK_S_MAX = 30.0
LAUNCHER = Path(__file__).with_name("skewed_server.py")


class ChaosCluster:
    """Nodes n1, n2, ... below `folder`; `down` is the node that a fault is on."""

    def __init__(self, folder: Path, count: int, namespaces: Namespaces | None) -> None:
        self.folder = folder
        self.names = tuple(f"n{at}" for at in range(1, count + 1))
        self.namespaces = namespaces
        self._lock = threading.Lock()
        self._faults: list[tuple[str, str]] = []
        """(node, kind) of every fault that made a node unable to answer."""
        self._is_on = False
        self._since_s = 0.0
        self._trio = ClusterTrio(folder, self.names)
        for name, server in self._trio.servers.items():
            server.keeps_ports = True
            server.python = (sys.executable, "-P", str(LAUNCHER), str(self._clock(name)))
            if namespaces is not None:
                server.host = namespaces.add(name)
                server.python = (*namespaces.inside(name), *server.python)
        if namespaces is not None:
            self._place(namespaces)

    def _place(self, namespaces: Namespaces) -> None:
        """Every node has an address of its own, and the usual ports there."""
        namespaces.name_all()
        addresses = {name: namespaces.address(name) for name in self.names}
        for name, server in self._trio.servers.items():
            server.http_port, server.grpc_port = 8080, 50051
            server.environment = {
                **server.environment,
                "CLUSTER_IN_LOCALHOST": "false",
                "CLUSTER_ADVERTISE_ADDR": addresses[name],
                "CLUSTER_DATA_BIND_PORT": "7947",
                "RAFT_PORT": "8300",
                "RAFT_INTERNAL_RPC_PORT": "8301",
                "RAFT_JOIN": ",".join(f"{each}:8300" for each in self.names),
            }

    # --- who is under a fault ------------------------------------------------------------------

    def begin_fault(self, node: str, kind: str) -> None:
        """From now on requests to `node` may fail."""
        with self._lock:
            self._faults.append((node, kind))
            self._since_s = time.monotonic()
            self._is_on = True

    def end_fault(self) -> None:
        """The node answers again."""
        with self._lock:
            self._is_on = False

    def mark(self) -> int:
        """What `fault_since` needs: taken before a request is sent."""
        with self._lock:
            return len(self._faults) - self._is_on

    def fault_since(self, mark: int, node: str) -> str:
        """The kind of a fault on `node` at any time since the mark; "" where there was none."""
        with self._lock:
            return next((kind for each, kind in self._faults[mark:] if each == node), "")

    def is_on(self, node: str, for_s: float = 0.0) -> bool:
        """Whether a fault is on the node now, and has been for so long."""
        with self._lock:
            is_long = time.monotonic() - self._since_s >= for_s
            return self._is_on and self._faults[-1][0] == node and is_long

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all nodes."""
        self._trio.start()

    def close(self) -> None:
        """End all."""
        self._trio.close()
        if self.namespaces is not None:
            self.namespaces.close()

    def client(self, name: str) -> weaviate.WeaviateClient:
        """The official client, at one node."""
        server = self._trio.servers[name]
        timeout = Timeout(init=10, query=ANSWER_S_MAX, insert=ANSWER_S_MAX)
        return weaviate.connect_to_custom(
            server.host,
            server.http_port,
            False,
            server.host,
            server.grpc_port,
            False,
            additional_config=AdditionalConfig(timeout=timeout),
            skip_init_checks=True,
        )

    def ask(self, name: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a request of REST."""
        return self._trio.ask(name, method, path, body)

    def reaches_all(self, name: str) -> bool:
        """Whether a node has every replica of some shards answer: it says that nothing is there."""
        for _ in range(ASKED):
            path = f"/objects/{NAME}/{uuid.uuid4()}?consistency_level=ALL"
            if self.ask(name, "GET", path)[0] != 404:
                return False
        return True

    def unvouched(self, name: str) -> float:
        """How many replicas of a node do not answer yet, because they lack what others have."""
        server = self._trio.servers[name]
        with urllib.request.urlopen(
            f"http://{server.host}:{server.http_port}/metrics", timeout=ANSWER_S_MAX
        ) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.split()[-1])
            for line in lines
            if line.startswith("weftdb_replicas_unvouched")
        )

    # --- what can be done to a node ------------------------------------------------------------

    def kill(self, name: str) -> None:
        """SIGKILL; the kernel ends its etcd with it."""
        self._trio.kill(name)

    def wipe(self, name: str) -> None:
        """Delete the data of a node that does not run."""
        shutil.rmtree(self._trio.servers[name].data)

    def restart(self, name: str) -> None:
        """Start again, and wait until it is ready."""
        self._trio.start(name)

    def pause(self, name: str) -> None:
        """SIGSTOP the server and its etcd."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self._signal(name, signal.SIGCONT)

    def set_clock(self, name: str, offset_ms: int) -> None:
        """Let the wall clock of a node be off; returns once its process has read it so."""
        file = self._clock(name)
        new = file.with_suffix(".new")
        new.write_text(str(offset_ms))
        new.replace(file)
        until = time.monotonic() + CLOCK_S_MAX
        while offset_read(file) != offset_ms:
            if time.monotonic() > until:
                raise RuntimeError(f"{name} does not read its clock with {offset_ms} ms")
            time.sleep(0.05)

    def _clock(self, name: str) -> Path:
        return self.folder / f"{name}.clock"

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._trio.servers[name].pid
        for each in (pid, *_children(pid)):
            os.kill(each, number)

    def tails(self, bytes_max: int = 1500) -> str:
        """The ends of the logs."""
        logs = {name: server.log for name, server in self._trio.servers.items()}
        shown = (
            f"--- {name}\n{log.read_bytes()[-bytes_max:].decode(errors='replace')}"
            for name, log in logs.items()
            if log.exists()
        )
        return "\n".join(shown)


def _children(pid: int) -> Iterable[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        file = task / "children"
        if file.exists():
            yield from (int(each) for each in file.read_text().split())
