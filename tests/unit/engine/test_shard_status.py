"""ShardStatus: what was set read-only stays so over restarts, until it is set back or dropped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.definition import parse_collection
from weftdb.core.errors import ReadOnly
from weftdb.engine.database import Database


def test_a_restart_does_not_forget(open_database: Callable[[], Database]) -> None:
    docs = open_database().create_collection(parse_collection(DOC))
    docs.put([draft(1)])
    for name in ("one", "two"):
        docs.set_read_only(name, is_read_only=True)
    docs.set_read_only("one", is_read_only=False)

    docs = open_database().collection("Doc")
    assert docs.read_only == {"two"}
    with pytest.raises(ReadOnly, match='shard="two": store is read-only'):
        docs.put([draft(2)])
    with pytest.raises(ReadOnly):
        docs.delete([uid(1)])
    assert docs.get(uid(1)) is not None

    docs.set_read_only("two", is_read_only=False)
    docs = open_database().collection("Doc")
    assert docs.read_only == frozenset()
    assert docs.delete([uid(1)]) == [True]


def test_a_dropped_collection_takes_it_along(open_database: Callable[[], Database]) -> None:
    database = open_database()
    database.create_collection(parse_collection(DOC)).set_read_only("one", is_read_only=True)
    database.delete_collection("Doc")
    assert database.create_collection(parse_collection(DOC)).read_only == frozenset()
    assert open_database().collection("Doc").read_only == frozenset()
