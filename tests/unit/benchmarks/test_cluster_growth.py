"""The growth of a cluster is computed with the code that a cluster runs."""

from __future__ import annotations

from benchmarks.cluster_growth import floors_of, measure, table


def test_a_small_cluster_is_measured() -> None:
    growth = measure((4, 2, 6, 700))
    assert (growth.shards, growth.tenants) == (12, 700)
    assert growth.tenant_pages > 1
    assert growth.tenant_bytes < growth.tenant_record_bytes
    assert growth.sharding_bytes_largest < growth.sharding_bytes
    page = table([growth, growth])
    assert page.startswith("|  | 4 nodes | 4 nodes |")
    assert "| shards | 12 | 12 |" in page
    assert [floor.name for floor in floors_of([growth]) if "bytes" in floor.name] == [
        "bytes of a tenant"
    ]
