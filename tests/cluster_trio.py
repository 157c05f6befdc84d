"""ClusterTrio: three real servers on this machine, written as for the reference server.

Each is a `weftdb serve` with an etcd of its own; tests may kill and restart them.
"""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.etcd_process import etcd_binary
from tests.etcd_trio import is_free
from tests.server_process import ServerProcess

NAMES = ("n1", "n2", "n3")
START_S_MAX = 120.0
SOON_S = 30.0


class ClusterTrio:
    """Nodes n1, n2 and n3 below `folder`."""

    def __init__(
        self,
        folder: Path,
        names: tuple[str, ...] = NAMES,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        etcd_binary()
        self.names = names
        self._folder = folder
        ports = steady_ports(3 * len(names))
        raft = dict(zip(names, ports[::3], strict=True))
        data = {name: port + 2 for name, port in raft.items()}
        self.servers = {
            name: ServerProcess(
                folder / name,
                {
                    "CLUSTER_HOSTNAME": name,
                    "CLUSTER_IN_LOCALHOST": "true",
                    "CLUSTER_DATA_BIND_PORT": str(data[name]),
                    "RAFT_PORT": str(raft[name]),
                    "RAFT_INTERNAL_RPC_PORT": str(raft[name] + 1),
                    "RAFT_JOIN": ",".join(f"{each}:{raft[each]}" for each in names),
                    "RAFT_BOOTSTRAP_EXPECT": str(len(names)),
                    "RAFT_BOOTSTRAP_TIMEOUT": str(int(START_S_MAX)),
                    "CLUSTER_JOIN": names[0],
                    **(extra or {}),
                },
                timeout_s=START_S_MAX,
            )
            for name in names
        }

    def add(self, name: str, *, has_member: bool) -> ServerProcess:
        """A node that joins later, by the settings of the first one; with an etcd member of its
        own, or as a client of the others'. Not started yet."""
        first = next(iter(self.servers.values()))
        raft = steady_ports(3)[0]
        environment = {
            **first.environment,
            "CLUSTER_HOSTNAME": name,
            "CLUSTER_DATA_BIND_PORT": str(raft + 2),
            "RAFT_PORT": str(raft),
            "RAFT_INTERNAL_RPC_PORT": str(raft + 1),
        }
        if has_member:
            environment["RAFT_JOIN"] += f",{name}:{raft}"
        server = ServerProcess(self._folder / name, environment, timeout_s=START_S_MAX)
        self.servers[name] = server
        self.names = (*self.names, name)
        return server

    def start(self, *names: str) -> None:
        """Start nodes (all of them where none is named) at the same time; wait until ready."""
        chosen = names or self.names
        with ThreadPoolExecutor(len(chosen)) as pool:
            list(pool.map(lambda name: self.servers[name].start(), chosen))

    def kill(self, name: str) -> None:
        """SIGKILL one server; the kernel ends its etcd with it."""
        self.servers[name].kill()

    def close(self) -> None:
        """End what runs."""
        for server in self.servers.values():
            server.kill()

    def ask(self, name: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a request of REST to one node."""
        url = f"http://{self.servers[name].host}:{self.servers[name].http_port}/v1{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text else None


def steady_ports(count: int) -> list[int]:
    """Ports in a row that are free, and stay so: connections that go out get higher ones."""
    for _ in range(200):
        first = random.randrange(12_000, 30_000)
        if all(is_free(first + at) for at in range(count)):
            return list(range(first, first + count))
    raise AssertionError("no row of free ports")


def eventually(holds: Callable[[], object], within_s: float = SOON_S) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.1)
