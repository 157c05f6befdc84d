"""Describing multi-vectors (ColBERT style): `Configure.MultiVectors` and their encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class MultiVectorEncoding:
    """How a multi-vector becomes one vector, in JSON form."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


class Encodings:
    """`Configure.VectorIndex.MultiVector.Encoding`."""

    @staticmethod
    def muvera(
        *,
        ksim: int | None = None,
        dprojections: int | None = None,
        repetitions: int | None = None,
    ) -> MultiVectorEncoding:
        """One vector of 2^ksim x dprojections x repetitions numbers an object."""
        given = {"ksim": ksim, "dprojections": dprojections, "repetitions": repetitions}
        settings = {name: value for name, value in given.items() if value is not None}
        return MultiVectorEncoding("muvera", {"enabled": True, **settings})


class MultiVector:
    """`Configure.VectorIndex.MultiVector`."""

    Encoding = Encodings

    @staticmethod
    def settings(encoding: MultiVectorEncoding | None) -> dict[str, Any]:
        """The value of `multivector` in the settings of an index."""
        body: dict[str, Any] = {"enabled": True}
        if encoding is not None:
            body[encoding.kind] = dict(encoding.settings)
        return body
