"""Requests and replies in words, for traces."""

from __future__ import annotations

from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digest,
    Digests,
    Leaf,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Reply,
    Request,
    States,
    TreeNodes,
)
from weftdb.core.objects import ObjectState
from weftdb.core.types import ObjectId

from .history import brief


def tell_request(request: Request) -> tuple[str, ObjectId | None]:
    """A request in words, and the object that it is about, where it is about one."""
    match request:
        case Apply(states=states):
            told = ", ".join(f"{_key(state.id)} {tell_state(state)}" for state in states)
            return f"apply {told}", states[0].id if len(states) == 1 else None
        case ReadDigests(ids=ids):
            return f"digests of {' '.join(map(_key, ids))}", ids[0] if len(ids) == 1 else None
        case ReadStates(ids=ids):
            return f"states of {' '.join(map(_key, ids))}", ids[0] if len(ids) == 1 else None
        case ReadTree(level=level, positions=positions):
            return f"tree level {level} at {' '.join(map(str, positions))}", None
        case ReadLeaf(position=position, after=after):
            return f"leaf {position} after {_key(after) if after else 'nothing'}", None


def tell_reply(reply: Reply | Failure) -> str:
    """A reply in words."""
    match reply:
        case Failure(reason=reason):
            return f"failure: {reason}"
        case Applied(newer=newer):
            return "; ".join("held" if one is None else f"newer {brief(one)}" for one in newer)
        case Digests(digests=digests):
            return "; ".join(map(_digest, digests))
        case States(states=states):
            return "; ".join("nothing" if one is None else tell_state(one) for one in states)
        case TreeNodes(hashes=hashes):
            return " ".join(one.hex()[:8] for one in hashes)
        case Leaf(ids=ids, digests=digests):
            pairs = zip(ids, digests, strict=True)
            return "; ".join(f"{_key(i)} {_digest(one)}" for i, one in pairs) or "empty"


def tell_state(state: ObjectState) -> str:
    """A state in words."""
    what = "deleted" if state.is_deleted else f"= {state.properties.get('number')}"
    return f"{what} at {brief(state.version)}"


def _digest(digest: Digest | None) -> str:
    if digest is None:
        return "nothing"
    return f"{'deleted ' if digest.is_deleted else ''}{brief(digest.version)}"


def _key(key: ObjectId) -> str:
    return key.hex()[:8]
