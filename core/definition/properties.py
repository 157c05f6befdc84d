"""Reads `properties`: data types, index flags, tokenization, nested fields, references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weftdb.core.definition.inverted import STOPWORD_PRESETS
from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.names import (
    check_nested_name,
    check_property_name,
    is_collection_name,
)
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.errors import SchemaViolation, Unsupported
from weftdb.core.schema import DataType, Property, TextAnalyzer, Tokenization

TOKENIZATIONS = (
    "word",
    "lowercase",
    "whitespace",
    "field",
    "trigram",
    "gse",
    "kagome_kr",
    "kagome_ja",
    "gse_ch",
)
"""In the order in which messages list them."""
NESTING_DEPTH_MAX = 32
"""Objects in objects; deeper definitions are refused before they are walked."""

_ARRAYS = frozenset({"text", "int", "number", "boolean", "date", "uuid", "object"})
_SCALARS = frozenset({*_ARRAYS, "geoCoordinates", "phoneNumber", "blob", "blobHash"})
_NOT_NESTED = frozenset({DataType.GEO, DataType.PHONE})
_RANGE = frozenset({DataType.INT, DataType.NUMBER, DataType.DATE})
_OLD_STRING = {"string": "text", "string[]": "text[]"}
_OLD_TOKENIZATION = {"": "whitespace", "word": "whitespace", "field": "field"}


@dataclass(frozen=True, slots=True)
class PropertyRules:
    """What a property is read against: defaults, its collection's presets, the node."""

    collection: str
    tokenization: str = "word"
    stopword_presets: Mapping[str, tuple[str, ...]] | None = None
    surroundings: Surroundings | None = None


Rendered = dict[str, Any]


def parse_properties(
    fields: Fields, rules: PropertyRules
) -> tuple[tuple[Property, ...], list[Rendered] | None]:
    """Return the properties and their canonical JSON (None where there are none)."""
    properties, rendered, taken = [], [], set[str]()
    for item in fields.children("properties"):
        parsed, json = parse_property(item, rules)
        check_free(parsed.name, taken, rules.collection)
        taken.add(parsed.name.lower())
        properties.append(parsed)
        rendered.append(json)
    return tuple(properties), rendered or None


def check_free(name: str, taken: set[str], collection: str) -> None:
    """Raise SchemaViolation if `name` is in `taken` (lower-case names)."""
    if name.lower() in taken:
        raise SchemaViolation(
            f'class "{collection}": conflict for property "{name}": '
            "already in use or provided multiple times"
        )


def parse_property(fields: Fields, rules: PropertyRules) -> tuple[Property, Rendered]:
    """Read one property. Raises SchemaViolation, Malformed, FormatViolation."""
    name = check_property_name(fields.text("name"))
    return _parse(fields, name, name, rules, depth=0)


def _parse(
    fields: Fields, name: str, path: str, rules: PropertyRules, *, depth: int
) -> tuple[Property, Rendered]:
    if depth > NESTING_DEPTH_MAX:
        raise SchemaViolation(f"property '{path}': nested deeper than {NESTING_DEPTH_MAX} levels")
    data_type, is_array, targets, types = _data_type(fields, path, rules)
    if depth and data_type in (*_NOT_NESTED, DataType.REFERENCE):
        raise SchemaViolation(
            f"property '{path}': data type '{types[0]}' not allowed as nested property"
        )
    filterable, searchable, ranged = _index_flags(fields, data_type, is_array=is_array)
    tokenization = _tokenization(fields, data_type, types[0], rules)
    analyzer, rendered_analyzer = _analyzer(fields, data_type, types[0], path, rules)
    nested, rendered_nested = _nested(fields, data_type, path, rules, depth=depth)
    parsed = Property(
        name=name,
        data_type=data_type,
        is_array=is_array,
        tokenization=tokenization,
        filterable=filterable,
        searchable=searchable,
        range_filters=ranged,
        analyzer=analyzer,
        nested=nested,
        targets=targets,
        module_settings=dict(fields.child("moduleConfig").body),
    )
    rendered: Rendered = {"dataType": types}
    if fields.has("description"):
        rendered["description"] = fields.text("description")
    rendered |= {
        "indexFilterable": filterable,
        "indexRangeFilters": ranged,
        "indexSearchable": searchable,
        "name": name,
    }
    if parsed.module_settings:
        rendered["moduleConfig"] = dict(parsed.module_settings)
    if rendered_nested:
        rendered["nestedProperties"] = rendered_nested
    if rendered_analyzer:
        rendered["textAnalyzer"] = rendered_analyzer
    if tokenization is not None:
        rendered["tokenization"] = tokenization.value
    return parsed, rendered


def _data_type(
    fields: Fields, path: str, rules: PropertyRules
) -> tuple[DataType, bool, tuple[str, ...], list[str]]:
    """Return type, whether it is an array, the targets of a reference, and the canonical JSON."""
    given = fields.texts("dataType") or []
    blame = f"property '{path}': invalid dataType: [{' '.join(given)}]"
    if not given:
        raise SchemaViolation(f"{blame}: dataType must have at least one element")
    if len(given) > 1:
        for name in given:
            if not is_collection_name(name):
                raise SchemaViolation(f"{blame}: '{name}' is not a valid class name")
        return DataType.REFERENCE, False, _targets(given, blame, rules), given
    name = _OLD_STRING.get(given[0], given[0])
    element = name.removesuffix("[]")
    is_array = name != element
    if element in (_ARRAYS if is_array else _SCALARS):
        data_type = DataType(element)
        if data_type is DataType.BLOB_HASH:
            raise Unsupported(f"{blame}: data type 'blobHash' is not supported yet")
        return data_type, is_array, (), [name]
    if is_collection_name(name):
        return DataType.REFERENCE, False, _targets([name], blame, rules), [name]
    raise SchemaViolation(f"{blame}: unknown primitive data type '{name}'")


def _targets(names: list[str], blame: str, rules: PropertyRules) -> tuple[str, ...]:
    if rules.surroundings is not None:
        for name in names:
            if name != rules.collection and name not in rules.surroundings.collections:
                raise SchemaViolation(f"{blame}: reference property to nonexistent class")
    return tuple(names)


def _index_flags(fields: Fields, data_type: DataType, *, is_array: bool) -> tuple[bool, bool, bool]:
    """Return filterable, searchable, range."""
    old = fields.optional_flag("indexInverted")
    filterable, searchable, ranged = (
        fields.optional_flag(key)
        for key in ("indexFilterable", "indexSearchable", "indexRangeFilters")
    )
    if old is not None and not filterable is searchable is ranged is None:
        raise SchemaViolation(
            "`indexInverted` is deprecated and can not be set together with "
            "`indexFilterable`, `indexSearchable` or `indexRangeFilters`"
        )
    is_text = data_type is DataType.TEXT
    if searchable and not is_text:
        raise SchemaViolation(
            "`indexSearchable` is allowed only for text/text[] data types. "
            "For other data types set false or leave empty"
        )
    if ranged and (is_array or data_type not in _RANGE):
        raise SchemaViolation(
            "`indexRangeFilters` is allowed only for number/int/date data types. "
            "For other data types set false or leave empty"
        )
    default = old is not False
    return (
        default if filterable is None else filterable,
        default and is_text if searchable is None else searchable,
        bool(ranged),
    )


def _tokenization(
    fields: Fields, data_type: DataType, type_name: str, rules: PropertyRules
) -> Tokenization | None:
    given = fields.word("tokenization", TOKENIZATIONS)
    if data_type is not DataType.TEXT:
        if given:
            raise SchemaViolation(f"tokenization is not allowed for data type '{type_name}'")
        return None
    if (fields.texts("dataType") or [""])[0] in _OLD_STRING:
        if given not in _OLD_TOKENIZATION:
            raise SchemaViolation(f"tokenization '{given}' is not allowed for data type 'string'")
        return Tokenization(_OLD_TOKENIZATION[given])
    name = given or rules.tokenization
    if rules.surroundings is not None:
        rules.surroundings.check_tokenization(name)
    return Tokenization(name)


def _analyzer(
    fields: Fields, data_type: DataType, type_name: str, path: str, rules: PropertyRules
) -> tuple[TextAnalyzer, Rendered]:
    given = fields.child("textAnalyzer")
    fold = given.flag("asciiFold")
    ignore = given.texts("asciiFoldIgnore") or []
    preset = given.text("stopwordPreset")
    rendered: Rendered = {}
    if fold:
        rendered["asciiFold"] = True
    if ignore:
        rendered["asciiFoldIgnore"] = ignore
    if preset:
        rendered["stopwordPreset"] = preset
    if not rendered:
        return TextAnalyzer(), {}
    if data_type is not DataType.TEXT:
        raise SchemaViolation(
            f"property '{path}': processing options are only allowed for text and text[] "
            f"data types, got '{type_name}'"
        )
    if ignore and not fold:
        raise SchemaViolation(f"property '{path}': asciiFoldIgnore requires asciiFold to be true")
    if preset and preset not in STOPWORD_PRESETS and preset not in (rules.stopword_presets or {}):
        raise SchemaViolation(
            f"property '{path}': unknown stopword preset \"{preset}\"; must be a built-in preset "
            "('en', 'none') or defined in invertedIndexConfig.stopwordPresets"
        )
    return TextAnalyzer(fold, tuple(ignore), preset or None), rendered


def _nested(
    fields: Fields, data_type: DataType, path: str, rules: PropertyRules, *, depth: int
) -> tuple[tuple[Property, ...], list[Rendered]]:
    children = fields.children("nestedProperties")
    if data_type is not DataType.OBJECT:
        if children:
            raise SchemaViolation(
                f"property '{path}': nestedProperties not allowed for data types other than "
                "object/object[]"
            )
        return (), []
    if not children:
        raise SchemaViolation(
            f"property '{path}': At least one nested property is required for data type "
            "object/object[]"
        )
    properties, rendered, taken = [], [], set[str]()
    for child in children:
        name = child.text("name")
        inner = f"{path}.{name}"
        check_nested_name(name, inner)
        check_free(name, taken, rules.collection)
        taken.add(name.lower())
        parsed, json = _parse(child, name, inner, rules, depth=depth + 1)
        properties.append(parsed)
        rendered.append(json)
    return tuple(properties), rendered
