"""Which state wins where replicas differ, and what a collection's deletion strategy changes.

A version decides: the greater wins, and equal versions are the same state, so the order is total
and every node that sees the same states picks the same one. What a replica does with a single state
is always that rule; the strategy speaks only where replicas are *compared* (read repair,
anti-entropy) and a deletion stands against an object, whichever is newer:

| strategy              | a reader is answered | what all replicas are brought to             |
|-----------------------|----------------------|----------------------------------------------|
| TimeBasedResolution   | the newest state     | the newest state, deletion or object         |
| DeleteOnConflict      | nothing: deleted     | the newest deletion, or one above the object |
| NoAutomatedResolution | the newest state     | nothing: each keeps what it has              |

Where no deletion stands against an object (an older object, or a replica that never knew the id),
every strategy brings all to the newest state, and a deletion is passed on to who never knew the id.

DeleteOnConflict needs a version above an object that it removes, or the object would win again
later. It takes the object's own version with the top bit of the node's number set: above the
object, below what any node stamps in a later tick, the same on every node that resolves the
conflict, and never stamped by a node (node numbers lie below 2**63). Under that strategy an object
that is written again after its deletion is lost when a replica has missed the second write, for
that is what "delete on conflict" asks for.

NoAutomatedResolution leaves a conflict to hints and to later writes of the object; since nothing
else would ever bring such replicas together, its deletions are never forgotten (`tombstones.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from weftdb.cluster.replication.messages import Digest
from weftdb.core.objects import ObjectState
from weftdb.core.types import ObjectId
from weftdb.storage.versions import version_above


class DeletionStrategy(Enum):
    """The collection's `replicationConfig.deletionStrategy`."""

    NO_AUTOMATED_RESOLUTION = "NoAutomatedResolution"
    DELETE_ON_CONFLICT = "DeleteOnConflict"
    TIME_BASED_RESOLUTION = "TimeBasedResolution"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of comparing replicas about one object."""

    answer: Digest | None
    """What a reader is told; None where no replica knows the id."""
    target: Digest | None
    """What every replica should hold; None where nothing is to be sent."""


def newest(held: Iterable[Digest | None]) -> Digest | None:
    """The digest that wins; None where nobody knows the object."""
    return max((digest for digest in held if digest is not None), default=None)


def resolve(held: Iterable[Digest | None], strategy: DeletionStrategy) -> Verdict:
    """Compare what replicas hold of one object (None: never knew it)."""
    known = [digest for digest in held if digest is not None]
    winner = max(known, default=None)
    if winner is None or all(digest.is_deleted is winner.is_deleted for digest in known):
        return Verdict(winner, winner)
    match strategy:
        case DeletionStrategy.TIME_BASED_RESOLUTION:
            return Verdict(winner, winner)
        case DeletionStrategy.DELETE_ON_CONFLICT:
            deletion = winner if winner.is_deleted else _deletion_above(winner)
            return Verdict(deletion, deletion)
        case DeletionStrategy.NO_AUTOMATED_RESOLUTION:
            return Verdict(winner, None)


def is_stale(held: Digest | None, target: Digest) -> bool:
    """Whether a replica that holds `held` lacks `target`."""
    return held is None or held.version < target.version


def digest_of(state: ObjectState | None) -> Digest | None:
    """What a state says of its object, without the content."""
    return None if state is None else Digest(state.version, state.is_deleted)


def deletion_state(object_id: ObjectId, digest: Digest) -> ObjectState:
    """The whole state of a deletion: its digest says everything. Requires: a deletion."""
    assert digest.is_deleted, digest
    return ObjectState(object_id, digest.version, is_deleted=True)


def _deletion_above(digest: Digest) -> Digest:
    return Digest(version_above(digest.version), is_deleted=True)
