"""Deltas, segments and manifests are on disk: these bytes stay readable and stay the same."""

from __future__ import annotations

from pyroaring import BitMap

from weftdb.core.schema import Tokenization
from weftdb.core.types import DocId
from weftdb.index.inverted.delta import DeltaWriter
from weftdb.index.inverted.manifest import Manifest, SegmentRow, decode_manifest, encode_manifest
from weftdb.index.kernels import _native

FILTERABLE = (
    "5746504201000000030000002a000000000600036e00766100020303e5070601620001010405016201640f3b"
    "30000001000063000100000063003a2719b5"
)
SEARCHABLE = (
    "5746504201000100030000002b0000000008000374007664656e020204030601020503666f78020103030702"
    "050773747261c39f65020103e80702fae9d0b9"
)
DIRECTORY = "5746504201020100010000000b0000000008000374007664656e01c61b8275"
MANIFEST = (
    "57464d4602080000000200000002000000030000000a000000881300000000000000000000460000003c00000007"
    "000000010000000000000000010000460000005a0000000000000001000000020000003e8d6046"
)
MANIFEST_V1 = (
    "57464d4601080000000200000002000000030000000a00000088130000000000000700000001000000000000"
    "000001000001000000020000003be498fb"
)


def writer() -> DeltaWriter:
    made = DeltaWriter()
    made.add_values(b"n\x00v", [3, 4, 1000], [b"a", b"ab", b"a"])
    made.add_values(b"n\x00v", list(range(100)), [b"b"] * 100)
    made.add_text(b"t\x00v", Tokenization.WORD, [3, 4], ["fox Fox den", "den"])
    made.add_terms(b"t\x00v", [1000], [["straße"]])
    return made


def test_deltas_are_written_as_ever() -> None:
    delta = writer().finish(DocId(3))
    assert delta.filterable.hex() == FILTERABLE
    assert delta.searchable.hex() == SEARCHABLE


def test_segments_are_written_as_ever() -> None:
    side = _native.PostingSide(True, _native.TermCache(1000))
    side.publish(3, bytes.fromhex(SEARCHABLE))
    directory, data = side.seal(None)[0]
    assert directory.hex() == DIRECTORY
    assert data.hex() == SEARCHABLE


def test_deltas_are_read_as_ever() -> None:
    side = _native.PostingSide(False, _native.TermCache(1000))
    side.publish(3, bytes.fromhex(FILTERABLE))
    found = [
        BitMap.deserialize(part)
        for value in (b"a", b"ab", b"b")
        for part in _native.Lookup(side, b"n\x00v", [value]).docs()
    ]
    assert found == [BitMap([3, 1000]), BitMap([4]), BitMap(range(100))]


def test_manifests_are_written_as_ever() -> None:
    rows = (SegmentRow(3, 10, 5000, 0, 70, 60), SegmentRow(7, 1, 2**40, 70, 90, 0))
    manifest = Manifest(8, rows, (1, 2))
    assert encode_manifest(manifest).hex() == MANIFEST
    assert decode_manifest(bytes.fromhex(MANIFEST)) == manifest


def test_manifests_of_version_1_are_read() -> None:
    manifest = Manifest(8, (SegmentRow(3, 10, 5000), SegmentRow(7, 1, 2**40)), (1, 2))
    assert decode_manifest(bytes.fromhex(MANIFEST_V1)) == manifest
