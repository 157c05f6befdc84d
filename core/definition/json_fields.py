"""Fields: reads typed values out of a JSON object that somebody sent.

A value of another JSON type than the field's raises `Malformed` (the body does not have the shape
of the message); words outside a closed list raise `FormatViolation`. Unknown keys are ignored: old
and new clients send more than we know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weftdb.core.errors import FormatViolation, Malformed

Json = Mapping[str, Any]

FORMAT_CODE_ENUM = 606
"""What the wire calls a word outside a closed list."""


def json_type_name(value: Any) -> str:
    """Name the JSON type of a decoded value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, (list, tuple)) else "object"


class Fields:
    """A JSON object with typed access. `path` says where it lies, for messages ("" is the top)."""

    __slots__ = ("body", "path")

    def __init__(self, body: Any, path: str) -> None:
        if not isinstance(body, Mapping):
            raise _wrong_type(path, "object", body)
        self.body: Json = body
        self.path = path

    def name_of(self, key: str) -> str:
        """Say where `key` lies."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Whether `key` is there with a value."""
        return self.body.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        """The text at `key`; absent and null give the default."""
        value = self.body.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise _wrong_type(self.name_of(key), "string", value)
        return value

    def word(self, key: str, words: Sequence[str], default: str = "") -> str:
        """One of `words` at `key`; absent, null and empty give the default."""
        value = self.text(key) or default
        if value and value not in words:
            raise FormatViolation(
                f"{self.name_of(key)} in body should be one of [{' '.join(words)}]",
                code=FORMAT_CODE_ENUM,
            )
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """The boolean at `key`."""
        value = self.body.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise _wrong_type(self.name_of(key), "bool", value)
        return value

    def optional_flag(self, key: str) -> bool | None:
        """The boolean at `key`, or None where it is absent."""
        return self.flag(key) if self.has(key) else None

    def integer(self, key: str, default: int) -> int:
        """The whole number at `key`; `5.0` is one."""
        value = self.body.get(key)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(self.name_of(key), "integer", value)
        return value

    def number(self, key: str, default: float) -> float:
        """The number at `key`."""
        value = self.body.get(key)
        if value is None:
            return default
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _wrong_type(self.name_of(key), "number", value)
        return value

    def texts(self, key: str) -> list[str] | None:
        """The list of texts at `key`, or None where it is absent."""
        value = self.items(key)
        for position, item in enumerate(value or ()):
            if not isinstance(item, str):
                raise _wrong_type(f"{self.name_of(key)}.{position}", "string", item)
        return value

    def items(self, key: str) -> list[Any] | None:
        """The list at `key`, or None where it is absent."""
        value = self.body.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise _wrong_type(self.name_of(key), "array", value)
        return value

    def child(self, key: str) -> Fields:
        """The object at `key`; absent and null give an empty one."""
        value = self.body.get(key)
        return Fields({} if value is None else value, self.name_of(key))

    def children(self, key: str) -> list[Fields]:
        """The objects in the list at `key`."""
        return [
            Fields(item, f"{self.name_of(key)}.{position}")
            for position, item in enumerate(self.items(key) or ())
        ]


def _wrong_type(path: str, wanted: str, value: Any) -> Malformed:
    where = f"field {path}" if path else "the body"
    return Malformed(f"cannot unmarshal {json_type_name(value)} into {where} of type {wanted}")
