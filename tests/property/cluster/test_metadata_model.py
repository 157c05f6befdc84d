"""StoredMetadata against a dict: conditions, revisions, leases, watches and reopening."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from weftdb.cluster.metadata.store import (
    Change,
    Committed,
    Condition,
    Delete,
    Exists,
    IsAbsent,
    IsAt,
    LeaseId,
    Put,
    Refused,
    Revision,
    Transaction,
    Watch,
)
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.core.env import ManualClock
from weftdb.core.errors import Compacted, LeaseLost
from weftdb.storage.memory import MemoryStore

KEYS = [f"/a/{name}" for name in "xyz"] + ["/b/x"]
names = st.sampled_from(KEYS)


@dataclass(frozen=True)
class Held:
    """What the model knows of a key."""

    value: bytes
    revision: int
    lease: LeaseId | None


class MetadataModel(RuleBasedStateMachine):
    """Random commits, in a world of four keys and few leases."""

    def __init__(self) -> None:
        super().__init__()
        self.below, self.clock = MemoryStore(), ManualClock()
        self.store = StoredMetadata(self.below, self.clock)
        self.model: dict[str, Held] = {}
        self.leases: dict[LeaseId, tuple[int, int]] = {}
        """Its ttl and when it ends, in milliseconds."""
        self.mirrors: list[tuple[str, Watch, dict[str, bytes]]] = []
        self.values = 0

    def end_leases(self) -> None:
        now = self.clock.now_ms()
        for lease in [each for each, (_, ends) in self.leases.items() if ends <= now]:
            self.forget(lease)

    def forget(self, lease: LeaseId) -> None:
        del self.leases[lease]
        self.model = {key: held for key, held in self.model.items() if held.lease != lease}

    def holds(self, condition: Condition) -> bool:
        held = self.model.get(condition.key)
        match condition:
            case IsAbsent():
                return held is None
            case Exists():
                return held is not None
            case IsAt(_, revision):
                return held is not None and held.revision == revision

    @rule(data=st.data(), touched=st.lists(names, min_size=1, max_size=3, unique=True))
    def commit(self, data: st.DataObject, touched: list[str]) -> None:
        changes: list[Change] = []
        for key in touched:
            if data.draw(st.booleans()):
                changes.append(Delete(key))
            else:
                self.values += 1
                lease = data.draw(st.none() | st.sampled_from([*self.leases, LeaseId(99)]))
                changes.append(Put(key, str(self.values).encode(), lease))
        conditions = tuple(
            data.draw(
                st.sampled_from(
                    [
                        IsAbsent(key),
                        Exists(key),
                        IsAt(key, self.revision_of(key)),
                        IsAt(key, Revision(1)),
                    ]
                )
            )
            for key in data.draw(st.lists(names, max_size=2))
        )
        self.end_leases()
        failed = tuple(each for each in conditions if not self.holds(each))
        lost = any(
            isinstance(each, Put) and each.lease not in {None, *self.leases} for each in changes
        )
        transaction = Transaction(tuple(changes), conditions)
        if lost and not failed:
            try:
                self.store.commit(transaction)
            except LeaseLost:
                return
            raise AssertionError("a put bound to no lease")
        outcome = self.store.commit(transaction)
        if failed:
            assert outcome == Refused(failed)
            return
        assert isinstance(outcome, Committed)
        for change in changes:
            self.model.pop(change.key, None)
            if isinstance(change, Put):
                self.model[change.key] = Held(change.value, outcome.revision, change.lease)

    def revision_of(self, key: str) -> Revision:
        held = self.model.get(key)
        return Revision(held.revision if held else 0)

    @precondition(lambda self: len(self.leases) < 3)
    @rule(ttl_s=st.integers(1, 5))
    def grant(self, ttl_s: int) -> None:
        lease = self.store.grant(ttl_s)
        assert lease.id not in self.leases
        self.leases[lease.id] = (ttl_s * 1000, self.clock.now_ms() + ttl_s * 1000)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), is_kept=st.booleans())
    def use_lease(self, data: st.DataObject, is_kept: bool) -> None:
        lease = data.draw(st.sampled_from(sorted(self.leases)))
        self.end_leases()
        if not is_kept:
            self.store.revoke(lease)
            if lease in self.leases:
                self.forget(lease)
            return
        try:
            self.store.keep_alive(lease)
            assert lease in self.leases
            ttl_ms = self.leases[lease][0]
            self.leases[lease] = (ttl_ms, self.clock.now_ms() + ttl_ms)
        except LeaseLost:
            assert lease not in self.leases

    @rule(ms=st.integers(0, 3000))
    def pass_time(self, ms: int) -> None:
        self.clock.advance(ms)

    @precondition(lambda self: len(self.mirrors) < 3)
    @rule(prefix=st.sampled_from(["/a/", "/"]))
    def follow(self, prefix: str) -> None:
        """List and watch: from then on, the mirror must always be what a list would be."""
        listed = self.store.list(prefix)
        self.end_leases()
        watch = self.store.watch(prefix, listed.revision)
        self.mirrors.append((prefix, watch, {each.key: each.value for each in listed.records}))

    @precondition(lambda self: self.mirrors)
    @rule()
    def compact(self) -> None:
        """Followers that have seen everything do not mind."""
        self.mirrors_agree()
        self.store.compact(self.store.list("/").revision)

    @rule()
    def reopen(self) -> None:
        """A process ends: its leases end, its watches are gone."""
        self.store.close()
        self.store = StoredMetadata(self.below, self.clock)
        for lease in list(self.leases):
            self.forget(lease)
        self.mirrors = []

    @invariant()
    def the_list_is_the_model(self) -> None:
        self.end_leases()
        found = {
            each.key: Held(each.value, each.revision, each.lease)
            for each in self.store.list("/").records
        }
        assert found == self.model

    @invariant()
    def mirrors_agree(self) -> None:
        self.end_leases()
        for prefix, watch, mirror in self.mirrors:
            try:
                events = watch.next(0)
            except Compacted:
                raise AssertionError("this follower was up to date") from None
            revisions = [each.revision for each in events]
            assert revisions == sorted(revisions)
            for event in events:
                if event.value is None:
                    mirror.pop(event.key, None)
                else:
                    mirror[event.key] = event.value
            assert mirror == {
                key: held.value for key, held in self.model.items() if key.startswith(prefix)
            }


TestMetadataModel = MetadataModel.TestCase
TestMetadataModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
