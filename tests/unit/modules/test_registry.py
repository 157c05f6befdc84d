"""Finding providers: ours, other packages' by entry point, unknown and broken ones."""

from __future__ import annotations

from importlib import metadata

import pytest

from weftdb.core.errors import ModuleFailure, SchemaViolation
from weftdb.modules.registry import ENTRY_POINT_GROUP, Registry


def test_knows_its_own_modules() -> None:
    registry = Registry()
    assert list(registry.names()) == ["text2vec-model2vec", "text2vec-transformers"]
    for name in registry.names():
        assert registry.get(name).name == name
        assert registry.get(name) is registry.get(name)


def test_an_unknown_module_is_refused_with_the_references_words() -> None:
    with pytest.raises(SchemaViolation, match=r'^no module with name "text2vec-x" present$'):
        Registry().get("text2vec-x")


def test_other_packages_add_modules_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        metadata.EntryPoint(
            "mine", "weftdb.modules.model2vec:Model2VecVectorizer", ENTRY_POINT_GROUP
        ),
        metadata.EntryPoint("broken", "no_such_package:make", ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    registry = Registry()
    assert list(registry.names())[:2] == ["broken", "mine"]
    assert registry.get("mine").name == "text2vec-model2vec"
    with pytest.raises(ModuleFailure, match="module 'broken': no_such_package:make"):
        registry.get("broken")
