"""Calls: which requests of one coordination are still without an answer, and what each was for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from weftdb.cluster.replication.effects import AnyRequest, CallNumber, Send
from weftdb.core.types import NodeName

PurposeT = TypeVar("PurposeT")


@dataclass(frozen=True, slots=True)
class OpenCall(Generic[PurposeT]):
    """A request that was sent to `to`, and why."""

    to: NodeName
    purpose: PurposeT


@dataclass(slots=True)
class Calls(Generic[PurposeT]):
    """Numbers requests and matches what comes back."""

    _made: int = 0
    _open: dict[CallNumber, OpenCall[PurposeT]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._open)

    def __len__(self) -> int:
        return len(self._open)

    def open(self, to: NodeName, request: AnyRequest, purpose: PurposeT) -> Send:
        """Make a request that is waited for from now on."""
        call = CallNumber(self._made)
        self._made += 1
        self._open[call] = OpenCall(to, purpose)
        return Send(call, to, request)

    def close(self, call: CallNumber) -> OpenCall[PurposeT] | None:
        """Stop waiting for `call`; None when nobody waits for it any more: a second or late answer.

        Requires: the call was made. A stranger's answer is the driver's mistake.
        """
        assert 0 <= call < self._made, f"call {call} was never made, only {self._made} were"
        return self._open.pop(call, None)

    def close_all(self) -> list[OpenCall[PurposeT]]:
        """Stop waiting altogether; in the order in which the requests were made."""
        closed = list(self._open.values())
        self._open.clear()
        return closed

    def waiting(self) -> list[OpenCall[PurposeT]]:
        """Every open call, in the order in which the requests were made."""
        return list(self._open.values())
