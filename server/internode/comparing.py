"""Comparer: compares two replicas of a shard now, as the collection's settings have it.

Any node may compare any two, for both sides are asked through messages; mostly one of them is here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from weftdb.cluster.replication.differences import Rules, Side
from weftdb.cluster.replication.effects import AnyReply, Failure
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.merkle import Exchange, ExchangeBounds, Exchanged, ExchangeOrder
from weftdb.cluster.replication.messages import (
    Leaf,
    Purpose,
    ReadLeaf,
    ReadTree,
    ShardRef,
    TreeNodes,
)
from weftdb.cluster.replication.settings import ReplicationSettings
from weftdb.cluster.ring import contains, meets
from weftdb.core.config import ComparingConfig
from weftdb.core.env import Clock
from weftdb.core.errors import WeftError
from weftdb.core.hashing import TOKEN_BITS, token
from weftdb.core.partial import TokenRanges
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ObjectId
from weftdb.server.internode.cluster_view import ClusterView
from weftdb.server.internode.conversation import Manner
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.ports import CallFailed, ReplicaCaller
from weftdb.server.internode.throttle import Throttle

REBUILD_OBJECTS_MAX = 50_000
"""Moved by one comparison of a replica that is rebuilt; the next goes on where it stopped."""
_FAR_MS = 1 << 47
"""After every state."""


@dataclass(frozen=True, slots=True)
class Carrying:
    """Objects of a row of virtual shards that one replica gives to one of another shard."""

    shard: ShardRef
    node: NodeName
    to: ShardRef
    to_node: NodeName
    tokens: TokenRanges
    since_ms: int = 0
    """States before this stay where they are."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison came to. `until_ms`: all states before it were compared, if complete."""

    outcome: Exchanged
    until_ms: int


@dataclass(slots=True)
class ComparisonTally:
    """Counts since the start. Written in the event loop, read anywhere."""

    ended: Counter[str] = field(default_factory=Counter)
    """By outcome: `equal`, `repaired`, `partly` (more is left), `failed`."""
    objects_repaired: int = 0
    """States that a side took."""
    unresolved: int = 0
    """Conflicts that NoAutomatedResolution left alone, each time they were seen."""

    def note(self, outcome: Exchanged) -> None:
        """Count one."""
        self.objects_repaired += outcome.sent
        self.unresolved += outcome.unresolved
        if outcome.failure is not None:
            self.ended["failed"] += 1
        elif not outcome.is_complete:
            self.ended["partly"] += 1
        else:
            self.ended["repaired" if outcome.sent else "equal"] += 1


class Comparer:
    """Of one node. Lives in one event loop."""

    def __init__(
        self,
        driver: Driver,
        caller: ReplicaCaller,
        view: ClusterView,
        clock: Clock,
        *,
        grace_ms: int,
        defaults: ComparingConfig | None = None,
    ) -> None:
        """`defaults` stand for what a collection's definition leaves out."""
        self._driver = driver
        self._caller = caller
        self._view = view
        self._clock = clock
        self.grace_ms = grace_ms
        """How long deletions are remembered."""
        self._defaults = defaults
        self._known: dict[CollectionName, tuple[Collection, ReplicationSettings]] = {}
        """By collection, what its present definition says."""
        self.tally = ComparisonTally()

    def settings(self, shard: ShardRef) -> ReplicationSettings | None:
        """Of the shard's collection; None of one that is not known here."""
        schema = self._view.schema(shard.collection)
        if schema is None:
            return None
        known, settings = self._known.get(shard.collection, (None, None))
        if known is not schema or settings is None:
            settings = ReplicationSettings.of(schema, self._defaults)
            self._known[shard.collection] = (schema, settings)
        return settings

    async def compare(
        self,
        shard: ShardRef,
        left: NodeName,
        right: NodeName,
        *,
        is_full: bool = False,
        newest_wins: bool = False,
        throttle: Throttle | None = None,
    ) -> Comparison:
        """Compare two replicas and send each what it lacks; failures are in the outcome.

        `is_full`: also what is being written just now, and much at a time. `newest_wins`: under
        every deletion strategy, for a replica that is rebuilt has no side in conflicts.
        """
        settings = self.settings(shard)
        if settings is None:
            return self._unknown(shard)
        now_ms = self._clock.now_ms()
        rules = settings.rules(now_ms, forgotten_before_ms=now_ms - self.grace_ms)
        until_ms, bounds = rules.settled_before_ms, settings.bounds
        if newest_wins:
            rules = replace(rules, strategy=DeletionStrategy.TIME_BASED_RESOLUTION)
        if is_full:
            rules = replace(rules, settled_before_ms=_FAR_MS)
            bounds = _much(bounds)
        sides = ((shard, shard), (left, right))
        return await self._exchange(*sides, rules, bounds, until_ms, throttle)

    async def carry(self, carrying: Carrying, *, throttle: Throttle | None = None) -> Comparison:
        """Give a replica of another shard what it lacks of a row, what is being written just now
        as well; failures are in the outcome."""
        settings = self.settings(carrying.shard)
        if settings is None:
            return self._unknown(carrying.shard)
        now_ms = self._clock.now_ms()
        rules = Rules(
            DeletionStrategy.TIME_BASED_RESOLUTION,
            settled_before_ms=_FAR_MS,
            forgotten_before_ms=now_ms - self.grace_ms,
            since_ms=carrying.since_ms,
            within=carrying.tokens,
            gives=frozenset({Side.RIGHT}),
        )
        shards, nodes = (carrying.shard, carrying.to), (carrying.node, carrying.to_node)
        bounds = _much(settings.bounds)
        return await self._exchange(shards, nodes, rules, bounds, _FAR_MS, throttle)

    async def vouches(self, shard: ShardRef, node: NodeName) -> Failure | None:
        """None of a replica that knows what it has acknowledged; why not of one that is away, or
        lost its data and is being rebuilt: it answers comparisons, and they prove nothing."""
        if self._view.schema(shard.collection) is None:
            return Failure(f"collection {shard.collection} is not known here")
        request = ReadTree(shard, self._view.schema_version(shard.collection), 0, (0,))
        try:
            await self._ask(node, request, Purpose.SERVE)
        except CallFailed as failed:
            return failed.failure
        return None

    async def holds(self, shard: ShardRef, node: NodeName, tokens: TokenRanges) -> bool:
        """Whether a replica knows any object, or deletion, with one of these tokens. Raises
        CallFailed. Where little lies beside them it is a request for each level of the tree."""
        schema = self._view.schema(shard.collection)
        if schema is None:
            raise CallFailed(Failure(f"collection {shard.collection} is not known here"))
        version, height = self._view.schema_version(shard.collection), schema.hash_tree_height
        level, positions = 0, [0]
        while positions:
            found = await self._ask(node, ReadTree(shard, version, level, tuple(positions)))
            assert isinstance(found, TreeNodes), found
            full = [at for at, one in zip(positions, found.hashes, strict=True) if any(one)]
            shift = TOKEN_BITS - level
            if any(contains(tokens, at << shift, (at + 1) << shift) for at in full):
                return True
            if level == height:
                return any([await self._leaf_holds(shard, node, at, tokens) for at in full])
            level += 1
            positions = [
                at
                for above in full
                for at in (2 * above, 2 * above + 1)
                if meets(tokens, at << (shift - 1), (at + 1) << (shift - 1))
            ]
        return False

    async def _leaf_holds(
        self, shard: ShardRef, node: NodeName, position: int, tokens: TokenRanges
    ) -> bool:
        """Whether a leaf that has other tokens as well knows one of these."""
        version = self._view.schema_version(shard.collection)
        after: ObjectId | None = None
        while True:
            request = ReadLeaf(shard, version, position, after, ExchangeBounds().leaf_ids_max)
            page = await self._ask(node, request)
            assert isinstance(page, Leaf), page
            for object_id in page.ids:
                at = token(object_id)
                if meets(tokens, at, at + 1):
                    return True
            if page.is_last or not page.ids:
                return False
            after = page.ids[-1]

    async def _ask(
        self, node: NodeName, request: ReadTree | ReadLeaf, purpose: Purpose = Purpose.COMPARE
    ) -> AnyReply:
        """Raises CallFailed, also for an answer of another kind."""
        collection = request.shard.collection
        settings = self.settings(request.shard)
        patience_s = 10.0 if settings is None else settings.comparing.diff_timeout_s
        reply = await self._caller.ask(
            node,
            request,
            self._clock.monotonic_s() + patience_s,
            revision=self._view.revision(collection),
            purpose=purpose,
        )
        wanted = TreeNodes if isinstance(request, ReadTree) else Leaf
        count = len(request.positions) if isinstance(request, ReadTree) else None
        is_right = isinstance(reply, wanted)
        if not is_right or (isinstance(reply, TreeNodes) and len(reply.hashes) != count):
            raise CallFailed(Failure(f"{node} answered out of protocol"))
        return reply

    async def _exchange(
        self,
        shards: tuple[ShardRef, ShardRef],
        nodes: tuple[NodeName, NodeName],
        rules: Rules,
        bounds: ExchangeBounds,
        until_ms: int,
        throttle: Throttle | None,
    ) -> Comparison:
        shard = shards[0]
        schema, settings = self._view.schema(shard.collection), self.settings(shard)
        if schema is None or settings is None:
            return self._unknown(shard)
        deadline_s = self._clock.monotonic_s() + settings.exchange_s_max
        order = ExchangeOrder(
            shard=shard,
            schema_version=self._view.schema_version(shard.collection),
            left=nodes[0],
            right=nodes[1],
            height=schema.hash_tree_height,
            rules=rules,
            deadline_s=deadline_s,
            bounds=bounds,
            right_shard=shards[1],
        )
        manner = Manner(
            deadline_s,
            Purpose.COMPARE,
            revision=self._view.revision(shard.collection),
            request_s_max=settings.request_s_max,
            learn=self._view.learn,
            throttle=throttle,
        )
        try:
            outcome = await self._driver.run(Exchange(order), manner)
        except WeftError as error:
            return self._failed(str(error))
        self.tally.note(outcome)
        return Comparison(outcome, until_ms)

    async def root(self, shard: ShardRef, node: NodeName) -> bytes:
        """The digest of everything that the replica on `node` holds. Raises CallFailed."""
        version = self._view.schema_version(shard.collection)
        reply = await self._ask(node, ReadTree(shard, version, 0, (0,)))
        assert isinstance(reply, TreeNodes), reply
        return reply.hashes[0]

    def _unknown(self, shard: ShardRef) -> Comparison:
        return self._failed(f"collection {shard.collection} is not known here")

    def _failed(self, reason: str) -> Comparison:
        outcome = Exchanged(
            is_complete=False, found=0, sent=0, young=0, unresolved=0, leaves=0, failure=reason
        )
        self.tally.note(outcome)
        return Comparison(outcome, 0)


def _much(bounds: ExchangeBounds) -> ExchangeBounds:
    """Much at a time, for who is filled."""
    most = max(bounds.differences_max, REBUILD_OBJECTS_MAX)
    return replace(bounds, differences_max=most)
