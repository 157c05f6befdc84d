"""A real etcd that dies, hangs, comes back, forgets and is locked: what do its clients say?"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.etcd_process import EtcdProcess
from tests.server_process import free_ports
from weftdb.cluster.metadata.store import (
    Committed,
    Event,
    Exists,
    IsAbsent,
    LeaseId,
    Outcome,
    Put,
    Refused,
    Revision,
    Transaction,
)
from weftdb.core.env import SystemClock
from weftdb.core.errors import Closed, CommitUnknown, Compacted, DiskFull, MetadataUnavailable
from weftdb.proto.etcd import key_values_pb2 as kv
from weftdb.server.etcd.connection import EtcdAway, EtcdConnection, EtcdSettings
from weftdb.server.etcd.methods import TXN, Method, Reply, Request
from weftdb.server.etcd.session import CommitSession
from weftdb.server.etcd.store import EtcdMetadata

pytestmark = pytest.mark.xdist_group("etcd")

TIMEOUT_S = 1.5
BOUND_S = 2 * TIMEOUT_S + 5.0
WRITES_MAX = 300
"""A call must have ended by then, on a loaded machine, too."""

Found = TypeVar("Found")
Connect = Callable[..., EtcdMetadata]


@pytest.fixture
def member(tmp_path: Path) -> Iterator[EtcdProcess]:
    """An etcd of the test's own."""
    process = EtcdProcess(tmp_path / "data")
    try:
        process.start()
        yield process
    finally:
        process.stop()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients and closes them."""
    made: list[EtcdMetadata] = []

    def connect_to(
        *endpoints: str, name: str = "one", timeout_s: float = TIMEOUT_S
    ) -> EtcdMetadata:
        settings = EtcdSettings(endpoints, timeout_s=timeout_s)
        made.append(EtcdMetadata(settings, f"/sessions/{name}", SystemClock(), random.Random()))
        return made[-1]

    yield connect_to
    for store in made:
        store.close()


def put(key: str, value: bytes = b"") -> Transaction:
    return Transaction((Put(key, value),))


def committed(outcome: Outcome) -> Revision:
    assert isinstance(outcome, Committed)
    return outcome.revision


def eventually(action: Callable[[], Found]) -> Found:
    """Try again while the store is away, for half a minute."""
    until = time.monotonic() + 30
    while True:
        try:
            return action()
        except MetadataUnavailable:
            assert time.monotonic() < until, "it never came back"


def test_a_member_that_was_killed_comes_back_with_everything(
    member: EtcdProcess, connect: Connect
) -> None:
    store = connect(member.endpoint)
    first = committed(store.commit(put("/t/a", b"1")))
    watch = store.watch("/t/", first)
    member.kill()
    for attempt in (lambda: store.get("/t/a"), lambda: store.list("/t/")):
        started = time.monotonic()
        with pytest.raises(MetadataUnavailable, match=member.endpoint):
            attempt()
        assert time.monotonic() - started < BOUND_S
    with pytest.raises(MetadataUnavailable, match=member.endpoint):
        watch.next(0.5)
    time.sleep(1.1)  # So that the next commit asks first whether etcd is there.
    with pytest.raises(MetadataUnavailable, match=member.endpoint):
        store.commit(put("/t/b", b"not made"))
    member.start()
    found = eventually(lambda: store.get("/t/a"))
    assert found is not None
    assert store.get("/t/b") is None
    second = committed(store.commit(put("/t/a", b"2")))
    events = list(eventually(lambda: watch.next(5)))
    assert events == [Event("/t/a", b"2", second)], "the watch went on where it was"


def test_a_member_that_hangs_costs_no_more_than_the_time_out(
    member: EtcdProcess, connect: Connect
) -> None:
    store = connect(member.endpoint)
    committed(store.commit(put("/t/a")))
    member.pause()
    started = time.monotonic()
    with pytest.raises(MetadataUnavailable, match="DEADLINE_EXCEEDED"):
        store.get("/t/a")
    assert time.monotonic() - started < BOUND_S
    fresh = store.watch("/t/", Revision(1))
    with pytest.raises(MetadataUnavailable):
        fresh.next(0.5)
    with pytest.raises(MetadataUnavailable):
        store.keep_alive(LeaseId(77))
    member.resume()
    assert eventually(lambda: store.get("/t/a")) is not None


def test_a_commit_whose_answer_is_lost_is_unknown_and_then_shut_out(
    member: EtcdProcess, connect: Connect
) -> None:
    """The member hangs with the commit in its hands; the next commit decides what it became."""
    store = connect(member.endpoint)
    committed(store.commit(put("/t/a")))
    member.pause()
    started = time.monotonic()
    with pytest.raises(CommitUnknown, match=member.endpoint):
        store.commit(put("/t/lost", b"?"))
    assert time.monotonic() - started < BOUND_S
    member.resume()
    outcome = eventually(lambda: store.commit(put("/t/after")))
    assert isinstance(outcome, Committed)
    seen = store.get("/t/lost")
    time.sleep(1)
    assert store.get("/t/lost") == seen, "after a commit that ended, nothing earlier comes in"


def test_a_lost_answer_is_found_again(member: EtcdProcess) -> None:
    """Every way in which one answer can get lost, decided by reading back."""
    for is_made in (True, False):
        connection = Lossy(EtcdSettings((member.endpoint,)), SystemClock(), random.Random(1))
        session = CommitSession(connection, "/sessions/lossy", f"nonce{is_made}")
        first = session.commit(put(f"/t/{is_made}", b"1"))
        assert isinstance(first, Committed)
        connection.losing = "answer" if is_made else "request"
        second = session.commit(
            Transaction((Put(f"/t/{is_made}", b"2"),), (Exists(f"/t/{is_made}"),))
        )
        assert isinstance(second, Committed), "made once, whether at the first try or the second"
        assert connection.lost == 1
        found = connection.ask(
            TXN, kv.TxnRequest(success=[_read(f"/t/{is_made}"), _read("/sessions/lossy")])
        )
        ours = found.responses[0].response_range.kvs[0]
        assert (ours.value, ours.version, ours.mod_revision) == (b"2", 2, second.revision)
        third = session.commit(Transaction((Put("/t/x", b""),), (IsAbsent(f"/t/{is_made}"),)))
        assert third == Refused((IsAbsent(f"/t/{is_made}"),))
        connection.close()


def test_a_request_that_comes_late_is_shut_out(member: EtcdProcess) -> None:
    """The lost commit arrives after the client was told that it was not made."""
    connection = Lossy(EtcdSettings((member.endpoint,)), SystemClock(), random.Random(1))
    session = CommitSession(connection, "/sessions/late", "nonce")
    session.commit(put("/t/k", b"1"))
    connection.losing = "request"
    outcome = session.commit(put("/t/k", b"2"))
    assert isinstance(outcome, Committed)
    session.commit(put("/t/k", b"3"))
    late = connection.ask(TXN, connection.kept)
    assert not late.succeeded
    connection.close()


def test_two_clients_of_one_name_shut_each_other_out_safely(
    member: EtcdProcess, connect: Connect
) -> None:
    """A mistake of an operator: both make progress, and no commit is counted twice."""
    one, two = connect(member.endpoint), connect(member.endpoint)
    for number in range(5):
        committed(one.commit(put(f"/t/one/{number}")))
        committed(two.commit(put(f"/t/two/{number}")))
    assert len(one.list("/t/").records) == 10


def test_compaction_under_a_watch_that_was_away(member: EtcdProcess, connect: Connect) -> None:
    store = connect(member.endpoint)
    start = committed(store.commit(put("/t/a", b"0")))
    watch = store.watch("/t/", start)
    assert list(watch.next(1)) == []
    member.kill()
    time.sleep(1)  # The stream has ended when it is looked at; there is no time for another one.
    with pytest.raises(MetadataUnavailable):
        watch.next(0.01)
    member.start()
    for number in range(5):
        change = put("/t/a", str(number).encode())
        last = committed(eventually(lambda change=change: store.commit(change)))
    store.compact(last)
    with pytest.raises(Compacted):
        eventually(lambda: watch.next(5))
    anew = store.list("/t/")
    assert [record.value for record in anew.records] == [b"4"]
    again = store.watch("/t/", anew.revision)
    assert list(again.next(1)) == []


def test_another_endpoint_answers_when_one_is_away(member: EtcdProcess, connect: Connect) -> None:
    (closed,) = free_ports(1)
    store = connect(f"127.0.0.1:{closed}", member.endpoint, timeout_s=10)
    first = committed(store.commit(put("/t/a", b"1")))
    assert store.get("/t/a") is not None
    watch = store.watch("/t/", Revision(first - 1))
    assert watch.next(10)
    started = time.monotonic()
    assert store.get("/t/a") is not None
    assert time.monotonic() - started < 2, "an endpoint that is away is not asked first again"


def test_a_full_store_takes_nothing_more_and_still_reads(tmp_path: Path, connect: Connect) -> None:
    member = EtcdProcess(tmp_path / "data", ("--quota-backend-bytes=2000000",))
    try:
        member.start()
        store = connect(member.endpoint, timeout_s=20)

        def fill() -> None:
            for number in range(WRITES_MAX):
                committed(store.commit(put(f"/t/{number:03}", b"x" * 200_000)))

        with pytest.raises(DiskFull, match=member.endpoint):
            fill()
        # It counts what its backend has, which on a quick machine is some ten writes behind.
        assert 0 < len(store.list("/t/").records) < WRITES_MAX
        assert store.used_bytes() > 200_000
        with pytest.raises(DiskFull):
            store.commit(put("/t/small", b""))
    finally:
        member.stop()


def test_closing_ends_a_call_that_waits(member: EtcdProcess, connect: Connect) -> None:
    store = connect(member.endpoint, timeout_s=60)
    store.get("/t/a")
    member.pause()
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            store.get("/t/a")
        except (Closed, MetadataUnavailable) as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    store.close()
    asking.join(timeout=10)
    assert [type(error) for error in raised] == [Closed]


class Lossy(EtcdConnection):
    """Loses one commit, or the answer to it, when told to."""

    losing = ""
    lost = 0
    kept = kv.TxnRequest()

    def attempt(
        self,
        method: Method[Request, Reply],
        request: Request,
        deadline: float,
        *,
        is_patient: bool = False,
    ) -> Reply:
        if method is TXN and self.losing:
            losing, self.losing = self.losing, ""
            self.lost += 1
            if losing == "answer":
                super().attempt(method, request, deadline, is_patient=is_patient)
            assert isinstance(request, kv.TxnRequest)
            self.kept = request
            raise EtcdAway(f"the {losing} is lost")
        return super().attempt(method, request, deadline, is_patient=is_patient)


def _read(key: str) -> kv.RequestOp:
    return kv.RequestOp(request_range=kv.RangeRequest(key=key.encode()))
