"""The query as data. Doors build these values; the engine plans and runs them.

Nothing here knows the wire: names are resolved (collection canonical, properties as in the schema),
vectors are float32 arrays, thresholds are distances or certainties as asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import InvalidRequest
from weftdb.core.search_explanation import SearchExplanation
from weftdb.core.types import ObjectId, VectorName


class Operator(Enum):
    """What a comparison does."""

    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"
    GREATER_THAN = "GreaterThan"
    GREATER_THAN_EQUAL = "GreaterThanEqual"
    LESS_THAN = "LessThan"
    LESS_THAN_EQUAL = "LessThanEqual"
    LIKE = "Like"
    IS_NULL = "IsNull"
    CONTAINS_ANY = "ContainsAny"
    CONTAINS_ALL = "ContainsAll"
    CONTAINS_NONE = "ContainsNone"
    WITHIN_GEO_RANGE = "WithinGeoRange"


class ValueKind(Enum):
    """The type tag that the caller put on a filter value: GraphQL/REST `valueInt`, gRPC
    `value_int`. Kept because a value of another type than the property's is an error that names
    both ("data type filter cannot use "valueInt" on type "text", use "valueText" instead")."""

    TEXT = "valueText"
    INT = "valueInt"
    NUMBER = "valueNumber"
    BOOLEAN = "valueBoolean"
    DATE = "valueDate"
    GEO = "valueGeoRange"


@dataclass(frozen=True, slots=True)
class GeoRange:
    """A circle on the globe: centre in degrees, radius in metres."""

    latitude: float
    longitude: float
    distance_m: float


ScalarValue: TypeAlias = str | int | float | bool
FilterValue: TypeAlias = ScalarValue | tuple[ScalarValue, ...] | GeoRange


class Aspect(Enum):
    """Which side of a property a filter looks at."""

    VALUE = "value"
    LENGTH = "length"
    """`len(prop)`: characters of text, elements of arrays."""
    COUNT = "count"
    """How many references a reference property holds."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One leaf of a filter. `path` is the way to the property: one name; three or more for a
    property of a referenced object (reference, collection, property). The pseudo properties
    `_id`, `_creationTimeUnix`, `_lastUpdateTimeUnix` stand for the object's own fields."""

    operator: Operator
    path: tuple[str, ...]
    value: FilterValue
    kind: ValueKind
    aspect: Aspect = Aspect.VALUE


@dataclass(frozen=True, slots=True)
class And:
    """All operands hold. At least one operand."""

    operands: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any operand holds. At least one operand."""

    operands: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The operand does not hold."""

    operand: Filter


Filter: TypeAlias = Comparison | And | Or | Not


class Combination(Enum):
    """How the distances of several target vectors become one."""

    SUM = "sum"
    MINIMUM = "minimum"
    AVERAGE = "average"
    RELATIVE_SCORE = "relativeScore"
    MANUAL = "manualWeights"


@dataclass(frozen=True, slots=True)
class Mmr:
    """Maximal marginal relevance over the first `limit` hits: `balance` 1 keeps their order, 0
    spreads them as far as possible."""

    limit: int | None
    balance: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """One vector that is searched with one query vector. `vector` is None while it still has to be
    made from a text or an object; `float32[rows, dim]` asks a multi-vector."""

    name: VectorName
    vector: NDArray[np.float32] | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Threshold:
    """At most one of the two; both inclusive."""

    distance: float | None = None
    certainty: float | None = None


@dataclass(frozen=True, slots=True)
class NearVector:
    """Closest to given vectors. An empty `targets` name was not given: the only vector is meant."""

    targets: tuple[Target, ...]
    combination: Combination = Combination.MINIMUM
    threshold: Threshold = Threshold()
    mmr: Mmr | None = None


@dataclass(frozen=True, slots=True)
class NearObject:
    """Closest to a stored object (which is part of the answer). `targets` carry no vectors."""

    id: ObjectId
    targets: tuple[Target, ...] = ()
    combination: Combination = Combination.MINIMUM
    threshold: Threshold = Threshold()
    mmr: Mmr | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Moves the query towards (or away from) concepts and objects."""

    force: float
    concepts: tuple[str, ...] = ()
    objects: tuple[ObjectId, ...] = ()


@dataclass(frozen=True, slots=True)
class NearText:
    """Closest to the embedding of texts; needs a collection with a text vectorizer."""

    concepts: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    combination: Combination = Combination.MINIMUM
    threshold: Threshold = Threshold()
    move_to: Move | None = None
    move_away: Move | None = None
    mmr: Mmr | None = None


Near: TypeAlias = NearVector | NearObject | NearText


class TermOperator(Enum):
    """Which of the query's terms must be there."""

    OR = "Or"
    AND = "And"
    AND_CROSS = "AndCross"


@dataclass(frozen=True, slots=True)
class Keyword:
    """BM25. `properties` as (name, boost); empty means every searchable text property."""

    query: str
    properties: tuple[tuple[str, float], ...] = ()
    operator: TermOperator = TermOperator.OR
    minimum_match: int = 1


class Fusion(Enum):
    """How hybrid joins its two legs."""

    RANKED = "rankedFusion"
    RELATIVE_SCORE = "relativeScoreFusion"


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Keyword and vector search joined. `near` None means: embed the query (or keyword only, when
    alpha is 0). `vector_distance_max` cuts the vector leg, and the keyword hits not in it."""

    query: str
    near: Near | None = None
    properties: tuple[tuple[str, float], ...] = ()
    alpha: float = 0.75
    fusion: Fusion = Fusion.RELATIVE_SCORE
    operator: TermOperator = TermOperator.OR
    minimum_match: int = 1
    vector_distance_max: float | None = None
    targets: tuple[Target, ...] = ()
    combination: Combination = Combination.MINIMUM
    mmr: Mmr | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key; `_id` and the two times may stand for a property."""

    path: tuple[str, ...]
    ascending: bool = True


@dataclass(frozen=True, slots=True)
class GroupBy:
    """Groups ranked hits by a property's value."""

    path: tuple[str, ...]
    groups: int
    objects_per_group: int


@dataclass(frozen=True, slots=True)
class RecallTarget:
    """The share of the true neighbours that a search is to find, 0 to 1, both excluded."""

    recall: float


def recall_target(value: object, name: str) -> RecallTarget:
    """Read a recall given as a number or as a text under `name`. Raises InvalidRequest."""
    try:
        recall = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        recall = 0.0
    if not 0.0 < recall < 1.0:
        raise InvalidRequest(f"{name}: {value!r} is no recall between 0 and 1")
    return RecallTarget(recall)


Reach = int | RecallTarget | None
"""How far a vector search looks: its ef, the recall it has to reach, or None: as configured."""


@dataclass(frozen=True, slots=True)
class Search:
    """One read of one collection. At most one of `near`, `keyword`, `hybrid`; none is a list.

    `limit` None takes the default. `after` is the cursor (only without search, filter, sort,
    offset). `vectors` names the vectors to give back with each hit.
    """

    collection: str
    tenant: str = ""
    near: Near | None = None
    keyword: Keyword | None = None
    hybrid: Hybrid | None = None
    filter: Filter | None = None
    limit: int | None = None
    offset: int = 0
    after: ObjectId | None = None
    autocut: int = 0
    sort: tuple[Sort, ...] = ()
    group_by: GroupBy | None = None
    vectors: tuple[VectorName, ...] = ()
    explain: bool = False
    ef: Reach = None


@dataclass(slots=True)
class Hits:
    """The answer, in columns. All lists that are there have the same length, best hit first.

    `stored` holds each object as it lies in the store (storage/object_codec.py): a door takes what
    it needs out of the bytes without making an object of each.
    """

    stored: list[bytes]
    distances: list[float] | None = None
    scores: list[float] | None = None
    explanations: list[str] | None = None
    vectors: Mapping[VectorName, list[NDArray[np.float32] | None]] = field(default_factory=dict)
    has_certainty: bool = False
    """True when the metric is cosine, so that certainty = 1 - distance / 2 means something."""
    groups: list[Group] | None = None
    is_consistent: list[bool] | None = None
    """Whether the replicas that were asked held the same of each object; None where one was."""
    vector_searches: tuple[SearchExplanation, ...] = ()
    """How each vector search went that had a part in the answer."""
    total: int | None = None
    """Size of the whole result where it is known without extra cost."""


@dataclass(frozen=True, slots=True)
class Group:
    """Positions in `Hits` that share a value."""

    name: str
    members: tuple[int, ...]
