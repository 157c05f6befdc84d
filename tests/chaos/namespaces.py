"""Namespaces: a network of its own for every node, on one bridge, that can be cut off.

The bridge has a namespace of its own, where no rules of the machine (such as Docker's) forbid to
forward. This process has an address on it, so clients reach every node, also one that the others
do not. Needs root, `ip` and `iptables`. Every name has the process id of the run in it.
Nodes find each other by name: `ip netns exec` shows a command `/etc/netns/NAMESPACE/hosts`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FILES = Path("/etc/netns")
SUBNET = "10.231"


def why_not() -> str:
    """Why there can be no namespaces here; "" where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [each for each in ("ip", "iptables") if shutil.which(each) is None]
    return f"no {missing[0]} on PATH" if missing else ""


class Namespaces:
    """Of one run. `close` in any case."""

    def __init__(self) -> None:
        """Make the bridge. Raises RuntimeError where that is not possible."""
        reason = why_not()
        if reason:
            raise RuntimeError(reason)
        self._tag = f"{os.getpid() % 100_000}"
        self._third = os.getpid() % 250
        self._hosts: dict[str, int] = {}
        self._middle, self._own = self._space("mid"), f"o{self._tag}"
        _run("ip", "netns", "add", self._middle)
        _run("ip", "-n", self._middle, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self._middle, "link", "set", "bridge", "up")
        _run(
            "ip",
            "link",
            "add",
            self._own,
            "type",
            "veth",
            "peer",
            "name",
            "own",
            "netns",
            self._middle,
        )
        self._plug("own")
        _run("ip", "addr", "add", f"{self._at(254)}/24", "dev", self._own)
        _run("ip", "link", "set", self._own, "up")

    def add(self, name: str) -> str:
        """Make the namespace of a node; its address."""
        host = self._hosts[name] = len(self._hosts) + 1
        space, middle = self._space(name), ("ip", "-n", self._middle)
        _run("ip", "netns", "add", space)
        _run(*middle, "link", "add", name, "type", "veth", "peer", "name", "node", "netns", space)
        self._plug(name)
        _run("ip", "-n", space, "addr", "add", f"{self._at(host)}/24", "dev", "node")
        _run("ip", "-n", space, "link", "set", "node", "up")
        _run("ip", "-n", space, "link", "set", "lo", "up")
        return self._at(host)

    def name_all(self) -> None:
        """Let every node find the others by their names. After all were added."""
        lines = ["127.0.0.1 localhost", *(f"{self._at(at)} {n}" for n, at in self._hosts.items())]
        for name in self._hosts:
            folder = FILES / self._space(name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "hosts").write_text("\n".join(lines) + "\n")

    def address(self, name: str) -> str:
        """Of a node."""
        return self._at(self._hosts[name])

    def inside(self, name: str) -> tuple[str, ...]:
        """What a command begins with to run in the namespace of a node (it is replaced by it)."""
        return ("ip", "netns", "exec", self._space(name))

    def cut(self, name: str) -> None:
        """Drop all that comes from other nodes, and what goes there."""
        self._rules(name, "-A")

    def heal(self, name: str) -> None:
        """Let it through again."""
        self._rules(name, "-D")

    def close(self) -> None:
        """Remove what was made."""
        for name in self._hosts:
            shutil.rmtree(FILES / self._space(name), ignore_errors=True)
            subprocess.run(("ip", "netns", "del", self._space(name)), check=False, timeout=30)
        subprocess.run(("ip", "netns", "del", self._middle), check=False, timeout=30)

    def _plug(self, end: str) -> None:
        """Put one end of a cable into the bridge."""
        _run("ip", "-n", self._middle, "link", "set", end, "master", "bridge")
        _run("ip", "-n", self._middle, "link", "set", end, "up")

    def _rules(self, name: str, what: str) -> None:
        for other, host in self._hosts.items():
            if other == name:
                continue
            for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d")):
                rule = ("iptables", "-w", what, chain, side, self._at(host), "-j", "DROP")
                _run(*self.inside(name), *rule)

    def _space(self, name: str) -> str:
        return f"chaos{self._tag}{name}"

    def _at(self, host: int) -> str:
        return f"{SUBNET}.{self._third}.{host}"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
