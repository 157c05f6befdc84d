"""The search planner as a table: what is known before a search, and the way it goes."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.kernels import _native

MILLION = 1_000_000
UNKNOWN = -1.0


def plan(
    eligible: int,
    *,
    cutoff: int | None = None,
    strategy: str = "",
    costs: tuple[float, float] = (80.0, 30.0),
    sketched: int = 0,
    around: float = UNKNOWN,
    **given: Any,
) -> tuple[str, str, int, str, str, bool, int]:
    """Plan for a million docs, k 10, ef 100, a filter; `given` says otherwise."""
    known = {"is_filtered": True, "live": MILLION, "k": 10, "ef": 100, "links": 32} | given
    known = {"slots": known["live"], "linked": known["live"]} | known
    return _native.plan_search(
        eligible=eligible,
        random_ns=costs[0],
        sequential_ns=costs[1],
        sketched=sketched,
        sketch_ns=0.6,
        lone_sketch_ns=6.0,
        around=around,
        bounds=_native.SearchBounds(cutoff, strategy),
        **known,
    )


@pytest.mark.parametrize(
    ("eligible", "given", "way"),
    [
        # Nothing is set: what costs least.
        (MILLION, {"is_filtered": False}, "plain"),
        (MILLION, {}, "plain"),
        (990_000, {}, "sweeping"),
        (900_000, {}, "two-hop"),
        (500_000, {}, "two-hop"),
        (100_000, {}, "two-hop"),
        (30_000, {}, "two-hop"),
        (10_000, {}, "exact"),
        (2_000, {}, "exact"),
        (100, {}, "exact"),
        (0, {}, "exact"),
        # A long beam makes walks dear.
        (30_000, {"ef": 2000}, "exact"),
        (500_000, {"ef": 2000}, "two-hop"),
        (500_000, {"ef": 5000}, "sweeping"),
        # Few docs are scanned, with a filter or without.
        (900, {"live": 900, "is_filtered": False}, "exact"),
        (500, {"live": 900}, "exact"),
        # What is asked for is everything.
        (5_000, {"k": 5_000}, "exact"),
        # Nothing is linked yet: all of it is the tail.
        (MILLION, {"linked": 0, "is_filtered": False}, "exact"),
        (MILLION, {"linked": 0}, "exact"),
        # flatSearchCutoff binds on both sides.
        (39_999, {"cutoff": 50_000}, "exact"),
        (900_000, {"cutoff": 950_000}, "exact"),
        (MILLION, {"cutoff": 2 * MILLION}, "exact"),
        (50_000, {"cutoff": 50_000}, "two-hop"),
        (3_000, {"cutoff": 1_000}, "two-hop"),
        (999, {"cutoff": 1_000}, "exact"),
        (3_000, {"cutoff": 0}, "two-hop"),
        # It speaks of filtered searches only.
        (MILLION, {"cutoff": 2 * MILLION, "is_filtered": False}, "plain"),
        # filterStrategy binds where a walk is taken.
        (500_000, {"strategy": "sweeping"}, "sweeping"),
        (30_000, {"strategy": "sweeping"}, "exact"),
        (30_000, {"strategy": "sweeping", "cutoff": 1_000}, "sweeping"),
        (990_000, {"strategy": "acorn"}, "two-hop"),
    ],
)
def test_table(eligible: int, given: dict[str, Any], way: str) -> None:
    found, reason, ef, overrides, fallback, asks_around, places = plan(eligible, **given)
    assert found == way, reason
    assert reason
    assert ef == max(given.get("ef", 100), given.get("k", 10))
    assert overrides == ""
    assert fallback == "exact"
    assert not asks_around
    assert places == (ef if found in {"plain", "sweeping", "two-hop"} else 0)


def test_costs_decide_between_scan_and_plain_walk() -> None:
    dear_walk, *_ = plan(5_000, live=5_000, is_filtered=False, costs=(200.0, 10.0))
    dear_scan, *_ = plan(5_000, live=5_000, is_filtered=False, costs=(30.0, 30.0))
    assert (dear_walk, dear_scan) == ("exact", "plain")


def test_deleted_slots_make_sweeping_dearer_not_the_scan() -> None:
    assert plan(20_000, strategy="sweeping", live=500_000, slots=MILLION)[0] == "exact"


@pytest.mark.parametrize(
    ("eligible", "given", "way", "asks"),
    [
        # A walk is looked into before it is taken: sketches could stand in for it.
        (900_000, {}, "sweeping", True),
        (200_000, {}, "sweeping", True),
        (140_000, {}, "two-hop", True),
        (990_000, {}, "sweeping", True),
        (900_000, {"around": 0.9}, "sweeping", False),
        (500_000, {"around": 0.9}, "sweeping", False),
        (500_000, {"around": 0.38}, "sweeping", False),
        (500_000, {"around": 0.37}, "two-hop", False),
        (900_000, {"around": 0.9, "strategy": "acorn"}, "two-hop", False),
        (900_000, {"around": 0.0}, "sketched", False),
        (900_000, {"around": 0.55}, "sketched", False),
        (500_000, {"around": 0.1}, "sketched", False),
        (100_000, {"around": 1.0}, "two-hop", False),
        # What sketches do for less than a walk.
        (30_000, {}, "sketched", False),
        (30_000, {"around": 0.03}, "sketched", False),
        (10_000, {}, "sketched", False),
        (500_000, {"ef": 2000}, "sketched", False),
        (500_000, {"ef": 2000, "around": 0.5}, "sketched", False),
        # Few are measured at once.
        (100, {}, "exact", False),
        # A cutoff says what is scanned, exactly, and what is walked to.
        (30_000, {"cutoff": 40_001}, "exact", False),
        (30_000, {"cutoff": 1_000}, "two-hop", False),
        (30_000, {"cutoff": 1_000, "around": 0.0}, "two-hop", False),
        # A strategy binds where a walk is taken.
        (30_000, {"strategy": "sweeping"}, "sketched", False),
        (900_000, {"strategy": "sweeping"}, "sweeping", False),
        # They are for filters.
        (MILLION, {"is_filtered": False}, "plain", False),
        # Most have none yet: what has none is scanned as it is.
        (100_000, {"sketched": 100_000}, "two-hop", True),
    ],
)
def test_table_with_sketches(eligible: int, given: dict[str, Any], way: str, asks: bool) -> None:
    found, reason, _, _, fallback, asks_around, _ = plan(eligible, **{"sketched": MILLION} | given)
    assert (found, asks_around) == (way, asks), reason
    may_scan = "cutoff" not in given and given.get("is_filtered", True)
    assert fallback == ("sketched" if may_scan and found in {"two-hop", "sweeping"} else "exact"), (
        reason
    )


@pytest.mark.parametrize(
    ("eligible", "given", "places"),
    [
        # Of 100 nodes that a plain walk has places for, so many are allowed.
        (500_000, {"around": 0.5}, 50),
        (500_000, {"around": 0.4}, 50),
        (500_000, {"around": 0.8}, 80),
        (500_000, {}, 50),
        (900_000, {"around": 1.0}, 100),
        # What is asked for has room, twice.
        (200_000, {"around": 0.2, "k": 15}, 30),
        (200_000, {"around": 0.2, "k": 20}, 40),
        # Who asks to sweep, or has nearly everything allowed, gets places for all of `ef`.
        (900_000, {"strategy": "sweeping"}, 100),
        (990_000, {"around": 0.99}, 100),
    ],
)
def test_a_walk_among_what_is_mostly_allowed_has_places_for_that(
    eligible: int, given: dict[str, Any], places: int
) -> None:
    found, reason, ef, *_, asked = plan(eligible, **{"sketched": MILLION} | given)
    assert (found, ef, asked) == ("sweeping", 100, places), reason


def test_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="no such filter strategy: astrology"):
        _native.SearchBounds(None, "astrology")
