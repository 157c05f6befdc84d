"""`make sanitize`: the native code under ASan + UBSan, then under TSan.

    python -m tests.sanitize [address] [thread] [--times 0.2] [test ...]

The instrumented extension goes into a copy of the package below build/sanitize, so the working
tree keeps its own. Python itself is not instrumented: leaks at exit are not looked for. Every part
of the tests runs in a process of its own and within a time of its own, so that one that hangs or
dies does not hide the others; property tests try fewer examples than usual. The end says what ran.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "sanitize"
PARTS = (
    "tests/unit/index/kernels",
    "tests/unit/index/hnsw/test_*.py",
    "tests/unit/index/test_multi_vector*.py",
    "tests/unit/index/test_muvera.py",
    "tests/unit/index/inverted",
    "tests/unit/engine/test_aggregation.py",
    "tests/unit/engine/test_quantizer_switching.py",
    "tests/unit/engine/test_skipped_vectors.py",
    "tests/unit/server/grpc/test_connection.py",
    "tests/unit/server/grpc/test_door.py",
    "tests/unit/server/grpc/test_reply.py",
    "tests/property/index/test_*.py",
    "tests/property/engine",
    "tests/property/inverted",
    "tests/property/server",
)
"""Each file that a pattern names is a part."""
BUILD_TIMEOUT_S = 1800
PART_TIMEOUT_S = 600
TIMES = 0.2
"""Examples of property tests, times the usual number. Everything is 5 to 20 times slower here."""
NICENESS = 10


@dataclass(frozen=True)
class Sanitizer:
    """One way of compiling: flags, the runtime to preload, and its options."""

    name: str
    flags: str
    runtime: str
    options: dict[str, str]


SANITIZERS = (
    Sanitizer(
        "address",
        "address,undefined",
        "libasan.so",
        {
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        },
    ),
    # Only our code is instrumented: what NumPy's BLAS threads do among themselves is not looked at.
    Sanitizer(
        "thread",
        "thread",
        "libtsan.so",
        {
            "TSAN_OPTIONS": f"halt_on_error=1:suppressions={ROOT}/tests/sanitize.tsan",
            "OPENBLAS_NUM_THREADS": "1",
        },
    ),
)


def runtime_of(name: str) -> str:
    """Full path of a library that comes with the compiler; the bare name if it does not."""
    command = [compiler(), f"-print-file-name={name}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return answer.stdout.strip()


def compiler() -> str:
    """The C++ compiler that CMake will take as well."""
    found = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert found, "no C++ compiler"
    return found


def build(sanitizer: Sanitizer) -> Path:
    """Compile, and lay a copy of the package with the instrumented extension; returns its root."""
    folder = BUILD / sanitizer.name
    commands = [
        ["cmake", "-S", str(ROOT), "-B", str(folder / "cmake"), "-G", "Ninja",
         f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
         f"-DWEFTDB_SANITIZE={sanitizer.flags}"],
        ["cmake", "--build", str(folder / "cmake"), "-j", "2"],
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for command in commands:
        subprocess.run(command, check=True, env=environment, timeout=BUILD_TIMEOUT_S)
    copy = folder / "tree"
    shutil.rmtree(copy, ignore_errors=True)
    skipped = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "src")
    shutil.copytree(ROOT / "weftdb", copy / "weftdb", symlinks=False, ignore=skipped)
    for name, home in (("_native", "index/kernels"), ("_session", "server/grpc")):
        for module in (folder / "cmake").glob(f"{name}*.so"):
            shutil.copy(module, copy / "weftdb" / home)
    return copy


def parts(patterns: Sequence[str]) -> list[str]:
    """The parts that there are."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in found)


def run(sanitizer: Sanitizer, names: Sequence[str], times: float) -> list[str]:
    """Build and test; one line a part, those that failed begin with FAILED."""
    print(f"== {sanitizer.name}: -fsanitize={sanitizer.flags}", flush=True)
    copy = build(sanitizer)
    runtime = runtime_of(sanitizer.runtime)
    if not Path(runtime).is_absolute():
        return [f"FAILED {sanitizer.runtime} does not come with {compiler()}"]
    # -S keeps the editable install out and -P this folder, so that the copy is what gets imported;
    # the folder comes last, for what tests import of each other.
    paths = [str(copy), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(ROOT)]
    environment = {
        **os.environ,
        **sanitizer.options,
        # libstdc++ too, or the sanitizer does not find the real __cxa_throw to wrap.
        "LD_PRELOAD": f"{runtime} {runtime_of('libstdc++.so.6')}",
        "PYTHONPATH": os.pathsep.join(paths),
        "WEFTDB_KERNELS": "native",
        "WEFTDB_SANITIZER": sanitizer.name,  # a test checks that this build is the one that runs
        "WEFTDB_FUZZ_TIMES": str(times),
    }
    report = []
    for name in names:
        begun_s = time.monotonic()
        outcome = run_part(name, environment)
        line = f"{outcome} {sanitizer.name} {name} ({time.monotonic() - begun_s:.0f} s)"
        print(line, flush=True)
        report.append(line)
    return report


def run_part(name: str, environment: dict[str, str]) -> str:
    """Run one part; "ok", or FAILED and why."""
    command = [
        sys.executable, "-S", "-P", "-m", "pytest", "-q",
        "-p", "no:cacheprovider", "-p", "no:xdist",
        "--capture=sys",
        "-o", "pythonpath=", name,
    ]  # fmt: skip
    try:
        code = subprocess.run(
            command, cwd=ROOT, env=environment, check=False, timeout=PART_TIMEOUT_S
        ).returncode
    except subprocess.TimeoutExpired:
        return f"FAILED (not done after {PART_TIMEOUT_S} s)"
    return "ok" if code == 0 else f"FAILED (exit code {code})"


def main() -> int:
    """Run every sanitizer (or those named) over all parts (or those named); 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="sanitizers, parts; all if none is named")
    parser.add_argument("--times", type=float, default=TIMES, help="examples of property tests")
    given = parser.parse_args()
    chosen = [sanitizer for sanitizer in SANITIZERS if sanitizer.name in given.names]
    names = [name for name in given.names if name not in {one.name for one in chosen}]
    os.nice(NICENESS)
    report = []
    for sanitizer in chosen or SANITIZERS:
        report += run(sanitizer, parts(names or PARTS), given.times)
    print("\n".join(["", *report]))
    return 1 if any(line.startswith("FAILED") for line in report) else 0


if __name__ == "__main__":
    sys.exit(main())
