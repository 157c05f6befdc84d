"""What nodes say of themselves (messages.py), to and from protobuf. The rules are codec.py's."""

from __future__ import annotations

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.proto.internode import nodes_pb2 as wire
from weftdb.server.internode.messages import (
    AskFacts,
    NodeFacts,
    Noted,
    Pong,
    ShardFacts,
    Tell,
)


def pong_message(pong: Pong) -> wire.PingReply:
    """Write the answer to a ping; its generation travels in the head."""
    return wire.PingReply(release=pong.release)


def pong_reply(message: wire.PingReply) -> Pong:
    """Read it back."""
    return Pong(message.head.generation, message.release)


def tell_message(tell: Tell) -> wire.TellRequest:
    """Write what is told about a shard."""
    return wire.TellRequest(
        collection=tell.shard.collection,
        shard=tell.shard.shard,
        complete_until_ms=tell.complete_until_ms,
        marked=tell.marked,
        rebuilt=tell.rebuilt,
    )


def tell_request(message: wire.TellRequest) -> Tell:
    """Read it back."""
    has_time = message.HasField("complete_until_ms")
    return Tell(
        ShardRef(CollectionName(message.collection), ShardName(message.shard)),
        message.complete_until_ms if has_time else None,
        tuple(map(NodeName, message.marked)),
        tuple(map(NodeName, message.rebuilt)),
    )


def noted_message(noted: Noted) -> wire.TellReply:
    """Write the answer."""
    return wire.TellReply(marked=noted.marked)


def noted_reply(message: wire.TellReply) -> Noted:
    """Read it back."""
    return Noted(tuple(map(NodeName, message.marked)))


def question_message(question: AskFacts) -> wire.FactsRequest:
    """Write what is to be known of a node."""
    return wire.FactsRequest(
        with_shards=question.with_shards, collection=question.collection, shard=question.shard
    )


def question_request(message: wire.FactsRequest) -> AskFacts:
    """Read it back."""
    return AskFacts(
        message.with_shards,
        CollectionName(message.collection) if message.HasField("collection") else None,
        ShardName(message.shard) if message.HasField("shard") else None,
    )


def facts_message(facts: NodeFacts) -> wire.FactsReply:
    """Write the answer."""
    return wire.FactsReply(
        facts=wire.NodeFacts(
            name=facts.name,
            version=facts.version,
            release=facts.release,
            git_hash=facts.git_hash,
            status=facts.status,
            operational_mode=facts.operational_mode,
            queue_length=facts.queue_length,
            objects_per_s=facts.objects_per_s,
            has_shards=facts.shards is not None,
            shards=map(_shard_message, facts.shards or ()),
        )
    )


def facts_reply(message: wire.FactsReply) -> NodeFacts:
    """Read it back."""
    facts = message.facts
    return NodeFacts(
        name=NodeName(facts.name),
        version=facts.version,
        release=facts.release,
        git_hash=facts.git_hash,
        status=facts.status,
        operational_mode=facts.operational_mode,
        queue_length=facts.queue_length,
        objects_per_s=facts.objects_per_s,
        shards=tuple(map(_shard_facts, facts.shards)) if facts.has_shards else None,
    )


def _shard_message(facts: ShardFacts) -> wire.ShardFacts:
    return wire.ShardFacts(
        collection=facts.collection,
        shard=facts.shard,
        objects=facts.objects,
        indexing_status=facts.indexing_status,
        queue_length=facts.queue_length,
        is_compressed=facts.is_compressed,
        is_loaded=facts.is_loaded,
        replicas=facts.replicas,
        factor=facts.factor,
    )


def _shard_facts(message: wire.ShardFacts) -> ShardFacts:
    return ShardFacts(
        collection=CollectionName(message.collection),
        shard=ShardName(message.shard),
        objects=message.objects,
        indexing_status=message.indexing_status,
        queue_length=message.queue_length,
        is_compressed=message.is_compressed,
        is_loaded=message.is_loaded,
        replicas=message.replicas,
        factor=message.factor,
    )
