"""Three nodes go from an older build to this one, one after the other, under use.

`OLDER_WEFTDB` names the interpreter of the older build, for instance of a worktree of an earlier
commit with a virtual environment and native code of its own (`make venv native` there).
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import weaviate
from weaviate.classes.config import Configure, ConsistencyLevel, DataType, Property
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections import Collection

from tests.cluster_trio import NAMES, ClusterTrio, eventually

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

OLDER = os.environ.get("OLDER_WEFTDB", "")
WIDTH, BATCH = 8, 40


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterTrio]:
    """All of the older build."""
    if not Path(OLDER).is_file():
        pytest.skip("no older build: set OLDER_WEFTDB to its interpreter")
    made = ClusterTrio(tmp_path_factory.mktemp("skew"))
    for name in NAMES:
        made.servers[name].python = (OLDER, "-P")  # Not the sources that lie in this folder.
    try:
        made.start()
        yield made
    finally:
        made.close()


def connect(trio: ClusterTrio, name: str) -> weaviate.WeaviateClient:
    server = trio.servers[name]
    return weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port)


def all_healthy(trio: ClusterTrio, asked: str) -> bool:
    found = trio.ask(asked, "GET", "/nodes")[1]["nodes"]
    return [node["status"] for node in found] == ["HEALTHY"] * 3


def use(trio: ClusterTrio, made: dict[uuid.UUID, DataObject]) -> None:
    """Write, read, search and delete at QUORUM through each node; what one did, all see."""
    level = ConsistencyLevel.QUORUM
    for at, name in enumerate(NAMES):
        with connect(trio, name) as client:
            thing = client.collections.use("Thing").with_consistency_level(level)
            first = len(made)
            rows = np.random.default_rng(first + at).normal(size=(BATCH, WIDTH))
            more = [
                DataObject(
                    {"text": f"word{first + number} of {name}", "size": first + number},
                    uuid=uuid.uuid4(),
                    vector=row.tolist(),
                )
                for number, row in enumerate(rows)
            ]
            written = thing.data.insert_many(more)
            assert not written.has_errors, written.errors
            made.update({each.uuid: each for each in more if isinstance(each.uuid, uuid.UUID)})
            gone = more[-1]
            assert thing.data.delete_by_id(gone.uuid)
            del made[gone.uuid]
            single = f"only{uuid.uuid4().hex}"
            thing.data.update(more[0].uuid, {"text": single})
            made[more[0].uuid].properties["text"] = single
            count = thing.data.delete_many(where=Filter.by_property("size").equal(first + 1))
            assert (count.successful, count.failed) == (1, 0)
            del made[more[1].uuid]
    for name in NAMES:
        with connect(trio, name) as client:
            check(client.collections.use("Thing").with_consistency_level(level), made)


def check(thing: Collection, made: dict[uuid.UUID, DataObject]) -> None:
    """Everything that was acknowledged is found in each way, at the level."""
    assert {each.uuid for each in thing.iterator()} >= set(made)
    for one in list(made.values())[:: max(1, len(made) // 12)]:
        assert isinstance(one.vector, list)
        found = thing.query.fetch_object_by_id(one.uuid)
        assert found is not None
        assert found.properties["text"] == one.properties["text"]
        near = thing.query.near_vector(one.vector, limit=1)
        assert [each.uuid for each in near.objects] == [one.uuid]
        words = thing.query.bm25(str(one.properties["text"]).split(maxsplit=1)[0], limit=1)
        assert [each.uuid for each in words.objects] == [one.uuid]
        both = thing.query.hybrid(str(one.properties["text"]), vector=one.vector, limit=3)
        assert one.uuid in {each.uuid for each in both.objects}
    total = thing.aggregate.over_all(total_count=True).total_count
    assert total == len(made)


def test_a_rolling_upgrade(trio: ClusterTrio) -> None:
    with connect(trio, "n1") as client:
        client.collections.create(
            "Thing",
            properties=[
                Property(name="text", data_type=DataType.TEXT),
                Property(name="size", data_type=DataType.INT),
            ],
            vector_config=Configure.Vectors.self_provided(),
            replication_config=Configure.replication(factor=3),
        )
    made: dict[uuid.UUID, DataObject] = {}
    eventually(lambda: trio.ask("n3", "GET", "/schema/Thing")[0] == 200)
    use(trio, made)
    for count, name in enumerate(NAMES, 1):
        trio.kill(name)
        trio.servers[name].python = (sys.executable,)
        trio.start(name)
        eventually(lambda: all(all_healthy(trio, each) for each in NAMES))
        use(trio, made)
        with connect(trio, NAMES[count % 3]) as client:
            other = client.collections.create(
                f"Other{count}", replication_config=Configure.replication(factor=2)
            )
            assert not other.data.insert_many([{"n": number} for number in range(20)]).has_errors
        for each in NAMES:
            eventually(lambda e=each, c=count: trio.ask(e, "GET", f"/schema/Other{c}")[0] == 200)
    # Everybody knows it now: a shard set read-only is so on every node.
    (shard, *_) = (each["name"] for each in trio.ask("n2", "GET", "/schema/Thing/shards")[1])
    changed = trio.ask("n2", "PUT", f"/schema/Thing/shards/{shard}", {"status": "READONLY"})
    assert changed == (200, {"status": "READONLY"})
    listed = {each["name"]: each for each in trio.ask("n3", "GET", "/schema/Thing/shards")[1]}
    assert set(listed[shard]["per_node_status"].values()) == {"READONLY"}
