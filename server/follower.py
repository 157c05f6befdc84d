"""Follower: keeps a mirror of one prefix of the metadata, and tells of what changes.

A thread of its own lists, watches, and begins anew when history is gone. While the store is away
the mirror stands as it was, which is what data goes on with, and `is_current` is False.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from weftdb.cluster.metadata.mirror import Known, Mirror
from weftdb.cluster.metadata.store import Event, MetadataStore, Revision, Watch
from weftdb.core.errors import Closed, Compacted, MetadataUnavailable

log = logging.getLogger("weftdb.metadata")

PATIENCE_S = 5.0
"""How long the thread waits for events at a time."""
PAUSE_S = 0.5
"""Between tries to list from a store that is away."""

Listener = Callable[[Sequence[Event]], None]


class Follower:
    """Follows `prefix` from `start` until `close`. Thread-safe.

    `tell` is called in the follower's thread, with all changes of a commit together, after the
    mirror has them; first with everything that is there. It must not wait for the follower.
    """

    def __init__(self, store: MetadataStore, prefix: str, tell: Listener) -> None:
        self._store = store
        self._tell = tell
        self._mirror = Mirror(prefix)
        self._changed = threading.Condition()
        self._is_current = False
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._run, name="weft-follower", daemon=True)

    @property
    def is_current(self) -> bool:
        """Whether the store was there when it was last heard: what is here is the newest, but for
        what is on its way."""
        return self._is_current

    @property
    def revision(self) -> Revision:
        """Everything up to there is in the mirror."""
        return self._mirror.revision

    def start(self) -> None:
        """Begin. Returns at once; `wait_for` tells when there is something."""
        self._thread.start()

    def get(self, key: str) -> bytes | None:
        """The value of a key, as far as is known."""
        with self._changed:
            return self._mirror.get(key)

    def known(self, *keys: str) -> tuple[Known | None, ...]:
        """Values and revisions of keys, all of one moment."""
        with self._changed:
            return tuple(self._mirror.known(key) for key in keys)

    def keys(self) -> list[str]:
        """All keys, as far as is known."""
        with self._changed:
            return [key for key, _ in self._mirror.items()]

    def all(self) -> dict[str, bytes]:
        """A copy of all keys with their values, as far as is known."""
        with self._changed:
            return dict(self._mirror.items())

    def wait_for(self, revision: Revision, timeout_s: float) -> bool:
        """Wait until what a commit did is here; False when it does not come in time.

        A revision that changed nothing below the prefix may not be heard of: ask for commits that
        did.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._is_current and self._mirror.revision >= revision, timeout_s
            )

    def close(self) -> None:
        """Stop following; the mirror stays."""
        self._stopping.set()
        with self._changed:
            if self._watch is not None:
                self._watch.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._follow()
                except Compacted:
                    log.info("the history of %s is gone: listing it anew", self._mirror.prefix)
                except MetadataUnavailable as error:
                    self._lost(error)
                    self._stopping.wait(PAUSE_S)
        except Closed:
            log.info("following %s has ended: the store is closed", self._mirror.prefix)
        finally:
            self._is_current = False  # Also when a listener fails, which ends the thread.

    def _follow(self) -> None:
        """List, then watch until that ends."""
        snapshot = self._store.list(self._mirror.prefix)
        with self._changed:
            events = self._mirror.begin(snapshot)
        self._heard(events)
        with self._changed:
            if self._stopping.is_set():
                return
            watch = self._watch = self._store.watch(self._mirror.prefix, snapshot.revision)
        try:
            while not self._stopping.is_set():
                self._listen(watch)
        finally:
            watch.close()

    def _listen(self, watch: Watch) -> None:
        """Take in what the watch tells next. Raises Compacted, Closed."""
        try:
            # While the store is away, its return is what is waited for.
            found = watch.next(PATIENCE_S if self._is_current else PAUSE_S)
        except MetadataUnavailable as error:
            self._lost(error)
            return
        with self._changed:
            self._mirror.feed(found)
        self._heard(found)

    def _heard(self, events: Sequence[Event]) -> None:
        """Tell of what is in the mirror now, then let go of who waits for it."""
        if events:
            self._tell(events)
        with self._changed:
            if not self._is_current:
                log.info("following %s from revision %d", self._mirror.prefix, self.revision)
            self._is_current = True
            self._changed.notify_all()

    def _lost(self, error: MetadataUnavailable) -> None:
        if self._is_current:
            log.warning("%s stands still: %s", self._mirror.prefix, error)
        self._is_current = False
