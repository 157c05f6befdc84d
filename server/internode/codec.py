"""The requests of replication and their answers, to and from protobuf.

Rules of the wire, which let two releases that follow each other work together in either order:

- A new field means nothing to the older release: it must do right without it. Whoever needs more
  than that adds a method, which the older one refuses (`UNIMPLEMENTED`), retryably.
- A field that an older release did not write has its default: the meaning of 0, empty and False is
  what was the case before the field was.
- Numbers of fields and enums are never reused. An unknown number of an enum is read as its 0.
- States, versions and sharding states are bytes in their own encodings, which have format numbers
  and rules of their own (storage/state_codec.py, storage/versions.py, cluster/sharding.py).

What does not follow the format (an id that is not of 16 bytes, an answer of another length than its
question) is CorruptData. `tests/compat/test_internode_bytes.py` holds the bytes of today.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError

from weftdb.cluster.replication import messages as values
from weftdb.cluster.replication.messages import Purpose, ShardRef
from weftdb.core.errors import CorruptData
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.types import CollectionName, ObjectId, ShardName, Version
from weftdb.proto.internode import envelope_pb2 as envelope
from weftdb.proto.internode import replication_pb2 as wire
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.methods import AnswerT, Method, QuestionT
from weftdb.storage.state_codec import decode_state, encode_state
from weftdb.storage.versions import decode_version, encode_version

_PURPOSE_NUMBERS = {
    Purpose.SERVE: envelope.PURPOSE_SERVE,
    Purpose.REPAIR: envelope.PURPOSE_REPAIR,
    Purpose.COMPARE: envelope.PURPOSE_COMPARE,
}
_PURPOSES = {number: purpose for purpose, number in _PURPOSE_NUMBERS.items()}
ID_BYTES = 16
HASH_BYTES = 16


def read_request(method: Method[QuestionT, AnswerT], message: bytes) -> QuestionT:
    """Read a question. Raises CorruptData."""
    try:
        return method.request.FromString(message)
    except DecodeError as error:
        raise CorruptData(f"a request to {method.path} cannot be read: {error}") from None


def read_reply(method: Method[QuestionT, AnswerT], message: bytes) -> AnswerT:
    """Read an answer. Raises CorruptData."""
    try:
        return method.reply.FromString(message)
    except DecodeError as error:
        raise CorruptData(f"a reply to {method.path} cannot be read: {error}") from None


# --- the shard ---------------------------------------------------------------------------------


def basis_message(basis: Basis) -> envelope.ShardBasis:
    """Write which shard is asked, and by which definitions."""
    return envelope.ShardBasis(
        collection=basis.shard.collection,
        shard=basis.shard.shard,
        schema_version=basis.schema_version,
        sharding_revision=basis.revision,
        purpose=_PURPOSE_NUMBERS[basis.purpose],
    )


def basis(message: envelope.ShardBasis) -> Basis:
    """Read it back; an unknown purpose is SERVE, which passes least."""
    purpose = _PURPOSES.get(message.purpose, Purpose.SERVE)
    return Basis(shard_of(message), message.schema_version, message.sharding_revision, purpose)


def shard_of(basis: envelope.ShardBasis) -> ShardRef:
    """Read the shard back."""
    return ShardRef(CollectionName(basis.collection), ShardName(basis.shard))


# --- Apply -------------------------------------------------------------------------------------


def apply_message(basis: envelope.ShardBasis, states: Iterable[bytes]) -> wire.ApplyRequest:
    """Write an Apply of encoded states."""
    return wire.ApplyRequest(shard=basis, states=states)


def apply_request(message: wire.ApplyRequest) -> values.Apply:
    """Read it back. Raises CorruptData."""
    states = tuple(map(decode_state, message.states))
    return values.Apply(shard_of(message.shard), message.shard.schema_version, states)


def applied_message(applied: values.Applied) -> wire.ApplyReply:
    """Write the answer."""
    return wire.ApplyReply(
        count=len(applied.newer),
        newer=(
            wire.Newer(position=at, version=encode_version(version))
            for at, version in enumerate(applied.newer)
            if version is not None
        ),
        refused=(wire.Refusal(position=one.position, reason=one.reason) for one in applied.refused),
    )


def applied_reply(message: wire.ApplyReply, asked: int) -> values.Applied:
    """Read the answer to `asked` states back. Raises CorruptData."""
    check_count("states", message.count, asked)
    newer: list[Version | None] = [None] * asked
    for one in message.newer:
        _check_position(one.position, asked)
        newer[one.position] = decode_version(one.version)
    for refusal in message.refused:
        _check_position(refusal.position, asked)
    refused = (values.Refusal(one.position, one.reason) for one in message.refused)
    return values.Applied(tuple(newer), tuple(refused))


# --- digests -----------------------------------------------------------------------------------


def digests_message(basis: envelope.ShardBasis, ids: Sequence[ObjectId]) -> wire.DigestsRequest:
    """Write a question for digests."""
    return wire.DigestsRequest(shard=basis, ids=ids)


def digests_request(message: wire.DigestsRequest) -> values.ReadDigests:
    """Read it back. Raises CorruptData."""
    ids = _ids(message.ids)
    return values.ReadDigests(shard_of(message.shard), message.shard.schema_version, ids)


def digests_answer(found: values.Digests) -> wire.DigestsReply:
    """Write the answer."""
    return wire.DigestsReply(digests=map(_digest_message, found.digests))


def digests_reply(message: wire.DigestsReply, asked: int) -> values.Digests:
    """Read the answer about `asked` ids back. Raises CorruptData."""
    check_count("digests", len(message.digests), asked)
    return values.Digests(tuple(_digest(one) if one.version else None for one in message.digests))


# --- states ------------------------------------------------------------------------------------


def states_message(basis: envelope.ShardBasis, ids: Sequence[ObjectId]) -> wire.StatesRequest:
    """Write a question for states."""
    return wire.StatesRequest(shard=basis, ids=ids)


def states_request(message: wire.StatesRequest) -> values.ReadStates:
    """Read it back. Raises CorruptData."""
    ids = _ids(message.ids)
    return values.ReadStates(shard_of(message.shard), message.shard.schema_version, ids)


def states_answer(found: values.States) -> wire.StatesReply:
    """Write the answer."""
    encoded = (b"" if state is None else encode_state(state) for state in found.states)
    return wire.StatesReply(states=encoded)


def states_reply(message: wire.StatesReply, asked: int) -> tuple[ObjectState | None, ...]:
    """Read the states of the first of `asked` ids back, one at least. Raises CorruptData."""
    if not (0 < len(message.states) <= asked or asked == len(message.states) == 0):
        raise CorruptData(f"{len(message.states)} states answer a question for {asked}")
    return tuple(decode_state(state) if state else None for state in message.states)


# --- hash trees --------------------------------------------------------------------------------


def tree_message(
    basis: envelope.ShardBasis, level: int, positions: Sequence[int]
) -> wire.TreeRequest:
    """Write a question for nodes of the hash tree."""
    return wire.TreeRequest(shard=basis, level=level, positions=positions)


def tree_request(message: wire.TreeRequest) -> values.ReadTree:
    """Read it back."""
    return values.ReadTree(
        shard_of(message.shard),
        message.shard.schema_version,
        message.level,
        tuple(message.positions),
    )


def tree_answer(found: values.TreeNodes) -> wire.TreeReply:
    """Write the answer."""
    return wire.TreeReply(hashes=found.hashes)


def tree_reply(message: wire.TreeReply, asked: int) -> values.TreeNodes:
    """Read the answer about `asked` nodes back. Raises CorruptData."""
    check_count("hashes", len(message.hashes), asked)
    if any(len(one) != HASH_BYTES for one in message.hashes):
        raise CorruptData("a node of a hash tree has no 16 bytes")
    return values.TreeNodes(tuple(message.hashes))


def leaf_message(
    basis: envelope.ShardBasis, position: int, after: ObjectId | None, limit: int
) -> wire.LeafRequest:
    """Write a question for what lies in a leaf."""
    return wire.LeafRequest(shard=basis, position=position, after=after or b"", limit=limit)


def leaf_request(message: wire.LeafRequest) -> values.ReadLeaf:
    """Read it back. Raises CorruptData."""
    return values.ReadLeaf(
        shard_of(message.shard),
        message.shard.schema_version,
        message.position,
        _id(message.after) if message.after else None,
        message.limit,
    )


def leaf_answer(found: values.Leaf) -> wire.LeafReply:
    """Write the answer."""
    return wire.LeafReply(
        ids=found.ids, digests=map(_digest_message, found.digests), is_last=found.is_last
    )


def leaf_reply(message: wire.LeafReply, limit: int) -> values.Leaf:
    """Read a page of at most `limit` entries back. Raises CorruptData."""
    ids = _ids(message.ids)
    check_count("digests of a leaf", len(message.digests), len(ids))
    if len(ids) > limit or (not ids and not message.is_last):
        raise CorruptData(f"a page of {limit} entries has {len(ids)}")
    return values.Leaf(ids, tuple(map(_digest, message.digests)), message.is_last)


def _digest_message(digest: Digest | None) -> wire.Digest:
    if digest is None:
        return wire.Digest()
    return wire.Digest(version=encode_version(digest.version), is_deleted=digest.is_deleted)


def _digest(message: wire.Digest) -> Digest:
    return Digest(decode_version(message.version), message.is_deleted)


def _ids(found: Iterable[bytes]) -> tuple[ObjectId, ...]:
    return tuple(map(_id, found))


def _id(found: bytes) -> ObjectId:
    if len(found) != ID_BYTES:
        raise CorruptData(f"an id has {len(found)} bytes")
    return ObjectId(found)


def check_count(what: str, found: int, asked: int) -> None:
    """Refuse a column of another length than its question. Raises CorruptData."""
    if found != asked:
        raise CorruptData(f"{found} {what} answer a question for {asked}")


def _check_position(at: int, count: int) -> None:
    if at >= count:
        raise CorruptData(f"position {at} of {count} states")
