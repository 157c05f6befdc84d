"""Collections: create, find and drop collections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .collection import Collection
from .schema import Property, VectorConfig, collection_json
from .transport import Transport


class Collections:
    """`client.collections`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        description: str | None = None,
        properties: Sequence[Property] = (),
        vector_config: VectorConfig | Sequence[VectorConfig] | None = None,
        inverted_index_config: Mapping[str, Any] | None = None,
    ) -> Collection:
        """Add a collection. Raises AlreadyExists, RequestRefused."""
        definition = collection_json(
            name,
            description=description,
            properties=properties,
            vector_config=vector_config,
            inverted_index_config=inverted_index_config,
        )
        return self.create_from_dict(definition)

    def create_from_dict(self, config: Mapping[str, Any]) -> Collection:
        """Add a collection from its JSON form. Raises AlreadyExists, RequestRefused."""
        return Collection(self._transport, self._transport.create_collection(config)["class"])

    def get(self, name: str) -> Collection:
        """The collection called `name`; asks nobody whether there is one."""
        return Collection(self._transport, name[:1].upper() + name[1:])

    use = get

    def exists(self, name: str) -> bool:
        """Whether there is a collection called `name`."""
        return self.get(name).exists()

    def list_all(self) -> dict[str, Mapping[str, Any]]:
        """Definitions in JSON form, by name."""
        return {item["class"]: item for item in self._transport.collections()}

    def delete(self, name: str | Iterable[str]) -> None:
        """Drop collections with all their objects; one that is not there is fine."""
        for item in [name] if isinstance(name, str) else list(name):
            self._transport.delete_collection(self.get(item).name)

    def delete_all(self) -> None:
        """Drop every collection."""
        self.delete(list(self.list_all()))
