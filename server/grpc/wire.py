"""Protobuf by hand: the few encodings that replies are put together from.

    field  := tag:varint (varint | length:varint bytes[length] | bytes[4] | bytes[8])
    tag    := number << 3 | kind            # kind 0 varint, 1 eight bytes, 2 length, 5 four bytes

A reply is bytes beside bytes: stored properties go in as they lie in the store.
"""

from __future__ import annotations

from weftdb.core.errors import CorruptData

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10


def varint(value: int) -> bytes:
    """Encode 0 <= value < 2**64."""
    assert value >= 0, value
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, kind: int) -> bytes:
    """Encode a tag."""
    return varint(number << 3 | kind)


def field(number: int, body: bytes) -> bytes:
    """Encode a field of bytes, text or a message."""
    return tag(number, LENGTH) + varint(len(body)) + body


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode at `position`: (value, position behind it). Raises CorruptData."""
    value = shift = 0
    for offset in range(position, min(position + _VARINT_BYTES_MAX, len(data))):
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset + 1
        shift += 7
    raise CorruptData(f"stored properties end inside a number at byte {position}")


def read_field(data: bytes, position: int) -> tuple[int, int, int, int]:
    """Decode one field: (number, kind, start of its body, position behind it).

    Raises CorruptData. The body of a varint starts at the varint.
    """
    key, start = read_varint(data, position)
    number, kind = key >> 3, key & 7
    if kind == LENGTH:
        size, start = read_varint(data, start)
        end = start + size
    elif kind == VARINT:
        end = read_varint(data, start)[1]
    elif kind == EIGHT_BYTES:
        end = start + 8
    elif kind == FOUR_BYTES:
        end = start + 4
    else:
        raise CorruptData(f"stored properties hold a field of unknown kind {kind}")
    if end > len(data):
        raise CorruptData(f"stored properties end inside field {number}")
    return number, kind, start, end
