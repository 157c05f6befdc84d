"""Who may speak as a node: who proves to be one, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from tests.unit.server.internode.wired import Pair, WiredNode, named, objects, within
from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.messages import Applied
from weftdb.core.errors import InvalidRequest
from weftdb.core.types import NodeName
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.security import InternodeSecurity, InternodeTls

RIGHT = named("right")
SECRET = InternodeSecurity("test", secret="correct horse battery staple")


def play(
    path: Path,
    main: Callable[[WiredNode, WiredNode], Awaitable[None]],
    left: InternodeSecurity,
    right: InternodeSecurity,
) -> None:
    """Run `main` with a node that is secured like `left` and one like `right`."""

    async def run() -> None:
        addresses: dict[NodeName, str] = {}
        nodes = (
            WiredNode("left", path, addresses, security=left),
            WiredNode("right", path, addresses, security=right),
        )
        try:
            for node in nodes:
                await node.start()
            await main(*nodes)
        finally:
            for node in nodes:
                await node.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def refusal(path: Path, left: InternodeSecurity, right: InternodeSecurity) -> str:
    """Why `right` does not listen to `left`."""
    reasons: list[str] = []

    async def main(asking: WiredNode, asked: WiredNode) -> None:
        with pytest.raises(CallFailed) as caught:
            await asking.client.ping(RIGHT, within(5))
        assert not caught.value.failure.is_final
        assert asking.heard.failures == [(RIGHT, CallOutcome.REFUSED)]
        assert not asking.heard.answers
        assert not asked.known.told
        reasons.append(caught.value.failure.reason)

    play(path, main, left, right)
    return reasons[0]


def tls_files(path: Path, authority: trustme.CA, *names: str) -> InternodeTls:
    """Certificate, key and authority as files."""
    path.mkdir()
    certificate = authority.issue_cert(*names)
    files = InternodeTls(path / "certificate.pem", path / "key.pem", path / "authority.pem")
    certificate.cert_chain_pems[0].write_to_path(str(files.certificate))
    certificate.private_key_pem.write_to_path(str(files.key))
    authority.cert_pem.write_to_path(str(files.authority))
    return files


async def writes_go_through(left: WiredNode, right: WiredNode) -> None:
    pair = Pair.__new__(Pair)
    pair.left, pair.right = left, right
    assert await pair.apply(objects(left, 1)) == Applied((None,))


def test_the_secret_that_both_know(tmp_path: Path) -> None:
    play(tmp_path, writes_go_through, SECRET, SECRET)


@pytest.mark.parametrize("other", ["another horse battery staple", ""])
def test_another_secret_and_none_are_refused(
    tmp_path: Path, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    reason = refusal(tmp_path, replace(SECRET, secret=other), SECRET)
    assert "secret" in reason
    assert "right" in caplog.text
    assert SECRET.secret not in caplog.text + reason
    assert SECRET.proof() not in caplog.text + reason


def test_who_has_a_secret_may_ask_who_has_none(tmp_path: Path) -> None:
    """While a cluster gets its secret, node by node, those without it are asked by all."""
    play(tmp_path, writes_go_through, SECRET, replace(SECRET, secret=""))


def test_another_cluster_is_refused(tmp_path: Path) -> None:
    reason = refusal(tmp_path, InternodeSecurity("one"), InternodeSecurity("other"))
    assert "cluster 'other'" in reason
    proofs = {replace(SECRET, cluster=name).proof() for name in ("one", "other")}
    assert len(proofs) == 2


def test_the_secret_does_not_travel() -> None:
    proof = SECRET.proof()
    assert SECRET.secret not in proof
    assert proof.isascii()
    assert replace(SECRET, secret="ein Geheimnis mit Umläuten").proof().isascii()
    assert SECRET.admits(proof)
    assert not SECRET.admits("")
    assert not SECRET.admits("ä")
    assert not SECRET.admits(proof[:-1])


def test_mutual_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    left = InternodeSecurity("test", tls_files(tmp_path / "l", authority, "127.0.0.1"))
    right = InternodeSecurity("test", tls_files(tmp_path / "r", authority, "127.0.0.1"))
    play(tmp_path, writes_go_through, left, right)


def test_mutual_tls_with_a_secret_and_one_name_for_all(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = tls_files(tmp_path / "l", authority, "weftdb-node")
    security = replace(SECRET, tls=replace(files, server_name="weftdb-node"))
    play(tmp_path, writes_go_through, security, security)


def test_certificates_of_another_authority_are_refused(tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    right = InternodeSecurity("test", tls_files(tmp_path / "r", ours, "127.0.0.1"))
    stranger = tls_files(tmp_path / "l", theirs, "127.0.0.1")
    # It trusts our node, but our node has no reason to trust it.
    left = InternodeSecurity("test", replace(stranger, authority=right.tls.authority))  # type: ignore[union-attr]
    refusal(tmp_path, left, right)


def test_a_server_of_another_authority_is_refused(tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    left = InternodeSecurity("test", tls_files(tmp_path / "l", ours, "127.0.0.1"))
    right = InternodeSecurity("test", tls_files(tmp_path / "r", theirs, "127.0.0.1"))
    refusal(tmp_path, left, right)


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    authority = trustme.CA()
    left = InternodeSecurity("test", tls_files(tmp_path / "l", authority, "127.0.0.1"))
    right = InternodeSecurity("test", tls_files(tmp_path / "r", authority, "elsewhere.example"))
    refusal(tmp_path, left, right)


def test_who_comes_without_tls_is_refused(tmp_path: Path) -> None:
    files = tls_files(tmp_path / "r", trustme.CA(), "127.0.0.1")
    refusal(tmp_path, InternodeSecurity("test"), InternodeSecurity("test", files))


def test_no_listening_without_protection(tmp_path: Path) -> None:
    files = InternodeTls(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    open_one = InternodeSecurity("test")
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        open_one.check(host)
    for host in ("0.0.0.0", "10.0.0.7", "::", "node-1.example", ""):
        with pytest.raises(InvalidRequest, match="trusted"):
            open_one.check(host)
        SECRET.check(host)
        replace(open_one, tls=files).check(host)
        replace(open_one, is_network_trusted=True).check(host)
    with pytest.raises(InvalidRequest, match="16 is the least"):
        replace(open_one, secret="short").check("127.0.0.1")

    async def start() -> None:
        node = WiredNode("left", tmp_path, {})
        try:
            with pytest.raises(InvalidRequest, match=r"0\.0\.0\.0"):
                await node.service.start("0.0.0.0", 0)
            missing = WiredNode("right", tmp_path, {}, security=InternodeSecurity("test", files))
            with pytest.raises(OSError, match="No such file"):
                await missing.service.start("127.0.0.1", 0)
            await missing.stop()
        finally:
            await node.stop()

    asyncio.run(start())
