"""The methods of the public gRPC API over one database: bytes in, bytes out.

Each method is parse, one call of the engine, assemble. Searches run where search_driver.py puts
them; writes have a bounded pool of threads, so that an import never keeps a search waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from weftdb.core.config import QueryConfig
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import InvalidRequest, Malformed, Unsupported
from weftdb.core.limits import BATCH_OBJECTS_MAX
from weftdb.core.query import recall_target
from weftdb.engine.catalogue import Catalogue
from weftdb.proto.v1 import (
    aggregate_pb2,
    batch_delete_pb2,
    batch_pb2,
    health_pb2,
    search_pb2,
    tenants_pb2,
)
from weftdb.server.grpc.aggregate_reply import aggregate_reply
from weftdb.server.grpc.aggregate_request import parse_aggregate
from weftdb.server.grpc.batch_objects import decode_objects
from weftdb.server.grpc.batch_request import WireObject, parse_object
from weftdb.server.grpc.batch_stream import BatchStream
from weftdb.server.grpc.connection import Call, StreamHandler, UnaryHandler, error_text
from weftdb.server.grpc.consistency import parse_level
from weftdb.server.grpc.filters import parse_filter
from weftdb.server.grpc.imports import Failure, import_objects
from weftdb.server.grpc.query_profile import query_profile
from weftdb.server.grpc.reply import assemble_reply
from weftdb.server.grpc.reply_shape import ShapeCache
from weftdb.server.grpc.search_request import parse_search
from weftdb.server.search_driver import SearchDriver

PUBLIC = "/weaviate.v1.Weaviate/"
HEALTH = "/grpc.health.v1.Health/"
RECALL_HEADER = "weft-target-recall"
"""An extension: the recall that a search is to reach, where its collection says nothing or less.
Clients of the public API can send headers, and have no field for it."""

M = TypeVar("M", bound=Message)
T = TypeVar("T")


def decode(kind: type[M], raw: bytes) -> M:
    """Read a message. Raises Malformed for bytes that are none."""
    message = kind()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise Malformed(
            f"the request is no {kind.DESCRIPTOR.name} message: {error or 'cannot be decoded'}"
        ) from None
    return message


@dataclass(slots=True)  # Not frozen: that takes twice as long to make, for every object.
class _BatchSource:
    """One object of a batch, read when its turn comes."""

    wire: batch_pb2.BatchObject

    @property
    def collection(self) -> str:
        return self.wire.collection

    @property
    def tenant(self) -> str:
        return self.wire.tenant

    def read(self) -> WireObject:
        if not self.wire.collection:
            raise InvalidRequest("the object names no collection")
        return parse_object(self.wire)


class Service:
    """The methods. Lives in one event loop."""

    def __init__(
        self,
        catalogue: Catalogue,
        limits: QueryConfig,
        driver: SearchDriver,
        *,
        readers: Executor,
        writers: Executor,
        stopping: asyncio.Event,
    ) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._driver = driver
        self._stopping = stopping
        self._shapes = ShapeCache()
        self._readers = readers
        self._writers = writers

    def unary(self) -> Mapping[str, UnaryHandler]:
        """The table for the door."""
        return {
            PUBLIC + "Search": self.search,
            PUBLIC + "BatchObjects": self.batch_objects,
            PUBLIC + "BatchDelete": self.batch_delete,
            PUBLIC + "BatchReferences": self.batch_references,
            PUBLIC + "Aggregate": self.aggregate,
            PUBLIC + "TenantsGet": self.tenants_get,
            HEALTH + "Check": self.health,
        }

    def streams(self) -> Mapping[str, StreamHandler]:
        """The table of streams for the door."""
        return {PUBLIC + "BatchStream": self.batch_stream}

    async def search(self, raw: bytes, call: Call) -> bytes:
        """Answer `SearchRequest`."""
        begun = time.perf_counter()
        request = decode(search_pb2.SearchRequest, raw)
        level = parse_level(request.consistency_level)
        served = self._catalogue.served(request.collection)
        schema = served.schema
        group_by = request.group_by.path[0] if request.group_by.path else None
        shape = self._shapes.shape(request, schema, group_by)
        query = parse_search(request, schema, self._limits, shape.vectors)
        wanted = call.header(RECALL_HEADER)
        if wanted:
            query = replace(query, ef=recall_target(wanted, RECALL_HEADER))
        hits = await self._driver.search(served, query, level)
        took_s = time.perf_counter() - begun
        reply = assemble_reply(hits, shape, took_s)
        if request.metadata.query_profile:
            local = self._catalogue.local(request.collection)
            reply += query_profile(local, query, hits, took_s)
        return reply

    async def batch_objects(self, raw: bytes, _call: Call) -> bytes:
        """Answer `BatchObjectsRequest`: errors by index, everything else is stored."""
        begun = time.perf_counter()
        failures = await self._run(self._writers, lambda: self._import_raw(raw))
        errors = [
            batch_pb2.BatchObjectsReply.BatchError(
                index=failure.index, error=error_text(failure.error)
            )
            for failure in failures
        ]
        took_s = time.perf_counter() - begun
        return batch_pb2.BatchObjectsReply(took=took_s, errors=errors).SerializeToString()

    async def batch_stream(
        self, requests: AsyncIterator[bytes], _call: Call
    ) -> AsyncIterator[bytes]:
        """Serve a stream of objects, see batch_stream.py."""
        stream = BatchStream(
            self._import, self._stopping, partial(self._run, self._writers), time.perf_counter
        )
        async for reply in stream.run(requests):
            yield reply

    async def _import(
        self, objects: Sequence[batch_pb2.BatchObject], level: ConsistencyLevel | None
    ) -> list[Failure]:
        sources = [_BatchSource(wire) for wire in objects]
        write = partial(import_objects, self._catalogue, sources, level)
        return await self._run(self._writers, write)

    def _import_raw(self, raw: bytes) -> list[Failure]:
        with self._catalogue.write_turn:
            request = decode_objects(raw, self._catalogue.give_way)
        level, objects = parse_level(request.level), request.objects
        if len(objects) > BATCH_OBJECTS_MAX:
            raise InvalidRequest(
                f"a batch of {len(objects)} objects; at most {BATCH_OBJECTS_MAX} go in one"
            )
        return import_objects(self._catalogue, [_BatchSource(wire) for wire in objects], level)

    async def batch_delete(self, raw: bytes, _call: Call) -> bytes:
        """Answer `BatchDeleteRequest`."""
        begun = time.perf_counter()
        request = decode(batch_delete_pb2.BatchDeleteRequest, raw)
        level = parse_level(request.consistency_level)
        served = self._catalogue.served(request.collection)
        if not request.HasField("filters"):
            raise InvalidRequest("batch delete params: no filters in batch delete request")
        condition = parse_filter(request.filters)
        report = await self._run(
            self._writers,
            lambda: served.delete_where(
                condition, dry_run=request.dry_run, tenant=request.tenant, level=level
            ),
        )
        succeeded = report.matches if request.dry_run else report.deleted
        reply = batch_delete_pb2.BatchDeleteReply(
            took=time.perf_counter() - begun,
            matches=report.matches,
            successful=succeeded,
            failed=report.matches - succeeded,
        )
        if request.verbose:
            reply.objects.extend(
                batch_delete_pb2.BatchDeleteObject(uuid=object_id, successful=True)
                for object_id in report.ids
            )
        return reply.SerializeToString()

    async def batch_references(self, raw: bytes, _call: Call) -> bytes:
        """Refuse `BatchReferencesRequest`: this build has no references yet."""
        request = decode(batch_pb2.BatchReferencesRequest, raw)
        if not request.references:
            raise InvalidRequest(
                "invalid params: length cannot be 0, need at least one reference for batching"
            )
        raise Unsupported("BatchReferences: references are not part of this build yet")

    async def aggregate(self, raw: bytes, _call: Call) -> bytes:
        """Answer `AggregateRequest`: counts and statistics, also of a search and by groups."""
        begun = time.perf_counter()
        request = decode(aggregate_pb2.AggregateRequest, raw)
        served = self._catalogue.served(request.collection)
        query = parse_aggregate(request, served.schema)
        found = await self._run(self._readers, lambda: served.aggregate(query))
        return aggregate_reply(request, found, time.perf_counter() - begun)

    async def tenants_get(self, raw: bytes, _call: Call) -> bytes:
        """Refuse `TenantsGetRequest`: this build has no tenants yet."""
        request = decode(tenants_pb2.TenantsGetRequest, raw)
        schema = self._catalogue.get(request.collection)
        if not schema.multi_tenant:
            raise InvalidRequest(f"multi-tenancy is not enabled for class {schema.name}")
        raise Unsupported("TenantsGet: tenants are not part of this build yet")

    async def health(self, _raw: bytes, _call: Call) -> bytes:
        """Answer the health check."""
        kinds = health_pb2.WeaviateHealthCheckResponse
        status = kinds.NOT_SERVING if self._stopping.is_set() else kinds.SERVING
        return kinds(status=status).SerializeToString()

    async def _run(self, pool: Executor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
