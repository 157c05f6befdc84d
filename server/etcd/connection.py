"""EtcdConnection: calls methods of an etcd cluster, at whichever of its endpoints answers.

A call goes to one endpoint, the one that answered last. `attempt` makes one try; `ask` repeats a
request that may be repeated, at one endpoint after the other with jittered pauses, until its
deadline. Every try has a deadline of its own, short enough that a member that hangs leaves time
for another one.

An answer of etcd that says no is `EtcdRefused`: nothing was changed. No answer, or one that tells
of trouble inside, is `EtcdAway`: what was asked for may have been done, or be done later.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import grpc

from weftdb.core.env import Clock
from weftdb.core.errors import Closed, DiskFull, MetadataUnavailable
from weftdb.proto.etcd import members_pb2 as members
from weftdb.server.etcd.methods import AUTHENTICATE, Method, Reply, Request

ReplyOut = TypeVar("ReplyOut", covariant=True)

TIMEOUT_S = 5.0
_ATTEMPT_S_MIN = 0.5
_PAUSE_S = 0.05
_PAUSE_S_MAX = 0.5
_CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    # A channel of one process must not share its broken connection with another channel.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name it bounds how long one attempt may take, with its handshakes.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Notices a peer that hangs behind a watch. etcd cuts off whom it hears more often than in 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A page of a listing may hold a thousand large records.
    ("grpc.max_receive_message_length", -1),
)
_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNKNOWN,
    }
)
_FULL = "database space exceeded"
_BUSY = "too many requests"
_TOKEN_OVER = ("invalid auth token", "auth store is old")


@dataclass(frozen=True, slots=True)
class EtcdTls:
    """PEM files: whom to trust, and (both or none) who we are."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """Where etcd is and how it is talked to."""

    endpoints: tuple[str, ...]
    """host:port of the members' client listeners."""
    timeout_s: float = TIMEOUT_S
    """Of one call of the MetadataStore, with all of its tries."""
    tls: EtcdTls | None = None
    user: str = ""
    password: str = ""


class ReplyStream(Protocol[ReplyOut]):
    """The replies of one call, as they come."""

    def __iter__(self) -> Iterator[ReplyOut]:
        """Wait for each. Raises grpc.RpcError when the call ends in any way but well."""
        ...

    def cancel(self) -> bool:
        """End the call."""
        ...


class EtcdAway(Exception):
    """No useful answer from one endpoint. The request may have been carried out, or will be."""


class EtcdRefused(Exception):
    """An endpoint said no, and nothing was changed."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class EtcdConnection:
    """Channels to every endpoint of one etcd cluster. Thread-safe."""

    def __init__(self, settings: EtcdSettings, clock: Clock, randomness: random.Random) -> None:
        assert settings.endpoints, "no endpoint of etcd"
        self._settings = settings
        self._clock = clock
        self._random = randomness
        credentials = _credentials(settings.tls)
        self._channels = {
            endpoint: _channel(endpoint, credentials) for endpoint in settings.endpoints
        }
        self._lock = threading.Lock()
        self._order = [*settings.endpoints]
        self._token = ""
        self._is_closed = False

    @property
    def timeout_s(self) -> float:
        """Bound of one call with all of its tries."""
        return self._settings.timeout_s

    @property
    def endpoint(self) -> str:
        """Where the next call goes."""
        return self._order[0]

    def after_s(self, seconds: float) -> float:
        """The moment in `seconds`, on the monotonic clock."""
        return self._clock.monotonic_s() + seconds

    def deadline(self) -> float:
        """When a call that begins now must have ended."""
        return self.after_s(self._settings.timeout_s)

    def left_s(self, deadline: float) -> float:
        """Seconds until `deadline`; not above 0 when it has passed."""
        return deadline - self._clock.monotonic_s()

    def ask(
        self, method: Method[Request, Reply], request: Request, deadline: float | None = None
    ) -> Reply:
        """Answer a request that may be sent twice.

        Raises MetadataUnavailable (naming the endpoints), EtcdRefused, DiskFull, Closed.
        """
        until = self.deadline() if deadline is None else deadline
        tries, first = 0, None
        while True:
            try:
                return self.attempt(method, request, until, is_patient=self.is_patient(tries))
            except EtcdAway as error:
                tries, first = tries + 1, first or error  # The first one tells most.
                if not self.pause(tries, until):
                    raise self.unavailable(first) from None

    def is_patient(self, tries: int) -> bool:
        """Whether a try should wait for a connection: once all endpoints have failed at once.

        gRPC gets on with a connection only while a call waits for it; one that fails at once
        because the last connection failed would never see the next one succeed.
        """
        return tries >= len(self._order)

    def attempt(
        self,
        method: Method[Request, Reply],
        request: Request,
        deadline: float,
        *,
        is_patient: bool = False,
    ) -> Reply:
        """Ask one endpoint once. Raises EtcdAway, EtcdRefused, DiskFull, Closed."""
        endpoint = self.endpoint
        call = self._channel(endpoint).unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )
        metadata = self._metadata(endpoint, is_patient=is_patient)
        try:
            reply: Reply = call(
                request,
                timeout=self._attempt_s(deadline),
                metadata=metadata,
                wait_for_ready=is_patient,
            )
        except grpc.RpcError as error:
            if self._is_closed:
                raise Closed("the connection to etcd is closed") from None
            raise self.failure(endpoint, error) from None
        except ValueError as error:  # gRPC's word for a channel that is closed.
            raise Closed("the connection to etcd is closed") from error
        return reply

    def stream(
        self,
        method: Method[Request, Reply],
        requests: Iterable[Request],
        deadline: float | None = None,
    ) -> tuple[str, ReplyStream[Reply]]:
        """Open a stream at one endpoint, waiting for its connection; return it with the endpoint.

        What the iterator raises goes through `failure`. Raises EtcdAway, EtcdRefused (of the
        password), Closed.
        """
        endpoint = self.endpoint
        call = self._channel(endpoint).stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )
        metadata = (*self._metadata(endpoint, is_patient=True), ("hasleader", "true"))
        timeout_s = None if deadline is None else self._attempt_s(deadline)
        try:
            return endpoint, call(
                iter(requests), timeout=timeout_s, metadata=metadata, wait_for_ready=True
            )
        except ValueError as error:
            raise Closed("the connection to etcd is closed") from error

    def pause(self, tries: int, deadline: float) -> bool:
        """Wait a little, more with every try, unless the deadline comes first: then False."""
        longest = min(_PAUSE_S * 2 ** min(tries, 10), _PAUSE_S_MAX)
        pause_s = longest * (0.5 + self._random.random() / 2)
        if self.left_s(deadline) <= pause_s:
            return False
        time.sleep(pause_s)
        return True

    def failure(self, endpoint: str, error: grpc.RpcError) -> EtcdAway | EtcdRefused | DiskFull:
        """What an error of gRPC means; an endpoint that is away goes behind the others."""
        assert isinstance(error, grpc.Call), error
        code, text = error.code(), error.details() or ""
        if _FULL in text:
            return DiskFull(f"etcd at {endpoint} takes no more metadata: {text}")
        if any(each in text for each in _TOKEN_OVER):
            self.forget_token()  # The next try takes a new one.
            return EtcdAway(f"{endpoint}: {text}")
        if code in _AWAY or _BUSY in text:
            self.demote(endpoint)
            return EtcdAway(f"{endpoint}: {code.name} {text}".rstrip())
        return EtcdRefused(code, f"{endpoint}: {code.name} {text}")

    def demote(self, endpoint: str) -> None:
        """Let the next calls go to another endpoint first."""
        with self._lock:
            if self._order[0] == endpoint:
                self._order = [*self._order[1:], endpoint]

    def forget_token(self) -> None:
        """Ask for a new one before the next call: it is over, or of a member that began anew."""
        self._token = ""

    def unavailable(self, cause: Exception) -> MetadataUnavailable:
        """The error for callers: all endpoints, and what the last one said."""
        asked = ", ".join(self._settings.endpoints)
        return MetadataUnavailable(f"the metadata store (etcd at {asked}) is away: {cause}")

    def close(self) -> None:
        """End every call and stream."""
        self._is_closed = True
        for channel in self._channels.values():
            channel.close()

    def _channel(self, endpoint: str) -> grpc.Channel:
        if self._is_closed:
            raise Closed("the connection to etcd is closed")
        return self._channels[endpoint]

    def _attempt_s(self, deadline: float) -> float:
        """The time of one try: its share of the whole, so that another endpoint gets one too."""
        share = self._settings.timeout_s / (len(self._order) + 0.5)
        return max(min(max(share, _ATTEMPT_S_MIN), self.left_s(deadline)), 0.001)

    def _metadata(self, endpoint: str, *, is_patient: bool) -> tuple[tuple[str, str], ...]:
        if not self._settings.user:
            return ()
        if not self._token:
            call = self._channel(endpoint).unary_unary(
                AUTHENTICATE.path,
                request_serializer=AUTHENTICATE.request.SerializeToString,
                response_deserializer=AUTHENTICATE.reply.FromString,
            )
            request = members.AuthenticateRequest(
                name=self._settings.user, password=self._settings.password
            )
            try:
                timeout_s = self._attempt_s(self.deadline())
                self._token = call(request, timeout=timeout_s, wait_for_ready=is_patient).token
            except grpc.RpcError as error:
                raise self.failure(endpoint, error) from None
        return (("token", self._token),)


def _credentials(tls: EtcdTls | None) -> grpc.ChannelCredentials | None:
    if tls is None:
        return None
    return grpc.ssl_channel_credentials(
        tls.authority.read_bytes(),
        None if tls.key is None else tls.key.read_bytes(),
        None if tls.certificate is None else tls.certificate.read_bytes(),
    )


def _channel(endpoint: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    if credentials is None:
        return grpc.insecure_channel(endpoint, options=_CHANNEL_OPTIONS)
    return grpc.secure_channel(endpoint, credentials, options=_CHANNEL_OPTIONS)
