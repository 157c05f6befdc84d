"""GrowingCluster: real servers that join and leave, and the operator's command line."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.chaos.cluster import ChaosCluster
from tests.cluster_trio import NAMES, SOON_S
from tests.server_process import child_environment
from weftdb.core.env import SystemClock
from weftdb.server.etcd.connection import EtcdSettings
from weftdb.server.etcd.roster import EtcdRoster

COMMAND_S_MAX = 900.0


class GrowingCluster(ChaosCluster):
    """`names` are the nodes that clients are sent to, as a load balancer has them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, len(NAMES), None)

    def join(self, name: str, *, has_member: bool) -> float:
        """Start a new node and send clients to it; seconds until it was ready."""
        server = self._trio.add(name, has_member=has_member)
        server.keeps_ports = True
        server.start()
        self.names = (*self.names, name)
        return server.start_s

    def take_out(self, name: str) -> None:
        """Send no more requests to a node."""
        self.names = tuple(each for each in self.names if each != name)

    def put_back(self, name: str) -> None:
        """Send requests to a node again."""
        self.names = (*self.names, name)

    def stop(self, name: str) -> float:
        """End a node as its operator does; seconds until every other one took it for gone."""
        began = time.monotonic()
        process = self._trio.servers[name]
        gone: dict[str, float] = {}
        others = [each for each in self.names if each != name]
        process.signal_stop()
        while len(gone) < len(others):
            if time.monotonic() - began > SOON_S:
                raise AssertionError(f"{name} is still there for {set(others) - set(gone)}")
            for each in others:
                if each not in gone and name not in self.healthy(each):
                    gone[each] = time.monotonic() - began
            time.sleep(0.02)
        process.stop()
        return max(gone.values())

    def operate(self, *words: str, at: str) -> tuple[float, str]:
        """Run `weftdb cluster`, asking one node; seconds and all that it said. Raises
        AssertionError where it failed."""
        url = f"http://{self._trio.servers[at].host}:{self._trio.servers[at].http_port}"
        began = time.monotonic()
        done = subprocess.run(
            (sys.executable, "-P", "-m", "weftdb", "cluster", "--url", url, *words),
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
            env=child_environment({}),
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"weftdb cluster {' '.join(words)}: {said}"
        return time.monotonic() - began, said

    # --- what is seen ----------------------------------------------------------------------------

    def healthy(self, asked: str) -> set[str]:
        """The nodes that one of them takes for alive."""
        status, body = self.ask(asked, "GET", "/cluster/weftdb/status")
        assert status == 200, body
        return {each["name"] for each in body["nodes"] if each["status"] == "HEALTHY"}

    def known(self, asked: str) -> set[str]:
        """The nodes that belong to the cluster."""
        status, body = self.ask(asked, "GET", "/cluster/weftdb/status")
        assert status == 200, body
        return {each["name"] for each in body["nodes"]}

    def voters(self, asked: str) -> set[str]:
        """The members of etcd that have a vote, as that of one node says."""
        port = self._trio.servers[asked].environment["RAFT_INTERNAL_RPC_PORT"]
        settings = EtcdSettings((f"127.0.0.1:{port}",), timeout_s=SOON_S)
        members = EtcdRoster(settings, SystemClock(), random.Random()).members()
        return {each.name for each in members if not each.is_learner}

    def objects(self, asked: str) -> dict[str, Counter[str]]:
        """How many objects each node holds, of each collection: replicas count each."""
        status, body = self.ask(asked, "GET", "/nodes?output=verbose")
        assert status == 200, body
        found: dict[str, Counter[str]] = {}
        for node in body["nodes"]:
            for shard in node["shards"] or ():
                held = found.setdefault(shard["class"], Counter())
                held[node["name"]] += shard["objectCount"]
        return found

    def replicas(self, collection: str, asked: str) -> list[list[str]]:
        """The nodes of each shard."""
        path = f"/replication/sharding-state?collection={collection}"
        status, body = self.ask(asked, "GET", path)
        assert status == 200, body
        return [each["replicas"] for each in body["shardingState"]["shards"]]


def wait_until(holds: Callable[[], object], what: str, within_s: float = 60.0) -> float:
    """Seconds until something held. Raises AssertionError where it did not."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, f"not in {within_s:g} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began
