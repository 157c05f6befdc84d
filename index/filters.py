"""Filters: which objects a condition selects.

`compile_filter` checks a condition against its collection and turns it into a plan without reading
anything; `evaluate` runs it. Text is compared term by term: a value holds if all its terms hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyroaring import BitMap

from weftdb.core.codec import TRUE, encode_int, encode_text
from weftdb.core.errors import (
    InvalidRequest,
    LimitExceeded,
    RequestError,
    SchemaViolation,
    Unsupported,
)
from weftdb.core.limits import FILTER_DEPTH_MAX
from weftdb.core.query import (
    And,
    Aspect,
    Comparison,
    Filter,
    GeoRange,
    Not,
    Operator,
    Or,
    ScalarValue,
)
from weftdb.core.schema import Collection, DataType, Property
from weftdb.core.types import ObjectId, parse_object_id
from weftdb.index.fields import (
    CREATED,
    OBJECT_ID,
    UPDATED,
    has_length,
    has_presence,
    has_values,
    length_field,
    presence_field,
    value_field,
)
from weftdb.index.filter_operands import (
    encode_operand,
    encode_time,
    like_pattern,
    like_prefix,
    list_operand,
    scalar_operand,
)
from weftdb.index.filter_plan import (
    AllOf,
    AnyOf,
    Between,
    FilterReaders,
    HasId,
    IdBetween,
    IdPattern,
    NoneOf,
    Nothing,
    OneOf,
    Pattern,
    Place,
    Plan,
    Present,
    Within,
    run_plan,
)
from weftdb.index.filter_text import text_terms

_ORDERED = frozenset(
    {
        Operator.GREATER_THAN,
        Operator.GREATER_THAN_EQUAL,
        Operator.LESS_THAN,
        Operator.LESS_THAN_EQUAL,
    }
)
_CONTAINS = frozenset({Operator.CONTAINS_ANY, Operator.CONTAINS_ALL, Operator.CONTAINS_NONE})


def evaluate(condition: Filter, collection: Collection, readers: FilterReaders) -> BitMap:
    """The live docs that match. Raises RequestError before anything is read."""
    return run_plan(compile_filter(condition, collection), readers)


def compile_filter(condition: Filter, collection: Collection) -> Plan:
    """Check a condition and plan it.

    Raises InvalidRequest, SchemaViolation, Unsupported, LimitExceeded.
    """
    return _compile(condition, collection, 1)


def _compile(condition: Filter, collection: Collection, depth: int) -> Plan:
    if depth > FILTER_DEPTH_MAX:
        raise LimitExceeded(f"filter is nested deeper than {FILTER_DEPTH_MAX} levels")
    match condition:
        case Comparison():
            return _compile_comparison(condition, collection)
        case Not(operand):
            return NoneOf(_compile(operand, collection, depth + 1))
        case And(operands) | Or(operands):
            name = type(condition).__name__
            if not operands:
                raise InvalidRequest(f'no children for operator "{name}"')
            plans = tuple(_compile(operand, collection, depth + 1) for operand in operands)
            return AllOf(plans) if isinstance(condition, And) else AnyOf(plans)


def _compile_comparison(comparison: Comparison, collection: Collection) -> Plan:
    path = comparison.path
    if len(path) % 2 == 0:
        raise InvalidRequest(
            "paths needs to have a uneven number of components: "
            f"property, class, property, ...., got [{' '.join(path)}]"
        )
    if len(path) > 1:
        first = _property_of(path[0], collection)
        if first.data_type is not DataType.REFERENCE:
            raise SchemaViolation(
                f"property '{first.name}' of class '{collection.name}' is no reference: "
                f"could not find class {first.data_type.value} in schema"
            )
        way = ".".join(filter(None, path))
        raise Unsupported(
            f"filters that follow references ({way}) are not supported by this build yet"
        )
    name = path[0]
    if name == OBJECT_ID:
        return _compile_id(comparison)
    if name in (CREATED, UPDATED):
        return _compile_time(comparison, collection)
    item = _property_of(name, collection)
    if comparison.aspect is Aspect.LENGTH:
        return _compile_length(comparison, item, collection)
    if comparison.aspect is Aspect.COUNT or item.data_type is DataType.REFERENCE:
        raise Unsupported(f"filters on the reference {name} are not supported by this build yet")
    if comparison.operator is Operator.IS_NULL:
        return _compile_null(comparison, item, collection)
    return _compile_value(comparison, item, collection)


def _property_of(name: str, collection: Collection) -> Property:
    item = collection.property_by_name.get(name)
    if item is not None and item.data_type is not DataType.OBJECT:
        return item
    outer = collection.property_by_name.get(name.partition(".")[0])
    if outer is not None and outer.data_type is DataType.OBJECT:
        raise SchemaViolation(
            "filtering on nested properties is a preview feature, disabled by default; "
            "set WEAVIATE_PREVIEW_NESTED_FILTERING=true to enable"
        )
    raise SchemaViolation(
        f"no such prop with name '{name}' found in class '{collection.name}' in the schema. "
        "Check your schema files for which properties in this class are available"
    )


# --- values --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lookup:
    """How one operand is compared: equal, or ordered."""

    place: Place
    encode: Callable[[ScalarValue], bytes]

    def compare(self, operator: Operator, operand: ScalarValue) -> Plan:
        return _compare(self.place, operator, self.encode(operand))


def _compare(place: Place, operator: Operator, value: bytes) -> Plan:
    match operator:
        case Operator.EQUAL:
            return OneOf(place, (value,))
        case Operator.GREATER_THAN:
            return Between(place, value, None, low_inclusive=False)
        case Operator.GREATER_THAN_EQUAL:
            return Between(place, value, None)
        case Operator.LESS_THAN:
            return Between(place, None, value, high_inclusive=False)
        case _:
            assert operator is Operator.LESS_THAN_EQUAL, operator
            return Between(place, None, value)


def _compile_value(comparison: Comparison, item: Property, collection: Collection) -> Plan:
    if item.data_type in (DataType.PHONE, DataType.BLOB, DataType.BLOB_HASH):
        raise SchemaViolation(f'data type "{item.data_type.value}" not supported in query')
    if not has_values(item):
        raise SchemaViolation(
            f"Filtering by property '{item.name}' requires inverted index. Is `indexFilterable` "
            f"option of property '{item.name}' enabled? Set it to `true` or leave empty"
        )
    if item.data_type is DataType.GEO or comparison.operator is Operator.WITHIN_GEO_RANGE:
        return _compile_within(comparison, item)
    if item.data_type is DataType.TEXT:
        return _compile_text(comparison, item, collection)
    place = Place(value_field(item.name))
    if comparison.operator is Operator.LIKE:
        raise InvalidRequest(
            f"operator Like needs a text property, '{item.name}' is {item.data_type.value}"
        )
    lookup = _Lookup(place, lambda operand: encode_operand(item, operand, comparison.kind))
    plan = _by_operator(comparison, lookup.compare)
    if isinstance(plan, NoneOf) and not item.filterable:
        # The range index knows only the objects that have a value.
        return AllOf((Present(place), plan))
    return plan


def _by_operator(comparison: Comparison, compare: Callable[[Operator, ScalarValue], Plan]) -> Plan:
    """Resolve NotEqual and the Contains operators into comparisons of single operands."""
    operator = comparison.operator
    if operator in _CONTAINS:
        plans = _simplified([compare(Operator.EQUAL, each) for each in list_operand(comparison)])
        if operator is Operator.CONTAINS_ALL:
            return AllOf(plans)
        return NoneOf(AnyOf(plans)) if operator is Operator.CONTAINS_NONE else AnyOf(plans)
    operand = scalar_operand(comparison)
    if operator is Operator.EQUAL or operator in _ORDERED:
        return compare(operator, operand)
    if operator is Operator.NOT_EQUAL:
        return NoneOf(compare(Operator.EQUAL, operand))
    raise InvalidRequest(
        f"operator {operator.value} cannot be used on '{'.'.join(comparison.path)}'"
    )


def _simplified(plans: list[Plan]) -> tuple[Plan, ...]:
    return tuple(dict.fromkeys(plans))


def _compile_within(comparison: Comparison, item: Property) -> Plan:
    value = comparison.value
    if item.data_type is not DataType.GEO:
        raise InvalidRequest(
            f"operator WithinGeoRange needs a geoCoordinates property, "
            f"'{item.name}' is {item.data_type.value}"
        )
    if comparison.operator is not Operator.WITHIN_GEO_RANGE or not isinstance(value, GeoRange):
        raise InvalidRequest(
            f"geoCoordinates property '{item.name}' takes the operator WithinGeoRange "
            "and a valueGeoRange only"
        )
    if not value.distance_m >= 0:
        raise InvalidRequest(f"a geo range needs a distance of 0 m or more, got {value.distance_m}")
    if not abs(value.latitude) <= 90 or not abs(value.longitude) <= 180:
        raise InvalidRequest(f"({value.latitude}, {value.longitude}) is not a place")
    return Within(Place(value_field(item.name)), value)


# --- text ----------------------------------------------------------------------------------------


def _compile_text(comparison: Comparison, item: Property, collection: Collection) -> Plan:
    place = Place(value_field(item.name), is_searchable=item.searchable)

    def compare(operator: Operator, operand: ScalarValue) -> Plan:
        terms = text_terms(item, collection, operand, keep_wildcards=operator is Operator.LIKE)
        if not terms:
            return Nothing()
        plans: list[Plan] = [_compare_term(place, operator, term) for term in terms]
        return plans[0] if len(plans) == 1 else AllOf(_simplified(plans))

    if comparison.operator is Operator.LIKE:
        return compare(Operator.LIKE, scalar_operand(comparison))
    return _by_operator(comparison, compare)


def _compare_term(place: Place, operator: Operator, term: str) -> Plan:
    if operator is not Operator.LIKE:
        return _compare(place, operator, encode_text(term))
    if "*" not in term and "?" not in term:
        return OneOf(place, (encode_text(term),))
    if not term.strip("*"):
        return Present(place)
    return Pattern(place, encode_text(like_prefix(term)), like_pattern(term))


# --- lengths, null, times, ids -------------------------------------------------------------------


def _compile_length(comparison: Comparison, item: Property, collection: Collection) -> Plan:
    if not collection.inverted.index_property_length or not has_length(item):
        raise SchemaViolation(
            "Property length must be indexed to be filterable! add `IndexPropertyLength: true` to "
            f"the invertedIndexConfig in {collection.name}.  Geo-coordinates, phone numbers and "
            "data blobs are not supported by property length."
        )
    place = Place(length_field(item.name))

    def compare(operator: Operator, operand: ScalarValue) -> Plan:
        if isinstance(operand, bool) or not isinstance(operand, (int, float)) or operand % 1:
            raise InvalidRequest(f"a property length is an integer, got {operand!r}")
        length = int(operand)
        if length < 0:
            raise InvalidRequest(
                f"Can only filter for positive property length got {length} instead"
            )
        plan = _compare(place, operator, encode_int(length))
        # A missing value has length 0, but no entry.
        return AnyOf((plan, NoneOf(Present(place)))) if _holds_zero(operator, length) else plan

    return _by_operator(comparison, compare)


def _holds_zero(operator: Operator, length: int) -> bool:
    if operator in (Operator.EQUAL, Operator.GREATER_THAN_EQUAL, Operator.LESS_THAN_EQUAL):
        return length == 0 or operator is Operator.LESS_THAN_EQUAL
    return operator is Operator.LESS_THAN and length > 0


def _compile_null(comparison: Comparison, item: Property, collection: Collection) -> Plan:
    if not isinstance(comparison.value, bool):
        raise InvalidRequest(
            f"operator IsNull takes a boolean: expected value to be bool, got {comparison.value!r}"
        )
    if not collection.inverted.index_null_state:
        raise SchemaViolation(
            "Nullstate must be indexed to be filterable! "
            "Add `indexNullState: true` to the invertedIndexConfig"
        )
    if not has_presence(item):
        return Nothing()
    present = OneOf(Place(presence_field(item.name)), (TRUE,))
    return NoneOf(present) if comparison.value else present


def _compile_time(comparison: Comparison, collection: Collection) -> Plan:
    if not collection.inverted.index_timestamps:
        raise SchemaViolation(
            "Timestamps must be indexed to be filterable! "
            f"Add `IndexTimestamps: true` to the InvertedIndexConfig in {collection.name}"
        )
    name = comparison.path[0]
    _require_plain(comparison)
    return _by_operator(comparison, _Lookup(Place(value_field(name)), encode_time).compare)


def _compile_id(comparison: Comparison) -> Plan:
    _require_plain(comparison)
    if comparison.operator is Operator.LIKE:
        return IdPattern(like_pattern(_id_text(scalar_operand(comparison)).lower()))
    return _by_operator(comparison, _compare_id)


def _require_plain(comparison: Comparison) -> None:
    if comparison.aspect is not Aspect.VALUE or comparison.operator is Operator.IS_NULL:
        raise InvalidRequest(f"'{comparison.path[0]}' has neither a length nor a null state")


def _id_text(operand: ScalarValue) -> str:
    if not isinstance(operand, str):
        raise InvalidRequest(f"an id is a text, got {operand!r}")
    return operand


def _compare_id(operator: Operator, operand: ScalarValue) -> Plan:
    text = _id_text(operand)
    try:
        object_id: ObjectId = parse_object_id(text)
    except RequestError:
        if operator is Operator.EQUAL:
            return Nothing()  # No object has such an id; the reference says so, too.
        raise
    after = object_id + b"\x00"
    match operator:
        case Operator.EQUAL:
            return HasId((object_id,))
        case Operator.GREATER_THAN:
            return IdBetween(after, None)
        case Operator.GREATER_THAN_EQUAL:
            return IdBetween(object_id, None)
        case Operator.LESS_THAN:
            return IdBetween(b"", object_id)
        case _:
            return IdBetween(b"", after)
