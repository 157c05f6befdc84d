"""Replicas move between real nodes while clients write and read."""

from __future__ import annotations

import uuid

import pytest

from tests.cluster_moves import (
    Load,
    counts,
    details,
    ended,
    fill,
    finished,
    make,
    places,
    planned,
    replicate,
)
from tests.cluster_trio import NAMES, ClusterTrio, eventually
from weftdb.server.main import main

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]


def test_a_copy_and_a_move_under_load(trio: ClusterTrio) -> None:
    make(trio, "Copied", factor=1)
    ids = fill(trio, "Copied")
    ((shard, (home,)),) = places(trio, "Copied").items()
    first, second = [name for name in NAMES if name != home]
    loads = [Load(trio, "Copied", asked) for asked in (home, first)]
    copy = replicate(trio, "Copied", shard, home, first, "COPY")
    assert ended(trio, copy) == "READY"
    states = [each["state"] for each in details(trio, copy)["statusHistory"]]
    assert states == ["REGISTERED", "HYDRATING", "FINALIZING", "INTEGRATING"]
    assert sorted(places(trio, "Copied")[shard]) == sorted((home, first))
    move = replicate(trio, "Copied", shard, home, second, "MOVE")
    assert ended(trio, move) == "READY"
    for load in loads:
        load.stop()
    assert [load.failures for load in loads] == [[], []]
    assert all(len(load.written) > 5 for load in loads)
    assert sorted(places(trio, "Copied", second)[shard]) == sorted((first, second))
    wanted = len(ids) + sum(len(load.written) for load in loads)
    eventually(lambda: counts(trio, "Copied") == {home: 0, first: wanted, second: wanted})
    for one in (ids[0], ids[-1], *(load.written[-1] for load in loads)):
        for asked in NAMES:
            assert trio.ask(asked, "GET", f"/objects/Copied/{one}")[0] == 200
    status, found = trio.ask("n3", "GET", "/replication/replicate/list?collection=copied")
    assert status == 200
    assert [each["id"] for each in found] == [copy, move]
    assert trio.ask("n1", "POST", f"/replication/replicate/{move}/cancel")[0] == 409
    assert trio.ask("n1", "DELETE", f"/replication/replicate/{move}")[0] == 204
    assert trio.ask("n2", "GET", f"/replication/replicate/{move}")[0] == 404


def test_what_cannot_be_is_refused(trio: ClusterTrio) -> None:
    make(trio, "Refused", factor=1)
    ((shard, (home,)),) = places(trio, "Refused").items()
    other = next(name for name in NAMES if name != home)
    wish = {"collection": "Refused", "shard": shard, "sourceNode": home, "targetNode": other}

    def refusal(**changed: str) -> str:
        status, body = trio.ask("n1", "POST", "/replication/replicate", {**wish, **changed})
        assert status == 422, body
        return str(body["error"][0]["message"])

    assert refusal(targetNode=home) == (
        "invalid request: source and target node are the same: bad request"
    )
    assert refusal(collection="Nothing") == (
        "invalid request: collection Nothing does not exists: class not found"
    )
    assert "could not find shard" in refusal(sourceNode=other, targetNode=home)
    assert "not in the cluster" in refusal(targetNode="n9")
    assert trio.ask("n1", "GET", "/replication/replicate/zzz")[0] == 422
    missing = f"/replication/replicate/{uuid.uuid4()}"
    assert trio.ask("n1", "GET", missing)[0] == 404
    assert trio.ask("n1", "POST", f"{missing}/cancel")[0] == 204
    assert trio.ask("n1", "DELETE", missing)[0] == 204


def test_scale_drain_and_rebalance_under_load(trio: ClusterTrio) -> None:
    for name in ("Copied", "Refused"):
        trio.ask("n1", "DELETE", f"/schema/{name}")
    make(trio, "Spread", factor=1, shards=3)
    ids = fill(trio, "Spread")
    load = Load(trio, "Spread", "n2")
    # By a change of the schema, as clients do it.
    status, schema = trio.ask("n2", "GET", "/schema/Spread")
    schema["replicationConfig"]["factor"] = 2
    status, answer = trio.ask("n2", "PUT", "/schema/Spread", schema)
    assert status == 200, answer
    (plan,) = trio.ask("n3", "GET", "/cluster/weftdb/plans")[1]
    finished(trio, plan["id"])
    assert [len(nodes) for nodes in places(trio, "Spread").values()] == [2, 2, 2]
    eventually(
        lambda: trio.ask("n3", "GET", "/schema/Spread")[1]["replicationConfig"]["factor"] == 2
    )
    planned(trio, kind="drain", node="n3")
    assert all(set(nodes) == {"n1", "n2"} for nodes in places(trio, "Spread").values())
    status, _ = trio.ask("n1", "PUT", "/cluster/weftdb/nodes/n3", {"draining": False})
    assert status == 200
    planned(trio, kind="rebalance")
    held = [node for nodes in places(trio, "Spread").values() for node in nodes]
    assert sorted(held.count(name) for name in NAMES) == [2, 2, 2]
    status, scale = trio.ask(
        "n2", "GET", "/replication/scale?collection=Spread&replicationFactor=1"
    )
    assert status == 200
    assert len(scale["shardScaleActions"]) == 3
    status, applied = trio.ask("n2", "POST", "/replication/scale", scale)
    assert (status, applied["planId"], len(applied["operationIds"])) == (200, scale["planId"], 4)
    finished(trio, trio.ask("n3", "GET", "/cluster/weftdb/plans")[1][-1]["id"])
    load.stop()
    assert load.failures == []
    assert [len(nodes) for nodes in places(trio, "Spread").values()] == [1, 1, 1]
    wanted = len(ids) + len(load.written)
    eventually(lambda: sum(counts(trio, "Spread").values()) == wanted)
    status, reports = trio.ask("n1", "POST", "/cluster/weftdb/repair", {"collection": "Spread"})
    assert status == 200
    assert [each["converged"] for each in reports] == [True, True, True]


def cluster(trio: ClusterTrio, *words: str) -> int:
    """Run `weftdb cluster` against the first node."""
    url = f"http://127.0.0.1:{trio.servers['n1'].http_port}"
    return main(["cluster", "--url", url, *words])


def test_an_operator_at_the_command_line(
    trio: ClusterTrio, capsys: pytest.CaptureFixture[str]
) -> None:
    make(trio, "Shown", factor=2)
    fill(trio, "Shown", 20)
    assert cluster(trio, "status") == 0
    told = capsys.readouterr().out
    assert "HEALTHY" in told
    assert "Shown" in told
    assert cluster(trio, "drain", "n1", "--dry-run") == 0
    assert "drain n1" in capsys.readouterr().out
    assert cluster(trio, "scale", "Shown", "3") == 0
    assert "copy Shown/" in capsys.readouterr().out
    assert [len(nodes) for nodes in places(trio, "Shown").values()] == [3]
    assert cluster(trio, "repair", "shown") == 0
    assert "yes" in capsys.readouterr().out
    assert cluster(trio, "scale", "Shown", "4") == 3
    assert "not enough storage replicas: found 3 want 4" in capsys.readouterr().err
    assert cluster(trio, "drain", "n9") == 2
    assert "no node n9" in capsys.readouterr().err
    assert cluster(trio, "stop", "nothing") == 2


def test_who_crashes_goes_on_and_what_waits_can_be_cancelled(trio: ClusterTrio) -> None:
    make(trio, "Broken", factor=1)
    ids = fill(trio, "Broken", 2000)
    ((shard, (home,)),) = places(trio, "Broken").items()
    target = next(name for name in NAMES if name not in (home, "n1"))
    asked = next(name for name in NAMES if name != target)
    move = replicate(trio, "Broken", shard, home, target, "MOVE")
    trio.kill(target)
    state = details(trio, move, asked)["status"]["state"]
    assert state in ("REGISTERED", "HYDRATING", "FINALIZING"), state
    trio.start(target)
    assert ended(trio, move) == "READY"
    assert places(trio, "Broken", asked)[shard] == [target]
    eventually(lambda: counts(trio, "Broken").get(target) == len(ids))
    trio.kill(home)
    status, body = trio.ask(
        asked if asked != home else target,
        "POST",
        "/replication/replicate",
        {"collection": "Broken", "shard": shard, "sourceNode": target, "targetNode": home},
    )
    assert status == 200, body
    path = f"/replication/replicate/{body['id']}"
    assert trio.ask(target, "GET", path)[1]["status"]["state"] == "REGISTERED"
    assert trio.ask(target, "POST", f"{path}/cancel")[0] == 204
    assert trio.ask(target, "GET", path)[1]["status"]["state"] == "CANCELLED"
    trio.start(home)
