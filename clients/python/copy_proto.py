"""Copies the generated wire messages into the client, so that it needs nothing of the server.

`make proto` runs it; it writes `weftdb_client/_proto/`; imports become relative, the
descriptors stay the same bytes, so both copies may live in one process. A test fails on drift.
"""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "proto" / "v1"
TARGET = Path(__file__).resolve().parent / "weftdb_client" / "_proto"
LEFT_OUT = {"health", "tenants"}
"""Messages that the client does not send."""

_DOCSTRING = "Generated wire messages: a copy of proto/v1, see copy_proto.py."
_IMPORT = re.compile(r"^from weftdb\.proto\.v1 import (\w+_pb2) as (\w+)$", re.MULTILINE)
_STUB_IMPORT = re.compile(r"^from weftdb\.proto\.v1 import ", re.MULTILINE)


def copies() -> dict[str, str]:
    """Every file of the copy, by name."""
    made = {
        "__init__.py": '"""Generated wire messages: a copy of proto/v1, see copy_proto.py."""\n'
    }
    for path in sorted(SOURCE.glob("*_pb2.py*")):
        if path.name.split("_pb2")[0] in LEFT_OUT:
            continue
        text = path.read_text("utf-8")
        text = _IMPORT.sub(r"from . import \1 as \2", text)
        made[path.name] = _STUB_IMPORT.sub("from . import ", text)
    return made


def main() -> None:
    """Write the copy and remove what no longer belongs to it."""
    TARGET.mkdir(exist_ok=True)
    wanted = copies()
    for path in TARGET.glob("*.py*"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (TARGET / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
