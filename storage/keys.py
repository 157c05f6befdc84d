"""The key layout of every column family.

    key          := shard:u32 rest           # big-endian everywhere: byte order = number order
    OBJECTS      := shard doc_id:u32                    -> object (object_codec.py)
    IDS          := shard uuid:16                       -> doc_id:u32
    VECTORS      := shard name_len:u8 name:utf8 doc_id:u32  -> vector (vector_codec.py)
    LENGTHS      := shard doc_id:u32                    -> property lengths (doc_ids.py)
    FILTERABLE   := shard 0x00                          -> manifest
                  | shard 0x01 first_doc_id:u32         -> delta (one a write batch)
                  | shard 0x02 segment:u32 block:u32    -> block of a sealed segment
    SEARCHABLE   := as FILTERABLE
    STATES       := shard token:u64 uuid:16             -> what is held of an id (state_rows.py)
    METADATA     := shard 0x01                          -> counters of the shard
                  | shard 0x02 chunk:u32                -> live docs of 4,096 doc ids (doc_ids.py)
                  | shard 0x03 uuid:16                  -> version of a deletion (tombstone)
                  | shard 0x04                          -> newest version written in the shard
                  | shard 0x05 name:utf8                -> empty; the dynamic index is a graph
                  | shard 0x06 name:utf8                -> empty; that shard is set read-only
                  | shard 0x07                          -> how far STATES is filled (state_rows.py)
                  | shard 0x10 node:utf8                -> what is known of another replica
                                                         (server/internode/replica_records.py)
    HINTS        := 0x00000000 0x01 target sequence     -> hint (cluster/replication/hints.py)
                  | 0x00000000 0x02 text:utf8           -> empty; a comparison that is owed
                                                         (server/internode/hint_store.py)
    METADATA     := 0x00000000 0x01                     -> format version:u32
                  | 0x00000000 0x02                     -> next shard id:u32
                  | 0x00000000 0x03 name:utf8           -> collection row (JSON)
                  | 0x00000000 0x04                     -> revision of agreed metadata:u64
                  | 0x00000000 0x05 key:utf8            -> agreed record (cluster/metadata)
                  | 0x00000000 0x06 key:utf8            -> empty; that record is bound to a lease
                  | 0x00000000 0x10                     -> node of a cluster (JSON)
                  | 0x00000000 0x11 name:utf8           -> which collection of that name this is
                  | 0x00000000 0x20 text:utf8           -> how a replica here is rebuilt (same file)
                  | 0x00000000 0x21                     -> until when this node is known to have run

Shard 0 is the node itself; real shards count from 1 and their numbers are never used again.
"""

from __future__ import annotations

import struct

from weftdb.core.types import DocId, ObjectId, ShardId, VectorName

NODE = ShardId(0)

_U32 = struct.Struct(">I")
_U32_U32 = struct.Struct(">II")
_U32_U64 = struct.Struct(">IQ")
_pack_u32 = _U32.pack
_pack_u32_u32 = _U32_U32.pack

_MANIFEST, _DELTA, _BLOCK = b"\x00", b"\x01", b"\x02"
_COUNTERS, _LIVE, _TOMBSTONE, _CLOCK = b"\x01", b"\x02", b"\x03", b"\x04"
_UPGRADED, _READ_ONLY, _STATES_FILLED = b"\x05", b"\x06", b"\x07"
_PEER, _AFTER_PEERS = b"\x10", b"\x11"


def shard_range(shard: ShardId) -> tuple[bytes, bytes]:
    """First and past-the-last key of a shard, in every family."""
    return _pack_u32(shard), _pack_u32(shard + 1)


def object_key(shard: ShardId, doc_id: DocId) -> bytes:
    """OBJECTS and LENGTHS."""
    return _pack_u32_u32(shard, doc_id)


def object_keys(shard: ShardId, doc_ids: list[DocId]) -> list[bytes]:
    """OBJECTS and LENGTHS, many."""
    pack = _pack_u32_u32
    return [pack(shard, doc_id) for doc_id in doc_ids]


def id_key(shard: ShardId, object_id: ObjectId) -> bytes:
    """IDS."""
    return _pack_u32(shard) + object_id


def vector_prefix(shard: ShardId, name: VectorName) -> bytes:
    """VECTORS: everything of one vector space."""
    encoded = name.encode()
    return _pack_u32(shard) + bytes((len(encoded),)) + encoded


def vector_key(prefix: bytes, doc_id: DocId) -> bytes:
    """VECTORS: one row below its `vector_prefix`."""
    return prefix + _pack_u32(doc_id)


def doc_id_of(key: bytes) -> DocId:
    """The doc id that ends an OBJECTS, VECTORS or LENGTHS key."""
    return DocId(_U32.unpack_from(key, len(key) - 4)[0])


def manifest_key(shard: ShardId) -> bytes:
    """FILTERABLE, SEARCHABLE: the list of segments."""
    return _pack_u32(shard) + _MANIFEST


def delta_key(shard: ShardId, first: DocId) -> bytes:
    """FILTERABLE, SEARCHABLE: the delta of one write batch."""
    return _pack_u32(shard) + _DELTA + _pack_u32(first)


def delta_range(shard: ShardId) -> tuple[bytes, bytes]:
    """FILTERABLE, SEARCHABLE: all deltas."""
    return _pack_u32(shard) + _DELTA, _pack_u32(shard) + _BLOCK


def block_key(shard: ShardId, segment: int, block: int) -> bytes:
    """FILTERABLE, SEARCHABLE: one block."""
    return _pack_u32(shard) + _BLOCK + _pack_u32_u32(segment, block)


def segment_range(shard: ShardId, segment: int) -> tuple[bytes, bytes]:
    """FILTERABLE, SEARCHABLE: all blocks of one segment."""
    return block_key(shard, segment, 0), block_key(shard, segment + 1, 0)


def counters_key(shard: ShardId) -> bytes:
    """METADATA: counters of a shard."""
    return _pack_u32(shard) + _COUNTERS


def live_key(shard: ShardId, chunk: int) -> bytes:
    """METADATA: one chunk of the live bitmap."""
    return _pack_u32(shard) + _LIVE + _pack_u32(chunk)


def chunk_of(key: bytes) -> int:
    """The chunk that ends a `live_key`."""
    return int(_U32.unpack_from(key, len(key) - 4)[0])


def live_range(shard: ShardId) -> tuple[bytes, bytes]:
    """METADATA: all chunks of the live bitmap."""
    return _pack_u32(shard) + _LIVE, _pack_u32(shard) + _TOMBSTONE


def tombstone_key(shard: ShardId, object_id: ObjectId) -> bytes:
    """METADATA: a versioned deletion."""
    return _pack_u32(shard) + _TOMBSTONE + object_id


def tombstone_range(shard: ShardId) -> tuple[bytes, bytes]:
    """METADATA: all versioned deletions."""
    return _pack_u32(shard) + _TOMBSTONE, _pack_u32(shard) + _CLOCK


def clock_key(shard: ShardId) -> bytes:
    """METADATA: the newest version of a shard; only the writes of one shard are in order."""
    return _pack_u32(shard) + _CLOCK


def upgraded_key(shard: ShardId, name: VectorName) -> bytes:
    """METADATA: that the dynamic index of a vector has become a graph."""
    return _pack_u32(shard) + _UPGRADED + name.encode()


def read_only_key(shard: ShardId, name: str) -> bytes:
    """METADATA: that a shard, by the name that is reported, takes no writes."""
    return _pack_u32(shard) + _READ_ONLY + name.encode()


def read_only_range(shard: ShardId) -> tuple[bytes, bytes]:
    """METADATA: all of these."""
    return _pack_u32(shard) + _READ_ONLY, _pack_u32(shard) + bytes((_READ_ONLY[0] + 1,))


def states_filled_key(shard: ShardId) -> bytes:
    """METADATA: how far the rows of STATES have been made."""
    return _pack_u32(shard) + _STATES_FILLED


def state_key(shard: ShardId, token: int, object_id: ObjectId) -> bytes:
    """STATES."""
    return _U32_U64.pack(shard, token) + object_id


def state_range(shard: ShardId, first: int, end: int) -> tuple[bytes, bytes]:
    """STATES: the ids with first <= token < end; `end` may be 2**64."""
    last = _pack_u32(shard + 1) if end == 2**64 else _U32_U64.pack(shard, end)
    return _U32_U64.pack(shard, first), last


def peer_key(shard: ShardId, node: str) -> bytes:
    """METADATA: what is known of the replica of a shard on another node."""
    return _pack_u32(shard) + _PEER + node.encode()


def peer_range(shard: ShardId) -> tuple[bytes, bytes]:
    """METADATA: all of these."""
    return _pack_u32(shard) + _PEER, _pack_u32(shard) + _AFTER_PEERS


def peer_name(key: bytes) -> str:
    """The node in a `peer_key`."""
    return key[5:].decode()


_HINT = _pack_u32(NODE) + b"\x01"
_OWED = _pack_u32(NODE) + b"\x02"


def hint_key(place: bytes) -> bytes:
    """HINTS: one hint, by what `hints.encode_key` made."""
    return _HINT + place


def hint_place(key: bytes) -> bytes:
    """The part of a `hint_key` that it was made of."""
    return key[len(_HINT) :]


def hint_range() -> tuple[bytes, bytes]:
    """HINTS: all hints."""
    return _HINT, _OWED


def owed_key(text: str) -> bytes:
    """HINTS: a comparison that is owed."""
    return _OWED + text.encode()


def owed_text(key: bytes) -> str:
    """The text of an `owed_key`."""
    return key[len(_OWED) :].decode()


def owed_range() -> tuple[bytes, bytes]:
    """HINTS: all of these."""
    return _OWED, _pack_u32(NODE) + b"\x03"


FORMAT_KEY = _pack_u32(NODE) + b"\x01"
NEXT_SHARD_KEY = _pack_u32(NODE) + b"\x02"
_COLLECTION = _pack_u32(NODE) + b"\x03"


def collection_key(name: str) -> bytes:
    """METADATA: the row of a collection."""
    return _COLLECTION + name.encode()


def collection_range() -> tuple[bytes, bytes]:
    """METADATA: the rows of all collections."""
    return _COLLECTION, _pack_u32(NODE) + b"\x04"


AGREED_REVISION_KEY = _pack_u32(NODE) + b"\x04"
_AGREED = _pack_u32(NODE) + b"\x05"
_AGREED_LEASE = _pack_u32(NODE) + b"\x06"


def agreed_key(key: bytes) -> bytes:
    """METADATA: a record of the agreed metadata of a single node, by its key there."""
    return _AGREED + key


def agreed_key_of(key: bytes) -> bytes:
    """The part of an `agreed_key` that it was made of."""
    return key[len(_AGREED) :]


def agreed_lease_key(key: bytes) -> bytes:
    """METADATA: that an agreed record is bound to a lease."""
    return _AGREED_LEASE + key


def agreed_lease_range() -> tuple[bytes, bytes]:
    """METADATA: all of these."""
    return _AGREED_LEASE, _pack_u32(NODE) + b"\x07"


NODE_IDENTITY_KEY = _pack_u32(NODE) + b"\x10"
"""METADATA: as which node of which cluster this directory is used."""
_INCARNATION = _pack_u32(NODE) + b"\x11"


def incarnation_key(name: str) -> bytes:
    """METADATA: which of the collections that were ever called `name` is held here."""
    return _INCARNATION + name.encode()


def incarnation_name(key: bytes) -> str:
    """The name in an `incarnation_key`."""
    return key[len(_INCARNATION) :].decode()


def incarnation_range() -> tuple[bytes, bytes]:
    """METADATA: all of these."""
    return _INCARNATION, _pack_u32(NODE) + b"\x12"


_STANDING = _pack_u32(NODE) + b"\x20"
ALIVE_KEY = _pack_u32(NODE) + b"\x21"
"""METADATA: until when a process of this node is known to have run."""


def standing_key(text: str) -> bytes:
    """METADATA: how far the rebuilding of a replica here is. Not among the rows of its shard, for
    it outlives them."""
    return _STANDING + text.encode()


def standing_text(key: bytes) -> str:
    """The text of a `standing_key`."""
    return key[len(_STANDING) :].decode()


def standing_range() -> tuple[bytes, bytes]:
    """METADATA: all of these."""
    return _STANDING, ALIVE_KEY
