"""OwnFacts: what this node says of itself and of its shards, in the words of `/v1/nodes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from weftdb import __version__
from weftdb.core.errors import UnknownCollection
from weftdb.core.schema import Collection, canonical_collection_name
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.server.internode.messages import AskFacts, NodeFacts, ShardFacts

REPORTED_VERSION = "1.39.0"
"""The version of Weaviate whose API we speak; clients switch features by it."""
OPERATIONAL_MODE = "ReadWrite"
_READY, _INDEXING, READ_ONLY = "READY", "INDEXING", "READONLY"

ReplicaCount = Callable[[Collection, ShardName], int]


def _as_asked(schema: Collection, _shard: ShardName) -> int:
    return schema.replication_factor


class OwnFacts:
    """Of one node. Any thread; looks at all collections where shards are asked for."""

    def __init__(
        self,
        node: NodeName,
        database: Database,
        *,
        holds_all: bool,
        replicas: ReplicaCount = _as_asked,
    ) -> None:
        """`holds_all`: a node alone, which keeps all shards that a collection asks for as one and
        reports it under their names."""
        self.node = node
        self._database = database
        self._holds_all = holds_all
        self._replicas = replicas

    def facts(self, question: AskFacts) -> NodeFacts:
        """What this node has. Raises UnknownCollection."""
        figures = self._database.admission.figures()
        return NodeFacts(
            name=self.node,
            version=REPORTED_VERSION,
            release=__version__,
            git_hash="",
            status=self._status(),
            operational_mode=OPERATIONAL_MODE,
            queue_length=figures.running,
            objects_per_s=figures.per_second,
            shards=tuple(self._shards(question)) if question.with_shards else None,
        )

    def shard_names(self, local: LocalCollection) -> list[ShardName]:
        """Names of a collection's shards on this node, the same after every start."""
        if local.schema.multi_tenant:
            return []
        held = sorted(local.shards)
        if not self._holds_all or len(held) != 1:
            return held
        (first,) = held
        count = local.schema.shard_count
        return [first, *(ShardName(f"{first}_{number}") for number in range(1, count))]

    def set_read_only(
        self, collection: CollectionName, shard: ShardName, *, is_read_only: bool
    ) -> bool:
        """Have a shard here refuse writes, or take them again; False where there is none of that
        name. Raises UnknownCollection."""
        local = self._database.collection(collection)
        if shard not in self.shard_names(local):
            return False
        local.set_read_only(shard, is_read_only=is_read_only)
        return True

    def _status(self) -> str:
        """UNHEALTHY while vectors get no links because linking failed: searches become slower."""
        for local in self._locals(None):
            if local.figures.link_faults:
                return "UNHEALTHY"
        return "HEALTHY"

    def _shards(self, question: AskFacts) -> Iterator[ShardFacts]:
        for local in self._locals(question.collection):
            for at, name in enumerate(self.shard_names(local)):
                if question.shard in (None, "", name):
                    yield self._shard(local, name, at)

    def _shard(self, local: LocalCollection, name: ShardName, at: int) -> ShardFacts:
        schema = local.schema
        held = local.shards.get(name)
        # Names beyond the first of a node alone stand for nothing of their own.
        figures = held.figures if held is not None else local.figures if at == 0 else None
        queue = figures.pending if figures else 0
        is_read_only = name in local.read_only or bool(self._database.admission.disk.refusal)
        reports = (figures or local.figures).quantizers.values()
        return ShardFacts(
            collection=CollectionName(schema.name),
            shard=name,
            objects=figures.objects if figures else 0,
            indexing_status=READ_ONLY if is_read_only else _INDEXING if queue else _READY,
            queue_length=queue,
            is_compressed=any(report.code_bytes for report in reports),
            is_loaded=True,
            replicas=self._replicas(schema, name),
            factor=schema.replication_factor,
        )

    def _locals(self, collection: CollectionName | None) -> Iterator[LocalCollection]:
        if collection:
            yield self._database.collection(canonical_collection_name(collection))
            return
        for schema in self._database.collections():
            try:
                yield self._database.collection(schema.name)
            except UnknownCollection:
                continue  # Dropped meanwhile.
