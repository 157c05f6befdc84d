from weftdb.proto.internode import envelope_pb2 as _envelope_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PingRequest(_message.Message):
    __slots__ = ("head",)
    HEAD_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ...) -> None: ...

class PingReply(_message.Message):
    __slots__ = ("head", "release")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    release: str
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., release: _Optional[str] = ...) -> None: ...

class TellRequest(_message.Message):
    __slots__ = ("head", "collection", "shard", "complete_until_ms", "marked", "rebuilt")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    MARKED_FIELD_NUMBER: _ClassVar[int]
    REBUILT_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    collection: str
    shard: str
    complete_until_ms: int
    marked: _containers.RepeatedScalarFieldContainer[str]
    rebuilt: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., collection: _Optional[str] = ..., shard: _Optional[str] = ..., complete_until_ms: _Optional[int] = ..., marked: _Optional[_Iterable[str]] = ..., rebuilt: _Optional[_Iterable[str]] = ...) -> None: ...

class TellReply(_message.Message):
    __slots__ = ("head", "marked")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    MARKED_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    marked: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., marked: _Optional[_Iterable[str]] = ...) -> None: ...

class FactsRequest(_message.Message):
    __slots__ = ("head", "with_shards", "collection", "shard")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    WITH_SHARDS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    with_shards: bool
    collection: str
    shard: str
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., with_shards: bool = ..., collection: _Optional[str] = ..., shard: _Optional[str] = ...) -> None: ...

class FactsReply(_message.Message):
    __slots__ = ("head", "facts")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    facts: NodeFacts
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., facts: _Optional[_Union[NodeFacts, _Mapping]] = ...) -> None: ...

class KnowRequest(_message.Message):
    __slots__ = ("head", "collection", "revision")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    collection: str
    revision: int
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., collection: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class KnowReply(_message.Message):
    __slots__ = ("head", "revision")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    revision: int
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class NodeFacts(_message.Message):
    __slots__ = ("name", "version", "release", "git_hash", "status", "operational_mode", "queue_length", "objects_per_s", "has_shards", "shards")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    GIT_HASH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONAL_MODE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_PER_S_FIELD_NUMBER: _ClassVar[int]
    HAS_SHARDS_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    release: str
    git_hash: str
    status: str
    operational_mode: str
    queue_length: int
    objects_per_s: float
    has_shards: bool
    shards: _containers.RepeatedCompositeFieldContainer[ShardFacts]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., release: _Optional[str] = ..., git_hash: _Optional[str] = ..., status: _Optional[str] = ..., operational_mode: _Optional[str] = ..., queue_length: _Optional[int] = ..., objects_per_s: _Optional[float] = ..., has_shards: bool = ..., shards: _Optional[_Iterable[_Union[ShardFacts, _Mapping]]] = ...) -> None: ...

class ShardFacts(_message.Message):
    __slots__ = ("collection", "shard", "objects", "indexing_status", "queue_length", "is_compressed", "is_loaded", "replicas", "factor")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    INDEXING_STATUS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    IS_COMPRESSED_FIELD_NUMBER: _ClassVar[int]
    IS_LOADED_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    collection: str
    shard: str
    objects: int
    indexing_status: str
    queue_length: int
    is_compressed: bool
    is_loaded: bool
    replicas: int
    factor: int
    def __init__(self, collection: _Optional[str] = ..., shard: _Optional[str] = ..., objects: _Optional[int] = ..., indexing_status: _Optional[str] = ..., queue_length: _Optional[int] = ..., is_compressed: bool = ..., is_loaded: bool = ..., replicas: _Optional[int] = ..., factor: _Optional[int] = ...) -> None: ...
