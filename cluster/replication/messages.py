"""What a coordinator asks of a replica, and the answers: values, before any wire.

Every request names its shard, and the version of the schema that its sender knew: a replica that
knows an older one fetches the schema first and otherwise refuses, so that no node reads an object
by a definition that it does not have. Every request may be sent twice: applying a state that is
there already does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftdb.core.objects import Digest as Digest
from weftdb.core.objects import ObjectState
from weftdb.core.types import CollectionName, ObjectId, ShardName, Version


class Purpose(Enum):
    """Why a request is sent; it travels beside the request and decides what lets it pass."""

    SERVE = "serve"
    """For a client. What is answered counts towards a level, so a replica that is being rebuilt
    takes states and fails all the same."""
    REPAIR = "repair"
    """A hint, or what a read found lacking: passes where somebody set the shard read-only."""
    COMPARE = "compare"
    """An exchange of hash trees: as REPAIR, and answered also by a replica that is being rebuilt,
    for that is how it is rebuilt."""


@dataclass(frozen=True, slots=True, order=True)
class ShardRef:
    """One shard of one collection."""

    collection: CollectionName
    shard: ShardName


@dataclass(frozen=True, slots=True)
class Apply:
    """Store each state unless a newer one is there; answered by `Applied` once it is durable."""

    shard: ShardRef
    schema_version: int
    states: tuple[ObjectState, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a replica did not take one state: its schema, or the vectors that it has, do not allow
    it. Sending it again does not help."""

    position: int
    """Of the state in its request."""
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """In the order of the states: None where the replica now holds it, else the newer version that
    it holds instead. What it refused is neither: None here, and named in `refused`."""

    newer: tuple[Version | None, ...]
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadDigests:
    """What the replica holds of each object; answered by `Digests`."""

    shard: ShardRef
    schema_version: int
    ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class Digests:
    """In the order of the ids; None where the replica knows neither the object nor its deletion."""

    digests: tuple[Digest | None, ...]


@dataclass(frozen=True, slots=True)
class ReadStates:
    """The objects themselves, with their vectors; answered by `States`."""

    shard: ShardRef
    schema_version: int
    ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class States:
    """In the order of the ids; a deletion is a state, None is what the replica never knew."""

    states: tuple[ObjectState | None, ...]


@dataclass(frozen=True, slots=True)
class ReadTree:
    """Nodes of the shard's hash tree; answered by `TreeNodes`. The root is level 0, position 0; a
    node at (level, p) has the children (level + 1, 2p) and (level + 1, 2p + 1)."""

    shard: ShardRef
    schema_version: int
    level: int
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TreeNodes:
    """The hashes, 16 bytes each, in the order of the positions."""

    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ReadLeaf:
    """Every object and deletion in the leaf `position` of the tree, by id above `after`; answered
    by `Leaf`."""

    shard: ShardRef
    schema_version: int
    position: int
    after: ObjectId | None
    limit: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """Ids in ascending order with what is held; `is_last` when nothing follows."""

    ids: tuple[ObjectId, ...]
    digests: tuple[Digest, ...]
    is_last: bool


Request: TypeAlias = Apply | ReadDigests | ReadStates | ReadTree | ReadLeaf
Reply: TypeAlias = Applied | Digests | States | TreeNodes | Leaf
