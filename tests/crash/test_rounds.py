"""Ten crash rounds against a real server, through the official client."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

pytest.importorskip("weaviate", reason="needs weaviate-client")

from tests.crash.rounds import play

ROUNDS = 10


@pytest.mark.filterwarnings("ignore")
def test_every_acknowledged_write_survives(short_tmp: Path) -> None:
    seed = int(os.environ.get("WEFTDB_CRASH_SEED", secrets.randbits(32)))
    report = play(short_tmp / "data", rounds=ROUNDS, seed=seed)
    assert report.is_clean, report
    assert report.rounds == ROUNDS
    assert report.acknowledged > ROUNDS, "the writers wrote next to nothing"
