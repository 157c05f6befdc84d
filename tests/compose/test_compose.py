"""deploy/: the image and both compose files, run for real with the official client.

`make compose-test`. Needs Docker and Compose, and root where no engine runs.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import weaviate
from weaviate.classes.config import Configure, ConsistencyLevel, DataType, Property
from weaviate.classes.query import MetadataQuery
from weaviate.collections import Collection

from tests.compose import docker

pytestmark = [pytest.mark.compose]

ONE = "deploy/docker-compose.yml"
CLUSTER = "deploy/docker-compose.cluster.yml"
HTTP = (8080, 8081, 8082)
GRPC = (50051, 50052, 50053)
HEALTHY_S = 30.0
"""What issue 5 promises of a cluster."""
STOP_S = 10.0
CONVERGED_S = 60.0
OBJECTS = 300
WIDTH = 32


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An engine and the image of this working tree."""
    state = Path(os.environ.get("WEFTDB_DOCKER_STATE", tmp_path_factory.mktemp("docker")))
    try:
        with docker.engine(state):
            docker.compose_command()
            docker.build_image(tmp_path_factory.mktemp("image"))
            yield
    except docker.CannotRun as missing:
        pytest.skip(str(missing))


@contextmanager
def up(file: str) -> Iterator[Callable[..., str]]:
    """The services of a compose file, with volumes of their own that go in the end."""
    env = {"WEFTDB_TAG": docker.TAG, "CLUSTER_SECRET": uuid.uuid4().hex}
    base = [*docker.compose_command(), "-f", file, "-p", f"weftdb-{uuid.uuid4().hex[:8]}"]

    def compose(*words: str, timeout_s: float = 180.0) -> str:
        return docker.run([*base, *words], timeout_s=timeout_s, env=env)

    try:
        compose("up", "-d", "--no-build")
        yield compose
    except BaseException:
        print(docker.run([*base, "logs", "--no-color"], env=env, check=False)[-20_000:])
        raise
    finally:
        docker.run([*base, "down", "-v", "-t", "10"], env=env, timeout_s=180.0, check=False)


def wait_for(what: str, seconds: float, is_so: Callable[[], bool]) -> float:
    """Wait until `is_so`; how long it took."""
    begin = time.monotonic()
    while not is_so():
        assert time.monotonic() - begin < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.25)
    return time.monotonic() - begin


def health(service: str, compose: Callable[..., str]) -> str:
    """What Docker says of a service's health check."""
    number = compose("ps", "-q", service).split()[-1]
    (state,) = json.loads(docker.run(["docker", "inspect", number]))
    found: str = state["State"].get("Health", {}).get("Status", state["State"]["Status"])
    return found


def are_healthy(services: Sequence[str], compose: Callable[..., str]) -> bool:
    return all(health(service, compose) == "healthy" for service in services)


def client_of(at: int) -> weaviate.WeaviateClient:
    """The official client of one node."""
    return weaviate.connect_to_local(port=HTTP[at], grpc_port=GRPC[at])


def objects(seed: int, count: int) -> list[tuple[str, str, list[float]]]:
    """Ids, texts and vectors, the same for the same seed."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, WIDTH)).astype(np.float32)
    return [
        (str(uuid.UUID(int=seed * 1_000_000 + at)), f"thing number {at} of {seed}", row.tolist())
        for at, row in enumerate(rows)
    ]


def fill(collection: Collection, things: list[tuple[str, str, list[float]]]) -> None:
    """Import, and see that nothing failed."""
    with collection.batch.fixed_size(100) as batch:
        for number, text, vector in things:
            batch.add_object({"text": text}, uuid=number, vector=vector)
    assert not collection.batch.failed_objects, collection.batch.failed_objects[:3]


def make_collection(client: weaviate.WeaviateClient, factor: int) -> Collection:
    return client.collections.create(
        "Thing",
        properties=[Property(name="text", data_type=DataType.TEXT)],
        vector_config=Configure.Vectors.self_provided(),
        replication_config=Configure.replication(factor=factor, async_enabled=factor > 1),
    )


def check_searches(collection: Collection, things: list[tuple[str, str, list[float]]]) -> None:
    """Every thing is counted, and found by its vector, its text and its id."""
    assert collection.aggregate.over_all(total_count=True).total_count == len(things)
    for number, text, vector in things[:: max(1, len(things) // 10)]:
        near = collection.query.near_vector(
            vector, limit=1, return_metadata=MetadataQuery(distance=True)
        )
        assert [str(found.uuid) for found in near.objects] == [number]
        words = collection.query.bm25(text, limit=1)
        assert [str(found.uuid) for found in words.objects] == [number]
        found = collection.query.fetch_object_by_id(number)
        assert found is not None
        assert found.properties["text"] == text


def test_one_node(image: None) -> None:
    """Healthy, filled, stopped in time, started again with everything."""
    things = objects(1, OBJECTS)
    with up(ONE) as compose:
        wait_for("one node is healthy", HEALTHY_S, lambda: are_healthy(["weftdb"], compose))
        with client_of(0) as client:
            fill(make_collection(client, 1), things)
            check_searches(client.collections.use("Thing"), things)
        assert compose("exec", "-T", "weftdb", "id", "-u").strip() == "1000"
        begin = time.monotonic()
        compose("stop")
        assert time.monotonic() - begin < STOP_S
        compose("start")
        wait_for("it is healthy again", HEALTHY_S, lambda: are_healthy(["weftdb"], compose))
        with client_of(0) as client:
            check_searches(client.collections.use("Thing"), things)


def test_three_nodes(image: None) -> None:
    """Healthy, filled, one killed, searched and written on, one back, all the same."""
    nodes = ("node1", "node2", "node3")
    first, second = objects(1, OBJECTS), objects(2, OBJECTS)
    with up(CLUSTER) as compose:
        took = wait_for("three are healthy", HEALTHY_S, lambda: are_healthy(nodes, compose))
        print(f"healthy in {took:.1f} s")
        with client_of(0) as client:
            fill(make_collection(client, 3), first)
        for at in range(3):
            with client_of(at) as client:
                check_searches(client.collections.use("Thing"), first)
        compose("kill", "-s", "SIGKILL", "node3")
        with client_of(1) as client:
            quorum = client.collections.use("Thing").with_consistency_level(ConsistencyLevel.QUORUM)
            check_searches(quorum, first)
            fill(quorum, second)
            check_searches(quorum, first + second)
        compose("start", "node3")
        wait_for("node3 is healthy again", HEALTHY_S, lambda: are_healthy(nodes, compose))
        with client_of(2) as client:
            one = client.collections.use("Thing").with_consistency_level(ConsistencyLevel.ONE)
            total = len(first + second)
            took = wait_for("node3 has what it missed", CONVERGED_S, lambda: counted(one) == total)
            print(f"converged in {took:.1f} s")
            check_searches(one, first + second)


def counted(collection: Collection) -> int | None:
    """How many objects the node that is asked finds, in its own replicas."""
    return collection.aggregate.over_all(total_count=True).total_count
