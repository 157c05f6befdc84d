"""What tests of replicas that move between real nodes do to a cluster; a client that goes on."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from tests.cluster_trio import ClusterTrio, eventually

OBJECTS = 300
OVER = ("READY", "CANCELLED")


def make(trio: ClusterTrio, name: str, *, factor: int, shards: int = 1) -> None:
    """Make a collection without vectorizer."""
    status, body = trio.ask(
        "n1",
        "POST",
        "/schema",
        {
            "class": name,
            "vectorizer": "none",
            "properties": [{"name": "n", "dataType": ["int"]}],
            "replicationConfig": {"factor": factor},
            "shardingConfig": {"desiredCount": shards},
        },
    )
    assert status == 200, body


def fill(trio: ClusterTrio, name: str, count: int = OBJECTS) -> list[str]:
    """Write objects; their ids."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    objects = [
        {"class": name, "id": one, "properties": {"n": at}, "vector": [float(at), 1.0]}
        for at, one in enumerate(ids)
    ]
    status, body = trio.ask("n1", "POST", "/batch/objects", {"objects": objects})
    assert status == 200, body
    assert all(each["result"]["status"] == "SUCCESS" for each in body), body[:2]
    return ids


def places(trio: ClusterTrio, name: str, asked: str = "n1") -> dict[str, list[str]]:
    """The replicas of every shard, as a node knows them."""
    status, body = trio.ask(asked, "GET", f"/replication/sharding-state?collection={name}")
    assert status == 200, body
    return {each["shard"]: each["replicas"] for each in body["shardingState"]["shards"]}


def counts(trio: ClusterTrio, name: str) -> dict[str, int]:
    """Objects of a collection on each node."""
    status, body = trio.ask("n1", "GET", "/nodes?output=verbose")
    assert status == 200, body
    return {
        node["name"]: sum(
            shard["objectCount"] for shard in node["shards"] or () if shard["class"] == name
        )
        for node in body["nodes"]
    }


def replicate(trio: ClusterTrio, name: str, shard: str, source: str, target: str, kind: str) -> str:
    """Ask for a copy or a move; the id of the operation."""
    status, body = trio.ask(
        target,
        "POST",
        "/replication/replicate",
        {
            "collection": name,
            "shard": shard,
            "sourceNode": source,
            "targetNode": target,
            "type": kind,
        },
    )
    assert status == 200, body
    return str(body["id"])


def details(trio: ClusterTrio, operation: str, asked: str = "n1") -> dict[str, Any]:
    """An operation with its history."""
    status, body = trio.ask(asked, "GET", f"/replication/replicate/{operation}?includeHistory=true")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


def ended(trio: ClusterTrio, operation: str, within_s: float = 60.0) -> str:
    """Wait until an operation is over; its last state."""
    eventually(lambda: details(trio, operation)["status"]["state"] in OVER, within_s)
    return str(details(trio, operation)["status"]["state"])


class Load:
    """A client that writes and reads at QUORUM, all the time, through one node."""

    def __init__(self, trio: ClusterTrio, name: str, asked: str) -> None:
        self._trio, self._name, self._asked = trio, name, asked
        self._stop = threading.Event()
        self.written: list[str] = []
        """Ids that were acknowledged."""
        self.failures: list[Any] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            one = str(uuid.uuid4())
            body = {"class": self._name, "id": one, "properties": {"n": 1}, "vector": [1.0, 2.0]}
            path = "/objects?consistency_level=QUORUM"
            status, answer = self._trio.ask(self._asked, "POST", path, body)
            if status != 200:
                self.failures.append(("write", status, answer))
                continue
            self.written.append(one)
            path = f"/objects/{self._name}/{one}?consistency_level=QUORUM"
            status, answer = self._trio.ask(self._asked, "GET", path)
            if status != 200:
                self.failures.append(("read", status, answer))
            time.sleep(0.01)


def planned(trio: ClusterTrio, **body: Any) -> dict[str, Any]:
    """A plan that was carried out."""
    status, made = trio.ask("n1", "POST", "/cluster/weftdb/plans", body)
    assert status == 200, made
    return finished(trio, made["id"])


def finished(trio: ClusterTrio, plan: str, within_s: float = 90.0) -> dict[str, Any]:
    """Wait until a plan is carried out."""

    def state() -> dict[str, Any]:
        status, found = trio.ask("n2", "GET", f"/cluster/weftdb/plans/{plan}")
        assert status == 200, found
        answer: dict[str, Any] = found
        return answer

    eventually(lambda: state()["state"] != "RUNNING", within_s)
    assert state()["state"] == "DONE", state()
    return state()
