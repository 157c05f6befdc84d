"""Do objects go when their time has come, and no others?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from weftdb.core.config import Config, SchemaConfig
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import SchemaViolation
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import Comparison, Operator, Search, ValueKind
from weftdb.core.schema import ObjectTtl
from weftdb.core.types import ObjectId
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.expiry import ExpiryChore, expired
from weftdb.modules.ports import TextVectorizer
from weftdb.storage.memory import MemoryStore

HOUR_MS = 3_600_000


class NoVectorizers:
    """No modules at all."""

    def get(self, name: str) -> TextVectorizer:
        raise SchemaViolation(f"no module {name}")

    def names(self) -> Sequence[str]:
        return ()


class Node:
    """A database with a clock that is moved by hand."""

    def __init__(self, path: Path, interval_s: float) -> None:
        self.clock = ManualClock()
        self.env = Env(self.clock)
        schema = SchemaConfig(ttl_sweep_interval_s=interval_s)
        self.database = Database(
            path,
            MemoryStore(),
            config=Config(schema=schema),
            vectorizers=NoVectorizers(),
            env=self.env,
        )
        self.catalogue = Catalogue(self.database, schema, NoVectorizers(), self.env)

    def make(self, **ttl: Any) -> LocalCollection:
        self.catalogue.create(
            {
                "class": "Session",
                "properties": [{"name": "until", "dataType": ["date"]}],
                "objectTtlConfig": {"enabled": True, **ttl},
            }
        )
        return self.catalogue.local("Session")

    def chore(self, local: LocalCollection) -> ExpiryChore:
        return next(chore for chore in local.chores if isinstance(chore, ExpiryChore))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    # An hour of the manual clock: the database's own thread never finds the chore due by itself.
    node = Node(tmp_path, interval_s=3600)
    yield node
    node.database.close()


def put(local: LocalCollection, number: int, until: str | None = None) -> ObjectId:
    object_id = ObjectId(number.to_bytes(16, "big"))
    properties = {} if until is None else {"until": until}
    assert local.put([ObjectDraft(object_id, properties)]) == [None]
    return object_id


def test_by_creation(node: Node) -> None:
    local = node.make(deleteOn="_creationTimeUnix", defaultTtl=60)
    old = put(local, 1)
    node.clock.advance(50_000)
    young = put(local, 2)
    put(local, 1)  # an update does not make an object younger
    node.clock.advance(10_000)
    assert node.chore(local).sweep() == 1
    assert not local.exists(old)
    assert local.exists(young)


def test_by_update(node: Node) -> None:
    local = node.make(deleteOn="_lastUpdateTimeUnix", defaultTtl=60)
    renewed, left = put(local, 1), put(local, 2)
    node.clock.advance(50_000)
    put(local, 1)
    node.clock.advance(10_000)
    assert node.chore(local).sweep() == 1
    assert local.exists(renewed)
    assert not local.exists(left)


def test_by_date(node: Node) -> None:
    local = node.make(deleteOn="until")
    gone = put(local, 1, "2001-01-01T00:00:00Z")
    stays = put(local, 2, "2150-01-01T00:00:00Z")
    dateless = put(local, 3)
    assert node.chore(local).sweep() == 1
    assert not local.exists(gone)
    assert local.exists(stays)
    assert local.exists(dateless)
    assert node.chore(local).sweep() == 0


def test_searches_never_find_hidden_ones(node: Node) -> None:
    local = node.make(deleteOn="until", filterExpiredObjects=True)
    put(local, 1, "2001-01-01T00:00:00Z")
    put(local, 2)
    assert len(local.search(Search("Session")).stored) == 1


def test_the_interval(node: Node) -> None:
    local = node.make(deleteOn="until")
    put(local, 1, "2001-01-01T00:00:00Z")
    chore = node.chore(local)
    assert not chore.run_if_due()
    node.clock.advance(HOUR_MS)
    chore.run_if_due()  # here or in the thread of the database, which wakes by itself
    assert local.count() == 0


def test_switched_off_later(node: Node) -> None:
    local = node.make(deleteOn="until")
    put(local, 1, "2001-01-01T00:00:00Z")
    definition = {**local.schema.definition, "objectTtlConfig": {"enabled": False}}
    node.catalogue.update("Session", definition)
    assert node.chore(local).sweep() == 0
    assert local.count() == 1


def test_without_a_schedule_nobody_may_ask(tmp_path: Path) -> None:
    node = Node(tmp_path, interval_s=0)
    try:
        with pytest.raises(SchemaViolation, match="OBJECTS_TTL_DELETE_SCHEDULE"):
            node.make(deleteOn="until")
    finally:
        node.database.close()


def test_a_renewed_object_is_not_deleted_by_an_old_match(node: Node) -> None:
    local = node.make(deleteOn="until")
    renewed = put(local, 1, "2001-01-01T00:00:00Z")
    matched = frozenset(local.shard.allow(_any_date()).bitmap)
    put(local, 1, "2150-01-01T00:00:00Z")
    deleted, _ = local.only._writer.delete([renewed], only=matched)
    assert deleted == [False]
    assert local.exists(renewed)


def _any_date() -> Comparison:
    return Comparison(Operator.LESS_THAN, ("until",), "2200-01-01T00:00:00Z", ValueKind.DATE)


def test_the_filter() -> None:
    condition = expired(ObjectTtl("until", -60), 1_700_000_000_500)
    assert isinstance(condition, Comparison)
    assert condition.value == "2023-11-14T22:14:20.500Z"
