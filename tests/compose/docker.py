"""Docker for these tests: an engine (the machine's, or one that is started here), the image's base,
and the image itself.

Base images cannot be pulled everywhere, so where `BASE` is not there it is made by debootstrap,
from Debian's packages, and gets that name. It trusts the certificates that this machine trusts,
because the packages of the image may come through a proxy with one of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASE = "debian:bookworm-slim"
TAG = "test"
IMAGE = f"weftdb:{TAG}"
ENGINE_START_S = 60.0
BUILD_S = 2400.0
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_CERTIFICATE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class CannotRun(Exception):
    """Something that these tests need is not on this machine; the message says what."""


def run(
    command: Sequence[str],
    *,
    timeout_s: float = 120.0,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> str:
    """Run a command and return what it printed. Raises AssertionError with its output."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        timeout=timeout_s,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or not check, f"{' '.join(command)}\n{done.stdout[-4000:]}"
    return done.stdout


@contextmanager
def engine(state: Path) -> Iterator[None]:
    """Use the engine that runs, or run one over `state` meanwhile. Raises CannotRun."""
    if _answers():
        yield
        return
    if shutil.which("dockerd") is None:
        raise CannotRun("no Docker engine answers and there is no dockerd (Debian: docker.io)")
    if os.geteuid() != 0:
        raise CannotRun("no Docker engine answers, and only root can start one")
    state.mkdir(parents=True, exist_ok=True)
    log = state / "dockerd.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                "dockerd", f"--data-root={state / 'data'}", f"--exec-root={state / 'exec'}",
                f"--pidfile={state / 'pid'}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until = time.monotonic() + ENGINE_START_S
        while not _answers():
            if process.poll() is not None or time.monotonic() > until:
                raise CannotRun(f"dockerd does not come up here: {log.read_text()[-1500:]}")
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _answers() -> bool:
    if shutil.which("docker") is None:
        raise CannotRun("there is no docker command (Debian: docker.io)")
    done = subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False)
    return done.returncode == 0


def compose_command() -> list[str]:
    """Docker Compose, as a plugin or as a program of its own. Raises CannotRun."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise CannotRun("there is no Docker Compose (Debian: docker-compose)")


def build_image(work: Path) -> None:
    """Build `IMAGE` from this working tree, and its base where it is missing. Raises CannotRun."""
    if not run(["docker", "images", "-q", BASE]).strip():
        _make_base(work)
    command = ["docker", "build", "--network=host", "-f", "deploy/Dockerfile", "-t", IMAGE, "."]
    run(command, timeout_s=BUILD_S)


def _make_base(work: Path) -> None:
    if shutil.which("debootstrap") is None:
        raise CannotRun(f"{BASE} is not there, and neither is debootstrap, which makes it")
    root = work / "base"
    run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root)],
        timeout_s=BUILD_S,
    )
    shutil.copy(_CERTIFICATES, root / _CERTIFICATES.relative_to("/"))
    archive = work / "base.tar"
    run(["tar", "-C", str(root), "--one-file-system", "-cf", str(archive), "."])
    changes = [f"--change=ENV {name}={_CERTIFICATES}" for name in _CERTIFICATE_VARIABLES]
    run(["docker", "import", *changes, str(archive), BASE])
    shutil.rmtree(root)
    archive.unlink()
