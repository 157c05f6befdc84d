"""Run: a cluster is started, loaded, hurt, healed and checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from weaviate.classes.config import Configure, DataType, Property

from tests.chaos.checking import check, wait_for_equal_replicas
from tests.chaos.cluster import NAME, ChaosCluster
from tests.chaos.faults import inflict, plan
from tests.chaos.load import Writer
from tests.chaos.namespaces import Namespaces
from tests.chaos.report import Report

Tell = Callable[[str], None]

FACTOR = 3
REPAIR_MS = 3_000
SETTLED_MS = 1_000
"""`propagationDelay`: only what is older is compared (its default is 30 s). A cycle is both."""


def play(
    folder: Path,
    report: Report,
    *,
    seconds: float,
    kinds: tuple[str, ...],
    writers: int,
    namespaces: bool,
    tell: Tell,
) -> None:
    """Fill the report. Raises what a bug of this program or a node that does not start raises."""
    cluster = ChaosCluster(folder, report.nodes, Namespaces() if namespaces else None)
    try:
        cluster.start()
        tell(f"{report.nodes} nodes are up")
        create(cluster)
        _load_and_hurt(cluster, report, seconds, kinds, writers, tell)
        report.converged_s = wait_for_equal_replicas(cluster, report.ledger, FACTOR)
        tell(f"replicas were equal, or were given up, after {report.converged_s:.1f} s")
        report.checked = check(cluster, report.ledger)
    finally:
        if not report.is_clean:
            tell(cluster.tails())
        cluster.close()


def _load_and_hurt(
    cluster: ChaosCluster,
    report: Report,
    seconds: float,
    kinds: tuple[str, ...],
    writers: int,
    tell: Tell,
) -> None:
    stop = threading.Event()
    began = time.monotonic()
    homes = ("",) * writers + cluster.names
    threads = [
        Writer(cluster, report.ledger, at, report.seed, home) for at, home in enumerate(homes)
    ]
    with ThreadPoolExecutor(len(threads)) as pool:
        running = [pool.submit(thread.run, stop) for thread in threads]
        try:
            for fault in plan(cluster.names, kinds, report.seed):
                if time.monotonic() - began > seconds or any(each.done() for each in running):
                    break
                time.sleep(fault.rest_s)
                answered = sum(report.ledger.answered.values())
                tell(f"{time.strftime('%H:%M:%S')} {answered} answered; {fault}")
                report.faults.append(str(fault))
                report.ledger.scene = str(fault)
                inflict(fault, cluster)
                report.ledger.scene = f"after {fault}"
        finally:
            report.ledger.note_end()
            stop.set()
        for each in running:
            each.result()
    report.seconds = time.monotonic() - began


def create(cluster: ChaosCluster) -> None:
    """Make the collection; return once every node has heard of it."""
    with cluster.client(cluster.names[0]) as client:
        client.collections.create(
            NAME,
            properties=[
                Property(name="word", data_type=DataType.TEXT),
                Property(name="revision", data_type=DataType.INT),
            ],
            vector_config=Configure.Vectors.self_provided(),
            replication_config=Configure.replication(
                factor=FACTOR,
                async_enabled=True,
                async_config=Configure.Replication.async_config(
                    frequency=REPAIR_MS,
                    frequency_while_propagating=REPAIR_MS // 3,
                    propagation_delay=SETTLED_MS,
                ),
            ),
            sharding_config=Configure.sharding(desired_count=len(cluster.names)),
        )
    until = time.monotonic() + 30
    for name in cluster.names:
        while cluster.ask(name, "GET", f"/schema/{NAME}")[0] != 200:
            assert time.monotonic() < until, f"{name} does not hear of the collection"
            time.sleep(0.1)
