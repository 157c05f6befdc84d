"""Filters: conditions on the columns of the sentences, which rows they allow, and how they ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weftdb.proto.v1 import filters_pb2, search_pb2

from .datasets import Dataset, K, limits, nearest
from .sentences import RANKED_FIRST, Sentence

SECTION_SHARE = 0.01
EQUAL = filters_pb2.Filters.OPERATOR_EQUAL
AT_LEAST = filters_pb2.Filters.OPERATOR_GREATER_THAN_EQUAL
AT_MOST = filters_pb2.Filters.OPERATOR_LESS_THAN_EQUAL


@dataclass(frozen=True)
class Filter:
    """One condition; `allowed` is bool[rows]."""

    name: str
    condition: filters_pb2.Filters
    allowed: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Share of the rows that are allowed."""
        return float(self.allowed.mean())

    def applied(self, request: search_pb2.SearchRequest) -> bytes:
        """The request with this filter, serialised."""
        request.filters.CopyFrom(self.condition)
        return request.SerializeToString()

    def narrowed(self, data: Dataset) -> Dataset:
        """The same rows and queries with what is true among the allowed."""
        numbers = np.flatnonzero(self.allowed)
        rows = np.ascontiguousarray(data.rows[numbers])
        if len(rows) <= K:
            truth = np.tile(np.arange(len(rows)), (len(data.queries), 1))
        else:
            truth = nearest(data.metric, rows, data.queries)
        limit = limits(data.metric, rows, data.queries, truth)
        return replace(data, truth=numbers[truth], limit=limit)


def condition(
    column: str, operator: filters_pb2.Filters.Operator, value: str | int
) -> filters_pb2.Filters:
    """A comparison of one column with one value."""
    made = filters_pb2.Filters(operator=operator)
    made.target.property = column
    if isinstance(value, str):
        made.value_text = value
    else:
        made.value_int = value
    return made


def filters_of(sentences: Sequence[Sentence]) -> list[Filter]:
    """The six filters of the promises, from wide to narrow; the section is the one nearest 1 %."""
    year = np.array([item.year for item in sentences])
    rank = np.array([item.rank for item in sentences])
    source = np.array([item.source for item in sentences])
    section = np.array([item.section for item in sentences])
    counts = Counter(item.section for item in sentences)
    wanted = SECTION_SHARE * len(sentences)
    chosen = min(counts, key=lambda name: (abs(counts[name] - wanted), name))
    return [
        Filter("year >= 2024", condition("year", AT_LEAST, 2024), year >= 2024),
        Filter(
            "source = scripting", condition("source", EQUAL, "scripting"), source == "scripting"
        ),
        Filter("year = 2019", condition("year", EQUAL, 2019), year == 2019),
        Filter("rank present", condition("rank", AT_LEAST, 1), rank > 0),
        Filter(f"section = {chosen}", condition("section", EQUAL, chosen), section == chosen),
        Filter(
            f"rank <= {RANKED_FIRST}", condition("rank", AT_MOST, RANKED_FIRST),
            (rank > 0) & (rank <= RANKED_FIRST),
        ),
    ]  # fmt: skip
