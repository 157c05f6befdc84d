"""Selection: which properties of an object go into a reply, and in which objects inside of it.

Works on the stored encoding, a serialized `Properties` message: map entries are copied or left out
as they are, only objects with a selection of their own are opened. `index/kernels/src/reply.cpp` is
the native twin; a test holds both to the same messages.

    properties := (0x0a length entry)*
    entry      := 0x0a length name  0x12 length value
    value      := 0x22 length properties             # object_value
                | 0x2a length list                   # list_value
    list       := 0x22 length (0x0a length properties)*   # object_values
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from weftdb.core.errors import InvalidRequest, SchemaViolation, Unsupported
from weftdb.core.schema import Collection, DataType, Property, canonical_property_name
from weftdb.core.validation import unknown_property
from weftdb.proto.v1 import search_pb2
from weftdb.server.grpc import wire

_ENTRY = _NAME = _ITEM = 1
_VALUE = 2
_OBJECT_VALUE = 4
_LIST_VALUE = 5
_OBJECT_VALUES = 4
_NULL_VALUE = b"\x60\x00"
_HIDDEN_UNLESS_NAMED = (DataType.BLOB, DataType.REFERENCE)


@dataclass(frozen=True, slots=True)
class Selection:
    """Names to keep; for objects that are not kept whole, a selection of their own.

    `nulls` are the map entries that stand for kept properties which an object does not have.
    """

    names: Mapping[bytes, Selection | None]
    nulls: Mapping[bytes, bytes] = field(default_factory=dict)

    @staticmethod
    def of(items: Mapping[str, Selection | None], *, with_nulls: bool) -> Selection:
        """Make one of property names."""
        names = {name.encode(): inner for name, inner in items.items()}
        nulls = {name: _null_entry(name) for name in names} if with_nulls else {}
        return Selection(names, nulls)

    def apply(self, properties: bytes) -> bytes:
        """Return the properties that are kept. Raises CorruptData."""
        out = []
        missing = dict(self.nulls)
        position, size = 0, len(properties)
        while position < size:
            start = position
            _, _, body, position = wire.read_field(properties, start)
            entry = properties[body:position]
            _, _, name_start, name_end = wire.read_field(entry, 0)
            name = entry[name_start:name_end]
            if name not in self.names:
                continue
            missing.pop(name, None)
            inner = self.names[name]
            if inner is None:
                out.append(properties[start:position])
                continue
            _, _, value_start, value_end = wire.read_field(entry, name_end)
            value = _narrowed(entry[value_start:value_end], inner)
            out.append(wire.field(_ENTRY, entry[:name_end] + wire.field(_VALUE, value)))
        out += missing.values()
        return b"".join(out)


def _null_entry(name: bytes) -> bytes:
    return wire.field(_ENTRY, wire.field(_NAME, name) + wire.field(_VALUE, _NULL_VALUE))


def _narrowed(value: bytes, inner: Selection) -> bytes:
    """A value that holds an object, or a list of objects, with fewer properties in them."""
    number, _, start, end = wire.read_field(value, 0)
    if number == _OBJECT_VALUE:
        return wire.field(_OBJECT_VALUE, inner.apply(value[start:end]))
    if number != _LIST_VALUE:
        return value
    values = value[start:end]
    number, _, start, end = wire.read_field(values, 0)
    if number != _OBJECT_VALUES:
        return value
    items, position = [], start
    while position < end:
        _, _, item_start, position = wire.read_field(values, position)
        items.append(wire.field(_ITEM, inner.apply(values[item_start:position])))
    return wire.field(_LIST_VALUE, wire.field(_OBJECT_VALUES, b"".join(items)))


def parse_selection(
    request: search_pb2.PropertiesRequest | None, collection: Collection, also: Iterable[str] = ()
) -> Selection:
    """Read what a request wants to see; None means everything but blobs and references.

    `also` names properties that the reply needs anyway. Raises SchemaViolation for unknown names,
    Unsupported for references.
    """
    items: dict[str, Selection | None] = {}
    if request is None or request.return_all_nonref_properties:
        for item in collection.properties:
            if item.data_type not in _HIDDEN_UNLESS_NAMED:
                items[item.name] = None
    for given in also:
        items[given] = None
    if request is not None:
        for given in request.non_ref_properties:
            items[_known(given, collection).name] = None
        for wanted in request.object_properties:
            item = _known(wanted.prop_name, collection)
            items[item.name] = _nested_selection(wanted, item)
        for reference in request.ref_properties:
            _known(reference.reference_property, collection)
            raise Unsupported(
                f"property '{reference.reference_property}': reading references is not part of "
                "this build yet"
            )
    return Selection.of(items, with_nulls=True)


def _known(given: str, collection: Collection) -> Property:
    name = canonical_property_name(given)
    item = collection.property_by_name.get(name)
    if item is None:
        raise unknown_property(name, collection.name)
    if item.data_type is DataType.REFERENCE:
        return item
    return item


def _nested_selection(wanted: search_pb2.ObjectPropertiesRequest, item: Property) -> Selection:
    if item.data_type is not DataType.OBJECT:
        raise InvalidRequest(f"property '{item.name}' is no object: it has no properties to select")
    inside = {nested.name: nested for nested in item.nested}
    items: dict[str, Selection | None] = {}
    for name in wanted.primitive_properties:
        _check_inside(name, inside, item)
        items[name] = None
    for deeper in wanted.object_properties:
        _check_inside(deeper.prop_name, inside, item)
        items[deeper.prop_name] = _nested_selection(deeper, inside[deeper.prop_name])
    return Selection.of(items, with_nulls=False)


def _check_inside(name: str, inside: Mapping[str, Property], item: Property) -> None:
    if name not in inside:
        raise SchemaViolation(f"property '{item.name}' has no nested property '{name}'")
