"""Multi-vectors in both transports alike: described, written, searched, given back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from weftdb.client import (
    ClientError,
    Collection,
    Configure,
    DataObject,
    MetadataQuery,
    WeftClient,
)

MultiVector = Configure.VectorIndex.MultiVector
DOCS = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    [[0.6, 0.8, 0.0]],
    [[0.0, 0.0, 1.0], [0.1, 0.1, 0.9], [0.0, 1.0, 0.2]],
]
QUERY = [[1.0, 0.1, 0.0], [0.0, 0.9, 0.3]]


@pytest.fixture(params=["rows", "muvera"])
def pages(
    client: WeftClient, collection_name: str, request: pytest.FixtureRequest
) -> Iterator[Collection]:
    encoding = MultiVector.Encoding.muvera(ksim=3) if request.param == "muvera" else None
    made = client.collections.create(
        collection_name,
        vector_config=Configure.MultiVectors.self_provided(name="colbert", encoding=encoding),
    )
    items = [
        DataObject({}, uuid=uuid.UUID(int=number), vector={"colbert": matrix})
        for number, matrix in enumerate(DOCS, start=1)
    ]
    assert not made.data.insert_many(items).has_errors
    yield made
    client.collections.delete(collection_name)


def test_they_are_searched_and_come_back(pages: Collection) -> None:
    for query in (QUERY, {"colbert": QUERY}, np.array(QUERY, np.float32)):
        found = pages.query.near_vector(
            query,
            target_vector="colbert",
            return_metadata=MetadataQuery(distance=True),
            include_vector=True,
        ).objects
        assert [item.uuid.int for item in found] == [1, 2, 3]
        assert found[0].metadata.distance == pytest.approx(-1.9437205, abs=1e-6)
        assert found[0].vector["colbert"] == DOCS[0]
    hybrid = pages.query.hybrid("", vector=QUERY, target_vector="colbert", alpha=1).objects
    assert [item.uuid.int for item in hybrid] == [1, 2, 3]


def test_one_of_another_width_is_refused_alone(pages: Collection) -> None:
    good, bad = (DataObject({}, vector={"colbert": rows}) for rows in (DOCS[0], [[1.0, 2.0]]))
    outcome = pages.data.insert_many([good, bad])
    assert set(outcome.errors) == {1}
    assert "multi vector with length 2" in str(outcome.errors[1])
    with pytest.raises(ClientError, match="vector lengths don't match"):
        pages.query.near_vector([[1.0, 2.0]])


def test_rows_that_differ_in_length_are_no_matrix(pages: Collection) -> None:
    ragged = [[1.0, 2.0, 3.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]]
    with pytest.raises(ClientError):
        pages.data.insert({}, vector={"colbert": ragged})
    with pytest.raises(ClientError):
        pages.query.near_vector(ragged)
    assert pages.query.near_vector(QUERY).objects[0].uuid.int == 1
