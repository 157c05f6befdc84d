"""Run: three nodes become five and three again, then two are lost, all of it under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cluster_trio import NAMES
from tests.growth.cluster import GrowingCluster, wait_until
from tests.growth.report import (
    UNEVEN_MAX,
    Phase,
    Report,
    added,
    ledgers_answered,
    unevenness,
)

Tell = Callable[[str], None]

GOODBYE_S = 3.0
"""So long a node that stops may be seen: less than its lease would last."""
SETTLED_S = 1.0
"""Between two things that are done: load in a quiet cluster."""


class Run:
    """One run; each method is a part of it, and they come in this order."""

    def __init__(self, folder: Path, report: Report, *, writers: int, tell: Tell) -> None:
        self._report = report
        self._writers = writers
        self._tell = tell
        self.cluster = GrowingCluster(folder)

    def play(self, objects: int) -> None:
        """All of it. Fills the report; raises what a bug of this program, a node that does not
        start or a command that fails raises."""
        try:
            self.begin(objects)
            self.grow()
            self.restart()
            self.shrink()
            self.replace_by_another()
            self.replace_by_itself()
            self._report.is_over = True
        finally:
            if not self._report.is_clean:
                self._tell(self.cluster.tails())
            self.cluster.close()

    def begin(self, objects: int) -> None:
        """Three nodes with data."""
        cluster = self.cluster
        cluster.start()
        self._tell("three nodes are up")
        for load in self._report.loads:
            load.create(cluster)
            load.fill(cluster, objects, self._report.seed)
        self._even("at first, 3 nodes")
        self._tell("loaded")

    def grow(self) -> None:
        """n4 brings a member of etcd, n5 asks those of the others."""
        cluster, report = self.cluster, self._report
        with self._under_load():
            for name, has_member in (("n4", True), ("n5", False)):
                with self._phase(f"{name} joins") as note:
                    ready_s = cluster.join(name, has_member=has_member)
                    wait_until(lambda: name in cluster.healthy("n1"), f"{name} is seen")  # noqa: B023
                    note.append(f"ready in {ready_s:.1f} s")
            report.promise("n4 votes in etcd, n5 does not", cluster.voters("n1") == {*NAMES, "n4"})
            with self._phase("rebalance to 5 nodes") as note:
                _, said = cluster.operate("rebalance", at="n1")
                note.append(_last(said))
            self._even("after growing, 5 nodes", within=UNEVEN_MAX)
        self._check("after growing")

    def restart(self) -> None:
        """A node is stopped and started in order; the others hear that it goes."""
        cluster, report = self.cluster, self._report
        with self._under_load(factor_min=3):
            with self._phase("stop n3 and start it again"):
                cluster.begin_fault("n3", "stop")
                cluster.take_out("n3")
                time.sleep(SETTLED_S)
                gone_s = cluster.stop("n3")
                cluster.restart("n3")
                self._wait_until_all_see("n3")
                cluster.put_back("n3")
                cluster.end_fault()
            report.promise(
                f"n3 said goodbye: gone for all {gone_s:.2f} s after SIGTERM", gone_s < GOODBYE_S
            )

    def shrink(self) -> None:
        """The first founder leaves with its member of etcd, and a node without one."""
        cluster, report = self.cluster, self._report
        with self._under_load():
            for name in ("n1", "n5"):
                with self._phase(f"drain {name}") as note:
                    _, said = cluster.operate("drain", name, at=name)
                    note.append(_last(said))
                time.sleep(SETTLED_S)
                cluster.take_out(name)
                time.sleep(SETTLED_S)
                with self._phase(f"stop {name}"):
                    gone_s = cluster.stop(name)
                report.promise(
                    f"{name} gone for all {gone_s:.2f} s after SIGTERM", gone_s < GOODBYE_S
                )
            self._even("drained, 3 nodes")
            with self._phase("rebalance to 3 nodes") as note:
                _, said = cluster.operate("rebalance", at="n2")
                note.append(_last(said))
            self._even("after shrinking, 3 nodes", within=UNEVEN_MAX)
        names = {"n2", "n3", "n4"}
        report.promise("three nodes belong to the cluster", cluster.known("n2") == names)
        report.promise("the same three vote in etcd", cluster.voters("n2") == names)
        self._check("after shrinking")

    def replace_by_another(self) -> None:
        """n3 is lost with its disk; n6 takes over with one command."""
        cluster, report = self.cluster, self._report
        (single,) = [load for load in report.loads if load.factor == 1]
        with self._under_load():
            with self._phase(f"scale {single.name} to 2"):
                cluster.operate("scale", single.name, "2", at="n2")
            single.factor = 2
        with self._under_load(factor_min=3):
            self._lose("n3")
            with self._phase("n6 joins and replaces n3") as note:
                with ThreadPoolExecutor(1) as operator:
                    # A member of etcd lets nobody in until the lost one is given up.
                    told = operator.submit(cluster.operate, "replace", "n3", "n6", at="n2")
                    ready_s = cluster.join("n6", has_member=True)
                    seconds, said = told.result()
                note.append(f"ready in {ready_s:.1f} s, replaced in {seconds:.1f} s: {_last(said)}")
            cluster.end_fault()
        names = {"n2", "n4", "n6"}
        report.promise("n6 belongs to the cluster, n3 does not", cluster.known("n2") == names)
        report.promise("n6 votes in etcd, n3 does not", cluster.voters("n2") == names)
        with self._under_load():
            time.sleep(SETTLED_S)
        self._check("after n6 replaced n3")

    def replace_by_itself(self) -> None:
        """n4 is lost with its disk and comes back without data."""
        cluster = self.cluster
        with self._under_load(factor_min=3):
            self._lose("n4")
            with self._phase("n4 comes back empty and is filled") as note:
                cluster.restart("n4")
                seconds, said = cluster.operate("replace", "n4", "n4", at="n2")
                note.append(f"replaced in {seconds:.1f} s: {_last(said)}")
                self._wait_until_all_see("n4")
                cluster.end_fault()
                cluster.put_back("n4")
        self._even("at the end, 3 nodes")
        with self._under_load():
            time.sleep(SETTLED_S)
        self._check("after n4 was filled again")

    # --- parts -----------------------------------------------------------------------------------

    def _lose(self, name: str) -> None:
        with self._phase(f"kill and wipe {name}"):
            self.cluster.begin_fault(name, "kill")
            self.cluster.kill(name)
            self.cluster.wipe(name)
            self.cluster.take_out(name)
            time.sleep(SETTLED_S)

    def _wait_until_all_see(self, name: str) -> None:
        """With two replicas, both must be in touch with whoever asks."""
        others = [each for each in self.cluster.names if each != name]
        wait_until(
            lambda: all(name in self.cluster.healthy(each) for each in others),
            f"all see {name}",
        )
        time.sleep(SETTLED_S)  # So long a broken connection may take to be made anew.

    @contextmanager
    def _under_load(self, factor_min: int = 1) -> Iterator[None]:
        """While a node is down, QUORUM can be had of three replicas only."""
        with ExitStack() as running:
            for load in self._report.loads:
                if load.factor >= factor_min:
                    load_runs = load.running(self.cluster, self._writers, self._report.seed)
                    running.enter_context(load_runs)
            yield

    @contextmanager
    def _phase(self, what: str) -> Iterator[list[str]]:
        loads = self._report.loads
        for load in loads:
            load.ledger.begin_gap()
        failed = sum(sum(load.ledger.failed.values()) for load in loads)
        answered, began = ledgers_answered(loads), time.monotonic()
        told = {load.name: len(load.ledger.named) for load in loads}
        note: list[str] = []
        self._tell(f"{time.strftime('%H:%M:%S')} {what}")
        try:
            yield note
        finally:
            phase = Phase(
                what,
                time.monotonic() - began,
                ledgers_answered(loads) - answered,
                sum(sum(load.ledger.failed.values()) for load in loads) - failed,
                max(load.ledger.end_gap() for load in loads),
                "; ".join(note),
            )
            self._report.phases.append(phase)
            self._tell(f"{time.strftime('%H:%M:%S')} {phase}")
            for load in loads:
                for words in load.ledger.named[told[load.name] :]:
                    self._tell(words)

    def _even(self, when: str, within: float | None = None) -> None:
        cluster, report = self.cluster, self._report
        held, nodes = cluster.objects(cluster.names[0]), cluster.names
        report.evenness.append((when, held, nodes))
        if within is not None:
            far = unevenness(added(held), nodes)
            what = f"{when}: each node holds its even part, off by {100 * far:.1f} % at most"
            report.promise(what, far <= within)

    def _check(self, when: str) -> None:
        found = [load.check(self.cluster) for load in self._report.loads]
        count = sum(each for _, each in found)
        self._report.checks.append((when, max(seconds for seconds, _ in found), count))
        self._tell(f"{time.strftime('%H:%M:%S')} checked {when}: {count} reads and searches")


def _last(said: str) -> str:
    """What a command said of its end."""
    lines = [line for line in said.splitlines() if "steps are done" in line or "left" in line]
    return "; ".join(lines[-2:]) if lines else said.strip().splitlines()[-1]
