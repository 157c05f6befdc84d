"""EtcdRoster: who the members of an etcd cluster are, how each is doing, and taking one out.

For the commands of an operator: a node that is gone for good still counts as a member that does not
vote, until it is taken out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from weftdb.core.env import Clock
from weftdb.core.errors import InvalidRequest, MetadataUnavailable
from weftdb.proto.etcd import members_pb2 as members
from weftdb.server.etcd.connection import EtcdConnection, EtcdRefused, EtcdSettings
from weftdb.server.etcd.methods import MEMBER_LIST, MEMBER_REMOVE, STATUS, Reply

STATUS_S = 1.0
"""A member that does not tell its state for so long counts as away."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member. What it tells itself is only there where it answers."""

    id: int
    name: str
    """Empty for one that was added and never came."""
    endpoints: tuple[str, ...]
    is_learner: bool
    is_there: bool = False
    is_leader: bool = False
    release: str = ""
    used_bytes: int = 0
    """Of METADATA_STORE_BYTES_MAX."""


class EtcdRoster:
    """The members, asked through `settings`. Thread-safe."""

    def __init__(self, settings: EtcdSettings, clock: Clock, randomness: random.Random) -> None:
        self._settings = settings
        self._connect: Callable[[EtcdSettings], EtcdConnection] = lambda some: EtcdConnection(
            some, clock, randomness
        )

    def members(self) -> tuple[MemberStatus, ...]:
        """All members by name, each asked how it is. Raises MetadataUnavailable."""
        return tuple(self._asked(each) for each in self._listed())

    def names(self) -> frozenset[str]:
        """The names of the members. Raises MetadataUnavailable."""
        return frozenset(each.name for each in self._listed())

    def remove(self, name: str) -> None:
        """Take a member out for good: its data is of no use any more.

        Raises InvalidRequest (no such member, or the only one), MetadataUnavailable: also where
        the others would lose their majority by it.
        """
        listed = self._listed()
        found = [each for each in listed if each.name == name]
        if not found:
            there = ", ".join(each.name or "one that never came" for each in listed)
            raise InvalidRequest(f"etcd has no member {name!r}; it has {there}")
        if len(listed) == 1:
            raise InvalidRequest(f"{name!r} is the only member of etcd and stays")
        request = members.MemberRemoveRequest(id=found[0].id)
        self._ask(lambda connection: connection.ask(MEMBER_REMOVE, request))

    def _listed(self) -> tuple[MemberStatus, ...]:
        reply = self._ask(
            lambda connection: connection.ask(MEMBER_LIST, members.MemberListRequest())
        )
        found = [
            MemberStatus(
                each.id,
                each.name,
                tuple(url.partition("://")[2] for url in each.client_urls),
                each.is_learner,
            )
            for each in reply.members
        ]
        return tuple(sorted(found, key=lambda each: each.name))

    def _asked(self, member: MemberStatus) -> MemberStatus:
        """The member with what it says of itself."""
        if not member.endpoints:
            return member
        own = replace(self._settings, endpoints=member.endpoints, timeout_s=STATUS_S)
        connection = self._connect(own)
        try:
            found = connection.ask(STATUS, members.StatusRequest())
        except (MetadataUnavailable, EtcdRefused):
            return member
        finally:
            connection.close()
        return replace(
            member,
            is_there=True,
            is_leader=found.leader == member.id,
            release=found.version,
            used_bytes=found.db_size_in_use,
        )

    def _ask(self, question: Callable[[EtcdConnection], Reply]) -> Reply:
        connection = self._connect(self._settings)
        try:
            return question(connection)
        except EtcdRefused as refused:
            raise connection.unavailable(refused) from None
        finally:
            connection.close()
