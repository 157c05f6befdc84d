"""Bundles: calls of one kind that begin in the same moment go to a node as one.

A request that asks several shards of one node would else pay for as many calls, and a call costs
more than what a short one asks for. Nothing waits for company: what the event loop begins in one
turn goes together. Only kinds whose answers take equally long are bundled: a bundle is answered
when its last question is. A node of a release that does not know bundles is asked one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from google.protobuf.message import DecodeError

from weftdb.cluster.replication.effects import Failure
from weftdb.core.errors import InvalidRequest
from weftdb.proto.internode import together_pb2 as wire
from weftdb.server.grpc.connection import Call, UnaryHandler
from weftdb.server.internode.methods import DIGESTS, STATISTICS, TOGETHER_PATH
from weftdb.server.internode.ports import CallFailed

BUNDLED_PATHS = frozenset({DIGESTS.path, STATISTICS.path})
QUESTION_BYTES_MAX = 4096
QUESTIONS_MAX = 64
TIMEOUT_S_MIN = 5.0
"""What has less time goes alone; others go with those whose time ends in the same second."""


class UnknownCall(CallFailed):
    """The other node's release does not know the call."""


SendAlone: TypeAlias = Callable[[str, bytes, float], Awaitable[bytes]]
"""The answer to one call: its path, its message, seconds until its deadline. Raises CallFailed."""


@dataclass(frozen=True, slots=True)
class _Question:
    message: bytes
    timeout_s: float
    answer: asyncio.Future[bytes]


class Bundles:
    """Of the connection to one node. Lives in one event loop."""

    def __init__(self, send: SendAlone) -> None:
        self._send = send
        self._waiting: dict[tuple[str, int], list[_Question]] = {}
        self._under_way: set[asyncio.Task[Sequence[bytes | BaseException]]] = set()
        self._is_known = True
        """Until the other node says that it knows no bundles."""

    def takes(self, path: str, message: bytes, timeout_s: float) -> bool:
        """Whether a call may go with others."""
        is_small = len(message) <= QUESTION_BYTES_MAX and timeout_s >= TIMEOUT_S_MIN
        return self._is_known and is_small and path in BUNDLED_PATHS

    async def call(self, path: str, message: bytes, timeout_s: float) -> bytes:
        """The answer to one call, which leaves at the end of this turn. Raises CallFailed."""
        loop = asyncio.get_running_loop()
        question = _Question(message, timeout_s, loop.create_future())
        key = (path, round(timeout_s))
        waiting = self._waiting.setdefault(key, [])
        if not waiting:
            loop.call_soon(self._leave, key)
        waiting.append(question)
        return await question.answer

    def _leave(self, key: tuple[str, int]) -> None:
        questions = [one for one in self._waiting.pop(key) if not one.answer.done()]
        for start in range(0, len(questions), QUESTIONS_MAX):
            bundle = questions[start : start + QUESTIONS_MAX]
            task = asyncio.ensure_future(self._answers(key[0], bundle))
            self._under_way.add(task)
            task.add_done_callback(partial(self._arrived, bundle))

    async def _answers(
        self, path: str, bundle: Sequence[_Question]
    ) -> Sequence[bytes | BaseException]:
        if len(bundle) == 1:
            return await self._one_by_one(path, bundle)
        request = wire.TogetherRequest(path=path, questions=(one.message for one in bundle))
        timeout_s = max(one.timeout_s for one in bundle)
        try:
            answered = await self._send(TOGETHER_PATH, request.SerializeToString(), timeout_s)
        except UnknownCall:
            self._is_known = False
            return await self._one_by_one(path, bundle)
        try:
            answers = wire.TogetherReply.FromString(answered).answers
        except DecodeError as error:
            raise CallFailed(Failure(f"the answers cannot be read: {error}")) from None
        if len(answers) != len(bundle):
            raise CallFailed(Failure(f"{len(answers)} answers to {len(bundle)} questions"))
        return list(answers)

    async def _one_by_one(
        self, path: str, bundle: Sequence[_Question]
    ) -> Sequence[bytes | BaseException]:
        calls = (self._send(path, one.message, one.timeout_s) for one in bundle)
        return await asyncio.gather(*calls, return_exceptions=True)

    def _arrived(
        self, bundle: Sequence[_Question], task: asyncio.Task[Sequence[bytes | BaseException]]
    ) -> None:
        """Give each its answer; who was cancelled meanwhile needs none."""
        self._under_way.discard(task)
        if task.cancelled():
            answers: Sequence[bytes | BaseException] = [asyncio.CancelledError()] * len(bundle)
        else:
            error = task.exception()
            answers = task.result() if error is None else [error] * len(bundle)
        for question, answer in zip(bundle, answers, strict=True):
            if question.answer.done():
                continue
            if isinstance(answer, asyncio.CancelledError):
                question.answer.cancel()
            elif isinstance(answer, BaseException):
                question.answer.set_exception(answer)
            else:
                question.answer.set_result(answer)


def answering_bundles(handlers: Mapping[str, UnaryHandler]) -> UnaryHandler:
    """Answers bundles by `handlers`, which look at the head of each question as if it had come
    alone."""

    async def handle(message: bytes, call: Call) -> bytes:
        try:
            bundle = wire.TogetherRequest.FromString(message)
        except DecodeError as error:
            raise InvalidRequest(f"a bundle cannot be read: {error}") from None
        handler = handlers.get(bundle.path) if bundle.path in BUNDLED_PATHS else None
        if handler is None:
            raise InvalidRequest(f"calls of {bundle.path!r} are not bundled")
        if len(bundle.questions) > QUESTIONS_MAX:
            raise InvalidRequest(f"{len(bundle.questions)} questions, at most {QUESTIONS_MAX}")
        answers = await asyncio.gather(*(handler(one, call) for one in bundle.questions))
        reply: bytes = wire.TogetherReply(answers=answers).SerializeToString()
        return reply

    return handle
