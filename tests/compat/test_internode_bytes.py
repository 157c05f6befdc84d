"""Nodes of two releases ask each other: these bytes mean today what they meant when they were
written. Change a number here only for messages that no release has sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compat.test_state_bytes import STATES as STATE_BYTES
from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import (
    Applied,
    Digest,
    Digests,
    Leaf,
    Purpose,
    Refusal,
    ShardRef,
    TreeNodes,
)
from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchShard,
)
from weftdb.core.aggregation import Aggregate, PropertyStatistics
from weftdb.core.errors import DiskFull
from weftdb.core.partial import (
    AggregatedPart,
    DistanceRange,
    FoundIds,
    KeywordStatistics,
    PartAggregate,
    PartHits,
    PartIds,
    PartLeg,
    PartRows,
    PartSearch,
    PropertyLength,
    SearchStatistics,
)
from weftdb.core.query import (
    And,
    Aspect,
    Combination,
    Comparison,
    Fusion,
    GeoRange,
    Hybrid,
    Keyword,
    NearVector,
    Not,
    Operator,
    Or,
    RecallTarget,
    Search,
    Sort,
    Target,
    TermOperator,
    Threshold,
    ValueKind,
)
from weftdb.core.search_explanation import CandidateAccount, SearchAccount
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName, VectorName, Version
from weftdb.proto.internode import envelope_pb2 as envelope
from weftdb.proto.internode import nodes_pb2 as nodes
from weftdb.proto.internode import replication_pb2 as replication
from weftdb.server.internode import codec, methods, node_codec
from weftdb.server.internode.failure_codec import failure_message
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.messages import (
    AskFacts,
    Moved,
    NodeFacts,
    Noted,
    Pong,
    ShardFacts,
    Tell,
)
from weftdb.server.internode.part_calls import PART_CALLS
from weftdb.server.internode.ports import CallFailed

ID = ObjectId(bytes(range(16)))
VERSION = Version(1_700_000_000_123, 5, 77)
SHARD = ShardRef(CollectionName("Doc"), ShardName("s1"))
TOLD = codec.basis_message(Basis(SHARD, 3, 41, Purpose.REPAIR))
DIGEST = Digest(VERSION, is_deleted=True)
HEAD = envelope.RequestHead(cluster="c", sender="a", generation=2, receiver="b", timeout_ms=1500)
STATE = bytes.fromhex(STATE_BYTES["deletion"][1])
ANSWERED = envelope.ReplyHead(generation=9)
FAILED = CallFailed(
    Failure("why", is_final=True),
    error=DiskFull("full"),
    moved=Moved(SHARD.collection, 42, b"{}"),
)
SHARD_FACTS = ShardFacts(SHARD.collection, SHARD.shard, 5, "READY", 6, True, True, 3, 2)
FACTS = NodeFacts(
    NodeName("a"), "1.39.0", "0.1", "abc", "HEALTHY", "ReadWrite", 7, 2.5, (SHARD_FACTS,)
)

FILTER = Not(
    And(
        (
            Comparison(Operator.LIKE, ("a",), "b*", ValueKind.TEXT),
            Or((Comparison(Operator.CONTAINS_ANY, ("n",), (1, 2**70), ValueKind.INT),)),
            Comparison(Operator.WITHIN_GEO_RANGE, ("g",), GeoRange(1.0, 2.0, 3.0), ValueKind.GEO),
            Comparison(Operator.EQUAL, ("x",), True, ValueKind.BOOLEAN, Aspect.LENGTH),
        )
    )
)
ROW = np.array([1.0, -2.5], dtype=np.float32)
NEAR = NearVector((Target(VectorName("v"), ROW, 0.5),), Combination.SUM, Threshold(0.25))
STATISTICS = SearchStatistics(
    KeywordStatistics(9, {"p": PropertyLength(8, 70)}, {("p", "word"): 3}),
    (DistanceRange(0.25, 0.5),),
)
SEARCHED = SearchShard(
    SHARD,
    3,
    PartSearch(
        Search(
            "Doc",
            tenant="t",
            hybrid=Hybrid(
                "words", NEAR, (("p", 2.0),), 0.5, Fusion.RANKED, TermOperator.AND, 2, 0.75
            ),
            keyword=Keyword("more", (("q", 1.0),), TermOperator.AND_CROSS, 3),
            near=NEAR,
            filter=FILTER,
            limit=10,
            after=ID,
            sort=(Sort(("s",), ascending=False),),
            vectors=(VectorName("v"),),
            explain=True,
            ef=RecallTarget(0.95),
        ),
        ((0, 2**63), (2**63 + 1, 2**64)),
        STATISTICS,
    ),
)
ROWS = PartRows((b"row", None), {VectorName("v"): (ROW, None)})
HITS = PartHits(
    (PartLeg((ID,), (0.5,), (1.5,), ((None, 7, "x", 2.5, True, b"r", [1]),), ("why",), (True,)),),
    PartRows((b"row",), {VectorName("v"): (ROW,)}),
    (
        SearchAccount("plain", "r", "o", 100, True, 5, 6),
        CandidateAccount("muvera", "r", "", 0, False, 1, 2, 3, 0.5),
    ),
)
FETCHED = FetchRows(SHARD, 3, (ID,), (VectorName("v"),))
COUNTED = AggregateShard(
    SHARD,
    3,
    PartAggregate(
        Aggregate("Doc", "t", FILTER, properties=(PropertyStatistics("p", 4),), group_by="g"),
        ((0, 2**64),),
        (ID,),
    ),
)
WANTED = FindIds(SHARD, 3, PartIds(FILTER, 100, ID, ((0, 2**64),)))

MESSAGES: dict[str, tuple[Any, str]] = {
    "head": (HEAD, "0a0163120161180222016228dc0b"),
    "failure": (
        failure_message(FAILED),
        "0a0377687910011a084469736b46756c6c220466756c6c2a0b0a03446f63102a1a027b7d",
    ),
    "apply": (
        codec.apply_message(TOLD, [STATE]),
        "120f0a03446f63120273311803202928011a3c447872880101000102030405060708090a0b0c0d0e"
        "0f018bcfe5687b0005000000000000004d00000000000000000000000000000000000000000000",
    ),
    "applied": (
        codec.applied_message(Applied((VERSION, None), (Refusal(1, "no"),))),
        "10021a121210018bcfe5687b0005000000000000004d2206080112026e6f",
    ),
    "digests": (
        codec.digests_message(TOLD, [ID]),
        "120f0a03446f63120273311803202928011a10000102030405060708090a0b0c0d0e0f",
    ),
    "digests answer": (
        codec.digests_answer(Digests((DIGEST, None))),
        "12140a10018bcfe5687b0005000000000000004d10011200",
    ),
    "states": (
        codec.states_message(TOLD, [ID]),
        "120f0a03446f63120273311803202928011a10000102030405060708090a0b0c0d0e0f",
    ),
    "states answer": (
        replication.StatesReply(head=ANSWERED, states=[STATE, b""]),
        "0a020809123c447872880101000102030405060708090a0b0c0d0e0f018bcfe5687b000500000000"
        "0000004d000000000000000000000000000000000000000000001200",
    ),
    "tree": (
        codec.tree_message(TOLD, 4, [0, 300]),
        "120f0a03446f63120273311803202928011804220300ac02",
    ),
    "tree answer": (
        codec.tree_answer(TreeNodes((bytes(16),))),
        "121000000000000000000000000000000000",
    ),
    "leaf": (
        codec.leaf_message(TOLD, 7, ID, 100),
        "120f0a03446f631202733118032029280118072210000102030405060708090a0b0c0d0e0f2864",
    ),
    "leaf answer": (
        codec.leaf_answer(Leaf((ID,), (DIGEST,), is_last=True)),
        "1210000102030405060708090a0b0c0d0e0f1a140a10018bcfe5687b0005000000000000004d10012001",
    ),
    "ping": (nodes.PingRequest(head=HEAD), "0a0e0a0163120161180222016228dc0b"),
    "pong": (node_codec.pong_message(Pong(9, "0.1")), "1203302e31"),
    "tell": (
        node_codec.tell_message(Tell(SHARD, 17, (NodeName("a"),), (NodeName("b"),))),
        "1203446f631a02733120112a0161320162",
    ),
    "noted": (node_codec.noted_message(Noted((NodeName("a"),))), "120161"),
    "ask facts": (
        node_codec.question_message(AskFacts(True, SHARD.collection, SHARD.shard)),
        "10011a03446f6322027331",
    ),
    "search": (
        PART_CALLS[SearchShard].question(TOLD, SEARCHED),
        "120f0a03446f63120273311803202928011aaf030ad7020a03446f631201741a280a1b0a0176120d"
        "0000803f000020c0011cea831f19000000000000e03f100119000000000000d03f22180a046d6f72"
        "65120c0a017111000000000000f03f180320032a590a05776f72647312280a1b0a0176120d000080"
        "3f000020c0011cea831f19000000000000e03f100119000000000000d03f1a0c0a01701100000000"
        "0000004021000000000000e03f28013002380241000000000000e83f500232860110031a81011001"
        "1a110a0f0807120161180120012a040a02622a1a2f10021a2b0a29080912016e18022001321e0a02"
        "10020a183216313138303539313632303731373431313330333432341a280a26080c120167180620"
        "013a1b09000000000000f03f1100000000000000401900000000000008401a0f0a0d080112017818"
        "0420022a022001380a4210000102030405060708090a0b0c0d0e0f4a030a01735201765801696666"
        "66666666ee3f121f0a0911ffffffffffffff7f0a1209010000000000008011ffffffffffffffff1a"
        "300a18080912070a0170100818461a0b0a01701204776f7264180312140a1209000000000000d03f"
        "11000000000000e03f2001",
    ),
    "statistics": (
        PART_CALLS[GatherStatistics].answer(STATISTICS),
        "12300a18080912070a0170100818461a0b0a01701204776f7264180312140a1209000000000000d0"
        "3f11000000000000e03f",
    ),
    "hits": (
        PART_CALLS[SearchShard].answer(HITS),
        "12610a10000102030405060708090a0b0c0d0e0f120a0a08000000000000e03f1a0a0a0800000000"
        "0000f83f22290a270a000a02100e0a030a01780a091900000000000004400a0220010a032a01720a"
        "063a040a0210022a050a0377687932030a01011a190a03726f7712120a0176120d0000803f000020"
        "c0011cea831f22150a05706c61696e1201721a016f2064280130053806221c0a066d757665726112"
        "017230013802420b080311000000000000e03f",
    ),
    "rows": (
        PART_CALLS[FetchRows].question(TOLD, FETCHED),
        "120f0a03446f63120273311803202928011a10000102030405060708090a0b0c0d0e0f220176",
    ),
    "rows answer": (
        PART_CALLS[FetchRows].answer(ROWS),
        "121d0a03726f770a0012140a0176120d0000803f000020c0011cea831f1200",
    ),
    "aggregate": (
        PART_CALLS[AggregateShard].question(TOLD, COUNTED),
        "120f0a03446f63120273311803202928011a9b010a03446f631201741a860110031a810110011a11"
        "0a0f0807120161180120012a040a02622a1a2f10021a2b0a29080912016e18022001321e0a021002"
        "0a183216313138303539313632303731373431313330333432341a280a26080c120167180620013a"
        "1b09000000000000f03f1100000000000000401900000000000008401a0f0a0d0801120178180420"
        "022a02200122050a017010042a0167220b0a0911ffffffffffffffff2a120a100001020304050607"
        "08090a0b0c0d0e0f",
    ),
    "aggregate answer": (
        PART_CALLS[AggregateShard].answer(AggregatedPart(5, b"tally")),
        "10051a0574616c6c79",
    ),
    "ids": (
        PART_CALLS[FindIds].question(TOLD, WANTED),
        "120f0a03446f63120273311803202928011a860110031a810110011a110a0f080712016118012001"
        "2a040a02622a1a2f10021a2b0a29080912016e18022001321e0a0210020a18321631313830353931"
        "3632303731373431313330333432341a280a26080c120167180620013a1b09000000000000f03f11"
        "00000000000000401900000000000008401a0f0a0d0801120178180420022a02200120642a100001"
        "02030405060708090a0b0c0d0e0f320b0a0911ffffffffffffffff",
    ),
    "ids answer": (
        PART_CALLS[FindIds].answer(FoundIds((ID,), is_last=True)),
        "1210000102030405060708090a0b0c0d0e0f1801",
    ),
    "facts": (
        node_codec.facts_message(FACTS),
        "12540a01611206312e33392e301a03302e3122036162632a074845414c5448593209526561645772"
        "69746538074100000000000004404801521c0a03446f631202733118052205524541445928063001"
        "380140034802",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_written_and_read_as_ever(name: str) -> None:
    message, written = MESSAGES[name]
    assert message.SerializeToString().hex() == written
    assert type(message).FromString(bytes.fromhex(written)) == message


def test_methods_are_called_as_ever() -> None:
    paths = {each.path for each in vars(methods).values() if isinstance(each, methods.Method)}
    assert paths >= {
        *(f"/weftdb.internode.Replica/{name}" for name in ("Apply", "Digests", "States")),
        *(f"/weftdb.internode.Replica/{name}" for name in ("Tree", "Leaf")),
        *(f"/weftdb.internode.Node/{name}" for name in ("Ping", "Tell", "Facts")),
        *(f"/weftdb.internode.Shard/{name}" for name in ("Statistics", "Search", "Rows")),
        *(f"/weftdb.internode.Shard/{name}" for name in ("Aggregate", "Ids")),
    }
