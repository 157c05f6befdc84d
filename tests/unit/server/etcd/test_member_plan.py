"""What a node does about a member of its own, as a table."""

from __future__ import annotations

import dataclasses

import pytest

from weftdb.core.errors import InvalidRequest
from weftdb.core.types import NodeName
from weftdb.server.etcd.member_plan import (
    Ask,
    Enter,
    Found,
    FoundMember,
    Join,
    MemberPlan,
    MemberSettings,
    Resume,
    Wait,
    ask_at,
    decide,
    seats,
)


def settings(
    name: str, raft_join: str = "n1,n2,n3", expect: int = 3, **rest: object
) -> MemberSettings:
    made = MemberSettings(NodeName(name), raft_join, expect)
    return dataclasses.replace(made, **rest)  # type: ignore[arg-type]


def peer(name: str, port: int = 8300) -> str:
    return f"http://{name}:{port}"


def member(number: int, name: str, url: str = "", *, has_started: bool = True) -> FoundMember:
    return FoundMember(number, name, (url or peer(name),), has_started)


N1, N2 = member(1, "n1"), member(2, "n2")
ADDED = member(9, "", peer("n3"), has_started=False)
FOUNDERS = Found(seats(settings("n1")))
ALONE = Found(seats(settings("n1", "", 1)))


@pytest.mark.parametrize(
    ("node", "has_data", "members", "plan"),
    [
        (settings("n1"), False, None, FOUNDERS),
        (settings("n3"), False, None, FOUNDERS),
        (settings("n1", "", 1), False, None, ALONE),
        (settings("n1"), True, None, Resume()),
        (settings("n1"), True, (N1, N2), Resume()),
        (settings("n3", expect=2), False, None, Wait()),
        (settings("n2", expect=1), False, None, Wait()),
        (settings("n3", expect=2), False, (N1, N2), Join()),
        (settings("n1"), False, (N1, N2), Join(replaces=1)),
        (settings("n2"), False, (N1, member(7, "n2", peer("elsewhere"))), Join(replaces=7)),
        (settings("n3", expect=2), False, (N1, N2, ADDED), Enter()),
        (settings("n3"), False, (N1, N2, ADDED), Enter()),
        (settings("n3"), False, (N1, N2, member(3, "n3", has_started=False)), FOUNDERS),
        (settings("n4"), False, None, Ask(("n1:8301", "n2:8301", "n3:8301"))),
        (settings("n4"), True, (N1,), Ask(("n1:8301", "n2:8301", "n3:8301"))),
        (
            settings("n4", "", 1, cluster_join="n1.svc.:7946,n2"),
            False,
            None,
            Ask(("n1.svc:8301", "n2:8301")),
        ),
    ],
)
def test_the_plan(
    node: MemberSettings,
    has_data: bool,
    members: tuple[FoundMember, ...] | None,
    plan: MemberPlan,
) -> None:
    assert decide(node, has_data=has_data, members=members) == plan


def test_founders_derive_one_list() -> None:
    plans = [decide(settings(name), has_data=False, members=None) for name in ("n1", "n2", "n3")]
    assert plans == [plans[0]] * 3
    (founders,) = {plan.founders for plan in plans if isinstance(plan, Found)}
    assert [seat.peer_url for seat in founders] == [peer("n1"), peer("n2"), peer("n3")]


def test_nodes_on_one_machine_differ_in_their_ports() -> None:
    node = settings(
        "n2", "n1:8300,n2:8310,n3:8320", raft_port=8310, client_port=8311, in_localhost=True
    )
    assert [seat.peer_url for seat in seats(node)] == [
        peer("127.0.0.1", 8300), peer("127.0.0.1", 8310), peer("127.0.0.1", 8320),
    ]  # fmt: skip
    assert ask_at(node) == ("127.0.0.1:8311", "127.0.0.1:8301", "127.0.0.1:8321")


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (settings("n1", "n1,n2", 3), "could never begin"),
        (settings("n1", expect=0), "at least 1"),
        (settings("n1", "n1,n2,n1"), "n1 twice"),
        (settings("n1", "n1:8300,n2:8300", 2, in_localhost=True), "twice"),
        (settings("n1", "n1:9000,n2,n3"), "RAFT_PORT is 8300"),
        (settings("n1", "n1,n2:port,n3"), "no port behind its colon"),
        (settings("n1", "n1,n2:70000,n3"), "no port behind its colon"),
        (settings("n1", "n1,http://n2,n3"), "no port behind its colon"),
        (settings("n1", "n1,a b,n3"), "no name or name:port"),
        (settings("n1", "n1,:8300,n3"), "no name or name:port"),
        (settings("n1", client_port=8300), "are both 8300"),
    ],
)
def test_contradictions_are_named(node: MemberSettings, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        decide(node, has_data=False, members=None)
