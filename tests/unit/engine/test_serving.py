"""What doors work with: the local collection is one, and another may be put before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weftdb.core.config import Config
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Env
from weftdb.core.errors import UnknownCollection
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.serving import ServedCollection
from weftdb.engine.steps import AwaitCall, Steps, run
from weftdb.modules.registry import Registry

if TYPE_CHECKING:

    def _is_served(local: LocalCollection) -> ServedCollection:
        return local


def test_every_level_is_met_by_the_one_replica(docs: LocalCollection) -> None:
    for level in (None, *ConsistencyLevel):
        assert docs.count(level=level) == 0
        assert docs.delete([], level=level) == []


def test_doors_get_what_is_put_before_the_local_one(
    database: Database, docs: LocalCollection
) -> None:
    catalogue = Catalogue(database, Config().schema, Registry(), Env())
    assert catalogue.served("doc") is docs
    seen = []

    def serve(local: LocalCollection) -> ServedCollection:
        seen.append(local)
        return local

    catalogue.serve = serve
    assert catalogue.served("doc") is docs
    assert seen == [docs]
    assert catalogue.local("doc") is docs
    with pytest.raises(UnknownCollection):
        catalogue.served("Nothing")


def test_a_thread_waits_for_what_a_loop_would_await() -> None:
    async def answer() -> int:
        return 7

    def steps() -> Steps[int]:
        found = yield AwaitCall(answer, lambda begin: 6 if begin is answer else 0)
        return int(found) + 1

    assert run(steps()) == 7
