"""The door the crash rounds go through: the official client, unmodified."""

from __future__ import annotations

from typing import Any

import weaviate
from weaviate.classes.config import Configure, DataType, Property, Tokenization
from weaviate.classes.init import AdditionalConfig, Timeout

from tests.server_process import ServerProcess

from .material import COLLECTION, VECTOR


def connect(server: ServerProcess) -> weaviate.WeaviateClient:
    """A client of its own connection; timeouts short enough for a round."""
    return weaviate.connect_to_local(
        host="127.0.0.1",
        port=server.http_port,
        grpc_port=server.grpc_port,
        skip_init_checks=True,
        additional_config=AdditionalConfig(timeout=Timeout(init=10, query=30, insert=30)),
    )


def create_collection(client: weaviate.WeaviateClient) -> None:
    """Make the collection of the rounds if it is not there."""
    if client.collections.exists(COLLECTION):
        return
    client.collections.create(
        COLLECTION,
        properties=[
            Property(name="tag", data_type=DataType.TEXT, tokenization=Tokenization.FIELD),
            Property(name="body", data_type=DataType.TEXT, tokenization=Tokenization.WORD),
            Property(name="revision", data_type=DataType.INT),
            Property(name="writer", data_type=DataType.INT),
        ],
        vector_config=Configure.Vectors.self_provided(name=VECTOR),
    )


def collection_of(client: weaviate.WeaviateClient) -> Any:
    """The collection of the rounds."""
    return client.collections.get(COLLECTION)
