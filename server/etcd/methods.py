"""The methods of etcd's v3 API that are used here, by their paths on the wire.

Message packages do not travel, so our messages (proto/etcd) go under etcd's paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from weftdb.proto.etcd import key_values_pb2 as kv
from weftdb.proto.etcd import leases_pb2 as leases
from weftdb.proto.etcd import members_pb2 as members
from weftdb.proto.etcd import watch_pb2 as watch

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Reply]):
    """One method: its path, what goes in, what comes back."""

    path: str
    request: type[Request]
    reply: type[Reply]


RANGE = Method("/etcdserverpb.KV/Range", kv.RangeRequest, kv.RangeResponse)
TXN = Method("/etcdserverpb.KV/Txn", kv.TxnRequest, kv.TxnResponse)
COMPACT = Method("/etcdserverpb.KV/Compact", kv.CompactionRequest, kv.CompactionResponse)
WATCH = Method("/etcdserverpb.Watch/Watch", watch.WatchRequest, watch.WatchResponse)
LEASE_GRANT = Method(
    "/etcdserverpb.Lease/LeaseGrant", leases.LeaseGrantRequest, leases.LeaseGrantResponse
)
LEASE_REVOKE = Method(
    "/etcdserverpb.Lease/LeaseRevoke", leases.LeaseRevokeRequest, leases.LeaseRevokeResponse
)
LEASE_KEEP_ALIVE = Method(
    "/etcdserverpb.Lease/LeaseKeepAlive",
    leases.LeaseKeepAliveRequest,
    leases.LeaseKeepAliveResponse,
)
MEMBER_ADD = Method(
    "/etcdserverpb.Cluster/MemberAdd", members.MemberAddRequest, members.MemberAddResponse
)
MEMBER_REMOVE = Method(
    "/etcdserverpb.Cluster/MemberRemove", members.MemberRemoveRequest, members.MemberRemoveResponse
)
MEMBER_UPDATE = Method(
    "/etcdserverpb.Cluster/MemberUpdate", members.MemberUpdateRequest, members.MemberUpdateResponse
)
MEMBER_PROMOTE = Method(
    "/etcdserverpb.Cluster/MemberPromote",
    members.MemberPromoteRequest,
    members.MemberPromoteResponse,
)
MEMBER_LIST = Method(
    "/etcdserverpb.Cluster/MemberList", members.MemberListRequest, members.MemberListResponse
)
STATUS = Method("/etcdserverpb.Maintenance/Status", members.StatusRequest, members.StatusResponse)
AUTHENTICATE = Method(
    "/etcdserverpb.Auth/Authenticate", members.AuthenticateRequest, members.AuthenticateResponse
)
