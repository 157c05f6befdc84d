"""Three real servers hold one collection together, through the official client: every node answers
for all of it, one may die, and what it missed it gets when it is back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest
import weaviate
from weaviate.classes.config import Configure, ConsistencyLevel, DataType, Property
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, Sort
from weaviate.cluster.models import ReplicationType
from weaviate.collections import Collection
from weaviate.exceptions import UnexpectedStatusCodeError

from tests.cluster_trio import NAMES, ClusterTrio, eventually

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

COUNT, WIDTH = 400, 16


@pytest.fixture(autouse=True)
def _clean(trio: ClusterTrio) -> Iterator[None]:
    yield
    for item in trio.ask("n1", "GET", "/schema")[1]["classes"]:
        assert trio.ask("n1", "DELETE", f"/schema/{item['class']}")[0] == 200


def client_of(trio: ClusterTrio, name: str) -> weaviate.WeaviateClient:
    server = trio.servers[name]
    return weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port)


def things(seed: int, count: int = COUNT) -> list[DataObject]:
    """The same for the same seed."""
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH))
    return [
        DataObject(
            {"text": f"thing {at} of {seed}", "size": at},
            uuid=uuid.UUID(int=seed * 1_000_000 + at),
            vector=row.tolist(),
        )
        for at, row in enumerate(rows)
    ]


def create(client: weaviate.WeaviateClient, factor: int, shards: int = 3) -> Collection:
    return client.collections.create(
        "Thing",
        properties=[
            Property(name="text", data_type=DataType.TEXT),
            Property(name="size", data_type=DataType.INT),
        ],
        vector_config=Configure.Vectors.self_provided(),
        replication_config=Configure.replication(factor=factor, async_enabled=factor > 1),
        sharding_config=Configure.sharding(desired_count=shards),
    )


def fill(collection: Collection, seed: int) -> list[DataObject]:
    made = things(seed)
    outcome = collection.data.insert_many(made)
    assert not outcome.has_errors, outcome.errors
    return made


def check(collection: Collection, made: list[DataObject]) -> None:
    """Everything is counted, and found by vector, words, filter, order and id."""
    assert collection.aggregate.over_all(total_count=True).total_count == len(made)
    for one in made[::97]:
        assert isinstance(one.vector, list)
        near = collection.query.near_vector(one.vector, limit=1)
        assert [each.uuid for each in near.objects] == [one.uuid]
        words = collection.query.bm25(str(one.properties["text"]), limit=1)
        assert [each.uuid for each in words.objects] == [one.uuid]
        both = collection.query.hybrid(str(one.properties["text"]), vector=one.vector, limit=1)
        assert [each.uuid for each in both.objects] == [one.uuid]
        found = collection.query.fetch_object_by_id(one.uuid, include_vector=True)
        assert np.allclose(found.vector["default"], one.vector)
    small = collection.query.fetch_objects(
        filters=Filter.by_property("size").less_than(5),
        sort=Sort.by_property("size", ascending=False).by_property("text"),
        limit=100,
    )
    sizes = [each.properties["size"] for each in small.objects]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 5 * (len(made) // COUNT)


@pytest.mark.parametrize("factor", [1, 3])
def test_every_node_answers_for_all(trio: ClusterTrio, factor: int) -> None:
    with client_of(trio, "n1") as client:
        made = fill(create(client, factor), 1)
    for name in NAMES:
        with client_of(trio, name) as client:
            collection = client.collections.use("Thing")
            eventually(
                lambda c=collection: c.aggregate.over_all(total_count=True).total_count == COUNT
            )
            check(collection, made)
            assert len(list(collection.iterator())) == COUNT


def test_scores_do_not_depend_on_the_number_of_shards(trio: ClusterTrio) -> None:
    scores = []
    for shards in (1, 3):
        with client_of(trio, "n2") as client:
            collection = create(client, 1, shards)
            fill(collection, 1)
            found = collection.query.bm25("thing 7", limit=20, return_metadata=["score"])
            scores.append([(each.uuid, each.metadata.score) for each in found.objects])
            client.collections.delete("Thing")
    assert scores[0] == scores[1]


def test_one_node_dies_and_comes_back(trio: ClusterTrio) -> None:
    with client_of(trio, "n1") as client:
        made = fill(create(client, 3), 1)
    trio.kill("n3")
    try:
        with client_of(trio, "n2") as client:
            plain = client.collections.use("Thing")
            collection = plain.with_consistency_level(ConsistencyLevel.QUORUM)
            check(collection, made)
            more = fill(collection, 2)
            check(collection, made + more)
            collection.data.update(made[0].uuid, {"text": "changed"})
            assert collection.data.delete_by_id(made[1].uuid)
            everywhere = plain.with_consistency_level(ConsistencyLevel.ALL)
            with pytest.raises(UnexpectedStatusCodeError, match="n3"):
                everywhere.data.insert({"text": "not to all"}, uuid=uuid.UUID(int=77))
            plain.data.delete_by_id(uuid.UUID(int=77))
    finally:
        trio.start("n3")

    def on_n3(what: uuid.UUID) -> tuple[int, str]:
        status, body = trio.ask("n1", "GET", f"/objects/Thing/{what}?node_name=n3")
        return status, body["properties"]["text"] if status == 200 else ""

    eventually(lambda: on_n3(more[-1].uuid) == (200, more[-1].properties["text"]))
    eventually(lambda: on_n3(made[0].uuid) == (200, "changed"))
    eventually(lambda: on_n3(made[1].uuid)[0] == 404)
    with client_of(trio, "n3") as client:
        collection = client.collections.use("Thing")
        total = 2 * COUNT - 1
        eventually(lambda: collection.aggregate.over_all(total_count=True).total_count == total)


def test_a_batch_delete_reaches_all_shards(trio: ClusterTrio) -> None:
    with client_of(trio, "n1") as client:
        collection = create(client, 3)
        fill(collection, 1)
        gone = collection.data.delete_many(where=Filter.by_property("size").less_than(100))
        assert (gone.matches, gone.successful, gone.failed) == (100, 100, 0)
        assert collection.aggregate.over_all(total_count=True).total_count == COUNT - 100


def test_the_official_client_copies_a_replica(trio: ClusterTrio) -> None:
    with client_of(trio, "n1") as client:
        made = fill(create(client, 1, 1), 1)
        (shard,) = client.cluster.query_sharding_state(collection="Thing").shards
        (source,) = shard.replicas
        target = next(name for name in NAMES if name != source)
        operation = client.cluster.replicate(
            collection="Thing",
            shard=shard.name,
            source_node=source,
            target_node=target,
            replication_type=ReplicationType.COPY,
        )
        replications = client.cluster.replications

        def state() -> str:
            found = replications.get(uuid=operation)
            return "" if found is None else found.status.state.value

        eventually(lambda: state() == "READY")
        assert [each.uuid for each in replications.list_all()] == [operation]
        assert len(replications.query(collection="Thing", target_node=target)) == 1
        replications.delete(uuid=operation)
        assert replications.get(uuid=operation) is None
        (shard,) = client.cluster.query_sharding_state(collection="Thing").shards
        assert sorted(shard.replicas) == sorted([source, target])
    with client_of(trio, target) as client:
        check(client.collections.use("Thing"), made)
