"""RemoteTransport: a server, over REST (schema, single objects) and gRPC (searches, batches).

Together with the other `remote_*` files the only ones that import httpx, grpcio and protobuf.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import grpc
import httpx
from google.protobuf.message import Message

from . import errors
from ._proto import aggregate_pb2, batch_delete_pb2, batch_pb2, search_pb2
from .filters import Filters
from .remote_filters import wire_filter
from .remote_objects import wire_object
from .remote_search import objects_of_reply, wire_search
from .requests import SearchRequest
from .results import DeleteManyObject, DeleteManyReturn, Object
from .transport import Json, NewObject

MESSAGE_BYTES_MAX = 104_858_000
BATCH_BYTES_MAX = 32 * 1024 * 1024
"""A batch is sent in pieces of about this size, well below what one message may hold."""

_SERVICE = "/weaviate.v1.Weaviate/"
_RECALL_HEADER = "weft-target-recall"
"""Ours; the messages of the public API have no field for it."""
_NO_COLLECTION = re.compile(r"class \"?\S+\"? not found in schema|could not find class")
_TAKEN = re.compile(r"already exists")
_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
_BROKEN = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS})

Reply = TypeVar("Reply", bound=Message)


class RemoteTransport:
    """Speaks to one server. Thread-safe."""

    def __init__(self, url: str, *, grpc_port: int, api_key: str | None, timeout_s: float) -> None:
        """Prepare; connects at the first call. Raises ValueError for a URL of another form."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not a URL of the form http://host:port: {url!r}")
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._metadata = tuple(headers.items())
        self._rest = httpx.Client(base_url=f"{self._url}/v1", headers=headers, timeout=timeout_s)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._grpc_address = f"{host}:{grpc_port}"
        options = [
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ]
        if parts.scheme == "https":
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(self._grpc_address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(self._grpc_address, options)

    def check(self) -> None:
        """Ask for the meta page and the gRPC door. Raises Unavailable."""
        try:
            self.meta()
            grpc.channel_ready_future(self._channel).result(timeout=self._timeout_s)
        except grpc.FutureTimeoutError:
            self.close()
            raise errors.Unavailable(
                f"no gRPC at {self._grpc_address} within {self._timeout_s} s"
            ) from None
        except errors.ClientError:
            self.close()
            raise

    def create_collection(self, definition: Mapping[str, Any]) -> Json:
        """Add a collection; its canonical definition. Raises AlreadyExists, RequestRefused."""
        created: Json = self._send("POST", "/schema", json=dict(definition)).json()
        return created

    def collection(self, name: str) -> Json | None:
        """The definition, or None."""
        response = self._send("GET", f"/schema/{quote(name, safe='')}", allowed=(404,))
        return None if response.status_code == 404 else response.json()

    def collections(self) -> list[Json]:
        """Every definition, by name."""
        listed: list[Json] = self._send("GET", "/schema").json().get("classes") or []
        return sorted(listed, key=lambda item: str(item["class"]))

    def delete_collection(self, name: str) -> None:
        """Drop a collection; none is fine."""
        self._send("DELETE", f"/schema/{quote(name, safe='')}", allowed=(404,))

    def add_property(self, name: str, definition: Mapping[str, Any]) -> None:
        """Add a property. Raises NotFound, RequestRefused."""
        self._send("POST", f"/schema/{quote(name, safe='')}/properties", json=dict(definition))

    def insert(self, collection: str, item: NewObject) -> None:
        """Store a new object. Raises AlreadyExists, RequestRefused."""
        self._send("POST", "/objects", json=_object_json(collection, item))

    def replace(self, collection: str, item: NewObject) -> None:
        """Store in place of the object with this id. Raises NotFound, RequestRefused."""
        # The public API also creates by PUT; here replacing asks for something to replace.
        if not self.exists(collection, item.object_id):
            raise errors.NotFound(f"no object with id '{item.object_id}'")
        path = _object_path(collection, item.object_id)
        self._send("PUT", path, json=_object_json(collection, item))

    def update(self, collection: str, item: NewObject) -> None:
        """Change single properties (None removes) and vectors. Raises NotFound."""
        path = _object_path(collection, item.object_id)
        self._send("PATCH", path, json=_object_json(collection, item))

    def delete(self, collection: str, object_id: str) -> bool:
        """Delete; False if there was nothing."""
        # The public API answers 204 either way, so what is there is asked first.
        if not self.exists(collection, object_id):
            return False
        response = self._send("DELETE", _object_path(collection, object_id), allowed=(404,))
        return response.status_code != 404

    def exists(self, collection: str, object_id: str) -> bool:
        """Whether there is an object."""
        response = self._send("HEAD", _object_path(collection, object_id), allowed=(404,))
        return response.status_code != 404

    def insert_many(self, collection: str, items: Sequence[NewObject]) -> list[str | None]:
        """Store objects, existing ids are replaced; a message for each that failed."""
        messages: list[str | None] = [None] * len(items)
        request, start = batch_pb2.BatchObjectsRequest(), 0
        for position, item in enumerate(items):
            request.objects.append(wire_object(collection, item))
            is_last = position == len(items) - 1
            # Summing up exact sizes would walk the whole message for each object.
            if is_last or (position % 100 == 99 and request.ByteSize() >= BATCH_BYTES_MAX):
                reply = self._call("BatchObjects", request, batch_pb2.BatchObjectsReply)
                for failure in reply.errors:
                    messages[start + failure.index] = failure.error
                request, start = batch_pb2.BatchObjectsRequest(), position + 1
        return messages

    def delete_many(
        self, collection: str, filters: Filters, *, dry_run: bool, verbose: bool
    ) -> DeleteManyReturn:
        """Delete everything that matches."""
        request = batch_delete_pb2.BatchDeleteRequest(
            collection=collection,
            filters=wire_filter(filters),
            verbose=verbose,
            dry_run=dry_run,
        )
        reply = self._call("BatchDelete", request, batch_delete_pb2.BatchDeleteReply)
        objects = [
            DeleteManyObject(uuid.UUID(bytes=item.uuid), item.successful, item.error or None)
            for item in reply.objects
        ]
        return DeleteManyReturn(
            failed=reply.failed,
            matches=reply.matches,
            successful=reply.successful,
            objects=objects if verbose else None,
        )

    def search(self, request: SearchRequest) -> list[Object]:
        """Carry out a read."""
        headers = {}
        if request.target_recall is not None:
            headers[_RECALL_HEADER] = str(request.target_recall)
        message = wire_search(request)
        reply = self._call("Search", message, search_pb2.SearchReply, headers)
        return objects_of_reply(reply, request)

    def count(self, collection: str, filters: Filters | None) -> int:
        """Objects, or those that match."""
        request = aggregate_pb2.AggregateRequest(collection=collection, objects_count=True)
        if filters is not None:
            request.filters.CopyFrom(wire_filter(filters))
        reply = self._call("Aggregate", request, aggregate_pb2.AggregateReply)
        return reply.single_result.objects_count

    def meta(self) -> Json:
        """Version and modules."""
        answer: Json = self._send("GET", "/meta").json()
        return answer

    def is_ready(self) -> bool:
        """Whether requests are answered."""
        try:
            return self._rest.get("/.well-known/ready").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._rest.close()
        self._channel.close()

    def _send(
        self, method: str, path: str, *, json: Json | None = None, allowed: Sequence[int] = ()
    ) -> httpx.Response:
        """Send over REST. Raises the client's errors."""
        try:
            response = self._rest.request(method, path, json=json)
        except httpx.TransportError as error:
            raise errors.Unavailable(f"{method} {self._url}/v1{path}: {error!r}") from error
        except ValueError as error:
            raise errors.RequestRefused(f"the request has no JSON form: {error}") from error
        if response.is_success or response.status_code in allowed:
            return response
        raise _rest_error(response)

    def _call(
        self,
        method: str,
        request: Message,
        reply: type[Reply],
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply:
        """Call over gRPC. Raises the client's errors."""
        call: Any = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        try:
            metadata = (*self._metadata, *headers.items())
            answer: Reply = call(request, timeout=self._timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise _grpc_error(error) from error
        return answer


def _object_path(collection: str, object_id: str) -> str:
    return f"/objects/{quote(collection, safe='')}/{object_id}"


def _object_json(collection: str, item: NewObject) -> Json:
    body: Json = {
        "class": collection,
        "id": item.object_id,
        "properties": dict(item.properties),
    }
    rows = {name: _listed(row) for name, row in item.vectors.items()}
    if "" in rows:
        body["vector"] = rows.pop("")
    if rows:
        body["vectors"] = rows
    return body


def _listed(row: Any) -> list[Any]:
    """Lists of plain numbers, also of an array."""
    if hasattr(row, "tolist"):
        listed: list[Any] = row.tolist()
        return listed
    return [_listed(item) if isinstance(item, list | tuple) else item for item in row]


def _rest_error(response: httpx.Response) -> errors.ClientError:
    text = _rest_text(response)
    status = response.status_code
    if status == 404:
        return errors.NotFound(text)
    if status == 422 and _TAKEN.search(text):
        return errors.AlreadyExists(text)
    if status in (429, 502, 503, 504):
        return errors.Unavailable(text)
    return errors.ServiceFault(text) if status >= 500 else errors.RequestRefused(text)


def _rest_text(response: httpx.Response) -> str:
    """The messages of an error reply, or what there is instead."""
    try:
        body = response.json()
    except ValueError:
        body = None
    found: list[str] = []
    if isinstance(body, dict):
        listed = body.get("error")
        entries = listed if isinstance(listed, list) else [body]
        found = [
            str(item["message"]) for item in entries if isinstance(item, dict) and "message" in item
        ]
    where = f"{response.request.method} {response.request.url.path}"
    return "; ".join(found) or f"{where}: status {response.status_code} {response.text[:300]}"


def _grpc_error(error: grpc.RpcError) -> errors.ClientError:
    code, text = error.code(), error.details() or str(error)
    if code is grpc.StatusCode.NOT_FOUND or _NO_COLLECTION.search(text):
        return errors.NotFound(text)
    if code in _AGAIN:
        return errors.Unavailable(text)
    return errors.ServiceFault(text) if code in _BROKEN else errors.RequestRefused(text)
