"""Searches over shards answer the same when everything that is asked and answered is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.cluster.test_search_over_shards import (
    DEFINITION,
    FILTERS,
    Corpus,
    aggregates,
    filled,
    searches,
    told,
)
from tests.unit.cluster.search.fleet import Fleet
from weftdb.cluster.replication.effects import AnyReply, AnyRequest, Failure
from weftdb.cluster.search.aggregating import aggregate_rounds
from weftdb.cluster.search.finding import find_rounds
from weftdb.core.query import Search, Sort
from weftdb.core.types import NodeName
from weftdb.modules.registry import Registry
from weftdb.server.internode import codec
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.part_calls import PART_CALLS

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

FEW = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class SentFleet(Fleet):
    """Sends parts of searches, and what is answered, as bytes."""

    def ask(self, node: NodeName, request: AnyRequest) -> AnyReply | Failure:
        """As a fleet, over the codec."""
        call: Any = PART_CALLS.get(type(request))  # type: ignore[call-overload]
        if call is None:
            return super().ask(node, request)
        told_basis = codec.basis_message(Basis(request.shard, request.schema_version))
        heard = super().ask(node, call.request(sent(call.question(told_basis, request))))
        if isinstance(heard, Failure):
            return heard
        reply: AnyReply = call.reply(sent(call.answer(heard)), request)
        return reply


def sent(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleets")


@given(seed=st.integers(0, 2**32), shards=st.integers(2, 3), count=st.integers(0, 40))
@FEW
def test_nothing_is_lost_on_the_way(folder: Path, seed: int, shards: int, count: int) -> None:
    """Every kind of read and aggregation, to the last bit."""
    fleet, corpus = filled(folder, seed, shards, count, kind=SentFleet)
    try:
        for query in searches(corpus):
            assert told(fleet.search(query)) == told(fleet.whole.search(query)), query
        for asked in aggregates(corpus):
            found = fleet.run(aggregate_rounds(fleet.rounds(), asked, Registry()))
            assert found == fleet.whole.aggregate(asked), asked
        for condition in FILTERS[1:]:
            assert condition is not None
            ids = fleet.run(find_rounds(fleet.rounds(), condition, page_ids=3))
            assert ids == sorted(fleet.whole.delete_where(condition, dry_run=True).ids)
    finally:
        fleet.close()


def test_places_and_ids_are_sorted_by(folder: Path) -> None:
    """Values that are no plain text or number."""
    definition = {
        **DEFINITION,
        "properties": [{"name": "where", "dataType": ["geoCoordinates"]}],
    }
    fleet = SentFleet(folder / "places", definition, 3)
    corpus = Corpus(11)
    states = []
    for at in range(12):
        one = corpus.state()
        place = {"latitude": float(at % 3), "longitude": float(-at % 5)}
        one.properties.clear()  # type: ignore[attr-defined]
        one.properties.update({"where": place} if at % 4 else {})  # type: ignore[attr-defined]
        states.append(one)
    fleet.apply(states)
    for sort in ((Sort(("where",)),), (Sort(("where",), ascending=False), Sort(("_id",)))):
        query = Search("Doc", sort=sort, limit=9)
        assert told(fleet.search(query)) == told(fleet.whole.search(query))
    fleet.close()
