"""ConsistencyLevel: how many replicas must have answered before a client is."""

from __future__ import annotations

from enum import Enum


class ConsistencyLevel(Enum):
    """Of a read or a write. With n replicas, two requests at QUORUM share a replica."""

    ONE = "ONE"
    QUORUM = "QUORUM"
    ALL = "ALL"

    def required(self, replicas: int) -> int:
        """Answers needed of `replicas` (at least 1)."""
        assert replicas >= 1, replicas
        match self:
            case ConsistencyLevel.ONE:
                return 1
            case ConsistencyLevel.QUORUM:
                return replicas // 2 + 1
            case ConsistencyLevel.ALL:
                return replicas

    def shared(self, replicas: int) -> int:
        """How many of `replicas` always have one among them that has taken a write which reached
        this level: with three and QUORUM two, with two one, for both have it."""
        return replicas - self.required(replicas) + 1
