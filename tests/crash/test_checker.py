"""The checker's canaries: each planted loss must be found, and a healthy store must pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.checker import Sighting, check_all, check_entry
from tests.crash.ledger import ABSENT, Entry, Ledger


def entry_at(acknowledged: int, in_flight: int | None = None) -> Entry:
    return Entry("k", 0, acknowledged, in_flight, revisions=max(acknowledged, in_flight or 0))


def whole(revision: int) -> Sighting:
    """What a healthy server shows of an object."""
    if revision == ABSENT:
        return Sighting()
    return Sighting(revision, True, {revision}, {revision}, {revision})


@pytest.mark.parametrize(
    ("entry", "revision"),
    [
        (entry_at(3), 3),
        (entry_at(ABSENT), ABSENT),
        (entry_at(3, 4), 3),
        (entry_at(3, 4), 4),
        (entry_at(3, ABSENT), 3),
        (entry_at(3, ABSENT), ABSENT),
        (entry_at(ABSENT, 1), ABSENT),
    ],
)
def test_a_healthy_object_passes(entry: Entry, revision: int) -> None:
    assert check_entry(entry, whole(revision)) == []


@pytest.mark.parametrize(
    ("entry", "revision", "words"),
    [
        (entry_at(3), ABSENT, "the store shows no object"),
        (entry_at(3), 2, "the store shows revision 2"),
        (entry_at(3, 4), 2, "revision 3 or revision 4 was promised"),
        (entry_at(ABSENT), 5, "no object was promised"),
        (entry_at(3, ABSENT), 2, "no object or revision 3 was promised"),
    ],
)
def test_a_lost_or_resurrected_object_is_found(entry: Entry, revision: int, words: str) -> None:
    assert words in str(check_entry(entry, whole(revision))[0])


def lose_word(item: Sighting) -> None:
    item.keyword.clear()


def lose_tag(item: Sighting) -> None:
    item.filter.clear()


def lose_vector(item: Sighting) -> None:
    item.vector.clear()


def keep_old_word(item: Sighting) -> None:
    item.keyword.add(2)


def keep_old_vector(item: Sighting) -> None:
    item.vector.add(2)


def mix(item: Sighting) -> None:
    item.intact = False


def unlist(item: Sighting) -> None:
    item.listings["filter"] = False


PLANTED = [lose_word, lose_tag, lose_vector, keep_old_word, keep_old_vector, mix, unlist]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_half_written_object_is_found(plant: Callable[[Sighting], None]) -> None:
    sighting = whole(3)
    plant(sighting)
    assert len(check_entry(entry_at(3), sighting)) == 1


def test_a_posting_without_an_object_is_found() -> None:
    assert len(check_entry(entry_at(ABSENT), Sighting(ABSENT, True, {3}, set(), set()))) == 1


def test_strangers_and_wrong_counts_are_found() -> None:
    entries = {"k": entry_at(3)}
    sightings = {"k": whole(3)}
    assert check_all(entries, sightings, strangers=set(), counted=1) == []
    assert len(check_all(entries, sightings, strangers={"x"}, counted=2)) == 1
    assert len(check_all(entries, sightings, strangers=set(), counted=2)) == 1
    assert check_all(entries, {}, strangers=set(), counted=0) != []


def test_the_ledger_keeps_what_is_in_flight() -> None:
    ledger = Ledger()
    entry = ledger.add("k", 0)
    assert ledger.begin_write(entry) == 1
    ledger.acknowledge([entry])
    assert entry.allowed == {1}
    ledger.begin_delete(entry)
    assert entry.allowed == {1, ABSENT}
    ledger.freeze()
    ledger.acknowledge([entry])
    assert entry.allowed == {1, ABSENT}, "an answer after the freeze promises nothing"
    ledger.settle({"k": 1})
    assert entry.allowed == {1}
    assert entry.candidates == (1,)
