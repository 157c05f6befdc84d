"""Objects that a list names by their ids, as clients read single objects through a search.

Such a list above ONE is a read of these objects at its level: no replica ranks them, so what a
majority has is found, also where the replica that would have ranked has missed it.
"""

from __future__ import annotations

from weftdb.core.errors import InvalidRequest
from weftdb.core.query import Aspect, Comparison, Operator, Search, ValueKind
from weftdb.core.types import ObjectId, parse_object_id

NAMED_MAX = 1_000
"""A list that names more is ranked by replicas, as every other one."""


def named_ids(query: Search) -> list[ObjectId] | None:
    """The ids in their order, each once, where `query` is a plain list of them; else None.

    What is no id is left to the filter, which says what is wrong with it.
    """
    condition = query.filter
    if not isinstance(condition, Comparison) or condition.path != ("_id",):
        return None
    is_searched = query.near or query.keyword or query.hybrid
    if is_searched or query.sort or query.group_by or query.after:
        return None
    if condition.aspect is not Aspect.VALUE or condition.kind is not ValueKind.TEXT:
        return None
    value = condition.value
    if condition.operator is Operator.EQUAL and isinstance(value, str):
        value = (value,)
    elif condition.operator is not Operator.CONTAINS_ANY:
        return None
    if not isinstance(value, tuple) or len(value) > NAMED_MAX:
        return None
    try:
        return sorted({parse_object_id(one) for one in value if isinstance(one, str)})
    except InvalidRequest:
        return None
