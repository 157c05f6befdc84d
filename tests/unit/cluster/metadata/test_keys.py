"""Every thing has one key, and every key is one thing."""

from __future__ import annotations

import itertools

import pytest

from weftdb.cluster.metadata.keys import ClusterKeys, name_below
from weftdb.core.errors import CorruptData, InvalidRequest
from weftdb.core.types import CollectionName, NodeName

KEYS = ClusterKeys("main")
ARTICLE, NODE = CollectionName("Article"), NodeName("Ärger-1")


def test_the_grammar() -> None:
    assert KEYS.collection(ARTICLE) == "/weftdb/main/schema/collections/Article"
    assert KEYS.sharding(ARTICLE) == "/weftdb/main/schema/shards/Article"
    assert KEYS.states(ARTICLE) == "/weftdb/main/schema/states/Article"
    assert KEYS.tenant_page(ARTICLE, "") == "/weftdb/main/tenants/Article/p"
    assert KEYS.tenant_page(ARTICLE, "01") == "/weftdb/main/tenants/Article/p01"
    assert KEYS.name(ARTICLE) == "/weftdb/main/schema/names/article"
    assert KEYS.identity == "/weftdb/main/cluster"
    assert KEYS.alias("Papers") == "/weftdb/main/schema/aliases/Papers"
    assert KEYS.member(NodeName("weft-0")) == "/weftdb/main/members/weft-0"
    assert KEYS.node(NodeName("weft-0")) == "/weftdb/main/nodes/weft-0"
    assert KEYS.operation("17") == "/weftdb/main/operations/17"
    assert KEYS.session("weft-0") == "/weftdb/main/sessions/weft-0"


def test_prefixes_hold_their_own_and_nothing_else() -> None:
    prefixes = [
        KEYS.collections, KEYS.shards, KEYS.shard_states, KEYS.aliases, KEYS.members,
        KEYS.nodes, KEYS.operations,
        KEYS.tenants(ARTICLE), KEYS.tenants(CollectionName("Articles")),
    ]  # fmt: skip
    for one, two in itertools.permutations(prefixes, 2):
        assert not one.startswith(two)
    assert all(prefix.startswith(KEYS.everything) for prefix in prefixes)
    assert not ClusterKeys("main2").everything.startswith(KEYS.everything)


def test_names_come_back() -> None:
    assert name_below(KEYS.nodes, KEYS.node(NODE)) == NODE
    for key in ("/weftdb/main/nodes/a/b", "/weftdb/main/nodes/", "/weftdb/main/node/a"):
        with pytest.raises(CorruptData):
            name_below(KEYS.nodes, key)


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "\0"])
def test_a_part_that_would_be_another_key_is_refused(name: str) -> None:
    for make in (KEYS.alias, KEYS.operation, KEYS.session, ClusterKeys):
        with pytest.raises(InvalidRequest):
            make(name)
