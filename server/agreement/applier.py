"""SchemaApplier: makes this node's database as the nodes have agreed.

The follower of `/schema/` says what changed; a thread of its own compares what is agreed about each
of these collections with what is held here, and makes the difference: so it does not matter how
many changes were missed. What cannot be made (no disk, no memory, a definition that this release
cannot read) is tried again, with pauses that double, and the collections beside it go on.

A shard that the sharding state does not give to this node any more stays: what was acknowledged
here has to be handed over first (cluster/rebalance/operation.py). Only with its collection it goes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.store import Event, Revision
from weftdb.core.env import Clock
from weftdb.core.errors import Closed, Fault, WeftError
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.agreement.agreed import Agreed, changed_names, read_agreed
from weftdb.server.agreement.incarnations import Incarnations
from weftdb.server.follower import Follower

log = logging.getLogger("weftdb.cluster")

PAUSE_S = 0.2
PAUSE_S_MAX = 30.0


class Holder(Protocol):
    """What is held on this node: the engine's database."""

    def find(self, name: CollectionName) -> Collection | None:
        """The definition that is held."""
        ...

    def names(self) -> Iterable[CollectionName]:
        """Every collection that is held."""
        ...

    def shards_of(self, name: CollectionName) -> Iterable[ShardName]:
        """The shards that are held of a collection."""
        ...

    def create(self, definition: Collection, shards: Sequence[ShardName]) -> None:
        """Make a collection with empty shards."""
        ...

    def change(self, definition: Collection) -> None:
        """Replace the definition by a compatible one."""
        ...

    def add_shard(self, name: CollectionName, shard: ShardName) -> None:
        """Make an empty shard more."""
        ...

    def set_read_only(self, name: CollectionName, shards: Container[ShardName]) -> None:
        """Have these of the held shards refuse writes, and the others take them."""
        ...

    def drop(self, name: CollectionName) -> None:
        """Remove a collection with all of its shards."""
        ...

    def check(self, definition: Collection) -> None:
        """Raise SchemaViolation for a definition that this node could not serve."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """A collection as this node goes by it."""

    agreed: Agreed
    schema: Collection
    """The definition that the database holds."""


@dataclass(slots=True)
class _Due:
    """A collection that has to be looked at, because of a change at `revision`."""

    revision: Revision
    at_s: float = float("-inf")
    pause_s: float = PAUSE_S


class SchemaApplier:
    """Thread-safe. `attach` comes before `start`."""

    def __init__(
        self,
        own: NodeName,
        keys: ClusterKeys,
        holder: Holder,
        incarnations: Incarnations,
        clock: Clock,
    ) -> None:
        self._own = own
        self._keys = keys
        self._holder = holder
        self._incarnations = incarnations
        self._clock = clock
        self._follower: Follower | None = None
        self._turn = threading.Condition()
        self._due: dict[CollectionName, _Due] = {}
        self._done: dict[CollectionName, Revision] = {}
        self._applied: dict[CollectionName, Applied] = {}
        self._faults: dict[CollectionName, WeftError] = {}
        self._waiters: set[_Waiter] = set()
        self._is_started = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="weft-schema", daemon=True)

    def attach(self, follower: Follower) -> None:
        """Take the follower whose listener `hear` is."""
        self._follower = follower

    def hear(self, events: Sequence[Event]) -> None:
        """Listen to the follower of `/schema/`."""
        self._look_at(changed_names(self._keys, events))

    def start(self, timeout_s: float) -> bool:
        """Begin, and wait until everything that is agreed is here; False when some of it is not in
        time (the log says what and why). Requires: the follower has heard the metadata once."""
        assert self._follower is not None
        known = {*self._holder.names(), *self._incarnations.names()}
        # What was dropped while this node was away is told by nobody.
        self._look_at(dict.fromkeys(known, self._follower.revision))
        with self._turn:
            self._is_started = True
        self._thread.start()
        with self._turn:
            return self._turn.wait_for(lambda: not self._due, timeout_s)

    def close(self) -> None:
        """End the thread; what is applied stays."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    # --- what is applied -------------------------------------------------------------------------

    def applied(self, name: CollectionName) -> Applied | None:
        """The collection as this node goes by it."""
        return self._applied.get(name)

    def all(self) -> Mapping[CollectionName, Applied]:
        """Every collection that this node goes by."""
        with self._turn:
            return dict(self._applied)

    def newest(self, name: CollectionName) -> Agreed | None:
        """What is known of a collection, be it applied or not. Raises CorruptData."""
        assert self._follower is not None
        return read_agreed(self._follower, self._keys, name)

    @property
    def is_complete(self) -> bool:
        """Whether all that was heard of is made; False before the first start, too."""
        with self._turn:
            return self._is_started and not self._due

    def faults(self) -> Mapping[CollectionName, WeftError]:
        """Why collections are not as agreed."""
        with self._turn:
            return dict(self._faults)

    def wait_done(self, name: CollectionName, revision: Revision, timeout_s: float) -> bool:
        """Wait until the change of `name` at `revision` is made here; False when it is not in
        time. Any thread but this one's own."""
        with self._turn:
            return self._turn.wait_for(lambda: self._is_done(name, revision), timeout_s)

    def wait_past(self, name: CollectionName, before: Applied | None, timeout_s: float) -> bool:
        """Wait until this node goes by something else than `before`; False when it is not so in
        time. Any thread but this one's own."""
        with self._turn:
            return self._turn.wait_for(lambda: self._applied.get(name) is not before, timeout_s)

    async def wait_for(
        self, name: CollectionName, is_there: Callable[[Applied], bool], deadline_s: float
    ) -> bool:
        """Wait in an event loop until `is_there` holds of the collection; False at the deadline
        (monotonic seconds)."""
        loop = asyncio.get_running_loop()
        while True:
            waiter = _Waiter(loop)
            with self._turn:
                applied = self._applied.get(name)
                if applied is not None and is_there(applied):
                    return True
                self._waiters.add(waiter)
            try:
                left_s = deadline_s - self._clock.monotonic_s()
                if left_s <= 0:
                    return False
                await asyncio.wait_for(waiter.event.wait(), left_s)
            except TimeoutError:
                return False
            finally:
                with self._turn:
                    self._waiters.discard(waiter)

    def is_gone(self, name: CollectionName, revision: Revision) -> bool:
        """Whether it is known that no collection of that name is there at `revision` or later."""
        assert self._follower is not None
        with self._turn:
            if name in self._applied or name in self._due:
                return False
        return self._follower.revision >= revision and self.newest(name) is None

    # --- its thread ------------------------------------------------------------------------------

    def _look_at(self, names: Mapping[CollectionName, Revision]) -> None:
        with self._turn:
            for name, revision in names.items():
                known = self._due.get(name)
                newest = revision if known is None else Revision(max(revision, known.revision))
                self._due[name] = _Due(newest)
            if names:
                self._turn.notify_all()

    def _run(self) -> None:
        while True:
            with self._turn:
                if self._is_closed:
                    return
                now = self._clock.monotonic_s()
                ready = sorted(name for name, due in self._due.items() if due.at_s <= now)
                if not ready:
                    at_s = min((due.at_s for due in self._due.values()), default=None)
                    self._turn.wait(None if at_s is None else at_s - now)
                    continue
                # One after the other: what comes meanwhile is seen in the next turn.
                name, due = ready[0], self._due[ready[0]]
            try:
                self._apply(name)
            except Closed:
                return
            except WeftError as error:
                self._failed(name, due, error)
            else:
                self._succeeded(name, due)

    def _apply(self, name: CollectionName) -> None:
        """Make a collection as is agreed. Raises WeftError."""
        agreed, held = self.newest(name), self._holder.find(name)
        kept = self._incarnations.get(name)
        if held is not None and kept is None:
            raise Fault(f"nobody knows where the collection {name} on this node comes from")
        if held is not None and (agreed is None or agreed.record.incarnation != kept):
            self._forget(name)
            self._holder.drop(name)
            log.info("collection %s was dropped", name)
            held = None
        if agreed is None:
            if kept is not None:
                self._incarnations.remove(name)
            self._forget(name)
            return
        definition, shards = agreed.definition, agreed.shards_on(self._own)
        if held is None:
            self._incarnations.put(name, agreed.record.incarnation)
            self._holder.create(definition, shards)
            log.info("collection %s is here, with %d shards", name, len(shards))
        else:
            if held.definition != definition.definition:
                self._holder.change(definition)
            for shard in sorted(set(shards) - set(self._holder.shards_of(name))):
                self._holder.add_shard(name, shard)
                log.info("collection %s: shard %s is here, empty", name, shard)
        self._holder.set_read_only(name, agreed.read_only)
        schema = self._holder.find(name)
        assert schema is not None, name
        with self._turn:
            self._applied[name] = Applied(agreed, schema)

    def _forget(self, name: CollectionName) -> None:
        with self._turn:
            self._applied.pop(name, None)

    def _succeeded(self, name: CollectionName, due: _Due) -> None:
        with self._turn:
            self._done[name] = due.revision
            if self._due.get(name) is due:
                del self._due[name]
            if self._faults.pop(name, None) is not None:
                log.warning("collection %s is as agreed again", name)
            self._wake()

    def _failed(self, name: CollectionName, due: _Due, error: WeftError) -> None:
        with self._turn:
            if str(self._faults.get(name)) != str(error):
                log.warning("collection %s is not as agreed, tried again: %s", name, error)
            self._faults[name] = error
            due.at_s = self._clock.monotonic_s() + due.pause_s
            due.pause_s = min(2 * due.pause_s, PAUSE_S_MAX)
            self._wake()

    def _is_done(self, name: CollectionName, revision: Revision) -> bool:
        return self._done.get(name, Revision(0)) >= revision

    def _wake(self) -> None:
        """Requires: the turn."""
        self._turn.notify_all()
        for waiter in self._waiters:
            waiter.wake()


class _Waiter:
    """A task that waits in its event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.event = asyncio.Event()
        self._loop = loop

    def wake(self) -> None:
        """Wake it from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.event.set)
