"""The answer to an aggregation on the wire: `core.aggregation.Aggregated` to `AggregateReply`.

The type of a property decides which kind of statistics goes out. Asked for statistics of another
kind, all of its own come. Texts are counted in any case. The number of objects is there even when
nobody asked, as 0. All of this is as recorded.
"""

from __future__ import annotations

from google.protobuf.message import Message

from weftdb.core.aggregation import Aggregated, Group, GroupValue, Summary
from weftdb.core.errors import LimitExceeded
from weftdb.core.schema import DataType
from weftdb.proto.v1 import aggregate_pb2

_Reply = aggregate_pb2.AggregateReply
_Wire = aggregate_pb2.AggregateReply.Aggregations.Aggregation
_Asked = aggregate_pb2.AggregateRequest.Aggregation

_KINDS = {
    DataType.INT: "int",
    DataType.NUMBER: "number",
    DataType.TEXT: "text",
    DataType.BOOLEAN: "boolean",
    DataType.DATE: "date",
    DataType.REFERENCE: "reference",
}
_NUMBERS = {"int", "number"}
_INT64_MAX = 2**63 - 1


def aggregate_reply(
    request: aggregate_pb2.AggregateRequest, found: Aggregated, took_s: float
) -> bytes:
    """The reply's bytes. Raises LimitExceeded for a sum that the wire cannot carry."""
    reply = _Reply(took=took_s)
    if found.total is not None:
        reply.single_result.SetInParent()
        _fill(reply.single_result, found.total, request)
    elif found.groups is not None:
        reply.grouped_results.SetInParent()
        for group in found.groups:
            wire = reply.grouped_results.groups.add()
            _fill(wire, group, request)
            wire.grouped_by.path.append(request.group_by.property)
            assert group.value is not None, "a group has a value"
            _set_value(wire.grouped_by, group.value)
    return reply.SerializeToString()


def _fill(
    wire: aggregate_pb2.AggregateReply.Single | aggregate_pb2.AggregateReply.Group,
    group: Group,
    request: aggregate_pb2.AggregateRequest,
) -> None:
    wire.objects_count = group.count if request.objects_count else 0
    for asked, summary in zip(request.aggregations, group.summaries, strict=True):
        _set_statistics(wire.aggregations.aggregations.add(), asked, summary)


def _set_value(wire: aggregate_pb2.AggregateReply.Group.GroupedBy, value: GroupValue) -> None:
    if isinstance(value, bool):
        wire.boolean = value
    elif isinstance(value, str):
        wire.text = value
    else:
        wire.number = value


def _set_statistics(
    wire: aggregate_pb2.AggregateReply.Aggregations.Aggregation,
    asked: aggregate_pb2.AggregateRequest.Aggregation,
    summary: Summary,
) -> None:
    wire.property = asked.property
    kind = _KINDS[summary.data_type]
    out = getattr(wire, kind)
    out.SetInParent()
    for name in _names(kind, asked, out):
        value = getattr(summary, name)
        if name == "top_occurences":
            for text, occurs in value:
                out.top_occurences.items.add(value=text, occurs=occurs)
        elif name == "pointing_to":
            out.pointing_to.extend(value)
        elif value is not None:
            if name == "sum" and kind == "int" and abs(value) > _INT64_MAX:
                raise LimitExceeded(f"the sum of {asked.property} does not fit into 64 bits")
            setattr(out, name, value)


def _names(kind: str, asked: aggregate_pb2.AggregateRequest.Aggregation, out: Message) -> set[str]:
    given = asked.WhichOneof("aggregation")
    known = {field.name for field in out.DESCRIPTOR.fields}
    if given is None or (given != kind and {given, kind} != _NUMBERS):
        return known
    names = {field.name for field, _ in getattr(asked, given).ListFields()} & known
    return names | {"count"} if kind == "text" else names
