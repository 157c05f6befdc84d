"""Replication: what one node does for replicas, put together: coordinations, hints, repairs.

Lifecycle: made before the node answers others, for what is kept decides what may be answered
(`standings`); `start` in the event loop, with something to ask others through; `stop` while that is
still there. A later life begins with a new one.
"""

from __future__ import annotations

from collections.abc import Callable

from weftdb.cluster.replication.hint_replay import ReplayPace
from weftdb.core.config import Config
from weftdb.core.env import Env
from weftdb.core.types import NodeName
from weftdb.server.internode.cluster_view import ClusterView
from weftdb.server.internode.comparing import Comparer
from weftdb.server.internode.conversation import Wiring
from weftdb.server.internode.driver import Driver, DriverBounds
from weftdb.server.internode.forgetting import Forgetting, bounds_of
from weftdb.server.internode.full_repair import FullRepair
from weftdb.server.internode.hint_keeper import HintKeeper
from weftdb.server.internode.hint_store import HintStore, StateEncoders
from weftdb.server.internode.messages import Noted, Tell
from weftdb.server.internode.outcomes import Outcomes
from weftdb.server.internode.ports import NodeCaller, ReplicaCaller
from weftdb.server.internode.repair import RepairPace, Repairs
from weftdb.server.internode.replica_records import ReplicaRecords
from weftdb.server.internode.replication_figures import ReplicationFigures, figures_of
from weftdb.server.internode.standings import Standings
from weftdb.storage.kv import KeyValueStore

FORGET_SHARE = 0.001
"""Of the grace of deletions: how often it is looked at what may be forgotten,"""
FORGET_S_MAX = 60.0
"""but at least this often."""
DRAIN_S_MAX = 1.0


class Replication:
    """Of one node, in one life."""

    def __init__(
        self,
        store: KeyValueStore,
        view: ClusterView,
        config: Config,
        env: Env,
        *,
        was_emptied: bool = False,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Read what is kept in `store`. Raises CorruptData.

        `was_emptied`: the node was here before and came back without its data; `settled` is called
        in a thread once that is made good.
        """
        grace, hint_bounds = bounds_of(config.replication.tombstone_grace_s)
        self._grace = grace
        self._view = view
        self._config = config
        self._env = env
        self._settled = settled
        self._records = ReplicaRecords(store)
        self.outcomes = Outcomes()
        self.standings = Standings(
            self._records,
            view,
            env.clock,
            grace_ms=grace.grace_ms,
            was_emptied=was_emptied,
        )
        encoders = StateEncoders(view.schema)
        self.hints = HintStore(store, env.clock, bounds=hint_bounds, encode=encoders.encode)
        self._forgetting = Forgetting(
            self.standings,
            self._records,
            view,
            env.clock,
            grace,
            defaults=config.comparing,
        )
        self._running: _Running | None = None

    @property
    def driver(self) -> Driver:
        """Runs coordinations. Requires: started."""
        return self._started.driver

    @property
    def comparer(self) -> Comparer:
        """Compares replicas when somebody asks for it. Requires: started."""
        return self._started.comparer

    @property
    def full_repair(self) -> FullRepair:
        """Brings replicas together when somebody asks for it. Requires: started."""
        return FullRepair(self._started.comparer, self._view)

    def start(
        self,
        caller: ReplicaCaller,
        nodes: NodeCaller,
        *,
        driver_bounds: DriverBounds | None = None,
        replay_pace: ReplayPace | None = None,
        repair_pace: RepairPace | None = None,
    ) -> None:
        """Begin, in the event loop. Coordinations can be run when this returns."""
        assert self._running is None, "it was started before"
        clock, view = self._env.clock, self._view
        keeper = HintKeeper(self.hints, caller, view, clock, self._env.random, pace=replay_pace)
        driver = Driver(Wiring(caller, keeper, clock), self.outcomes, driver_bounds)
        comparer = Comparer(
            driver,
            caller,
            view,
            clock,
            grace_ms=self._grace.grace_ms,
            defaults=self._config.comparing,
        )
        repairs = Repairs(
            comparer,
            self.standings,
            self._forgetting,
            self._records,
            self.hints,
            nodes,
            view,
            clock,
            self._env.random,
            pace=repair_pace or self._repair_pace(),
            settled=self._settled,
        )
        self._running = _Running(driver, keeper, comparer, repairs)
        keeper.start()
        repairs.start()

    async def stop(self, grace_s: float) -> None:
        """Let coordinations end, within `grace_s` or less by themselves, for what goes on behind
        answers can as well become hints; then everything else."""
        running = self._running
        if running is None:
            return
        await running.repairs.stop()
        await running.driver.drain(min(grace_s, DRAIN_S_MAX))
        await running.keeper.stop()

    def note(self, sender: NodeName, tell: Tell) -> Noted:
        """Keep what another node tells (`ports.NodeAnswers`). Blocks. Raises WeftError."""
        return self.standings.note(sender, tell)

    def figures(self) -> ReplicationFigures:
        """For metrics; any thread."""
        running = self._running
        return figures_of(
            self.outcomes,
            self.hints.figures(),
            len(self.hints.owed()),
            behind=0 if running is None else running.driver.behind,
            comparisons=None if running is None else running.comparer.tally,
            rebuilds=None if running is None else running.repairs.tally,
            standings={
                shard: self.standings.stage(shard)
                for shard in ([] if self.standings.is_plain else self._view.here())
            },
        )

    @property
    def _started(self) -> _Running:
        assert self._running is not None, "it is not started yet"
        return self._running

    def _repair_pace(self) -> RepairPace:
        comparing = self._config.comparing
        grace_s = self._config.replication.tombstone_grace_s
        return RepairPace(
            is_comparing=not comparing.disabled,
            exchanges_max=comparing.exchanges_max,
            forget_s=min(grace_s * FORGET_SHARE, FORGET_S_MAX),
        )


class _Running:
    """What lives in the loop."""

    def __init__(
        self, driver: Driver, keeper: HintKeeper, comparer: Comparer, repairs: Repairs
    ) -> None:
        self.driver = driver
        self.keeper = keeper
        self.comparer = comparer
        self.repairs = repairs
