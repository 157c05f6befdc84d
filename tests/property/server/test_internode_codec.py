"""What nodes say to each other arrives as it was; what is damaged is refused, and never taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import (
    Applied,
    Digest,
    Digests,
    Leaf,
    Purpose,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Refusal,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.core import errors
from weftdb.core.errors import CorruptData, WeftError
from weftdb.core.objects import ObjectState
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName, VectorName, Version
from weftdb.server.internode import codec, methods, node_codec
from weftdb.server.internode.failure_codec import failed, failure_message, failure_of
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.messages import AskFacts, Moved, NodeFacts, Noted, ShardFacts, Tell
from weftdb.server.internode.ports import CallFailed
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.state_codec import encode_state

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
ids = st.binary(min_size=16, max_size=16).map(ObjectId)
u8 = st.integers(0, 9)
u31 = st.integers(0, 2**31 - 1)
versions = st.builds(
    Version, st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**63 - 1)
)
digests = st.builds(Digest, versions, st.booleans())
bases = st.builds(
    Basis,
    st.builds(ShardRef, names.map(CollectionName), names.map(ShardName)),
    st.integers(0, 2**63),
    st.integers(0, 2**63),
    st.sampled_from(Purpose),
)
vectors = st.dictionaries(
    names.map(VectorName),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4).map(
        lambda values: np.array(values, dtype=np.float32)
    ),
    max_size=2,
)
live = st.builds(
    ObjectState,
    ids,
    versions,
    st.just(False),
    u31,
    u31,
    st.binary(max_size=20).map(EncodedProperties),
    vectors,
)
deleted = st.builds(ObjectState, ids, versions, st.just(True))
states = live | deleted
FEW = settings(max_examples=40, deadline=None)


def same(left: ObjectState | None, right: ObjectState | None) -> bool:
    """Whether two states are one, byte by byte."""
    return (left and encode_state(left)) == (right and encode_state(right))


def over(message: Any) -> Any:
    """Send it."""
    return type(message).FromString(message.SerializeToString())


@FEW
@given(bases, st.lists(states, max_size=4))
def test_apply(basis: Basis, sent: list[ObjectState]) -> None:
    message = over(codec.apply_message(codec.basis_message(basis), map(encode_state, sent)))
    assert codec.basis(message.shard) == basis
    found = codec.apply_request(message)
    assert (found.shard, found.schema_version) == (basis.shard, basis.schema_version)
    assert len(found.states) == len(sent)
    assert all(map(same, found.states, sent))


@FEW
@given(st.lists(st.none() | versions, max_size=5), st.data())
def test_applied(newer: list[Version | None], data: st.DataObject) -> None:
    at = st.integers(0, max(len(newer) - 1, 0))
    refused = data.draw(st.lists(st.builds(Refusal, at, names), max_size=len(newer)))
    said = Applied(tuple(newer), tuple(refused))
    message = over(codec.applied_message(said))
    assert codec.applied_reply(message, len(newer)) == said
    with pytest.raises(CorruptData):
        codec.applied_reply(message, len(newer) + 1)


@FEW
@given(bases, st.lists(ids, max_size=4), st.integers(0, 40), u31, st.none() | ids)
def test_reads(
    basis: Basis, asked: list[ObjectId], level: int, number: int, after: ObjectId | None
) -> None:
    told, of = codec.basis_message(basis), (basis.shard, basis.schema_version)
    sent = over(codec.digests_message(told, asked))
    assert codec.digests_request(sent) == ReadDigests(*of, tuple(asked))
    sent = over(codec.states_message(told, asked))
    assert codec.states_request(sent) == ReadStates(*of, tuple(asked))
    sent = over(codec.tree_message(told, level, (number, 0)))
    assert codec.tree_request(sent) == ReadTree(*of, level, (number, 0))
    sent = over(codec.leaf_message(told, number, after, level))
    assert codec.leaf_request(sent) == ReadLeaf(*of, number, after, level)


@FEW
@given(st.lists(st.none() | digests, max_size=4), st.lists(st.none() | states, max_size=4))
def test_answers(known: list[Digest | None], found: list[ObjectState | None]) -> None:
    said = Digests(tuple(known))
    assert codec.digests_reply(over(codec.digests_answer(said)), len(known)) == said
    message = over(codec.states_answer(States(tuple(found))))
    if found:
        read = codec.states_reply(message, len(found) + 1)  # A part of what was asked for.
        assert len(read) == len(found)
        assert all(map(same, read, found))
        with pytest.raises(CorruptData):
            codec.states_reply(message, len(found) - 1)
    else:
        with pytest.raises(CorruptData):
            codec.states_reply(message, 1)


@FEW
@given(
    st.lists(st.binary(min_size=16, max_size=16), max_size=4),
    st.dictionaries(ids, digests, max_size=4),
    st.booleans(),
)
def test_trees_and_leaves(hashes: list[bytes], held: dict[ObjectId, Digest], is_last: bool) -> None:
    nodes = TreeNodes(tuple(hashes))
    assert codec.tree_reply(over(codec.tree_answer(nodes)), len(hashes)) == nodes
    page = Leaf(tuple(held), tuple(held.values()), is_last)
    message = over(codec.leaf_answer(page))
    if held or is_last:
        assert codec.leaf_reply(message, 4) == page
    if len(held) > 1 or not (held or is_last):
        with pytest.raises(CorruptData):
            codec.leaf_reply(message, 1)


@FEW
@given(
    st.builds(
        Tell,
        st.builds(ShardRef, names.map(CollectionName), names.map(ShardName)),
        st.none() | st.integers(0, 2**60),
        st.lists(names.map(NodeName), max_size=3).map(tuple),
        st.lists(names.map(NodeName), max_size=3).map(tuple),
    ),
    st.builds(AskFacts, st.booleans(), st.none() | names, st.none() | st.just("") | names),
    st.booleans(),
)
def test_nodes(tell: Tell, question: AskFacts, with_shards: bool) -> None:
    assert node_codec.tell_request(over(node_codec.tell_message(tell))) == tell
    noted = Noted(tell.marked)
    assert node_codec.noted_reply(over(node_codec.noted_message(noted))) == noted
    assert node_codec.question_request(over(node_codec.question_message(question))) == question
    shard = ShardFacts(
        tell.shard.collection, tell.shard.shard, 2**40, "READY", 5, True, False, 3, 2
    )
    facts = NodeFacts(
        NodeName("n"), "1", "2", "3", "4", "5", 6, 7.5, (shard,) if with_shards else None
    )
    assert node_codec.facts_reply(over(node_codec.facts_message(facts))) == facts


LEAVES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, WeftError) and not kind.__subclasses__()
]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_arrives_as_its_class_or_one_above(kind: type[WeftError]) -> None:
    made = _made(kind)
    arrived = failure_of(over(failure_message(failed(made))))
    assert arrived.error is not None
    assert isinstance(made, type(arrived.error))
    assert type(arrived.error) is not WeftError, "what the caller does next is lost"
    assert str(arrived.error) == str(made)
    assert arrived.failure == failed(made).failure


def _made(kind: type[WeftError]) -> WeftError:
    match kind:
        case errors.FormatViolation:
            return errors.FormatViolation("no uuid", code=601)
        case errors.NotEnoughReplicas:
            return errors.NotEnoughReplicas(
                required=2, acknowledged=1, reasons={"n": "away"}, is_write=True
            )
        case errors.LeaseLost:
            return errors.LeaseLost(7)
        case errors.Compacted:
            return errors.Compacted(1, 2)
    return kind("why")


@FEW
@given(st.text(max_size=30), st.booleans(), st.none() | st.binary(max_size=9))
def test_failures(reason: str, is_final: bool, state: bytes | None) -> None:
    moved = None if state is None else Moved(CollectionName("C"), 2**40, state)
    arrived = failure_of(over(failure_message(CallFailed(Failure(reason, is_final), moved=moved))))
    assert arrived.failure == Failure(reason.encode(errors="replace").decode(), is_final)
    assert arrived.moved == moved
    assert arrived.error is None


def test_an_error_of_the_next_release_is_an_error() -> None:
    message = failure_message(failed(errors.DiskFull("full")))
    message.error = "MoonFull"
    arrived = failure_of(over(message))
    assert type(arrived.error) is WeftError
    assert str(arrived.error) == "full"


def test_what_the_next_release_says_more_is_passed_over() -> None:
    told = codec.basis_message(Basis(ShardRef(CollectionName("C"), ShardName("s")), 1))
    told.purpose = 17
    written = codec.digests_message(told, []).SerializeToString()
    more = b"\xba\x3e\x03abc" + b"\xc0\x3e\x05"  # Fields 999 (bytes) and 1000 (a number).
    read = codec.read_request(methods.DIGESTS, written + more)
    assert len(UnknownFieldSet(read)) == 2
    assert codec.basis(read.shard).purpose is Purpose.SERVE
    assert codec.digests_request(read).ids == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(states, min_size=1, max_size=2), st.data())
def test_damage_is_refused_or_harmless(sent: list[ObjectState], data: st.DataObject) -> None:
    told = codec.basis_message(Basis(ShardRef(CollectionName("C"), ShardName("s")), 1))
    whole = codec.apply_message(told, map(encode_state, sent)).SerializeToString()
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + data.draw(st.binary(max_size=3)) + whole[data.draw(u8) + at :]
    try:
        found = codec.apply_request(codec.read_request(methods.APPLY, broken))
    except CorruptData:
        return
    # What got through is a state that was sent, for each has a checksum of its own.
    assert all(any(same(one, other) for other in sent) for one in found.states)


def test_ids_and_hashes_of_another_length() -> None:
    told = codec.basis_message(Basis(ShardRef(CollectionName("C"), ShardName("s")), 1))
    with pytest.raises(CorruptData, match="3 bytes"):
        codec.digests_request(codec.digests_message(told, [ObjectId(b"abc")]))
    with pytest.raises(CorruptData):
        codec.tree_reply(codec.tree_answer(TreeNodes((b"abc",))), 1)
    message = codec.applied_message(Applied((None,), (Refusal(0, "no"),)))
    message.refused[0].position = 1
    with pytest.raises(CorruptData, match="position 1"):
        codec.applied_reply(message, 1)
