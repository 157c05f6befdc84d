"""Retries: what the official client hid by asking again by itself (after 1, 2, 4, ... seconds).

A living node that answers UNAVAILABLE has failed a request, though its caller only sees a slow
one. What the client says of its own broken connection to a node is no answer of that node.
"""

from __future__ import annotations

import logging
import re
import threading

from weaviate.logger import logger

_DETAILS = re.compile(r'details = "(.*?)"\n', re.DOTALL)
_OWN_WORDS = ("failed to connect", "Socket closed", "recvmsg", "sendmsg", "ping timeout", "GOAWAY")


class Retries(logging.Handler):
    """Of all threads of this process; each takes its own."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._of_thread = threading.local()
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it for the thread that it happened in."""
        words = record.getMessage()
        if "Retrying" in words:
            self._words().append(words)

    def take(self) -> list[str]:
        """What this thread's requests met since it asked last: words of nodes."""
        words, self._of_thread.words = self._words(), []
        details = map(_details, words)
        return [each for each in details if not each.startswith(_OWN_WORDS)]

    def _words(self) -> list[str]:
        if not hasattr(self._of_thread, "words"):
            self._of_thread.words = []
        words: list[str] = self._of_thread.words
        return words


def _details(words: str) -> str:
    found = _DETAILS.search(words)
    return found.group(1) if found else words


RETRIES = Retries()
