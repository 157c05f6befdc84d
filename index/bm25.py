"""Keyword plans: what a BM25 query asks of the inverted index, as data.

Properties that cut and clean the query in the same way form a group; a group has one list of terms.
The score of a doc is

    sum over properties p, terms t:
        boost(p) * count(t) * idf(t) * f / (f + k1 * (1 - b + b * l / a(p)))
    idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5))

f: how often t is in p of the doc, l: terms in p of the doc, a(p): mean of l over the docs that have
p, N: live docs, n: live docs with t, averaged over the group's properties that have any and rounded
down (as the recorded server does it). Native code computes it (index/kernels/src/bm25.h).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from weftdb.core.codec import encode_text
from weftdb.core.errors import InvalidRequest
from weftdb.core.query import Keyword, TermOperator
from weftdb.core.schema import Collection, DataType
from weftdb.index.stopwords import property_stopwords
from weftdb.index.tokenizer import Tokenize, tokenizer_of

OPERATOR_CODES = {TermOperator.OR: 0, TermOperator.AND: 1, TermOperator.AND_CROSS: 2}
"""By their numbers in native code (bm25.h)."""


@dataclass(frozen=True, slots=True)
class KeywordGroup:
    """Properties with their boosts, and the terms that the query has for all of them."""

    properties: tuple[tuple[str, float], ...]
    terms: tuple[str, ...]
    keys: tuple[bytes, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeywordPlan:
    """A keyword query, ready to run. Without groups nothing is found."""

    groups: tuple[KeywordGroup, ...]
    operator: TermOperator
    terms_min: int


@dataclass(frozen=True, slots=True)
class _Likeness:
    """How properties of one group cut and clean a query."""

    tokenize: Tokenize
    stopwords: frozenset[str]


class KeywordPlanner:
    """Makes the plans of one collection; compiled once a schema. Immutable."""

    def __init__(self, collection: Collection) -> None:
        self._groups: list[_Likeness] = []
        self._group_of: dict[str, int] = {}
        """By searchable property."""
        known: dict[object, int] = {}
        for item in collection.properties:
            if not item.searchable or item.data_type is not DataType.TEXT:
                continue
            stopwords = property_stopwords(collection, item)
            likeness = (item.tokenization, item.analyzer, stopwords)
            if likeness not in known:
                known[likeness] = len(self._groups)
                self._groups.append(_Likeness(tokenizer_of(item), stopwords))
            self._group_of[item.name] = known[likeness]

    def plan(self, keyword: Keyword) -> KeywordPlan:
        """Cut the query for every searched property.

        Raises InvalidRequest for a property that is not searchable, a boost that is negative or no
        number, and for AND across properties that cut texts differently.
        """
        boosts = dict(keyword.properties) or dict.fromkeys(self._group_of, 1.0)
        members: dict[int, list[tuple[str, float]]] = {}
        for name, boost in boosts.items():
            if name not in self._group_of:
                raise InvalidRequest(
                    f"Searching by property '{name}' requires inverted index. Is "
                    f"`indexSearchable` option of property '{name}' enabled? Set it to `true` or "
                    "leave empty"
                )
            if not (math.isfinite(boost) and boost >= 0):
                raise InvalidRequest(f"boost of property {name!r} must not be negative: {boost}")
            members.setdefault(self._group_of[name], []).append((name, boost))
        if keyword.operator is TermOperator.AND_CROSS and len(members) > 1:
            raise InvalidRequest(
                "operator AND_CROSS requires all searched properties to share the same "
                "tokenization and analyzer settings"
            )
        groups = []
        for number, properties in members.items():
            how = self._groups[number]
            terms: dict[str, int] = {}
            for word in how.tokenize(keyword.query):
                if word not in how.stopwords:
                    terms[word] = terms.get(word, 0) + 1
            if terms:
                keys = tuple([encode_text(term) for term in terms])
                groups.append(
                    KeywordGroup(tuple(properties), tuple(terms), keys, tuple(terms.values()))
                )
        return KeywordPlan(tuple(groups), keyword.operator, max(1, keyword.minimum_match))


def plan_keyword(keyword: Keyword, collection: Collection) -> KeywordPlan:
    """Plan one query; who plans many keeps a `KeywordPlanner`."""
    return KeywordPlanner(collection).plan(keyword)


def explanation(plan: KeywordPlan, matches: Sequence[tuple[int, int]]) -> str:
    """What a hit's `explain_score` says: frequency and property length of each matching term.

    `matches` has (frequency, length) of every term of the plan, frequency 0 where it is missing.
    """
    terms = [term for group in plan.groups for term in group.terms]
    parts = [
        f", BM25F_{term}_frequency:{frequency}, BM25F_{term}_propLength:{length}"
        for term, (frequency, length) in zip(terms, matches, strict=True)
        if frequency
    ]
    return "".join(parts)
