"""ContainerClient: calls an inference container, one text a request.

    POST {address}/vectors
    request := {"text", "dims": 0, "vector": null, "error": "",
                "config": {"pooling_strategy"?, "task_type": "passage" | "query", "dimensions"?}}
    reply   := 200 {"vector": [number, ...]} | other {"error": text}

Connection errors, time-outs, 429 and 5xx are tried again with growing pauses, all within one
deadline; whatever is left over is a ModuleFailure that names module, address and cause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import ModuleFailure
from weftdb.core.types import Rows
from weftdb.modules.local.packages import require

PAUSE_FIRST_S = 0.05
PAUSE_S_MAX = 5.0
REPLY_TEXT_CHARS_MAX = 300
"""How much of a service's answer an error message repeats."""

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})


class ContainerClient:
    """Talks to containers of one module. Thread-safe; connections are pooled and kept."""

    def __init__(
        self, module: str, config: ModulesConfig, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._module = module
        self._config = config
        self._sleep = sleep
        self._lock = threading.Lock()
        self._client: Any = None

    def vectors(self, address: str, texts: Sequence[str], config: Mapping[str, Any]) -> Rows:
        """One row a text, float32[len(texts), dim]. Raises ModuleFailure."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        workers = min(len(texts), self._config.calls_in_parallel_max)
        if workers == 1:
            rows = [self._vector(address, text, config) for text in texts]
        else:
            with ThreadPoolExecutor(workers, thread_name_prefix=self._module) as pool:
                rows = list(pool.map(lambda text: self._vector(address, text, config), texts))
        if len({len(row) for row in rows}) != 1:
            raise self._failure(address, "the service gave vectors of different lengths")
        return np.stack(rows)

    def _vector(self, address: str, text: str, config: Mapping[str, Any]) -> Rows:
        body = {"text": text, "dims": 0, "vector": None, "error": "", "config": dict(config)}
        reply = self._post(address, body)
        try:
            row = np.asarray(reply["vector"], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._failure(address, f"the reply holds no vector: {error!r}") from error
        if row.ndim != 1 or row.size == 0 or not np.isfinite(row).all():
            raise self._failure(address, f"the reply's vector has the shape {row.shape} or NaN")
        return row

    def _post(self, address: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send until an answer is final. Raises ModuleFailure."""
        httpx = require("httpx", purpose=f"module '{self._module}'", extra="server")
        deadline = time.monotonic() + self._config.timeout_s
        pause, cause = PAUSE_FIRST_S, ""
        for attempt in range(1, self._config.attempts_max + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                response = self._pool(httpx).post(f"{address}/vectors", json=body, timeout=left)
            except httpx.TransportError as error:
                cause = f"{type(error).__name__}: {error}"
            else:
                if response.status_code not in RETRIED_STATUSES:
                    return self._parsed(address, response)
                cause = _error_text(response)
                pause = max(pause, _retry_after_s(response.headers.get("retry-after")))
            if attempt == self._config.attempts_max or time.monotonic() + pause >= deadline:
                break
            self._sleep(pause)
            pause = min(pause * 4, PAUSE_S_MAX)
        raise self._failure(address, f"{cause} (after {attempt} attempts)")

    def _parsed(self, address: str, response: Any) -> dict[str, Any]:
        if response.status_code != 200:
            raise self._failure(address, _error_text(response))
        try:
            reply = response.json()
        except ValueError as error:
            raise self._failure(address, f"the reply is not JSON: {error}") from error
        if not isinstance(reply, dict):
            raise self._failure(address, f"the reply is a {type(reply).__name__}, not an object")
        return reply

    def _pool(self, httpx: Any) -> Any:
        with self._lock:
            if self._client is None:
                limits = httpx.Limits(max_connections=4 * self._config.calls_in_parallel_max)
                self._client = httpx.Client(limits=limits, follow_redirects=False)
            return self._client

    def _failure(self, address: str, cause: str) -> ModuleFailure:
        return ModuleFailure(f"module '{self._module}': {address}: {cause}")

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def _error_text(response: Any) -> str:
    try:
        reply = response.json()
    except ValueError:
        reply = None
    text = reply.get("error") if isinstance(reply, dict) else None
    if not isinstance(text, str) or not text:
        text = response.text
    return f"fail with status {response.status_code}: {text[:REPLY_TEXT_CHARS_MAX]}"


def _retry_after_s(header: str | None) -> float:
    """Seconds that the service asks for, at most PAUSE_S_MAX; the date form counts as none."""
    if header is None or not header.strip().isdigit():
        return 0.0
    return min(float(header), PAUSE_S_MAX)
