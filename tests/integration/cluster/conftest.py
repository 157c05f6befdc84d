"""Three real nodes for the tests of a module; modules that need others make their own `trio`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster_trio import ClusterTrio


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterTrio]:
    """A cluster that has started; stopped when the module is through."""
    made = ClusterTrio(tmp_path_factory.mktemp("trio"))
    try:
        made.start()
        yield made
    finally:
        made.close()
