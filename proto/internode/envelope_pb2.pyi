from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Purpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PURPOSE_SERVE: _ClassVar[Purpose]
    PURPOSE_REPAIR: _ClassVar[Purpose]
    PURPOSE_COMPARE: _ClassVar[Purpose]
PURPOSE_SERVE: Purpose
PURPOSE_REPAIR: Purpose
PURPOSE_COMPARE: Purpose

class RequestHead(_message.Message):
    __slots__ = ("cluster", "sender", "generation", "receiver", "timeout_ms")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    sender: str
    generation: int
    receiver: str
    timeout_ms: int
    def __init__(self, cluster: _Optional[str] = ..., sender: _Optional[str] = ..., generation: _Optional[int] = ..., receiver: _Optional[str] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class ShardBasis(_message.Message):
    __slots__ = ("collection", "shard", "schema_version", "sharding_revision", "purpose")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    SHARDING_REVISION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    shard: str
    schema_version: int
    sharding_revision: int
    purpose: Purpose
    def __init__(self, collection: _Optional[str] = ..., shard: _Optional[str] = ..., schema_version: _Optional[int] = ..., sharding_revision: _Optional[int] = ..., purpose: _Optional[_Union[Purpose, str]] = ...) -> None: ...

class ReplyHead(_message.Message):
    __slots__ = ("generation", "failure")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    generation: int
    failure: Failure
    def __init__(self, generation: _Optional[int] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("reason", "is_final", "error", "error_text", "moved")
    REASON_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ERROR_TEXT_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    reason: str
    is_final: bool
    error: str
    error_text: str
    moved: Moved
    def __init__(self, reason: _Optional[str] = ..., is_final: bool = ..., error: _Optional[str] = ..., error_text: _Optional[str] = ..., moved: _Optional[_Union[Moved, _Mapping]] = ...) -> None: ...

class Moved(_message.Message):
    __slots__ = ("collection", "revision", "state")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    revision: int
    state: bytes
    def __init__(self, collection: _Optional[str] = ..., revision: _Optional[int] = ..., state: _Optional[bytes] = ...) -> None: ...
