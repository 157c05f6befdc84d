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
TERM_BYTES_MAX = 32 * KiB
"""Longer terms are indexed by their first bytes and their hash, see index/README.md."""

ID_CACHE_BYTES_MAX = 64 * MiB
"""Object ids kept in memory by each shard: 3.3 million of them."""

BATCH_OBJECTS_MAX = 100_000
GRPC_MESSAGE_BYTES_MAX = 104_858_000
GRPC_CALLS_MAX = 1_000
"""Calls of one connection at a time; a client keeps further ones back."""
GRPC_HEADER_BYTES_MAX = 64 * KiB
REQUEST_BODY_BYTES_MAX = 128 * MiB
FILTER_DEPTH_MAX = 64
"""Nesting of and/or/not; deeper filters are refused before they are walked."""

QUERY_MAXIMUM_RESULTS = 10_000
QUERY_HYBRID_MAXIMUM_RESULTS = 100
QUERY_DEFAULTS_LIMIT = 10

assert GRPC_MESSAGE_BYTES_MAX < REQUEST_BODY_BYTES_MAX, "what gRPC takes, REST takes too"
assert SHARDS_PER_COLLECTION_MAX * 128 <= VIRTUAL_SHARDS_MAX, "the most shards get 128 parts each"
assert QUERY_HYBRID_MAXIMUM_RESULTS <= QUERY_MAXIMUM_RESULTS
