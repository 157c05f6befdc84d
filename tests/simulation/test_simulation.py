"""Runs of the whole cluster: promises hold, planted bugs are found, one seed is one run."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from .canaries import CANARIES
from .checkers import CHECKERS, check_all
from .plan import Size
from .report import Tally, tell_failure, trace
from .run import REPLICAS, Setting, play, play_seed, play_seeds
from .shrink import shrink

ROOT = Path(__file__).resolve().parents[2]
SEEDS = {"engine": 50, "model": 10}
SETTING = Setting()


@pytest.mark.parametrize("replica", REPLICAS)
def test_promises_hold(replica: str) -> None:
    tally = Tally()
    setting = replace(SETTING, replica=replica)
    for result in play_seeds(range(1, SEEDS[replica] + 1), setting, processes=1):
        tally.add(result)
        for violation in result.violations[:1]:
            small, runs = shrink(setting.plan(result.seed), violation, setting)
            pytest.fail(tell_failure(result.seed, violation, small, setting, runs=runs))
    assert tally.undecided == 0
    done = sum(count for name, count in tally.outcomes.items() if name.endswith("done"))
    assert done > SEEDS[replica] * SETTING.size.steps / 2, (
        f"hardly anything worked: {tally.outcomes}"
    )
    assert len(tally.outcomes) >= 8, f"something never happened: {tally.outcomes}"


def test_one_seed_is_one_run() -> None:
    """Also in other processes, with other hashes of strings."""
    here = Tally()
    for result in play_seeds(range(1, 5), Setting(Size(steps=40)), processes=1):
        here.add(result)
    answer = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", "4", "--steps", "40", "--jobs", "2"],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=120,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )  # fmt: skip
    assert f"digest {here.digest}" in answer.stdout


def test_seeds_differ() -> None:
    assert play_seed(3, SETTING).digest != play_seed(4, SETTING).digest


def test_every_checker_has_a_canary() -> None:
    assert set(CHECKERS) == {canary.catches for canary in CANARIES.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CANARIES)
def test_canaries_are_found(name: str) -> None:
    canary = CANARIES[name]
    setting = Setting(replica="model", canary=name)
    for seed in range(1, canary.seeds_max + 1):
        found = {violation.checker for violation in play_seed(seed, setting).violations}
        if canary.catches in found:
            return
    pytest.fail(f"{canary.tells}: {canary.catches} objects to none of {canary.seeds_max} seeds")


def test_a_failure_tells_how_to_come_back() -> None:
    setting = Setting(replica="model", canary="applies_anything")
    seed = next(s for s in range(1, 40) if play_seed(s, setting).violations)
    violation = check_all(play(setting.plan(seed), setting).facts)[0]
    small, runs = shrink(setting.plan(seed), violation, setting)
    assert len(small.steps) < len(setting.plan(seed).steps)
    told = tell_failure(seed, violation, small, setting, runs=runs)
    assert f"--seed {seed}" in told
    assert "--canary applies_anything" in told
    assert "last events" in told
    assert "apply" in trace(play(small, setting))
