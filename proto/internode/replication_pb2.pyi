from weftdb.proto.internode import envelope_pb2 as _envelope_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyRequest(_message.Message):
    __slots__ = ("head", "shard", "states")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    states: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., states: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ApplyReply(_message.Message):
    __slots__ = ("head", "count", "newer", "refused")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NEWER_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    count: int
    newer: _containers.RepeatedCompositeFieldContainer[Newer]
    refused: _containers.RepeatedCompositeFieldContainer[Refusal]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., count: _Optional[int] = ..., newer: _Optional[_Iterable[_Union[Newer, _Mapping]]] = ..., refused: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ...) -> None: ...

class Newer(_message.Message):
    __slots__ = ("position", "version")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    position: int
    version: bytes
    def __init__(self, position: _Optional[int] = ..., version: _Optional[bytes] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("position", "reason")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    position: int
    reason: str
    def __init__(self, position: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Digest(_message.Message):
    __slots__ = ("version", "is_deleted")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IS_DELETED_FIELD_NUMBER: _ClassVar[int]
    version: bytes
    is_deleted: bool
    def __init__(self, version: _Optional[bytes] = ..., is_deleted: bool = ...) -> None: ...

class DigestsRequest(_message.Message):
    __slots__ = ("head", "shard", "ids")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class DigestsReply(_message.Message):
    __slots__ = ("head", "digests")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    digests: _containers.RepeatedCompositeFieldContainer[Digest]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., digests: _Optional[_Iterable[_Union[Digest, _Mapping]]] = ...) -> None: ...

class StatesRequest(_message.Message):
    __slots__ = ("head", "shard", "ids")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class StatesReply(_message.Message):
    __slots__ = ("head", "states")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    states: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., states: _Optional[_Iterable[bytes]] = ...) -> None: ...

class TreeRequest(_message.Message):
    __slots__ = ("head", "shard", "level", "positions")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    level: int
    positions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., level: _Optional[int] = ..., positions: _Optional[_Iterable[int]] = ...) -> None: ...

class TreeReply(_message.Message):
    __slots__ = ("head", "hashes")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    HASHES_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., hashes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class LeafRequest(_message.Message):
    __slots__ = ("head", "shard", "position", "after", "limit")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    position: int
    after: bytes
    limit: int
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., position: _Optional[int] = ..., after: _Optional[bytes] = ..., limit: _Optional[int] = ...) -> None: ...

class LeafReply(_message.Message):
    __slots__ = ("head", "ids", "digests", "is_last")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    IS_LAST_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    digests: _containers.RepeatedCompositeFieldContainer[Digest]
    is_last: bool
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., ids: _Optional[_Iterable[bytes]] = ..., digests: _Optional[_Iterable[_Union[Digest, _Mapping]]] = ..., is_last: bool = ...) -> None: ...
