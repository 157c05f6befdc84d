"""Do changes of collections come one after the other, with every check?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weftdb.core.config import Config, SchemaConfig
from weftdb.core.env import Env
from weftdb.core.errors import (
    CollectionExists,
    RequestError,
    SchemaChanged,
    SchemaViolation,
    UnknownCollection,
)
from weftdb.core.schema import Collection
from weftdb.core.types import Rows
from weftdb.engine.catalogue import TRIES_MAX, Catalogue
from weftdb.engine.database import Database
from weftdb.engine.schema_keeper import OwnSchema
from weftdb.modules.ports import TextVectorizer
from weftdb.storage.memory import MemoryStore
from weftdb.storage.rocks import RocksStore


class PickyVectorizer:
    """Accepts collections that say `ok`."""

    name = "text2vec-picky"

    def validate(self, settings: Mapping[str, Any]) -> None:
        if not settings.get("ok"):
            raise SchemaViolation("text2vec-picky: not ok")

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        return np.zeros((len(texts), 2), np.float32)

    def meta(self) -> Mapping[str, Any]:
        return {}


class OneModule:
    """Only the picky one."""

    def get(self, name: str) -> TextVectorizer:
        return PickyVectorizer()

    def names(self) -> Sequence[str]:
        return ("text2vec-picky",)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    env = Env()
    database = Database(tmp_path, MemoryStore(), config=Config(), vectorizers=OneModule(), env=env)
    yield database
    database.close()


@pytest.fixture
def catalogue(database: Database) -> Catalogue:
    return Catalogue(database, SchemaConfig(), OneModule(), Env())


def test_no_property_is_lost_between_writers(catalogue: Catalogue) -> None:
    names = [f"p{number}" for number in range(24)]

    def write(name: str) -> None:
        catalogue.prepare("Thing", [{name: 1, "shared": "x"}])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, names))
    assert sorted(catalogue.get("thing").property_by_name) == sorted([*names, "shared"])


def test_only_one_creator_wins(catalogue: Catalogue) -> None:
    def create(name: str) -> bool:
        try:
            catalogue.create({"class": name})
        except CollectionExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, ["Book", "book", "BOOK", "BooK"] * 4))
    assert won.count(True) == 1
    assert len(catalogue.all()) == 1


def test_a_failed_widening_leaves_nothing(catalogue: Catalogue) -> None:
    with pytest.raises(SchemaViolation):
        catalogue.prepare("Thing", [{"good": 1}, {"mixed": [1, "a"]}])
    assert catalogue.all() == []
    catalogue.prepare("Thing", [{"good": 1}])
    with pytest.raises(SchemaViolation):
        catalogue.prepare("Thing", [{"more": 1}, {"id": 1}])
    assert list(catalogue.get("Thing").property_by_name) == ["good"]


def test_modules_check_their_settings(catalogue: Catalogue) -> None:
    for settings, words in (({}, "not ok"), ({"ok": 1, "properties": 5}, "list of")):
        body = {"class": "A", "vectorConfig": {"v": {"vectorizer": {"text2vec-picky": settings}}}}
        with pytest.raises(SchemaViolation, match=words):
            catalogue.create(body)
    good = {"class": "A", "vectorConfig": {"v": {"vectorizer": {"text2vec-picky": {"ok": 1}}}}}
    assert catalogue.create(good).vectors[0].vectorizer == "text2vec-picky"


def test_validators_follow_the_schema(catalogue: Catalogue) -> None:
    catalogue.create({"class": "A", "properties": [{"name": "t", "dataType": ["text"]}]})
    first = catalogue.validator("a")
    assert catalogue.validator("A") is first
    catalogue.add_property("A", {"name": "n", "dataType": ["int"]})
    assert catalogue.validator("A").properties({"n": 1}) == {"n": 1}
    catalogue.delete("A")
    with pytest.raises(UnknownCollection):
        catalogue.validator("A")


def test_what_is_stored_opens_again(tmp_path: Path) -> None:
    env = Env()

    def open_catalogue() -> tuple[Database, Catalogue]:
        store = RocksStore(tmp_path, Config().storage, env.clock)
        database = Database(tmp_path, store, config=Config(), vectorizers=OneModule(), env=env)
        return database, Catalogue(database, SchemaConfig(), OneModule(), env)

    database, catalogue = open_catalogue()
    catalogue.create({"class": "Author"})
    by = {"name": "by", "dataType": ["Author"]}
    made = catalogue.create({"class": "Book", "properties": [by], "replicationConfig": {}})
    catalogue.delete("Author")  # the reference stays, and the collection must still open
    database.close()
    database, again = open_catalogue()
    assert again.get("Book") == made
    assert again.get("Book").definition == made.definition
    database.close()


def test_without_auto_schema(database: Database) -> None:
    catalogue = Catalogue(database, SchemaConfig(auto_schema=False), OneModule(), Env())
    assert not catalogue.is_auto
    with pytest.raises(UnknownCollection):
        catalogue.prepare("Thing", [{"a": 1}])
    catalogue.create({"class": "Thing"})
    validator = catalogue.prepare("Thing", [{"a": 1}])
    with pytest.raises(RequestError, match="no such prop"):
        validator.properties({"a": 1})


class Crowd(OwnSchema):
    """A keeper beside which other nodes change the schema, just before this one does."""

    def __init__(self, database: Database, others: list[Any]) -> None:
        super().__init__(database)
        self.database = database
        self.others = others

    def arrives(self, name: str) -> bool:
        return any(schema.name == name for schema in self.database.collections())

    def create(self, definition: Collection) -> Collection:
        if self.others:
            self.others.pop(0)()
            raise CollectionExists(f"class name {definition.name} already exists")
        return super().create(definition)

    def replace(self, old: Collection, new: Collection) -> Collection:
        if self.others:
            self.others.pop(0)()
            raise SchemaChanged("another node was faster")
        return super().replace(old, new)


def test_a_change_that_was_forestalled_is_decided_anew(database: Database) -> None:
    catalogue = Catalogue(database, SchemaConfig(), OneModule(), Env())
    catalogue.create({"class": "Book"})
    text = {"dataType": ["text"]}
    other = Catalogue(database, SchemaConfig(), OneModule(), Env())
    catalogue.keeper = Crowd(
        database,
        [
            lambda: other.add_property("Book", {"name": "one", **text}),
            lambda: other.prepare("Book", [{"two": "x"}]),
        ],
    )
    catalogue.prepare("Book", [{"two": "x", "three": 1}])
    names = [item.name for item in catalogue.get("Book").properties]
    assert names == ["one", "two", "three"], "what others added stays"


def test_a_collection_that_two_nodes_make_at_once_is_widened(database: Database) -> None:
    catalogue = Catalogue(database, SchemaConfig(), OneModule(), Env())
    other = Catalogue(database, SchemaConfig(), OneModule(), Env())
    catalogue.keeper = Crowd(database, [lambda: other.prepare("Book", [{"one": "x"}])])
    catalogue.prepare("Book", [{"two": "x"}])
    assert [item.name for item in catalogue.get("Book").properties] == ["one", "two"]


def test_who_is_forestalled_too_often_says_so(database: Database) -> None:
    catalogue = Catalogue(database, SchemaConfig(), OneModule(), Env())
    catalogue.create({"class": "Book"})
    catalogue.keeper = Crowd(database, [lambda: None] * TRIES_MAX)
    with pytest.raises(SchemaChanged):
        catalogue.add_property("Book", {"name": "one", "dataType": ["text"]})
    catalogue.add_property("Book", {"name": "one", "dataType": ["text"]})
