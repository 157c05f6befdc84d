"""Types of the native `_session`; src/session.h says what each call does."""

class SessionError(RuntimeError):
    """The connection cannot go on: the peer does not speak HTTP/2."""

CALL: int
OPENED: int
MESSAGE: int
ENDED: int
GONE: int

Event = tuple[int, int, int, bytes, bool]
"""Kind, stream, place of the method in the table, message, whether the message is compressed."""

class Session:
    """The server's side of one gRPC connection: bytes in, calls out; replies in, bytes out."""

    def __init__(
        self,
        methods: list[tuple[str, bool]],
        *,
        message_bytes_max: int,
        calls_max: int,
        header_bytes_max: int,
    ) -> None: ...
    @property
    def is_finished(self) -> bool: ...
    @property
    def calls(self) -> int: ...
    def receive(self, received: bytes) -> list[Event]: ...
    def outgoing(self, size_max: int) -> bytes: ...
    def reply(self, stream: int, message: bytes) -> None: ...
    def send(self, stream: int, message: bytes) -> None: ...
    def finish(self, stream: int, code: int, details: str) -> None: ...
    def consumed(self, stream: int, size: int) -> None: ...
    def header(self, stream: int, name: str) -> str: ...
    def go_away(self) -> None: ...
