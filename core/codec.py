"""Order-preserving bytes of property values: a < b exactly when encode(a) < encode(b).

    int      := i64 big-endian, sign bit flipped
    number   := IEEE 754 double big-endian; sign bit flipped if positive, all bits if negative
    boolean  := 00 | 01
    date     := seconds since 1970 UTC: int, nanoseconds: u32 big-endian
    uuid     := the 16 bytes
    text     := UTF-8; longer than TERM_BYTES_MAX: its first bytes and a 16-byte hash
    geo      := cell:u8[GEO_LEVELS] latitude:f32 longitude:f32      # big-endian

A geo cell is the way through a quadtree over the globe, one byte (0-3) a level, so that values of
one region share a prefix; the coordinates after it are exact. These bytes are on disk.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from datetime import date, timedelta
from functools import lru_cache
from uuid import UUID

from weftdb.core.errors import InvalidRequest
from weftdb.core.limits import TERM_BYTES_MAX

GEO_LEVELS = 16
"""The finest cell is 305 m high."""

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1
NANOSECONDS = 1_000_000_000

_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_U64 = struct.Struct(">Q")
_F64 = struct.Struct(">d")
_DATE = struct.Struct(">QI")
_GEO = struct.Struct(">ff")
_HASH_BYTES = 16
_EPOCH_DAYS = date(1970, 1, 1).toordinal()
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:[.,](\d+))?"
    r"(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)

TRUE = b"\x01"
FALSE = b"\x00"


def encode_int(value: int) -> bytes:
    """Encode a 64-bit integer. Raises InvalidRequest beyond its range."""
    if not INT_MIN <= value <= INT_MAX:
        raise InvalidRequest(f"{value} is not a 64-bit integer")
    return _U64.pack(value + _SIGN)


def decode_int(data: bytes) -> int:
    """Undo `encode_int`."""
    number: int = _U64.unpack(data)[0]
    return number - _SIGN


def encode_number(value: float) -> bytes:
    """Encode a double; -0.0 becomes 0.0. Raises InvalidRequest for NaN."""
    if value != value:
        raise InvalidRequest("NaN is not a number that can be indexed or compared")
    bits: int = _U64.unpack(_F64.pack(value + 0.0))[0]
    return _U64.pack(bits ^ _ALL if bits & _SIGN else bits | _SIGN)


def decode_number(data: bytes) -> float:
    """Undo `encode_number`."""
    bits: int = _U64.unpack(data)[0]
    number: float = _F64.unpack(_U64.pack(bits ^ _SIGN if bits & _SIGN else bits ^ _ALL))[0]
    return number


def encode_boolean(value: bool) -> bytes:  # noqa: FBT001  # The boolean is the value itself
    """Encode a boolean; false sorts first."""
    return TRUE if value else FALSE


def decode_boolean(data: bytes) -> bool:
    """Undo `encode_boolean`."""
    return data == TRUE


def encode_date(text: str) -> bytes:
    """Encode a date in RFC3339 format. Raises InvalidRequest."""
    return encode_instant(nanoseconds_of(text))


def encode_instant(nanoseconds: int) -> bytes:
    """Encode nanoseconds since 1970 UTC as a date."""
    seconds, fraction = divmod(nanoseconds, NANOSECONDS)
    return _DATE.pack(seconds + _SIGN, fraction)


def decode_instant(data: bytes) -> int:
    """Nanoseconds since 1970 UTC of an encoded date."""
    seconds, fraction = _DATE.unpack(data)
    return (int(seconds) - _SIGN) * NANOSECONDS + int(fraction)


def decode_date(data: bytes) -> str:
    """The date in UTC, RFC3339, with as many digits of a second as it needs."""
    return format_instant(decode_instant(data))


def nanoseconds_of(text: str) -> int:
    """Nanoseconds since 1970 UTC of an RFC3339 text; digits past the ninth are cut off.

    Raises InvalidRequest.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise _no_date(text)
    year, month, day, hour, minute, second, fraction, sign, offset_hour, offset_minute = (
        match.groups()
    )
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAYS
    except ValueError:
        raise _no_date(text) from None
    seconds = days * 86_400 + int(hour) * 3_600 + int(minute) * 60 + int(second)
    if sign is not None:
        shift = int(offset_hour) * 3_600 + int(offset_minute) * 60
        seconds += shift if sign == "-" else -shift
    nanoseconds = 0 if fraction is None else int(fraction[:9].ljust(9, "0"))
    return seconds * NANOSECONDS + nanoseconds


def _no_date(text: str) -> InvalidRequest:
    return InvalidRequest(f"trying parse time as RFC3339 string: {text!r} is not such a date")


def format_instant(nanoseconds: int) -> str:
    """Write nanoseconds since 1970 UTC as RFC3339; years outside 1-9999 move to their bound."""
    seconds, fraction = divmod(nanoseconds, NANOSECONDS)
    days, rest = divmod(seconds, 86_400)
    days = min(max(days + _EPOCH_DAYS, 1), date.max.toordinal())
    day = date.min + timedelta(days=days - 1)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    hour, minute, second = rest // 3_600, rest // 60 % 60, rest % 60
    return f"{day.isoformat()}T{hour:02d}:{minute:02d}:{second:02d}{digits}Z"


def encode_uuid(text: str) -> bytes:
    """Encode a UUID in any usual form. Raises InvalidRequest."""
    try:
        return UUID(text).bytes
    except ValueError:
        raise InvalidRequest(f"parse uuid filter value: {text!r} is not a UUID") from None


def decode_uuid(data: bytes) -> str:
    """The canonical small form."""
    return str(UUID(bytes=data))


def encode_text(text: str) -> bytes:
    """Encode a text or a term. Raises InvalidRequest for half a surrogate pair."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("text holds half of a surrogate pair: not valid Unicode") from None
    if len(data) <= TERM_BYTES_MAX:
        return data
    digest = hashlib.blake2b(data, digest_size=_HASH_BYTES).digest()
    return data[: TERM_BYTES_MAX - _HASH_BYTES] + digest


def decode_text(data: bytes) -> str:
    """Undo `encode_text`; the end of a text that was too long cannot be given back."""
    return data.decode(errors="replace")


def encode_geo(latitude: float, longitude: float) -> bytes:
    """Encode a place, degrees; coordinates are rounded to float32, as replies carry them.

    Raises InvalidRequest for coordinates that are not finite.
    """
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        raise InvalidRequest(f"({latitude}, {longitude}) is not a place")
    packed = _GEO.pack(latitude, longitude)
    exact = _GEO.unpack(packed)
    return geo_cell(exact[0], exact[1]) + packed


def decode_geo(data: bytes) -> tuple[float, float]:
    """Latitude and longitude, degrees."""
    latitude, longitude = _GEO.unpack(data[-_GEO.size :])
    return float(latitude), float(longitude)


def geo_cell(latitude: float, longitude: float) -> bytes:
    """The way to the finest cell that holds the place, `GEO_LEVELS` bytes."""
    latitude, longitude = _on_globe(latitude, longitude)
    top = (1 << GEO_LEVELS) - 1
    row = min(int((latitude + 90.0) / 180.0 * (top + 1)), top)
    column = min(int((longitude + 180.0) / 360.0 * (top + 1)), top)
    return bytes(
        (row >> shift & 1) << 1 | (column >> shift & 1) for shift in range(GEO_LEVELS - 1, -1, -1)
    )


@lru_cache(maxsize=4096)
def geo_cell_centre(cell: bytes) -> tuple[float, float]:
    """Latitude and longitude of the middle of a cell of any level."""
    row = column = 0
    for step in cell:
        row = row << 1 | step >> 1
        column = column << 1 | step & 1
    count = 1 << len(cell)
    return (row + 0.5) / count * 180.0 - 90.0, (column + 0.5) / count * 360.0 - 180.0


def _on_globe(latitude: float, longitude: float) -> tuple[float, float]:
    """Fold coordinates past a pole or the date line back; the place stays the same."""
    latitude = (latitude + 180.0) % 360.0 - 180.0
    if abs(latitude) > 90.0:
        latitude = math.copysign(180.0, latitude) - latitude
        longitude += 180.0
    return latitude, (longitude + 180.0) % 360.0 - 180.0
