"""EncodedProperties: properties in their stored encoding that read as the mapping they are.

What goes from a stored row into a message, or from a message into a row, is copied; it is decoded
when somebody looks at a value, and then once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weftdb.core.types import PropertyValue
from weftdb.storage.property_codec import decode_properties


class EncodedProperties(Mapping[str, PropertyValue]):
    """A `Properties` message (property_codec.py). Reading raises CorruptData where it is damaged.

    Concurrency: any thread; two that read first both decode, and either result is right.
    """

    __slots__ = ("_values", "message")

    def __init__(self, message: bytes, values: Mapping[str, PropertyValue] | None = None) -> None:
        """`values` are those of `message`, where they are known already."""
        self.message = message
        self._values = values

    def __getitem__(self, name: str) -> PropertyValue:
        return self.decoded()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.decoded())

    def __len__(self) -> int:
        return len(self.decoded())

    def __repr__(self) -> str:
        return f"EncodedProperties({dict(self.decoded())!r})"

    def decoded(self) -> Mapping[str, PropertyValue]:
        """The values. Raises CorruptData."""
        if self._values is None:
            self._values = decode_properties(self.message)
        return self._values
