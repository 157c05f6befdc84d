"""LoadGenerator: the Go load generator, built once into a cache folder and run on files."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build" / "loadgen"
FAILED = 0xFFFFFFFF


class LoadGeneratorMissing(Exception):
    """Go or the source of the load generator is not on this machine."""


@dataclass(frozen=True)
class Load:
    """One measured run."""

    requests: int
    errors: int
    per_s: float
    p50_ms: float
    p99_ms: float
    first_error: str
    replies: tuple[bytes | None, ...] = ()
    """First reply to each message when they were asked for; None where the call failed."""


def shared_folder() -> Path:
    """Where material outside the repository lies."""
    return Path(os.environ.get("WEFTDB_SHARED", ROOT.parent / "shared"))


def build_load_generator() -> Path:
    """Build it if it is not there. Raises LoadGeneratorMissing with what to do."""
    binary = CACHE / "loadgen"
    if binary.exists():
        return binary
    source = shared_folder() / "bench" / "loadgen"
    go = shutil.which("go")
    if go is None:
        raise LoadGeneratorMissing("`go` is not installed: searches over gRPC are not measured")
    if not source.is_dir():
        raise LoadGeneratorMissing(f"no source at {source}: set WEFTDB_SHARED")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "loadgen"
        copy.mkdir()
        for file in source.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        subprocess.run([go, "build", "-o", str(binary), "."], cwd=copy, check=True, timeout=300)
    return binary


def write_messages(path: Path, messages: Iterable[bytes]) -> int:
    """Write length-prefixed messages; returns how many."""
    count = 0
    with path.open("wb") as file:
        for message in messages:
            file.write(struct.pack("<I", len(message)))
            file.write(message)
            count += 1
    return count


def read_replies(path: Path) -> tuple[bytes | None, ...]:
    """Read the replies file: None for a failed call."""
    content = path.read_bytes()
    replies: list[bytes | None] = []
    offset = 0
    while offset < len(content):
        (length,) = struct.unpack_from("<I", content, offset)
        offset += 4
        if length == FAILED:
            offset += 4
            replies.append(None)
            continue
        replies.append(content[offset : offset + length])
        offset += length
    return tuple(replies)


@dataclass
class LoadGenerator:
    """Sends messages to one gRPC method, closed loop."""

    binary: Path
    address: str

    def run(
        self,
        method: str,
        messages: Path,
        *,
        in_flight: int,
        seconds: float = 10.0,
        count: int = 0,
        warmup: int = 0,
        keep_replies: bool = False,
    ) -> Load:
        """Send each message once (count 0) or `count` requests, at most `seconds` long."""
        with tempfile.TemporaryDirectory(prefix="weft-load-") as scratch:
            out = Path(scratch) / "replies"
            command = [
                str(self.binary), "run", "-addr", self.address, "-method", method,
                "-in", str(messages), "-streams", str(in_flight), "-duration", f"{seconds}s",
                "-count", str(count), "-warmup", str(warmup), "-json",
            ]  # fmt: skip
            if keep_replies:
                command += ["-out", str(out)]
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds + 120, check=False
            )
            if answer.returncode != 0:
                raise RuntimeError(f"{' '.join(command)}: {answer.stderr}")
            result = json.loads(answer.stdout)
            replies = read_replies(out) if keep_replies else ()
        return Load(
            requests=int(result["requests"]),
            errors=int(result["errors"]),
            per_s=float(result["rps"]),
            p50_ms=float(result["p50_ms"]),
            p99_ms=float(result["p99_ms"]),
            first_error=str(result["first_error"]),
            replies=replies,
        )

    def best_of_three(self, method: str, messages: Path, *, in_flight: int, seconds: float) -> Load:
        """The quickest of three runs of a third of `seconds` each.

        The peers get the better of their runs too: on a shared machine the slow ones measure the
        neighbours.
        """
        runs = [
            self.run(method, messages, in_flight=in_flight, seconds=seconds / 3, count=10**7)
            for _ in range(3)
        ]
        assert not any(run.errors for run in runs), [run.first_error for run in runs]
        return max(runs, key=lambda run: run.per_s)
