"""Does every exception have its codes?"""

from __future__ import annotations

from weftdb.core import errors
from weftdb.core.errors import Fault, RequestError, Unavailable, WeftError
from weftdb.server.errors import CODES, codes_of
from weftdb.server.grpc.status import Status


def leaves(kind: type[WeftError]) -> list[type[WeftError]]:
    ours = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    below = [leaf for child in ours for leaf in leaves(child)]
    return below or [kind]


def test_the_table_is_complete_and_exact() -> None:
    assert set(leaves(WeftError)) == set(CODES)


def test_requests_at_fault_are_never_retried() -> None:
    for kind, codes in CODES.items():
        if issubclass(kind, RequestError):
            assert 400 <= codes.http < 500 or kind is errors.Unsupported
            assert codes.grpc is not Status.UNAVAILABLE
        if issubclass(kind, (Unavailable, Fault)):
            assert codes.http >= 500


def test_the_closest_class_counts() -> None:
    class NarrowLimit(errors.LimitExceeded):
        """A leaf of somebody else."""

    assert codes_of(NarrowLimit("x")) == CODES[errors.LimitExceeded]
    assert codes_of(WeftError("x")).http == 500
