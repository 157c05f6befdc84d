"""Fields of a protobuf message on the wire: where each ends, without decoding it.

    message := field*
    field   := tag:varint (number:varint | bytes[8] | length:varint bytes[length] | bytes[4])
    tag     := field_number << 3 | kind        # kind 0, 1, 2, 5; groups (3, 4) are not known here
    varint  := (0x80 | bits:7)* bits:7         # lowest bits first, ten bytes at most

Functions raise IndexError where the bytes are no such thing.
"""

from __future__ import annotations

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10


def read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    number = raw[at]
    if number < 0x80:
        return number, at + 1
    number &= 0x7F
    for place in range(1, _VARINT_BYTES_MAX):
        byte = raw[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise IndexError("a number of more than ten bytes")


def read_delimited(raw: bytes, at: int) -> tuple[int, int]:
    """Where the content of a delimited field begins and ends, from behind its tag."""
    size, at = read_varint(raw, at)
    return at, checked_end(raw, at, size)


def field_end(raw: bytes, at: int, tag: int) -> int:
    """Where the field ends whose tag ends at `at`."""
    kind = tag & 7
    if kind == _VARINT:
        return read_varint(raw, at)[1]
    if kind == _DELIMITED:
        return read_delimited(raw, at)[1]
    if kind == _FIXED32:
        return checked_end(raw, at, 4)
    if kind == _FIXED64:
        return checked_end(raw, at, 8)
    raise IndexError(f"a field of kind {kind}")


def checked_end(raw: bytes, at: int, size: int) -> int:
    """`at + size`, which is not past the end."""
    if size > len(raw) - at:
        raise IndexError("it ends in the middle of a field")
    return at + size
