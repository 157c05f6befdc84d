"""`weftdb cluster replace` gives the lost node up, waits for the other one, and takes it out."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.server.cli import cluster_command as subject
from weftdb.server.main import main


class Cluster:
    """Answers as a node does; n5 is there once it has been asked for the status so often."""

    def __init__(self, lost: str = "UNAVAILABLE", there_after: int = 3) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.looked = 0
        self.lost = lost
        self.there_after = there_after

    def ask(self, _arguments: Any, method: str, path: str, body: Any = None) -> Any:
        if path == "/status":
            self.looked += 1
            there = {"n5": "HEALTHY"} if self.looked >= self.there_after else {}
            nodes = {"n1": "HEALTHY", "n2": self.lost, **there}
            return {"nodes": [{"name": name, "status": nodes[name]} for name in nodes]}
        self.asked.append((method, path, body))
        if path == "/plans":
            return {"id": "p", "text": "a plan"}
        return {"steps": [{"state": "READY"}], "state": "DONE"}

    def did(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.asked]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "POLL_S", 0.01)


def replace(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, *words: str) -> int:
    monkeypatch.setattr(subject, "_ask", cluster.ask)
    return main(["cluster", "replace", *words])


FOLLOWED = [("POST", "/plans"), ("GET", "/plans/p")]


def test_one_command_replaces_a_lost_node(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster()
    assert replace(monkeypatch, cluster, "n2", "n5") == 0
    assert cluster.did() == [("PUT", "/nodes/n2"), *FOLLOWED, ("DELETE", "/nodes/n2")]
    assert cluster.asked[0][2] == {"lost": True}
    told = capsys.readouterr().err
    assert "waiting for node n5" in told
    assert "node n2 has left the cluster" in told


def test_one_that_lives_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(lost="HEALTHY")
    assert replace(monkeypatch, cluster, "n2", "n5") == 0
    assert cluster.did() == [*FOLLOWED, ("DELETE", "/nodes/n2")]


def test_one_that_comes_back_empty_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    cluster.there_after = 1
    assert replace(monkeypatch, cluster, "n5", "n5") == 0
    assert cluster.did() == FOLLOWED


def test_a_lost_one_may_stay_and_nothing_may_be_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster()
    assert replace(monkeypatch, cluster, "n2", "n5", "--stay") == 0
    assert cluster.did() == [("PUT", "/nodes/n2"), *FOLLOWED]
    cluster = Cluster()
    assert replace(monkeypatch, cluster, "n2", "n5", "--no-wait") == 0
    assert (cluster.looked, cluster.did()[1:]) == (1, [("POST", "/plans")])


def test_a_dry_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    assert replace(monkeypatch, cluster, "n2", "n5", "--dry-run") == 0
    assert cluster.did() == [("POST", "/plans")]
    assert cluster.asked[0][2]["dryRun"] is True
