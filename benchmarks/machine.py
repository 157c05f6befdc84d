"""Machine: what a run ran on, so that a number can be read later."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "weftdb", "weaviate-client", "grpcio", "uvloop", "numpy", "rocksdict", "pyroaring", "hnswlib",
    "tantivy", "faiss-cpu",
    "usearch",
)  # fmt: skip


def describe_machine() -> dict[str, str]:
    """Processor, memory, system and versions."""
    description = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load when started": " ".join(f"{item:.1f}" for item in os.getloadavg()),
    }
    for name in PACKAGES:
        try:
            description[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            description[name] = "absent"
    return description


def _proc_field(path: str, name: str) -> str | None:
    file = Path(path)
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _processor() -> str:
    flags = (_proc_field("/proc/cpuinfo", "flags") or "").split()
    name = _proc_field("/proc/cpuinfo", "model name") or platform.processor() or "unknown"
    widest = next((item for item in ("avx512f", "avx2", "asimd") if item in flags), "portable")
    return f"{name} ({widest})"


def _memory() -> str:
    total = _proc_field("/proc/meminfo", "MemTotal")
    return f"{int(total.split()[0]) / 2**20:.0f} GiB" if total else "unknown"
