"""The number of shards changes between real nodes while clients write, read, delete and list."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from typing import Any

import pytest

from tests.cluster_moves import Load, counts, fill, finished, make, places
from tests.cluster_trio import ClusterTrio, eventually
from weftdb.server.main import main

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

LISTED_MAX = 5_000
DONE_S_MAX = 240.0


class Lister:
    """Lists all objects through one node, all the time: what does not change has to be there once,
    and what was deleted must not come back."""

    def __init__(self, trio: ClusterTrio, name: str, asked: str, stay: set[str], gone: set[str]):
        self._trio, self._name, self._asked = trio, name, asked
        self._stay, self._gone = stay, gone
        self._stop = threading.Event()
        self.rounds = 0
        self.faults: list[Any] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            found = listed(self._trio, self._name, self._asked)
            self.rounds += 1
            twice = [one for one, count in found.items() if count > 1]
            lost, undone = self._stay - set(found), self._gone & set(found)
            if twice or lost or undone:
                self.faults.append((len(twice), len(lost), len(undone)))
            time.sleep(0.05)


def listed(trio: ClusterTrio, name: str, asked: str = "n1") -> Counter[str]:
    """How often each object is in a list of all."""
    status, body = trio.ask(asked, "GET", f"/objects?class={name}&limit={LISTED_MAX}")
    assert status == 200, body
    return Counter(str(each["id"]) for each in body["objects"])


def delete(trio: ClusterTrio, name: str, ids: list[str]) -> None:
    for one in ids:
        status, body = trio.ask("n2", "DELETE", f"/objects/{name}/{one}?consistency_level=ALL")
        assert status == 204, body


def written(trio: ClusterTrio, name: str, asked: str) -> str:
    """The id of an object that is written as a client does it: until it is taken."""
    one = str(uuid.uuid4())
    body = {"class": name, "id": one, "properties": {"n": 1}, "vector": [1.0, 2.0]}
    path = "/objects?consistency_level=QUORUM"
    eventually(lambda: trio.ask(asked, "POST", path, body)[0] in (200, 422), 60.0)
    return one


def reshard(trio: ClusterTrio, name: str, shards: int) -> dict[str, Any]:
    """A plan that is carried out."""
    status, made = trio.ask(
        "n1", "POST", "/cluster/weftdb/plans",
        {"kind": "reshard", "collection": name, "shards": shards},
    )  # fmt: skip
    assert status == 200, made
    found: dict[str, Any] = made
    return found


def cluster(trio: ClusterTrio, *words: str) -> int:
    """Run `weftdb cluster` against the first node."""
    url = f"http://127.0.0.1:{trio.servers['n1'].http_port}"
    return main(["cluster", "--url", url, *words])


def check_all_there(trio: ClusterTrio, name: str, wanted: set[str], factor: int) -> None:
    for asked in trio.names:
        found = listed(trio, name, asked)
        assert (set(found), set(found.values())) == (wanted, {1})
        for one in sorted(wanted)[:5]:
            path = f"/objects/{name}/{one}?consistency_level=QUORUM"
            assert trio.ask(asked, "GET", path)[0] == 200
    # And nothing is left over where it was.
    eventually(lambda: sum(counts(trio, name).values()) == factor * len(wanted), 60.0)


@pytest.mark.parametrize("factor", [3, 1])
def test_more_and_fewer_shards_under_load(trio: ClusterTrio, factor: int) -> None:
    name = f"Grown{factor}"
    make(trio, name, factor=factor, shards=1)
    ids = fill(trio, name)
    gone = ids[::10]
    delete(trio, name, gone)
    stay = set(ids) - set(gone)
    load = Load(trio, name, "n2")
    lister = Lister(trio, name, "n3", stay, set(gone))
    finished(trio, reshard(trio, name, 3)["id"], DONE_S_MAX)
    assert len(places(trio, name)) == 3
    held = [len(nodes) for nodes in places(trio, name).values()]
    assert held == [factor] * 3
    finished(trio, reshard(trio, name, 2)["id"], DONE_S_MAX)
    load.stop()
    lister.stop()
    assert (load.failures, lister.faults) == ([], [])
    assert len(load.written) > 10
    assert lister.rounds > 3
    assert len(places(trio, name)) == 2
    status, schema = trio.ask("n3", "GET", f"/schema/{name}")
    assert (status, schema["shardingConfig"]["actualCount"]) == (200, 2)
    assert schema["shardingConfig"]["desiredCount"] == 2
    check_all_there(trio, name, stay | set(load.written), factor)
    status, reports = trio.ask("n1", "POST", "/cluster/weftdb/repair", {"collection": name})
    assert [each["converged"] for each in reports] == [True, True]
    check_all_there(trio, name, stay | set(load.written), factor)


def test_who_crashes_goes_on(trio: ClusterTrio) -> None:
    """Every node once, wherever the plan is by then."""
    make(trio, "Shaken", factor=3, shards=2)
    ids = set(fill(trio, "Shaken", 1500))
    plan = reshard(trio, "Shaken", 4)["id"]
    for name in trio.names:
        time.sleep(1.5)
        trio.kill(name)
        asked = next(other for other in trio.names if other != name)
        ids.add(written(trio, "Shaken", asked))
        trio.start(name)
    finished(trio, plan, DONE_S_MAX)
    assert len(places(trio, "Shaken")) == 4
    status, _ = trio.ask("n1", "POST", "/cluster/weftdb/repair", {"collection": "Shaken"})
    assert status == 200
    check_all_there(trio, "Shaken", ids, 3)


def test_a_plan_that_is_stopped_leaves_everything(
    trio: ClusterTrio, capsys: pytest.CaptureFixture[str]
) -> None:
    make(trio, "Halted", factor=2, shards=1)
    ids = set(fill(trio, "Halted", 500))
    assert cluster(trio, "reshard", "Halted", "--shards", "4", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "virtual shards of Halted from" in told
    assert "tokens " in told
    assert len(places(trio, "Halted")) == 1
    plan = reshard(trio, "Halted", 4)["id"]
    time.sleep(2.0)
    assert trio.ask("n3", "DELETE", f"/cluster/weftdb/plans/{plan}")[0] == 204
    eventually(lambda: trio.ask("n1", "GET", "/cluster/weftdb/status")[1]["operations"] == [], 60.0)
    check_all_there(trio, "Halted", ids, 2)
    assert cluster(trio, "reshard", "halted", "--shards", "2") == 0
    assert len(places(trio, "Halted")) == 2
    check_all_there(trio, "Halted", ids, 2)
    assert cluster(trio, "reshard", "Halted", "--shards", "0") == 2
    assert "must be between 1 and 1024, got 0" in capsys.readouterr().err
