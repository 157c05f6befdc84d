"""Standings: which replicas here vouch for what they hold, and what is known of their peers.

    (opened)                  ── this node lost its data ──────────────▶ REBUILDING
    (opened, away for long)   ── somebody has marked it ──▶ MARKED ── emptied ──▶ REBUILDING
    REBUILDING                ── compared with enough others ──▶ VOUCHES

"Enough" is one more than the replicas that may lack a write acknowledged at QUORUM: n - quorum + 1
others of n. Another one that is being rebuilt counts: it has nothing, and where as many have lost
their data as that takes, no waiting would bring it back.

A node that ran until shortly before it started cannot have been marked meanwhile, for nobody is
given up within the grace. One that was away longer than half of it vouches for nothing until every
other replica that is there has been asked; clocks would have to differ by days for that to fail.
The same holds for one that ran all the time, and saw none of the others for so long.

A node that lost its data rebuilds every shard that it finds itself in charge of, until `settled`.

Concurrency: any thread. What changes is durable when a method returns.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.replication.tombstones import Peer
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Clock
from weftdb.core.errors import ShardLoading
from weftdb.core.types import NodeName
from weftdb.server.internode.cluster_view import ClusterView
from weftdb.server.internode.messages import Noted, Tell
from weftdb.server.internode.replica_records import (
    PeerRecord,
    ReplicaRecords,
    Stage,
    StandingRecord,
)

log = logging.getLogger("weftdb.replication")

SEEN_MS_STEP_MAX = 3_600_000
"""How often it is written down that a peer is there, at least."""
_EMPTIED = "this node lost its data"
_VOUCHES = StandingRecord(Stage.VOUCHES, "")


class Standings:
    """The replicas of one node. Reads what is stored when it is made."""

    def __init__(
        self,
        records: ReplicaRecords,
        view: ClusterView,
        clock: Clock,
        *,
        grace_ms: int,
        was_emptied: bool = False,
    ) -> None:
        """`was_emptied`: this node was here before, and came back without its data."""
        self._records = records
        self._view = view
        self._clock = clock
        self._grace_ms = grace_ms
        self._was_emptied = was_emptied
        self._lock = threading.RLock()
        self._standings = records.standings()
        self._peers: dict[ShardRef, tuple[int, dict[NodeName, PeerRecord]]] = {}
        alive_ms = records.alive_ms()
        away_ms = 0 if alive_ms is None else clock.now_ms() - alive_ms
        self._asks_first = away_ms >= grace_ms // 2
        self._asked: dict[ShardRef, set[NodeName]] = {}
        """Of shards that do not vouch yet, who has said that it has not marked them."""
        self._cleared: set[ShardRef] = set()
        if self._asks_first:
            # What was begun before may be as old.
            for shard, standing in self._standings.items():
                if standing.stage is Stage.REBUILDING:
                    self._keep(shard, replace(standing, stage=Stage.MARKED, compared=()))
            log.warning(
                "this node was away for %.1f days: it asks whether it was given up meanwhile",
                away_ms / 86_400_000,
            )

    # --- what may be asked here ------------------------------------------------------------------

    def is_rebuilding(self, shard: ShardRef) -> bool:
        """Whether a replica here takes states, but says nothing that counts."""
        if self.is_plain:
            return False
        return self.stage(shard) is not Stage.VOUCHES or self.is_unsure(shard)

    def check(self, shard: ShardRef) -> None:
        """Let comparisons pass, and what is stored. Raises ShardLoading for a replica that has to
        be emptied first, or does not know whether it must."""
        if self.is_plain:
            return
        if self.stage(shard) is Stage.MARKED:
            raise ShardLoading(f"shard {shard.shard} was given up while it was away: it is emptied")
        if self.is_unsure(shard):
            raise ShardLoading(
                f"shard {shard.shard} asks whether it was given up while it was away"
            )

    def stage(self, shard: ShardRef) -> Stage:
        """How far a replica is."""
        with self._lock:
            return self._standing(shard).stage

    def is_unsure(self, shard: ShardRef) -> bool:
        """Whether the others have to be asked first."""
        return (
            self._asks_first
            and shard not in self._cleared
            and tuple(self._view.replicas(shard)) != (self._view.node,)
            and self.stage(shard) is Stage.VOUCHES
        )

    # --- on the way to vouch ---------------------------------------------------------------------

    def learn_unmarked(self, shard: ShardRef, peer: NodeName) -> None:
        """`peer` has not marked the replica here. Vouch once all who are there have said so."""
        with self._lock:
            asked = self._asked.setdefault(shard, set())
            asked.add(peer)
            others = self._peers_of(shard)
            missing = [node for node in others if node not in asked]
            if all(self._view.is_away(node) for node in missing) and (asked or not others):
                self._cleared.add(shard)
                log.info("shard %s was not given up while it was away", shard.shard)

    def clear_alone(self, shard: ShardRef) -> None:
        """There is no other replica that could have marked this one."""
        with self._lock:
            self._cleared.add(shard)

    def mark_self(self, shard: ShardRef, by: NodeName) -> None:
        """`by` has forgotten deletions without the replica here."""
        with self._lock:
            if (
                self._standing(shard).stage is Stage.VOUCHES
            ):  # Else it was emptied since, or will be.
                self._keep(shard, StandingRecord(Stage.MARKED, f"{by} gave it up"))

    def begin_rebuild(self, shard: ShardRef, why: str) -> None:
        """The replica here holds nothing, or is not to be relied upon."""
        with self._lock:
            self._keep(shard, StandingRecord(Stage.REBUILDING, why))

    def learn_compared(self, shard: ShardRef, peer: NodeName) -> bool:
        """A replica that is rebuilt has been compared with `peer`, completely. True once it
        vouches."""
        with self._lock:
            standing = self._standing(shard)
            if standing.stage is not Stage.REBUILDING:
                return standing.stage is Stage.VOUCHES
            compared = tuple(sorted({*standing.compared, peer}))
            if len(compared) < self.needed(shard):
                self._keep(shard, replace(standing, compared=compared))
                return False
            self._keep(shard, replace(standing, stage=Stage.VOUCHES, compared=compared))
            self._cleared.add(shard)
            return True

    def needed(self, shard: ShardRef) -> int:
        """With how many others a replica has to be compared before it vouches."""
        nodes = set(self._view.replicas(shard)) | {self._view.node}
        return len(nodes) - ConsistencyLevel.QUORUM.required(len(nodes)) + (len(nodes) > 1)

    def compared(self, shard: ShardRef) -> tuple[NodeName, ...]:
        """With whom a replica that is rebuilt has been compared."""
        with self._lock:
            return self._standing(shard).compared

    def settled(self) -> None:
        """Everything here vouches: what comes from now on is new."""
        with self._lock:
            self._was_emptied = self._asks_first = False
            self._cleared.clear()
            for shard, standing in list(self._standings.items()):
                if standing.stage is Stage.VOUCHES:
                    self._keep(shard, None)

    def forget_gone(self) -> None:
        """Drop rows of shards that do not lie here any more. Requires: the view is complete."""
        with self._lock:
            here = set(self._view.here())
            for shard in [shard for shard in self._standings if shard not in here]:
                self._keep(shard, None)
            for known in (self._peers, self._asked):
                for shard in [shard for shard in known if shard not in here]:
                    del known[shard]

    # --- what is known of peers ------------------------------------------------------------------

    def peers(self, shard: ShardRef) -> dict[NodeName, Peer]:
        """The other replicas of a shard here, as `tombstones.forgetting` wants them."""
        with self._lock:
            known = self._known(shard)
            found = {}
            for node in self._peers_of(shard):
                record = known.get(node, PeerRecord())
                found[node] = Peer(
                    record.complete_until_ms or None,
                    record.seen_ms if self._view.is_away(node) else None,
                    record.is_marked,
                )
            return found

    def see_peers(self, shard: ShardRef) -> None:
        """Note who is there, now and then."""
        with self._lock:
            now_ms, known = self._clock.now_ms(), self._known(shard)
            nodes = set(self._peers_of(shard))
            self._doubt(shard, [known[node].seen_ms for node in nodes if node in known], now_ms)
            step_ms = min(SEEN_MS_STEP_MAX, self._grace_ms // 16)
            changed = {}
            for node in nodes:
                record = known.get(node)
                if record is None:
                    changed[node] = PeerRecord(seen_ms=now_ms)
                elif not self._view.is_away(node) and now_ms - record.seen_ms >= step_ms:
                    changed[node] = replace(record, seen_ms=now_ms)
            self._keep_peers(shard, changed, is_urgent=False)
            gone = [node for node in known if node not in nodes]
            local = self._view.local(shard)
            if gone and nodes and local is not None:
                self._records.drop_peers(local.number, gone)
                for node in gone:
                    del known[node]

    def _doubt(self, shard: ShardRef, seen_ms: Sequence[int], now_ms: int) -> None:
        """Ask the others when they come back after none of them was seen for long."""
        is_back = any(not self._view.is_away(node) for node in self._peers_of(shard))
        if is_back and seen_ms and now_ms - max(seen_ms) >= self._grace_ms // 2:
            log.warning("no other replica of shard %s was there for long", shard.shard)
            self._asks_first = True
            self._asked.pop(shard, None)
            self._cleared = (self._cleared | set(self._view.here())) - {shard}

    def _peers_of(self, shard: ShardRef) -> list[NodeName]:
        return [node for node in self._view.replicas(shard) if node != self._view.node]

    def learn_complete(self, shard: ShardRef, peer: NodeName, until_ms: int) -> None:
        """An exchange with `peer` was complete for all states until then."""
        with self._lock:
            record = self._known(shard).get(peer, PeerRecord(seen_ms=self._clock.now_ms()))
            if until_ms > record.complete_until_ms and not record.is_marked:
                self._keep_peers(shard, {peer: replace(record, complete_until_ms=until_ms)})

    def mark(self, shard: ShardRef, nodes: Iterable[NodeName]) -> None:
        """Deletions are about to be forgotten without these."""
        with self._lock:
            known, changed = self._known(shard), {}
            for node in nodes:
                record = known.get(node, PeerRecord())
                if not record.is_marked:
                    changed[node] = replace(record, is_marked=True, complete_until_ms=0)
                    log.warning(
                        "%s is given up for shard %s: it was away for longer than deletions are "
                        "remembered, and is rebuilt when it comes back", node, shard.shard,
                    )  # fmt: skip
            self._keep_peers(shard, changed)

    def unmark(self, shard: ShardRef, nodes: Iterable[NodeName]) -> None:
        """These were rebuilt."""
        with self._lock:
            known = self._known(shard)
            self._keep_peers(
                shard,
                {
                    node: replace(known[node], is_marked=False, seen_ms=self._clock.now_ms())
                    for node in nodes
                    if node in known and known[node].is_marked
                },
            )

    def marked(self, shard: ShardRef) -> tuple[NodeName, ...]:
        """Whom this node has marked."""
        with self._lock:
            known = self._known(shard)
            return tuple(sorted(node for node, record in known.items() if record.is_marked))

    def all_marked(self) -> list[tuple[ShardRef, NodeName]]:
        """Of all shards here. Reads what was not looked at before."""
        return [(shard, node) for shard in self._view.here() for node in self.marked(shard)]

    def note(self, sender: NodeName, tell: Tell) -> Noted:
        """Keep what another node tells of a shard (`ports.NodeAnswers.note`)."""
        shard = tell.shard
        with self._lock:
            if self._view.local(shard) is None:
                raise ShardLoading(f"shard {shard.shard} of {shard.collection} is not here yet")
            if self._view.node in tell.marked:
                self.mark_self(shard, sender)
            if tell.complete_until_ms is not None:
                self.learn_complete(shard, sender, tell.complete_until_ms)
            self.unmark(shard, tell.rebuilt)
            return Noted(self.marked(shard))

    @property
    def is_plain(self) -> bool:
        """Whether every replica here vouches, so that nobody needs the lock."""
        return not (self._standings or self._was_emptied or self._asks_first)

    def _standing(self, shard: ShardRef) -> StandingRecord:
        standing = self._standings.get(shard)
        if standing is None and self._was_emptied and (nodes := self._view.replicas(shard)):
            standing = StandingRecord(Stage.REBUILDING, _EMPTIED)
            if len(nodes) == 1:
                log.error("shard %s was lost: there is no other replica of it", shard.shard)
                standing = StandingRecord(Stage.VOUCHES, _EMPTIED)
            self._keep(shard, standing)
        return standing or _VOUCHES

    def _keep(self, shard: ShardRef, standing: StandingRecord | None) -> None:
        self._records.keep_standing(shard, standing)
        if standing is None:
            self._standings.pop(shard, None)
            return
        before = self._standings.get(shard, _VOUCHES).stage
        self._standings[shard] = standing
        if before is not standing.stage:
            log.info("shard %s is %s (%s)", shard.shard, standing.stage.value, standing.why)

    def _known(self, shard: ShardRef) -> dict[NodeName, PeerRecord]:
        local = self._view.local(shard)
        number, known = self._peers.get(shard, (None, {}))
        if local is None:
            return {}
        if number != local.number:
            known = self._records.peers(local.number)
            self._peers[shard] = (local.number, known)
        return known

    def _keep_peers(
        self, shard: ShardRef, changed: Mapping[NodeName, PeerRecord], *, is_urgent: bool = True
    ) -> None:
        local = self._view.local(shard)
        if changed and local is not None:
            known = self._known(shard)
            self._records.keep_peers(local.number, changed, is_urgent=is_urgent)
            known.update(changed)
