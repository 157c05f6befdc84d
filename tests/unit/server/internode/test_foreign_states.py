"""What hints and comparisons bring of a row that is in another shard by now."""

from __future__ import annotations

from pathlib import Path

from tests.unit.engine.replicas import deletion, version
from tests.unit.server.internode.wired import Pair, objects, play
from weftdb.cluster.replication.messages import Applied, Purpose
from weftdb.core.hashing import TOKEN_BITS, token


def test_repairs_bring_nothing_that_is_not_of_the_shard(tmp_path: Path) -> None:
    half = 1 << TOKEN_BITS - 1

    async def main(pair: Pair) -> None:
        pair.right.known.kept_ranges = ((0, half),)
        given = objects(pair.left, 12)
        ids = [each.id for each in given]
        for purpose in (Purpose.REPAIR, Purpose.COMPARE):
            reply = await pair.apply(given, purpose=purpose)
            assert reply == Applied((None,) * len(ids)), "the owner has it, or gets it"
        known = pair.right.replica.digests(ids)
        wanted = [one for one in ids if token(one) < half]
        assert 0 < len(wanted) < len(ids)
        assert [one for one, held in zip(ids, known, strict=True) if held] == wanted
        older = [deletion(one, version(-1)) for one in ids]
        said = await pair.apply(older, purpose=Purpose.COMPARE)
        assert [one for one, newer in zip(ids, said.newer, strict=True) if newer] == wanted

    play(tmp_path, main)
