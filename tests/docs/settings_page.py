"""Writes docs/settings.md from the table of settings and the sample file: `python -m` this."""

from __future__ import annotations

import re
from pathlib import Path

from weftdb.server.reference_settings import Fate
from weftdb.server.settings import SETTINGS, Setting

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "deploy" / "weftdb.sample.yaml"
PAGE = ROOT / "docs" / "settings.md"

HEAD = """# Settings

A server takes each setting from the first of: flag, environment, YAML file (`--config-file` or
`WEFTDB_CONFIG`), default.

    weftdb serve --data my-data --host 127.0.0.1 --port 8080 --grpc-port 50051
    weftdb serve --config-file weftdb.yaml

Every setting has a place in the file, a variable of ours, and where the reference server has a
variable for the same thing, that one too. A bad value stops the start and names variable, value and
expectation; so does an unknown `WEFTDB_` variable or name in the file.
`deploy/weftdb.sample.yaml` shows every setting with its default.

| setting | variable | reference's variable | default | what |
|---|---|---|---|---|
"""

TAIL = """
Every other variable of the reference has a declared fate (`server/reference_settings.py`):
**{honoured}** by a setting above, **{mapped}** because WeftDB always behaves so, **{ignored}** with
a line in the log that says why, or **{refused}**: where passing over it would weaken safety or
change what clients see (authentication, authorization, other nodes), the server does not start.

This page is written by `python -m tests.docs.settings_page`; a test holds it to the code.
"""


def sample_lines() -> dict[str, tuple[str, str]]:
    """Path of a setting to its default and its comment, as the sample file has them."""
    found: dict[str, tuple[str, str]] = {}
    part = ""
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        match = re.match(r"( *)([a-z0-9_]+):\s*([^#]*?)\s*(?:#\s*(.*))?$", line)
        if match is None:
            continue
        indent, name, value, comment = match.groups()
        path = f"{part}.{name}" if indent else name
        if not indent:
            part = name
        found[path] = (value, re.sub(r"\s*\[\w+\]$", "", comment or ""))
    return found


def settings_by_path() -> dict[str, Setting]:
    """The table, one entry a path."""
    return {setting.path: setting for setting in SETTINGS}


def render() -> str:
    """The whole page."""
    samples = sample_lines()
    rows = []
    for path, setting in settings_by_path().items():
        default, comment = samples[path]
        shown = f"`{default}`" if default else ""
        reference = f"`{setting.reference}`" if setting.reference else ""
        what = comment.replace("|", "\\|")
        rows.append(f"| `{path}` | `{setting.variable}` | {reference} | {shown} | {what} |")
    fates = {fate.name.lower(): fate.value for fate in Fate}
    return HEAD + "\n".join(rows) + "\n" + TAIL.format(**fates)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
