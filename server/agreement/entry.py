"""Entry: a node takes its place in a cluster, once in each life of its process.

    identity := JSON {"format": 1, "cluster": id, "node": name, "number": n, "emptied": bool}

The row lies beside the data. It binds a directory to one node of one cluster: metadata of another
cluster, or a store without any, must never be taken for word that the data is to go. A directory
without the row that comes for a node which was here before has lost its data (`was_emptied`): it
holds nothing of what it acknowledged, until its shards are rebuilt.

Each life takes the next generation by compare-and-swap before it does anything else.
"""

from __future__ import annotations

import json
import logging
import random
from dataclasses import dataclass, replace

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import ClusterRecord, MemberRecord, MemberState
from weftdb.cluster.metadata.store import (
    Committed,
    IsAbsent,
    IsAt,
    MetadataStore,
    Put,
    Record,
    Transaction,
)
from weftdb.cluster.stored_json import StoredJson
from weftdb.core.errors import CommitUnknown, Fault, MetadataUnavailable
from weftdb.core.types import NodeName
from weftdb.storage import keys as rows
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch

log = logging.getLogger("weftdb.cluster")

FORMAT = 1
TRIES_MAX = 50
"""Nodes that start together take their numbers one after the other."""


@dataclass(frozen=True, slots=True)
class Identity:
    """As which node of which cluster a directory is used."""

    cluster: str
    node: NodeName
    number: int
    was_emptied: bool = False
    """The node was here before and came back without its data; its shards are not rebuilt yet."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A node in its present life."""

    identity: Identity
    generation: int

    @property
    def number(self) -> int:
        """The node's own for good; it goes into the versions that the node writes."""
        return self.identity.number


def enter(
    metadata: MetadataStore,
    keys: ClusterKeys,
    directory: KeyValueStore,
    node: NodeName,
    *,
    zone: str,
    randomness: random.Random,
) -> Entered:
    """Take the next life of `node`, founding the cluster or joining it if need be.

    Requires: this process holds `directory`. Raises Fault for a directory that is not this node's,
    MetadataUnavailable, CommitUnknown.
    """
    kept = kept_identity(directory)
    if kept is None and _has_collections(directory):
        raise Fault(
            "the data directory holds collections of a single node: start it without the settings "
            "of a cluster, or give this node an empty directory"
        )
    if kept is not None and kept.node != node:
        raise Fault(f"the data directory is that of node {kept.node}, not of {node}")
    for _ in range(TRIES_MAX):
        entered = _try(metadata, keys, kept, node, zone, randomness)
        if entered is not None:
            keep_identity(directory, entered.identity)
            log.info(
                "node %s, number %d, begins its life %d in cluster %s (%s)",
                node,
                entered.number,
                entered.generation,
                keys.cluster,
                entered.identity.cluster,
            )
            return entered
    raise MetadataUnavailable(f"node {node} lost {TRIES_MAX} races for its number: start it again")


def kept_identity(directory: KeyValueStore) -> Identity | None:
    """What the row beside the data says; None of a directory that no cluster has used."""
    row = directory.get(Family.METADATA, rows.NODE_IDENTITY_KEY)
    if row is None:
        return None
    fields = StoredJson(row, subject="the node's identity", format_version=FORMAT)
    return Identity(
        fields.text("cluster"),
        NodeName(fields.text("node")),
        fields.number("number", at_least=1),
        bool(fields.number("emptied")),
    )


def keep_identity(directory: KeyValueStore, identity: Identity) -> None:
    """Write the row, durably."""
    body = {
        "format": FORMAT,
        "cluster": identity.cluster,
        "node": identity.node,
        "number": identity.number,
        "emptied": int(identity.was_emptied),
    }
    batch = WriteBatch()
    batch.put(Family.METADATA, rows.NODE_IDENTITY_KEY, json.dumps(body).encode())
    directory.wait_durable(directory.write(batch))


def settle(directory: KeyValueStore) -> None:
    """Note that the shards of a node which had lost its data are rebuilt, or marked as not."""
    kept = kept_identity(directory)
    if kept is not None and kept.was_emptied:
        keep_identity(directory, replace(kept, was_emptied=False))


def check_alone(directory: KeyValueStore) -> None:
    """Raise Fault for a directory of a cluster's node: what one node did to it alone, the others
    would never hear of."""
    kept = kept_identity(directory)
    if kept is not None:
        raise Fault(
            f"the data directory is that of node {kept.node} of a cluster: start it with that "
            "cluster's settings"
        )


def _try(
    metadata: MetadataStore,
    keys: ClusterKeys,
    kept: Identity | None,
    node: NodeName,
    zone: str,
    randomness: random.Random,
) -> Entered | None:
    """One attempt; None where somebody else was first."""
    found = metadata.get(keys.identity)
    if found is None:
        if kept is not None:
            raise Fault(
                f"the metadata knows no cluster {keys.cluster}, but the data directory belongs to "
                f"{kept.cluster}: bring the metadata back, or give this node an empty directory"
            )
        fresh = ClusterRecord(f"{randomness.getrandbits(128):032x}", 1)
        metadata.commit(
            Transaction((Put(keys.identity, fresh.encode()),), (IsAbsent(keys.identity),))
        )
        return None  # Whoever was first: read what is there now.
    cluster = ClusterRecord.decode(found.key, found.value)
    if kept is not None and kept.cluster != cluster.id:
        raise Fault(
            f"the data directory belongs to cluster {kept.cluster}, and the metadata is that of "
            f"{cluster.id}: point the node at its own cluster, or empty the directory"
        )
    seat = metadata.get(keys.member(node))
    if seat is None:
        return _join(metadata, keys, (found, cluster), kept, node, zone)
    return _come_back(metadata, seat, cluster, kept, node, zone)


def _join(
    metadata: MetadataStore,
    keys: ClusterKeys,
    found: tuple[Record, ClusterRecord],
    kept: Identity | None,
    node: NodeName,
    zone: str,
) -> Entered | None:
    record, cluster = found
    if kept is not None:
        raise Fault(
            f"node {node} was removed from the cluster; give it an empty directory to join anew"
        )
    number = cluster.next_number
    member = MemberRecord(number, MemberState.JOINED, 1, zone)
    try:
        outcome = metadata.commit(
            Transaction(
                (
                    Put(keys.identity, replace(cluster, next_number=number + 1).encode()),
                    Put(keys.member(node), member.encode()),
                ),
                (IsAt(keys.identity, record.revision), IsAbsent(keys.member(node))),
            )
        )
        is_made = isinstance(outcome, Committed)
    except CommitUnknown:
        # No other process could have written this number: it is ours, or it is not there.
        seat = metadata.get(keys.member(node))
        is_made = seat is not None and seat.value == member.encode()
    return Entered(Identity(cluster.id, node, number), member.generation) if is_made else None


def _come_back(
    metadata: MetadataStore,
    seat: Record,
    cluster: ClusterRecord,
    kept: Identity | None,
    node: NodeName,
    zone: str,
) -> Entered | None:
    member = MemberRecord.decode(seat.key, seat.value)
    if kept is not None and kept.number != member.number:
        raise Fault(
            f"the data directory is that of a node {node} which was number {kept.number}; that "
            f"name has gone to number {member.number} since"
        )
    alive = replace(member, generation=member.generation + 1, zone=zone)
    outcome = metadata.commit(
        Transaction((Put(seat.key, alive.encode()),), (IsAt(seat.key, seat.revision),))
    )
    if not isinstance(outcome, Committed):
        return None
    if kept is None:
        log.warning("node %s was here before and comes back without its data", node)
        kept = Identity(cluster.id, node, member.number, was_emptied=True)
    return Entered(kept, alive.generation)


def _has_collections(directory: KeyValueStore) -> bool:
    return any(True for _ in directory.scan(Family.METADATA, *rows.collection_range()))
