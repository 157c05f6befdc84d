"""Decides what kind of read a query is and how deep it must look. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from weftdb.core.config import QueryConfig
from weftdb.core.errors import InvalidRequest, LimitExceeded, Unsupported
from weftdb.core.query import Mmr, Search


class Read(Enum):
    """The kinds of reads."""

    LIST = "list"
    CURSOR = "cursor"
    SORTED = "sorted"
    VECTOR = "vector"
    KEYWORD = "keyword"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Plan:
    """`depth` hits are ranked, [offset, offset + limit) of them are given back."""

    read: Read
    limit: int
    offset: int

    @property
    def depth(self) -> int:
        """How many hits must be known."""
        return self.offset + self.limit


def plan_search(query: Search, config: QueryConfig) -> Plan:
    """Check the parts of `query` against each other. Raises InvalidRequest, LimitExceeded,
    Unsupported."""
    searches = [part for part in (query.near, query.keyword, query.hybrid) if part is not None]
    if len(searches) > 1:
        raise InvalidRequest("at most one of near, bm25 and hybrid can be searched at a time")
    _check_cursor(query, is_search=bool(searches))
    if searches and query.sort:
        raise InvalidRequest("sorting cannot be combined with search")
    limit = config.default_limit if query.limit is None else query.limit
    check_window(query.offset, limit, config.maximum_results)
    mmr = _mmr_of(query)
    if mmr is not None:
        _check_mmr(mmr, limit)
    if query.group_by is not None:
        raise Unsupported("grouping search results is not part of this build yet")
    if query.keyword is not None and not query.keyword.query:
        raise InvalidRequest("keyword search (bm25) must have query set")
    return Plan(read=read_of(query), limit=limit, offset=query.offset)


def read_of(query: Search) -> Read:
    """What kind of read a query is."""
    if query.near is not None:
        return Read.VECTOR
    if query.keyword is not None:
        return Read.KEYWORD
    if query.hybrid is not None:
        return Read.HYBRID
    if query.sort:
        return Read.SORTED
    return Read.CURSOR if query.after is not None else Read.LIST


def _check_cursor(query: Search, *, is_search: bool) -> None:
    if query.after is None:
        return
    clashes = [
        name
        for name, present in (
            ("offset", query.offset != 0),
            ("where", query.filter is not None),
            ("sort", bool(query.sort)),
            ("other params", is_search or query.group_by is not None or query.autocut > 0),
        )
        if present
    ]
    if query.limit is None:
        raise InvalidRequest("cursor api: invalid 'after' parameter: limit parameter is not set")
    if clashes:
        raise InvalidRequest(
            "cursor api: invalid 'after' parameter: "
            f"{','.join(clashes)} cannot be set with after and limit parameters"
        )


def check_window(offset: int, limit: int, maximum: int) -> None:
    """Check that [offset, offset + limit) lies within `maximum`. Raises LimitExceeded."""
    if offset < 0 or limit < 0 or offset + limit > maximum:
        raise LimitExceeded(
            "query maximum results exceeded: the total limit calculated from the provided offset "
            f"'{offset}' and limit '{limit}' exceeds the configured value for "
            f"QUERY_MAXIMUM_RESULTS '{maximum}'. If you've supplied a negative offset or limit, "
            "this may be an underflow error"
        )


def _mmr_of(query: Search) -> Mmr | None:
    if query.near is not None:
        return query.near.mmr
    return query.hybrid.mmr if query.hybrid is not None else None


def _check_mmr(mmr: Mmr, limit: int) -> None:
    if mmr.limit is not None and mmr.limit < 1:
        raise InvalidRequest("MMR limit must be at least 1")
    if mmr.limit is not None and mmr.limit > limit:
        raise InvalidRequest(
            f"MMR limit ({mmr.limit}) cannot be larger than the query limit ({limit})"
        )
    if mmr.balance is not None and not 0 <= mmr.balance <= 1:
        raise InvalidRequest("MMR balance must be between 0 and 1")
