"""Sentences: several hundred thousand real short texts with columns, cut from package descriptions.

Every description gives its lines and its sentences, each text once. `section` and `source` are
those of the package, so they go with what a text is about; `year` and `rank` are drawn.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SEED = 20_264
TEXT_LENGTH_MIN = 12
SOURCES = {
    "perl": "scripting", "python": "scripting", "ruby": "scripting", "javascript": "scripting",
    "libs": "libraries", "libdevel": "libraries", "oldlibs": "libraries",
}  # fmt: skip
"""Kinds of packages: 22 % of the texts are about scripting, and lie close together."""
YEARS = (*range(2010, 2024), 2024, 2025, 2026)
YEARS_OLD_SHARE = (0.413 - 0.038) / 13
"""Share of each year of 2010-2023 but 2019 (3.8 %); the last three have 58.7 %."""
RANKED_SHARE = 0.018
RANKED_FIRST = 500
RANKED_FIRST_SHARE = 0.0006

_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\n\s*\n|\n\s*[*\-]|\n(?= )")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One text with the columns that filters ask for; `rank` is 0 where there is none."""

    text: str
    section: str
    source: str
    year: int
    rank: int


def pieces(text: str) -> Iterator[str]:
    """Sentences, then lines of one description; short remains are left out."""
    for piece in (*_SENTENCE_END.split(text), *text.split("\n")):
        clean = " ".join(piece.split()).strip(" .*-")
        if len(clean) >= TEXT_LENGTH_MIN:
            yield clean


def year_of(uniform: float) -> int:
    """A year for a number in [0, 1): 2019 is 3.8 %, 2024 and later 58.7 %."""
    edge = 0.0
    for year in YEARS[:14]:
        edge += 0.038 if year == 2019 else YEARS_OLD_SHARE
        if uniform < edge:
            return year
    return YEARS[14 + int((uniform - edge) / (1 - edge) * 3)]


def ranks(count: int) -> list[int]:
    """Ranks for 1.8 % of the texts; 0.06 % have one of `RANKED_FIRST` or better."""
    random = np.random.default_rng(SEED + 1)
    drawn = random.random(count)
    low = random.integers(1, RANKED_FIRST + 1, count)
    high = random.integers(RANKED_FIRST + 1, 100_000, count)
    first = drawn < RANKED_FIRST_SHARE
    ranked = drawn < RANKED_SHARE
    return [int(item) for item in np.where(first, low, np.where(ranked, high, 0))]


def read_sentences(path: Path) -> list[Sentence]:
    """All distinct texts of a file of packages, shuffled by seed."""
    found: dict[str, str] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            package = json.loads(line)
            for text in pieces(f"{package['summary']}\n{package['description']}"):
                found.setdefault(text, package["section"])
    texts = list(found.items())
    random = np.random.default_rng(SEED)
    order = random.permutation(len(texts))
    years = random.random(len(texts))
    rank_of = ranks(len(texts))
    return [
        Sentence(
            text=texts[number][0],
            section=texts[number][1],
            source=SOURCES.get(texts[number][1], "other"),
            year=year_of(float(years[place])),
            rank=rank_of[place],
        )
        for place, number in enumerate(order)
    ]
