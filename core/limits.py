"""Every bound of WeftDB, and how the bounds hang together."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB

DOC_IDS_PER_SHARD_MAX = 2**32 - 2
"""Doc ids are u32; the top value marks "none" in native code."""

VECTOR_DIMENSIONS_MAX = 65_535
"""Multi-vectors write their dimension as u16 on the wire."""

NAME_CHARS_MAX = 255
PROPERTY_NAME_CHARS_MAX = 231
VECTOR_NAME_CHARS_MAX = 230
SHARDS_PER_COLLECTION_MAX = 1024
"""Shards that one collection without tenants may ask for."""
VIRTUAL_SHARDS_MAX = 2**20
"""Equal parts of the ring of tokens in one collection; every node has a table of them, 4 bytes
each."""
TENANTS_PER_PAGE_MAX = 512
"""Tenants in one value of the agreed metadata, which a change of one of them rewrites."""
HASH_TREE_HEIGHT_MAX = 20
"""A million leaves: 64 MiB for a shard that is compared."""
TERM_BYTES_MAX = 32 * KiB
"""Longer terms are indexed by their first bytes and their hash, see index/README.md."""

ID_CACHE_BYTES_MAX = 64 * MiB
"""Object ids kept in memory by each shard: 3.3 million of them."""

BATCH_OBJECTS_MAX = 100_000
GRPC_MESSAGE_BYTES_MAX = 104_858_000
AGGREGATED_PART_BYTES_MAX = 64 * MiB
"""Distinct values of one shard's part of an aggregation over several: some six million numbers."""
GRPC_CALLS_MAX = 1_000
"""Calls of one connection at a time; a client keeps further ones back."""
GRPC_HEADER_BYTES_MAX = 64 * KiB
REQUEST_BODY_BYTES_MAX = 128 * MiB
FILTER_DEPTH_MAX = 64
"""Nesting of and/or/not; deeper filters are refused before they are walked."""

INTERNODE_MESSAGE_BYTES_MAX = 160 * MiB
"""Between nodes. Only one very large object makes a message larger than some megabytes."""
INTERNODE_OBJECT_BYTES_MAX = 144 * MiB
"""A larger one, with its vectors, could not be told to other replicas, so none takes it. Any body
fits (REQUEST_BODY_BYTES_MAX) but one that is full of short numbers, which are 8 bytes each here."""
INTERNODE_APPLY_BYTES = 4 * MiB
"""States in one message, unless one alone is larger: more are sent in several messages."""
INTERNODE_REPLY_BYTES = 8 * MiB
"""States in one answer, unless one alone is larger: the others are asked for again."""

ETCD_REQUEST_BYTES_MAX = 1_572_864
"""`--max-request-bytes` of etcd, where nobody set it: 1.5 MiB."""
ETCD_TRANSACTION_PARTS_MAX = 128
"""`--max-txn-ops` of etcd, where nobody set it: of conditions, and of changes."""
METADATA_STORE_BYTES_MAX = 8 * 1024 * MiB
"""What etcd's authors recommend at most; a member that we start refuses writes beyond it."""
METADATA_TRANSACTION_BYTES_MAX = 1_500_000
METADATA_CHANGES_MAX = 127
"""Conditions, and changes, of one transaction. One of each is the etcd client's own."""
METADATA_KEY_BYTES_MAX = 2 * KiB
METADATA_PAGE_RECORDS = 200
"""Records that one message of a listing brings: some megabytes where they are pages of tenants."""
METADATA_HISTORY_EVENTS_MAX = 100_000
"""Changes that a store of one node remembers for its watches."""

QUERY_MAXIMUM_RESULTS = 10_000
QUERY_HYBRID_MAXIMUM_RESULTS = 100
QUERY_DEFAULTS_LIMIT = 10

assert AGGREGATED_PART_BYTES_MAX + MiB < GRPC_MESSAGE_BYTES_MAX, "a part fits in a message"
assert GRPC_MESSAGE_BYTES_MAX < REQUEST_BODY_BYTES_MAX, "what gRPC takes, REST takes too"
assert (
    max(INTERNODE_APPLY_BYTES, INTERNODE_REPLY_BYTES) + INTERNODE_OBJECT_BYTES_MAX + MiB
    < INTERNODE_MESSAGE_BYTES_MAX
), "the object that goes over the bound of a message fits in"
assert SHARDS_PER_COLLECTION_MAX * 128 <= VIRTUAL_SHARDS_MAX, "the most shards get 128 parts each"
assert QUERY_HYBRID_MAXIMUM_RESULTS <= QUERY_MAXIMUM_RESULTS
assert METADATA_CHANGES_MAX < ETCD_TRANSACTION_PARTS_MAX, "there is room for the client's own part"
assert METADATA_TRANSACTION_BYTES_MAX + 16 * KiB < ETCD_REQUEST_BYTES_MAX, "and for its bytes"
