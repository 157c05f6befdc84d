"""Our messages must be readable by every client of the public API: same numbers, same types."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from weftdb.proto.v1 import (
    aggregate_pb2,
    arrays_pb2,
    batch_delete_pb2,
    batch_pb2,
    consistency_pb2,
    filters_pb2,
    generative_pb2,
    health_pb2,
    near_pb2,
    search_pb2,
    tenants_pb2,
    values_pb2,
    vectors_pb2,
)

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("WEFTDB_SHARED", ROOT.parent / "shared"))
FACTS = SHARED / "conformance" / "weaviate_v1.binpb"
PUBLIC, OURS = "weaviate.v1.", "weftdb.v1."
FILES = [
    aggregate_pb2,
    arrays_pb2,
    batch_delete_pb2,
    batch_pb2,
    consistency_pb2,
    filters_pb2,
    generative_pb2,
    health_pb2,
    near_pb2,
    search_pb2,
    tenants_pb2,
    values_pb2,
    vectors_pb2,
]


def _public_types() -> Iterator[Descriptor | EnumDescriptor]:
    files = descriptor_pb2.FileDescriptorSet.FromString(FACTS.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    waiting: list[Descriptor] = []
    for file in files.file:
        if file.package == "weaviate.v1":
            described = pool.FindFileByName(file.name)
            yield from described.enum_types_by_name.values()
            waiting.extend(described.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        yield message
        yield from message.enum_types
        waiting.extend(message.nested_types)


def _field_facts(message: Descriptor) -> set[tuple[object, ...]]:
    return {
        (
            field.name,
            field.number,
            field.type,
            field.is_repeated,
            field.has_presence,
            field.containing_oneof.name if field.containing_oneof else "",
            _local_name(field.message_type or field.enum_type),
        )
        for field in message.fields
    }


def _local_name(described: Descriptor | EnumDescriptor | None) -> str:
    full = described.full_name if described else ""
    return full.removeprefix(PUBLIC).removeprefix(OURS)


@pytest.mark.skipif(not FACTS.exists(), reason=f"{FACTS} is not there (set WEFTDB_SHARED)")
def test_every_public_type_is_ours_with_the_same_numbers() -> None:
    ours: dict[str, Descriptor | EnumDescriptor] = {}
    waiting = [kind for file in FILES for kind in file.DESCRIPTOR.message_types_by_name.values()]
    for file in FILES:
        ours.update({_local_name(e): e for e in file.DESCRIPTOR.enum_types_by_name.values()})
    while waiting:
        message = waiting.pop()
        ours[_local_name(message)] = message
        ours.update({_local_name(enum): enum for enum in message.enum_types})
        waiting.extend(message.nested_types)
    checked = 0
    for public in _public_types():
        name = _local_name(public)
        mine = ours[name]
        if isinstance(public, EnumDescriptor):
            assert isinstance(mine, EnumDescriptor), name
            assert {(v.name, v.number) for v in mine.values} == {
                (v.name, v.number) for v in public.values
            }, name
        else:
            assert isinstance(mine, Descriptor), name
            assert _field_facts(mine) == _field_facts(public), name
        checked += 1
    assert checked > 150, checked


def test_names_never_collide_with_a_client_in_the_same_process() -> None:
    for file in FILES:
        assert file.DESCRIPTOR.package == "weftdb.v1"
        assert file.DESCRIPTOR.name.startswith("weftdb/proto/v1/")


@pytest.mark.parametrize("folder", ["v1", "etcd", "internode"])
def test_python_twins_are_as_the_compiler_writes_them(tmp_path: Path, folder: str) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools writes the twins")
    sources = sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "weftdb/proto" / folder).glob("*.proto")
    )
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}"]
    done = subprocess.run(
        [*command, f"--pyi_out={tmp_path}", *sources], cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == 0
    for written in sorted((tmp_path / "weftdb/proto" / folder).iterdir()):
        committed = ROOT / "proto" / folder / written.name
        assert written.read_text() == committed.read_text(), f"{written.name}: run `make proto`"
