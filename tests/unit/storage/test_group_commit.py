"""Group commit with a sync that the tests hold in their hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from weftdb.core.errors import Closed, DiskFull, Fault, WeftError
from weftdb.storage.group_commit import GroupCommit
from weftdb.storage.kv import Ticket

LONG_S = 10.0


class Disk:
    """Syncs when told to, and remembers what was written when each sync began."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.failure: WeftError | None = None
        self.commit = GroupCommit(self.sync)
        self.covered: list[int] = []

    def sync(self) -> None:
        written = self.commit.written
        self.begun.release()
        assert self.go.acquire(timeout=LONG_S)
        if self.failure is not None:
            raise self.failure
        self.covered.append(written)


def run(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run `work` in a thread; the list gets its result or its error."""
    outcome: list[object] = []

    def target() -> None:
        try:
            outcome.append(work())
        except WeftError as error:
            outcome.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    return thread, outcome


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.001)


def test_one_sync_covers_all_who_wait() -> None:
    disk = Disk()
    commit = disk.commit
    first = run(lambda: commit.wait(commit.ticket()))
    assert disk.begun.acquire(timeout=LONG_S)
    others = [run(lambda: commit.wait(commit.ticket())) for _ in range(20)]
    wait_for(lambda: len(commit._waiting) == 20)
    disk.go.release()
    first[0].join(LONG_S)
    assert first[1] == [None]
    assert disk.begun.acquire(timeout=LONG_S), "one of the twenty leads"
    assert all(not outcome for _, outcome in others), "the first sync began before their writes"
    disk.go.release()
    for thread, outcome in others:
        thread.join(LONG_S)
        assert outcome == [None]
    assert (commit.syncs, disk.covered) == (2, [1, 21])


def test_a_durable_ticket_needs_no_sync() -> None:
    disk = Disk()
    ticket = disk.commit.ticket()
    disk.go.release()
    disk.commit.wait(ticket)
    disk.commit.wait(ticket)
    assert disk.commit.syncs == 1


def test_a_failed_sync_is_final() -> None:
    disk = Disk()
    commit = disk.commit
    disk.failure = DiskFull("no space")
    first = run(lambda: commit.wait(commit.ticket()))
    assert disk.begun.acquire(timeout=LONG_S)
    others = [run(lambda: commit.wait(commit.ticket())) for _ in range(5)]
    wait_for(lambda: len(commit._waiting) == 5)
    disk.go.release()
    for thread, outcome in (first, *others):
        thread.join(LONG_S)
        assert isinstance(outcome[0], Fault)
    disk.failure = None
    with pytest.raises(Fault, match="no space"):
        commit.wait(commit.ticket())
    with pytest.raises(Fault, match="no space"):
        commit.check()


def test_an_interrupted_sync_counts_as_failed() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    commit = GroupCommit(interrupted)
    with pytest.raises(KeyboardInterrupt):
        commit.wait(commit.ticket())
    with pytest.raises(Fault, match="interrupted"):
        commit.wait(commit.ticket())


def test_close_syncs_what_is_written() -> None:
    disk = Disk()
    disk.commit.ticket()
    disk.go.release()
    disk.commit.close()
    assert disk.covered == [1]
    with pytest.raises(Closed):
        disk.commit.check()
    with pytest.raises(Closed):
        disk.commit.wait(disk.commit.ticket())


def test_an_interrupted_waiter_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk()
    commit = disk.commit

    class Interrupted:
        """A lock whose acquisition Ctrl-C ends before it was released."""

        def acquire(self) -> None:
            raise KeyboardInterrupt

        def release(self) -> None:
            pass

    leader = run(lambda: commit.wait(commit.ticket()))
    assert disk.begun.acquire(timeout=LONG_S)
    follow = commit._follow

    def interrupt(waiter: object) -> None:
        waiter.turn = Interrupted()
        follow(waiter)

    monkeypatch.setattr(commit, "_follow", interrupt)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            commit.wait(commit.ticket())
    monkeypatch.undo()
    others = [run(lambda: commit.wait(commit.ticket())) for _ in range(5)]
    wait_for(lambda: len(commit._waiting) == 8)
    for _ in range(2):
        disk.go.release()
    for thread, outcome in (leader, *others):
        thread.join(LONG_S)
        assert outcome == [None]


def test_many_threads_are_never_told_too_early() -> None:
    state = threading.Lock()
    written = durable = 0

    def sync() -> None:
        nonlocal durable
        with state:
            seen = written
        time.sleep(0.0002)
        with state:
            durable = max(durable, seen)

    commit = GroupCommit(sync)
    early: list[Ticket] = []

    def work() -> None:
        nonlocal written
        for _ in range(50):
            with state:
                written += 1
                mine = written
            commit.wait(commit.ticket())
            with state:
                if durable < mine:
                    early.append(Ticket(mine))

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive(), "a waiter was never woken"
    assert early == []
    assert commit.syncs < 32 * 50 / 2
