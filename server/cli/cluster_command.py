"""`weftdb cluster`: what an operator sees of a cluster and does with it, over REST."""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from weftdb.core.errors import RequestError, Unavailable
from weftdb.server.cli.connection import URL_DEFAULT
from weftdb.server.cli.screen import show_table

if TYPE_CHECKING:
    from weftdb.server.cli.commands import Commands

EXAMPLES = """examples:
  weftdb cluster status
  weftdb cluster plan                       what a rebalance would do
  weftdb cluster rebalance
  weftdb cluster drain n4                   move everything off n4 and take it out
  weftdb cluster replace n2 n5              n5 takes over from n2, which is lost
  weftdb cluster scale Articles 3
  weftdb cluster reshard Articles --shards 6 --dry-run
  weftdb cluster repair Articles"""

ROOT = "/v1/cluster/weftdb"
TIMEOUT_S = 600.0
POLL_S = 1.0
STOPPED = 1
JOIN_S_MAX = 600.0
"""How long a command waits for the node that is to take over."""


class _Refused(RequestError):
    """The server says no."""


class _Away(Unavailable):
    """The server does not answer, or cannot."""


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Add `cluster` with its parts."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "cluster", help="look after a cluster", description="Look after a cluster."
    )
    parser.add_argument("--url", default=URL_DEFAULT, help=f"any node (default {URL_DEFAULT})")
    parser.add_argument("--json", action="store_true", help="print the server's answer as JSON")
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("status", help="nodes, shards, what is on its way")
    parts.add_parser("plan", help="show what rebalance would do")
    _with_plan(parts.add_parser("rebalance", help="even out the replicas over the nodes"))
    drain = _with_plan(parts.add_parser("drain", help="move everything off a node, then leave"))
    drain.add_argument("node")
    drain.add_argument("--stay", action="store_true", help="leave the node in the cluster, empty")
    replace = _with_plan(
        parts.add_parser("replace", help="give a lost node's shards to another, take it out")
    )
    replace.add_argument("node", help="the lost one")
    replace.add_argument("--stay", action="store_true", help="leave the lost one in the cluster")
    replace.add_argument("by", help="the one that takes over; the same, if it is back empty")
    scale = _with_plan(parts.add_parser("scale", help="change the number of replicas"))
    scale.add_argument("collection")
    scale.add_argument("factor", type=int)
    reshard = _with_plan(parts.add_parser("reshard", help="change the number of shards"))
    reshard.add_argument("collection")
    reshard.add_argument("--shards", type=int, required=True, help="how many there shall be")
    repair = parts.add_parser("repair", help="bring replicas together now")
    repair.add_argument("collection", nargs="?", default="")
    repair.add_argument("--dry-run", action="store_true", help="compare digests only")
    stop = parts.add_parser("stop", help="stop a plan")
    stop.add_argument("plan")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do one part; the exit code."""
    match arguments.part:
        case "status":
            return _status(arguments)
        case "repair":
            return _repair(arguments)
        case "stop":
            _ask(arguments, "DELETE", f"/plans/{arguments.plan}")
            return 0
        case _:
            return _plan(arguments)


def _with_plan(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until it is done")
    return parser


def _plan(arguments: argparse.Namespace) -> int:
    """Make a plan, show it, and follow it to its end."""
    is_dry = arguments.part == "plan" or arguments.dry_run
    kind = "rebalance" if arguments.part == "plan" else arguments.part
    if arguments.part == "replace" and not is_dry:
        _prepare(arguments)
    body: dict[str, Any] = {"kind": kind, "dryRun": is_dry}
    for name in ("node", "by", "collection", "factor", "shards"):
        if hasattr(arguments, name):
            body[name] = getattr(arguments, name)
    made = _ask(arguments, "POST", "/plans", body)
    print(json.dumps(made) if arguments.json else made["text"])
    if is_dry:
        return 0
    if made["id"]:
        print(f"plan {made['id']}", file=sys.stderr)
        if arguments.no_wait:
            return 0
        if not _follow(arguments, made["id"]):
            return STOPPED
    if _ends_in_leaving(arguments):
        if not made["id"]:
            _ask(arguments, "PUT", f"/nodes/{arguments.node}", {"draining": True})
        _ask(arguments, "DELETE", f"/nodes/{arguments.node}")
        print(f"node {arguments.node} has left the cluster: it may be stopped", file=sys.stderr)
    return 0


def _ends_in_leaving(arguments: argparse.Namespace) -> bool:
    if arguments.part == "replace":
        return arguments.by != arguments.node and not arguments.stay
    return arguments.part == "drain" and not arguments.stay


def _prepare(arguments: argparse.Namespace) -> None:
    """Have the lost node given up, so that the other can come in, and wait until that is there."""
    until, is_told = time.monotonic() + JOIN_S_MAX, False
    is_given_up = arguments.node == arguments.by
    while True:
        nodes = _nodes(arguments)
        if nodes.get(arguments.node) == "UNAVAILABLE" and not is_given_up:
            _ask(arguments, "PUT", f"/nodes/{arguments.node}", {"lost": True})
            is_given_up = True
        if nodes.get(arguments.by) == "HEALTHY":
            return
        if arguments.no_wait or arguments.node not in nodes or time.monotonic() > until:
            return  # The plan is refused, with the reason.
        if not is_told:
            print(f"waiting for node {arguments.by}: start it now", file=sys.stderr)
            is_told = True
        time.sleep(POLL_S)


def _nodes(arguments: argparse.Namespace) -> dict[str, str]:
    """The status of every node, by name."""
    return {each["name"]: each["status"] for each in _ask(arguments, "GET", "/status")["nodes"]}


def _follow(arguments: argparse.Namespace, plan: str) -> bool:
    """Wait until a plan is over, telling how far it is; whether all of it was done."""
    told = -1
    while True:
        found = _ask(arguments, "GET", f"/plans/{plan}")
        done = sum(step["state"] == "READY" for step in found["steps"])
        if done != told:
            print(f"{done} of {len(found['steps'])} steps are done", file=sys.stderr)
            told = done
        if found["state"] != "RUNNING":
            if found["state"] != "DONE":
                print(f"the plan is {found['state']}", file=sys.stderr)
            return bool(found["state"] == "DONE")
        time.sleep(POLL_S)


def _status(arguments: argparse.Namespace) -> int:
    found = _ask(arguments, "GET", "/status")
    if arguments.json:
        print(json.dumps(found))
        return 0
    show_table(
        "nodes",
        ["node", "status", "zone", "draining", "shards", "objects", "release"],
        [
            [
                each["name"],
                each["status"],
                each["zone"],
                "yes" if each["draining"] else "no",
                str(each["shards"]),
                str(each["objects"]),
                each["release"],
            ]
            for each in found["nodes"]
        ],
    )
    show_table(
        "shards",
        ["collection", "shard", "factor", "replicas", "joining"],
        [
            [
                each["collection"],
                each["shard"],
                str(each["factor"]),
                ", ".join(each["replicas"]),
                ", ".join(each["joining"]),
            ]
            for each in found["shards"]
        ],
    )
    show_table(
        "operations",
        ["operation", "what", "state", "errors"],
        [
            [
                each["id"],
                each["what"],
                each["status"]["state"],
                "; ".join(error["message"] for error in each["status"]["errors"][-1:]),
            ]
            for each in found["operations"]
        ],
    )
    return 0


def _repair(arguments: argparse.Namespace) -> int:
    """Repair, and say of each shard whether all replicas hold the same."""
    body = {"collection": arguments.collection, "dryRun": arguments.dry_run}
    found = _ask(arguments, "POST", "/repair", body)
    if arguments.json:
        print(json.dumps(found))
    else:
        show_table(
            "shards",
            ["collection", "shard", "equal", "sent", "failures"],
            [
                [
                    each["collection"],
                    each["shard"],
                    "yes" if each["converged"] else "no",
                    str(each["sent"]),
                    "; ".join(f"{node}: {why}" for node, why in each["failures"].items()),
                ]
                for each in found
            ],
        )
    return 0 if all(each["converged"] for each in found) else STOPPED


def _ask(arguments: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    """The JSON of an answer. Raises RequestError, Unavailable."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        arguments.url.rstrip("/") + ROOT + path,
        data=data,
        method=method,
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        raise _refusal(error) from None
    except OSError as error:
        raise _Away(f"{arguments.url} does not answer: {error}") from None


def _refusal(error: urllib.error.HTTPError) -> RequestError | Unavailable:
    text = error.read().decode(errors="replace")
    try:
        body = json.loads(text)
        message = body["error"][0]["message"]
    except (ValueError, KeyError, IndexError, TypeError):
        message = text or f"HTTP {error.code}"
    return _Away(message) if error.code >= 500 and error.code != 501 else _Refused(message)
