"""TenantPage: many tenants of a collection, each a shard, in one value of the metadata.

A collection may have a million tenants: one value for all would be rewritten by every change, a key
for each would cost the metadata store hundreds of bytes each. So tenants share pages. A page holds
the tenants whose hash begins with its bits; one that grows too large is split in two by the next
bit, so pages need no directory: the page of a tenant is the longest of its prefixes that is there.

    page   := JSON {"format": 1, "bits": text of 0 and 1, "nodes": [name …],
                    "sets": [[node number …] …], "tenants": {status: [[tenant …] …]}}
    hash   := the first u64, big-endian, of blake2b(name in UTF-8, 8 bytes)

The lists of a status are by replica set: the i-th holds the tenants that lie on the i-th of `sets`.
So a tenant costs its name and three bytes. Names of pages (`bits`) are part of their keys.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any, TypeAlias

from weftdb.cluster.sharding import PlacedShard
from weftdb.cluster.stored_json import StoredJson
from weftdb.core.limits import TENANTS_PER_PAGE_MAX
from weftdb.core.types import NodeName, ShardName

FORMAT = 1
HASH_BITS = 64
ROOT = ""
"""The bits of the only page of a collection with few tenants."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant: its shard is called as it is."""

    name: ShardName
    replicas: tuple[NodeName, ...]
    status: str
    """Opaque here: a word of whoever switches tenants on and off."""

    @property
    def shard(self) -> PlacedShard:
        """Where the tenant's objects lie."""
        return PlacedShard(self.name, self.replicas)


_Hashed: TypeAlias = tuple[int, Tenant]


@dataclass(frozen=True, slots=True)
class TenantPage:
    """The tenants whose hash begins with `bits`, by name."""

    bits: str
    tenants: Mapping[ShardName, Tenant]

    def with_tenants(self, changed: Iterable[Tenant]) -> TenantPage:
        """The page with tenants added or replaced. Requires: they belong to it."""
        tenants = dict(self.tenants)
        for tenant in changed:
            assert bits_of(tenant.name).startswith(self.bits), f"{tenant.name} is of another page"
            tenants[tenant.name] = tenant
        return replace(self, tenants=tenants)

    def without(self, names: Collection[ShardName]) -> TenantPage:
        """The page without these tenants."""
        kept = {name: tenant for name, tenant in self.tenants.items() if name not in names}
        return replace(self, tenants=kept)

    def split(self) -> tuple[TenantPage, ...]:
        """The pages that take the place of this one: itself while it is small enough."""
        if len(self.tenants) <= TENANTS_PER_PAGE_MAX:
            return (self,)
        hashed = [(_hash_of(tenant.name), tenant) for tenant in self.tenants.values()]
        return tuple(
            TenantPage(bits, {tenant.name: tenant for _, tenant in part})
            for bits, part in _halved(self.bits, hashed)
        )


def bits_of(name: ShardName) -> str:
    """The 64 bits of a tenant's hash, as text: its page's name is a prefix of it."""
    return format(_hash_of(name), f"0{HASH_BITS}b")


def _hash_of(name: ShardName) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=HASH_BITS // 8).digest(), "big")


def _halved(bits: str, hashed: list[_Hashed]) -> Iterator[tuple[str, list[_Hashed]]]:
    """Parts that are small enough for a page, in the order of their bits."""
    if len(hashed) <= TENANTS_PER_PAGE_MAX or len(bits) == HASH_BITS:
        yield bits, hashed
        return
    mask = 1 << HASH_BITS - 1 - len(bits)
    yield from _halved(bits + "0", [each for each in hashed if not each[0] & mask])
    yield from _halved(bits + "1", [each for each in hashed if each[0] & mask])


def page_of(name: ShardName, pages: Collection[str]) -> str | None:
    """Which of `pages` (a set of their bits) a tenant belongs to, if any is there yet."""
    bits = bits_of(name)
    for depth in range(HASH_BITS + 1):
        if bits[:depth] in pages:
            return bits[:depth]
    return None


def covers_all(pages: Collection[str]) -> bool:
    """Whether every tenant belongs to exactly one of `pages`."""
    ordered = sorted(pages)
    if any(right.startswith(left) for left, right in pairwise(ordered)):
        return False
    covered = sum(1 << HASH_BITS - len(bits) for bits in ordered)
    return covered == 1 << HASH_BITS


def encode_page(page: TenantPage) -> bytes:
    """Write the JSON form; equal pages give equal bytes."""
    sets = sorted({tenant.replicas for tenant in page.tenants.values()})
    nodes = sorted({node for replicas in sets for node in replicas})
    node_numbers = {node: at for at, node in enumerate(nodes)}
    set_numbers = {replicas: at for at, replicas in enumerate(sets)}
    tenants: dict[str, list[list[str]]] = {}
    for name in sorted(page.tenants):
        tenant = page.tenants[name]
        lists = tenants.setdefault(tenant.status, [[] for _ in sets])
        lists[set_numbers[tenant.replicas]].append(name)
    body = {
        "format": FORMAT,
        "bits": page.bits,
        "nodes": nodes,
        "sets": [[node_numbers[node] for node in replicas] for replicas in sets],
        "tenants": dict(sorted(tenants.items())),
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode_page(value: bytes, *, collection: str) -> TenantPage:
    """Read `encode_page` back. Raises CorruptData that says what is wrong."""
    body = StoredJson(value, subject=f"a tenant page of {collection}", format_version=FORMAT)
    bits = body.text("bits")
    body.check(len(bits) <= HASH_BITS and set(bits) <= {"0", "1"}, f"its bits are {bits!r}")
    nodes = body.names("nodes")
    sets = [
        tuple(map(NodeName, body.chosen(row, nodes, "a replica set"))) for row in body.items("sets")
    ]
    body.check(all(sets), "a replica set has no replicas")
    tenants: dict[ShardName, Tenant] = {}
    for word, lists in body.mapping("tenants").items():
        body.check(word, "tenants have no status")
        rows = body.row(lists, f"the tenants that are {word}", sizes=(len(sets),))
        for replicas, names in zip(sets, rows, strict=True):
            body.check(isinstance(names, list), f"the tenants that are {word} are {names!r}")
            for name in names:
                _check_name(body, name, bits, tenants)
                tenants[ShardName(name)] = Tenant(ShardName(name), replicas, word)
    return TenantPage(bits, tenants)


def _check_name(body: StoredJson, name: Any, bits: str, known: Mapping[ShardName, Tenant]) -> None:
    body.check(isinstance(name, str) and name, f"a tenant is called {name!r}")
    body.check(name not in known, f"tenant {name} is in it twice")
    body.check(bits_of(name).startswith(bits), f"tenant {name} belongs to another page")
