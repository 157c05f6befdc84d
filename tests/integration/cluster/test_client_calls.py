"""The official client's calls about a cluster work on every node of three, and say what is so."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest
import weaviate
from weaviate.classes.config import (
    Configure,
    ConsistencyLevel,
    DataType,
    Property,
    Reconfigure,
    ReplicationDeletionStrategy,
)
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.cluster.models import ReplicationType
from weaviate.collections import Collection
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInvalidInputError

from tests.cluster_trio import NAMES, ClusterTrio, eventually

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

LEVELS = (ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL)
COUNT = 30
ON_EVERY_NODE = pytest.mark.parametrize("node", NAMES)


@pytest.fixture(scope="module")
def clients(trio: ClusterTrio) -> Iterator[dict[str, weaviate.WeaviateClient]]:
    made = {
        name: weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port)
        for name, server in trio.servers.items()
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(autouse=True)
def _clean(clients: dict[str, weaviate.WeaviateClient]) -> Iterator[None]:
    yield
    clients["n1"].cluster.replications.delete_all()
    clients["n1"].collections.delete_all()


def create(client: weaviate.WeaviateClient, *, factor: int, shards: int = 3) -> Collection:
    return client.collections.create(
        "Thing",
        properties=[
            Property(name="text", data_type=DataType.TEXT),
            Property(name="size", data_type=DataType.INT),
        ],
        vector_config=Configure.Vectors.self_provided(),
        replication_config=Configure.replication(factor=factor),
        sharding_config=Configure.sharding(desired_count=shards),
    )


def things(first: int = 0) -> list[DataObject]:
    return [
        DataObject(
            {"text": f"thing {at}", "size": at},
            uuid=uuid.uuid5(uuid.NAMESPACE_DNS, str(at)),
            vector=[float(at), 1.0],
        )
        for at in range(first, first + COUNT)
    ]


@ON_EVERY_NODE
def test_nodes(clients: dict[str, weaviate.WeaviateClient], node: str) -> None:
    client = clients[node]
    assert not create(client, factor=2).data.insert_many(things()).has_errors
    minimal = client.cluster.nodes(output="minimal")
    assert [each.name for each in minimal] == list(NAMES)
    assert [each.status for each in minimal] == ["HEALTHY"] * 3
    assert [each.shards for each in minimal] == [None] * 3
    eventually(
        lambda: (
            sum(each.stats.object_count for each in client.cluster.nodes(output="verbose"))
            == 2 * COUNT
        )
    )
    verbose = client.cluster.nodes("Thing", output="verbose")
    shards = [shard for each in verbose for shard in each.shards]
    assert len(shards) == 6, "three shards, two replicas each"
    assert {shard.collection for shard in shards} == {"Thing"}
    assert {shard.loaded for shard in shards} == {True}
    state = client.cluster.query_sharding_state(collection="Thing")
    assert state is not None
    held = {(shard.name, name) for shard in state.shards for name in shard.replicas}
    assert {(shard.name, each.name) for each in verbose for shard in each.shards} == held
    (one,) = {shard.name for shard in shards[:1]}
    found = client.cluster.nodes("Thing", one, output="verbose")
    assert {shard.name for each in found for shard in each.shards or ()} == {one}
    assert client.cluster.query_sharding_state(collection="Nothing") is None
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        client.cluster.nodes("Nothing", output="verbose")
    statistics = client.cluster.statistics()
    assert statistics.synchronized
    assert [each.name for each in statistics.statistics] == list(NAMES)
    assert len({each.leader_id for each in statistics.statistics}) == 1


@ON_EVERY_NODE
def test_shards(trio: ClusterTrio, clients: dict[str, weaviate.WeaviateClient], node: str) -> None:
    collection = create(clients[node], factor=3)
    names = sorted(shard.name for shard in collection.config.get_shards())
    assert len(names) == 3
    assert {shard.status for shard in collection.config.get_shards()} == {"READY"}
    assert not collection.data.insert_many(things()).has_errors
    changed = collection.config.update_shards("READONLY", names[0])
    assert changed == {names[0]: "READONLY"}
    others = [clients[name].collections.use("Thing") for name in NAMES]
    for each in others:
        states = {shard.name: shard.status for shard in each.config.get_shards()}
        assert states == {names[0]: "READONLY", names[1]: "READY", names[2]: "READY"}
        written = each.data.insert_many(things(COUNT))
        assert written.errors, "some lie in the shard that takes no writes"
        assert len(written.errors) < COUNT
        assert all("read-only" in error.message for error in written.errors.values())
        (first, *_) = (each.uuid for each in things())
        read = each.with_consistency_level(ConsistencyLevel.ALL).query.fetch_object_by_id(first)
        assert read is not None, "reads go on"
    trio.kill("n3")
    trio.start("n3")
    server = trio.servers["n3"]
    clients["n3"].close()
    clients["n3"] = weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port)
    _, body = trio.ask("n3", "GET", "/schema/Thing/shards")
    states = {each["name"]: each["per_node_status"]["n3"] for each in body}
    assert states[names[0]] == "READONLY", "it outlives a restart"
    again = clients[node].collections.use("Thing")
    assert set(again.config.update_shards("READY").values()) == {"READY"}
    for name in NAMES:
        each = clients[name].collections.use("Thing")
        assert not each.data.insert_many(things(COUNT)).has_errors
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        again.config.update_shards("READONLY", "nothing")


@ON_EVERY_NODE
@pytest.mark.parametrize("kind", [ReplicationType.COPY, ReplicationType.MOVE])
def test_replication_operations(
    clients: dict[str, weaviate.WeaviateClient], node: str, kind: ReplicationType
) -> None:
    collection = create(clients[node], factor=1, shards=1)
    assert not collection.data.insert_many(things()).has_errors
    cluster = clients[node].cluster
    state = cluster.query_sharding_state(collection="Thing")
    assert state is not None
    (shard,) = state.shards
    (source,) = shard.replicas
    target = next(name for name in NAMES if name != source)
    operation = cluster.replicate(
        collection="Thing",
        shard=shard.name,
        source_node=source,
        target_node=target,
        replication_type=kind,
    )
    for client in clients.values():
        replications = client.cluster.replications

        def is_done(replications: object = replications) -> bool:
            found = replications.get(uuid=operation)  # type: ignore[attr-defined]
            return found is not None and found.status.state.value == "READY"

        eventually(is_done)
        found = replications.get(uuid=operation, include_history=True)
        assert found is not None
        assert (found.collection, found.shard) == ("Thing", shard.name)
        assert (found.source_node, found.target_node) == (source, target)
        assert found.transfer_type is kind
        states = [entry.state.value for entry in found.status_history or ()]
        assert states[:2] == ["REGISTERED", "HYDRATING"]
        assert [each.uuid for each in replications.list_all()] == [operation]
        for where in ({"collection": "Thing"}, {"target_node": target}):
            assert [each.uuid for each in replications.query(**where)] == [operation]
        assert replications.query(target_node=source) == []
        assert replications.get(uuid=uuid.uuid4()) is None
        there = client.cluster.query_sharding_state(collection="Thing", shard=shard.name)
        assert there is not None
        wanted = {target} if kind is ReplicationType.MOVE else {source, target}
        assert set(there.shards[0].replicas) == wanted
        every = client.collections.use("Thing").with_consistency_level(ConsistencyLevel.ALL)
        assert len(list(every.query.fetch_objects(limit=100).objects)) == COUNT
    with pytest.raises(UnexpectedStatusCodeError, match="422"):
        cluster.replicate(
            collection="Thing", shard=shard.name, source_node="n9", target_node=source
        )
    cluster.replications.delete(uuid=operation)
    eventually(lambda: clients["n2"].cluster.replications.get(uuid=operation) is None)


@ON_EVERY_NODE
def test_an_operation_is_cancelled(clients: dict[str, weaviate.WeaviateClient], node: str) -> None:
    assert not create(clients[node], factor=1, shards=1).data.insert_many(things()).has_errors
    cluster = clients[node].cluster
    state = cluster.query_sharding_state(collection="Thing")
    assert state is not None
    (shard,) = state.shards
    target = next(name for name in NAMES if name not in shard.replicas)
    operation = cluster.replicate(
        collection="Thing",
        shard=shard.name,
        source_node=shard.replicas[0],
        target_node=target,
    )
    with contextlib.suppress(UnexpectedStatusCodeError):  # 409: it was faster than the order.
        cluster.replications.cancel(uuid=operation)
    over = ("CANCELLED", "READY")

    def is_over() -> bool:
        found = cluster.replications.get(uuid=operation)
        return found is not None and found.status.state.value in over

    eventually(is_over)
    found = cluster.replications.get(uuid=operation)
    after = cluster.query_sharding_state(collection="Thing")
    assert found is not None
    assert after is not None
    is_copied = found.status.state.value == "READY"
    assert (target in after.shards[0].replicas) is is_copied
    cluster.replications.delete_all()
    eventually(lambda: cluster.replications.list_all() == [])


@ON_EVERY_NODE
@pytest.mark.parametrize("level", LEVELS)
def test_levels(
    clients: dict[str, weaviate.WeaviateClient], node: str, level: ConsistencyLevel
) -> None:
    create(clients[node], factor=3)
    collection = clients[node].collections.use("Thing").with_consistency_level(level)
    made = things()
    assert not collection.data.insert_many(made[:10]).has_errors
    with collection.batch.fixed_size(5) as batch:
        for one in made[10:20]:
            assert isinstance(one.vector, list)
            batch.add_object(one.properties, uuid=one.uuid, vector=one.vector)
    assert collection.batch.failed_objects == []
    for one in made[20:]:
        collection.data.insert(one.properties, uuid=one.uuid, vector=one.vector)
    first, second, third = (one.uuid for one in made[:3])
    assert isinstance(first, uuid.UUID)
    collection.data.update(first, {"size": 100})
    collection.data.replace(second, {"text": "thing 1", "size": 200}, vector=[1.0, 1.0])
    assert collection.data.delete_by_id(third)
    gone = collection.data.delete_many(where=Filter.by_property("size").equal(200))
    assert (gone.matches, gone.failed) == (1, 0)

    def holds(name: str, read: ConsistencyLevel) -> bool:
        seen = clients[name].collections.use("Thing").with_consistency_level(read)
        one = seen.query.fetch_object_by_id(first)
        near = seen.query.near_vector(
            [5.0, 1.0], limit=COUNT, return_metadata=MetadataQuery(is_consistent=True)
        )
        words = seen.query.bm25("thing", limit=COUNT)
        return (
            one is not None
            and one.properties["size"] == 100
            and seen.query.fetch_object_by_id(second) is None
            and not seen.data.exists(third)
            and len(near.objects) == len(words.objects) == COUNT - 2
            and len(seen.query.fetch_objects(limit=COUNT).objects) == COUNT - 2
            and seen.aggregate.over_all().total_count == COUNT - 2
            and (read is ConsistencyLevel.ONE
                 or all(each.metadata.is_consistent for each in near.objects))
        )  # fmt: skip

    for name in NAMES:
        # What was acknowledged by a majority, a majority knows; else in a moment.
        overlaps = level is not ConsistencyLevel.ONE
        for read in (ConsistencyLevel.QUORUM, ConsistencyLevel.ALL):
            if overlaps:
                one = clients[name].collections.use("Thing").with_consistency_level(read)
                found = one.query.fetch_object_by_id(first)
                assert found is not None
                assert found.properties["size"] == 100
        for read in LEVELS:
            eventually(lambda n=name, r=read: holds(n, r))


@ON_EVERY_NODE
def test_settings_of_replication(clients: dict[str, weaviate.WeaviateClient], node: str) -> None:
    client = clients[node]
    made = client.collections.create(
        "Thing",
        replication_config=Configure.replication(
            factor=2,
            async_enabled=True,
            deletion_strategy=ReplicationDeletionStrategy.DELETE_ON_CONFLICT,
        ),
    )
    asked = made.config.get().replication_config
    assert (asked.factor, asked.async_enabled) == (2, True)
    assert asked.deletion_strategy is ReplicationDeletionStrategy.DELETE_ON_CONFLICT
    later = ReplicationDeletionStrategy.NO_AUTOMATED_RESOLUTION
    made.config.update(replication_config=Reconfigure.replication(deletion_strategy=later))
    made.config.update(description="another thing")

    def seen(name: str) -> tuple[int, object]:
        found = clients[name].collections.use("Thing").config.get().replication_config
        return found.factor, found.deletion_strategy

    for name in NAMES:
        eventually(lambda n=name: seen(n) == (2, later))
    made.config.update(replication_config=Reconfigure.replication(factor=3))
    for name in NAMES:
        eventually(lambda n=name: seen(n) == (3, later))
    state = client.cluster.query_sharding_state(collection="Thing")
    assert state is not None
    eventually(
        lambda: all(
            len(shard.replicas) == 3
            for shard in client.cluster.query_sharding_state(collection="Thing").shards
        )
    )
    with pytest.raises(UnexpectedStatusCodeError, match="4 requested"):
        client.collections.create("More", replication_config=Configure.replication(factor=4))
    assert not client.collections.exists("More")


@ON_EVERY_NODE
def test_settings_of_sharding(clients: dict[str, weaviate.WeaviateClient], node: str) -> None:
    client = clients[node]
    made = client.collections.create(
        "Thing",
        sharding_config=Configure.sharding(
            virtual_per_physical=64,
            desired_count=5,
            actual_count=1,
            desired_virtual_count=7,
            actual_virtual_count=9,
        ),
    )
    for name in NAMES:
        assert client.collections.exists("Thing")
        found = clients[name].collections.use("Thing").config.get().sharding_config
        assert found is not None
        # What follows from the others is not taken from the client.
        assert (found.virtual_per_physical, found.desired_count) == (64, 5)
        assert (found.actual_count, found.desired_virtual_count) == (5, 320)
        assert found.actual_virtual_count == 320
        assert (found.strategy, found.function, found.key) == ("hash", "murmur3", "_id")
    assert len(made.config.get_shards()) == 5
    assert not made.data.insert_many(things()).has_errors
    plain = client.collections.create("Plain").config.get().sharding_config
    assert plain is not None
    assert (plain.desired_count, plain.virtual_per_physical) == (3, 128)
    with pytest.raises((UnexpectedStatusCodeError, WeaviateInvalidInputError)):
        client.collections.create("None", sharding_config=Configure.sharding(desired_count=-1))
    assert not client.collections.exists("None")
