"""Why a call has no reply, to and from protobuf.

An error of the other node becomes the same class here, so that a request that is at fault is told
to the client in the same words, whichever node it was that found it. Errors that are made of more
than a text, or that this release does not know, become the nearest class above them.
"""

from __future__ import annotations

from weftdb.cluster.replication.effects import Failure
from weftdb.core import errors
from weftdb.core.errors import WeftError
from weftdb.core.types import CollectionName
from weftdb.proto.internode import envelope_pb2 as wire
from weftdb.server.internode.messages import Moved
from weftdb.server.internode.ports import CallFailed

_REASON_CHARS_MAX = 4_096

_NAMED: dict[str, type[WeftError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type)
    and issubclass(kind, WeftError)
    and ("__init__" not in vars(kind) or kind is errors.UnknownCollection)
}
"""Classes that are made of one text."""

_GONE = (errors.UnknownCollection, errors.UnknownTenant)
"""What is gone is gone: the same request will never be taken."""


def failed(error: WeftError) -> CallFailed:
    """The failure of a call that ended with `error`, on the node that raised it."""
    reason = f"{type(error).__name__}: {error}"
    return CallFailed(Failure(reason, is_final=isinstance(error, _GONE)), error=error)


def failure_message(failed: CallFailed) -> wire.Failure:
    """Write a failure."""
    message = wire.Failure(
        reason=_sendable(failed.failure.reason), is_final=failed.failure.is_final
    )
    if failed.error is not None:
        message.error, message.error_text = _described(failed.error)
    if failed.moved is not None:
        message.moved.CopyFrom(
            wire.Moved(
                collection=failed.moved.collection,
                revision=failed.moved.revision,
                state=failed.moved.state,
            )
        )
    return message


def failure_of(message: wire.Failure) -> CallFailed:
    """Read it back."""
    moved = None
    if message.HasField("moved"):
        told = message.moved
        moved = Moved(CollectionName(told.collection), told.revision, told.state)
    error = None
    if message.error:
        error = _NAMED.get(message.error, WeftError)(message.error_text)
    return CallFailed(Failure(message.reason, message.is_final), error=error, moved=moved)


def _described(error: WeftError) -> tuple[str, str]:
    """The class that the other side makes it of, and the text for that."""
    text = error.name if isinstance(error, errors.UnknownCollection) else str(error)
    for kind in type(error).__mro__:
        if _NAMED.get(kind.__name__) is kind:
            return kind.__name__, _sendable(text)
    raise AssertionError(f"{type(error).__name__} is no WeftError")


def _sendable(text: str) -> str:
    """A text that may quote a request, as protobuf takes it: half surrogate pairs are replaced."""
    return text[:_REASON_CHARS_MAX].encode(errors="replace").decode()
