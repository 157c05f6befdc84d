"""The values of the Protocol: what no store would take is refused before anything is sent."""

from __future__ import annotations

import pytest

from weftdb.cluster.metadata.store import (
    Delete,
    Exists,
    Put,
    Transaction,
    check_key,
    prefix_end,
)
from weftdb.core.errors import LimitExceeded
from weftdb.core.limits import (
    METADATA_CHANGES_MAX,
    METADATA_KEY_BYTES_MAX,
    METADATA_TRANSACTION_BYTES_MAX,
)


def test_too_many_parts_are_refused() -> None:
    most = tuple(Put(f"/{number}", b"") for number in range(METADATA_CHANGES_MAX))
    conditions = tuple(Exists(f"/{number}") for number in range(METADATA_CHANGES_MAX))
    Transaction(most, conditions)
    with pytest.raises(LimitExceeded, match="128 changes"):
        Transaction((*most, Delete("/more")))
    with pytest.raises(LimitExceeded, match="128 conditions"):
        Transaction((Delete("/a"),), (*conditions, Exists("/more")))


def test_too_many_bytes_are_refused_and_the_largest_key_is_named() -> None:
    with pytest.raises(LimitExceeded, match="largest key: /big"):
        Transaction((Put("/small", b"x"), Put("/big", b"x" * METADATA_TRANSACTION_BYTES_MAX)))
    with pytest.raises(LimitExceeded, match="a metadata key of"):
        Transaction((Delete("/" + "k" * METADATA_KEY_BYTES_MAX),))


def test_the_size_counts_every_part() -> None:
    transaction = Transaction((Put("/ä", b"12345"), Delete("/b")), (Exists("/c"),))
    assert transaction.size >= len(b"12345") + 3 + 2 + 2


def test_bugs_are_assertions() -> None:
    with pytest.raises(AssertionError, match="twice"):
        Transaction((Put("/a", b""), Delete("/a")))
    with pytest.raises(AssertionError, match="without a change"):
        Transaction(())
    with pytest.raises(AssertionError, match="slash"):
        check_key("a")


@pytest.mark.parametrize("prefix", ["/", "/a", "/é", "/\U0010ffff"])
def test_the_end_of_a_prefix_is_behind_all_that_begin_with_it(prefix: str) -> None:
    end = prefix_end(prefix.encode())
    for rest in ("", "a", "\U0010ffff" * 3):
        assert prefix.encode() <= (prefix + rest).encode() < end
