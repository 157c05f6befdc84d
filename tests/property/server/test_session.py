"""No bytes of a peer break a session: it goes on, or says that it cannot."""

from __future__ import annotations

from itertools import pairwise

from h2.connection import H2Connection
from hypothesis import given
from hypothesis import strategies as st

from weftdb.server.grpc import _session

METHODS = [("/x.Y/unary", False), ("/x.Y/stream", True)]
MESSAGE_BYTES_MAX = 2_000


def new_session() -> _session.Session:
    return _session.Session(
        METHODS, message_bytes_max=MESSAGE_BYTES_MAX, calls_max=8, header_bytes_max=2_000
    )


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def conversation(messages: list[tuple[str, bytes]]) -> bytes:
    """What a client sends for calls with these paths and messages."""
    client = H2Connection()
    client.initiate_connection()
    for number, (path, message) in enumerate(messages):
        stream = 2 * number + 1
        headers = [
            (":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ]  # fmt: skip
        client.send_headers(stream, headers)
        client.send_data(stream, framed(message), end_stream=True)
    sent: bytes = client.data_to_send()
    return sent


def play(session: _session.Session, chunks: list[bytes]) -> list[_session.Event]:
    """Feed chunks, answer every call; what happened."""
    seen: list[_session.Event] = []
    for chunk in chunks:
        for event in session.receive(chunk):
            seen.append(event)
            kind, stream, _, message, _ = event
            if kind == _session.CALL:
                session.reply(stream, message * 2)
            elif kind == _session.MESSAGE:
                session.consumed(stream, len(message))
                session.send(stream, message)
            elif kind == _session.ENDED:
                session.finish(stream, 0, "")
        while session.outgoing(1_000):
            pass
    return seen


CALLS = st.lists(
    st.tuples(st.sampled_from([path for path, _ in METHODS]), st.binary(max_size=300)),
    min_size=1, max_size=6,
)  # fmt: skip


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


@given(CALLS, st.lists(st.integers(0, 10_000), max_size=20))
def test_calls_arrive_whole_however_they_are_cut(
    calls: list[tuple[str, bytes]], places: list[int]
) -> None:
    session = new_session()
    seen = play(session, cut(conversation(calls), places))
    messages = {
        stream: message
        for kind, stream, _, message, _ in seen
        if kind in (_session.CALL, _session.MESSAGE)
    }
    assert messages == {2 * at + 1: message for at, (_, message) in enumerate(calls)}
    assert session.calls == 0


@given(
    CALLS,
    st.lists(st.integers(0, 10_000), max_size=5),
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=3)), max_size=12),
)
def test_damaged_bytes_never_break_it(
    calls: list[tuple[str, bytes]], places: list[int], damage: list[tuple[int, bytes]]
) -> None:
    sent = bytearray(conversation(calls))
    for place, new in damage:
        at = 24 + place % (len(sent) - 24)
        sent[at : at + len(new)] = new
    session = new_session()
    try:
        seen = play(session, cut(bytes(sent), places))
    except _session.SessionError:
        return
    assert all(len(message) <= MESSAGE_BYTES_MAX for _, _, _, message, _ in seen)


@given(st.binary(max_size=200))
def test_answers_to_nobody_are_ignored(noise: bytes) -> None:
    session = new_session()
    session.reply(1, noise)
    session.send(3, noise)
    session.finish(5, 13, "no such call")
    session.consumed(7, 10)
    assert session.header(9, "x") == ""
    assert session.calls == 0
