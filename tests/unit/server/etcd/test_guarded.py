"""An etcd that asks who we are: certificates, and a user with a password."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.etcd_process import EtcdProcess
from weftdb.cluster.metadata.store import Committed, Put, Revision, Transaction
from weftdb.core.env import SystemClock
from weftdb.core.errors import MetadataUnavailable
from weftdb.proto.etcd import members_pb2 as members
from weftdb.server.etcd.connection import EtcdSettings, EtcdTls
from weftdb.server.etcd.store import EtcdMetadata

START_S_MAX = 30.0


def store(settings: EtcdSettings) -> EtcdMetadata:
    return EtcdMetadata(settings, "/sessions/guarded", SystemClock(), random.Random())


def test_certificates_of_both_sides(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    files = {}
    for side in ("server", "client"):
        made = authority.issue_cert("127.0.0.1", "localhost")
        files[side] = (tmp_path / f"{side}.pem", tmp_path / f"{side}.key")
        made.cert_chain_pems[0].write_to_path(files[side][0])
        made.private_key_pem.write_to_path(files[side][1])
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    member = EtcdProcess(
        tmp_path / "data",
        (
            f"--cert-file={files['server'][0]}", f"--key-file={files['server'][1]}",
            f"--trusted-ca-file={tmp_path / 'ca.pem'}", "--client-cert-auth",
        ),
        scheme="https",
    )  # fmt: skip
    try:
        member.start()
        known = store(
            EtcdSettings(
                (member.endpoint,), START_S_MAX, EtcdTls(tmp_path / "ca.pem", *files["client"])
            )
        )
        assert known.get("/t/a") is None
        assert isinstance(known.commit(Transaction((Put("/t/a", b"1"),))), Committed)
        known.close()
        unknown = store(EtcdSettings((member.endpoint,), 2.0, EtcdTls(tmp_path / "ca.pem")))
        with pytest.raises(MetadataUnavailable, match=member.endpoint):
            unknown.get("/t/a")
        unknown.close()
    finally:
        member.stop()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[EtcdProcess]:
    """An etcd with the user root, whose password is `secret`; tokens are over in 2 s."""
    member = EtcdProcess(tmp_path / "data", ("--auth-token-ttl=2",))
    try:
        member.start()
        lock(member)
        yield member
    finally:
        member.stop()


def lock(member: EtcdProcess) -> None:
    """Make a user and switch authentication on."""
    pair = members.AuthenticateRequest  # The administration's messages have the same shape.
    with grpc.insecure_channel(member.endpoint, (("grpc.enable_http_proxy", 0),)) as channel:
        for name, request in (
            ("UserAdd", pair(name="root", password="secret")),
            ("RoleAdd", pair(name="root")),
            ("UserGrantRole", pair(name="root", password="root")),
            ("AuthEnable", pair()),
        ):
            call = channel.unary_unary(f"/etcdserverpb.Auth/{name}")
            call(request.SerializeToString(), timeout=START_S_MAX)


def test_a_user_with_a_password_gets_in_again_when_the_token_is_over(locked: EtcdProcess) -> None:
    known = store(EtcdSettings((locked.endpoint,), 20.0, user="root", password="secret"))
    first = known.commit(Transaction((Put("/t/a", b"1"),)))
    assert isinstance(first, Committed)
    watch = known.watch("/t/", Revision(first.revision - 1))
    assert [event.key for event in watch.next(20)] == ["/t/a"]
    lease = known.grant(30)
    locked.kill()
    locked.start(wait=False)  # It has forgotten the tokens that it gave.
    assert known.keep_alive(lease.id) > 0
    found = known.get("/t/a")
    assert found is not None
    assert isinstance(known.commit(Transaction((Put("/t/b", b"2"),))), Committed)
    known.close()


def test_a_stranger_is_told_why(locked: EtcdProcess) -> None:
    for settings in (
        EtcdSettings((locked.endpoint,), 3.0),
        EtcdSettings((locked.endpoint,), 3.0, user="root", password="wrong"),
    ):
        stranger = store(settings)
        with pytest.raises(MetadataUnavailable, match=locked.endpoint):
            stranger.get("/t/a")
        with pytest.raises(MetadataUnavailable, match=locked.endpoint):
            stranger.commit(Transaction((Put("/t/a", b""),)))
        with pytest.raises(MetadataUnavailable, match=locked.endpoint):
            stranger.watch("/t/", Revision(1)).next(3)
        stranger.close()
