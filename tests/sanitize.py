"""`make sanitize`: the native code under ASan + UBSan, then under TSan.

    python -m tests.sanitize [address] [thread] [--jobs 2] [--times 0.2] [group or test ...]

The instrumented extension goes into a copy of the package below build/sanitize, so the working
tree keeps its own; it is kept, and compiled again only where sources changed (through ccache where
there is one). Python itself is not instrumented: leaks at exit are not looked for.

Every part of the tests runs in a process of its own and within a time of its own, so that one that
hangs or dies does not hide the others. Tests work with less (sizes.py), and property tests try
fewer examples. Parts that took longest the last time begin first. The end says how long each part
took and which of them reported something; any report, whatever the tests made of it, is a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "sanitize"
GROUPS = {
    "kernels": ("tests/unit/index/kernels/test_*.py",),
    "graph": ("tests/unit/index/hnsw/test_*.py",),
    "multi": ("tests/unit/index/test_multi_vector*.py", "tests/unit/index/test_muvera.py"),
    "text": (
        "tests/unit/index/inverted",
        "tests/property/inverted",
        "tests/property/test_native_terms.py",
    ),
    "engine": (
        "tests/unit/engine/test_aggregation.py",
        "tests/unit/engine/test_compaction.py",
        "tests/unit/engine/test_quantizer_switching.py",
        "tests/unit/engine/test_skipped_vectors.py",
        "tests/property/engine",
    ),
    "door": (
        "tests/unit/server/grpc/test_connection.py",
        "tests/unit/server/grpc/test_door.py",
        "tests/unit/server/grpc/test_reply.py",
        "tests/property/server",
    ),
    "property": ("tests/property/index/test_*.py",),
}
"""Each file that a pattern names is a part, and so is a folder."""
BUILD_TIMEOUT_S = 1800
PART_TIMEOUT_S = 600
TIMES = 0.2
"""Examples of property tests, times the usual number."""
NICENESS = 10
REPORT = re.compile(r"WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error: |:DEADLYSIGNAL")
TAIL_CHARS = 12_000


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


@dataclass(frozen=True)
class Outcome:
    """How one part went; `fault` is empty where nothing is wrong."""

    sanitizer: str
    part: str
    fault: str
    seconds: float
    output: str = ""

    def __str__(self) -> str:
        verdict = f"FAILED ({self.fault})" if self.fault else "ok"
        return f"{verdict} {self.sanitizer} {self.part} ({self.seconds:.0f} s)"


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
    launcher = shutil.which("ccache")
    through = [f"-DCMAKE_{language}_COMPILER_LAUNCHER={launcher}" for language in ("C", "CXX")]
    commands = [
        ["cmake", "-S", str(ROOT), "-B", str(folder / "cmake"), "-G", "Ninja",
         f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
         f"-DWEFTDB_SANITIZE={sanitizer.flags}", *(through if launcher else [])],
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


def parts(names: Sequence[str]) -> list[str]:
    """The parts that groups and patterns name; all without a name."""
    patterns = [pattern for name in names or GROUPS for pattern in GROUPS.get(name, (name,))]
    found = {str(path.relative_to(ROOT)) for one in patterns for path in ROOT.glob(one)}
    return sorted(found)


def environment_of(sanitizer: Sanitizer, copy: Path, times: float) -> dict[str, str] | None:
    """The environment of its tests; None where the compiler comes without its runtime."""
    runtime = runtime_of(sanitizer.runtime)
    if not Path(runtime).is_absolute():
        return None
    # -S keeps the editable install out and -P this folder, so that the copy is what gets imported;
    # the folder comes last, for what tests import of each other.
    paths = [str(copy), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(ROOT)]
    return {
        **os.environ,
        **sanitizer.options,
        # libstdc++ too, or the sanitizer does not find the real __cxa_throw to wrap.
        "LD_PRELOAD": f"{runtime} {runtime_of('libstdc++.so.6')}",
        "PYTHONPATH": os.pathsep.join(paths),
        "WEFTDB_KERNELS": "native",
        "WEFTDB_SANITIZER": sanitizer.name,  # a test checks that this build is the one that runs
        "WEFTDB_FUZZ_TIMES": str(times),
    }


def run(sanitizer: Sanitizer, names: Sequence[str], *, times: float, jobs: int) -> list[Outcome]:
    """Build, and run `jobs` parts at a time; what fails is printed with the end of its output."""
    print(f"== {sanitizer.name}: -fsanitize={sanitizer.flags}", flush=True)
    begun_s = time.monotonic()
    environment = environment_of(sanitizer, build(sanitizer), times)
    if environment is None:
        fault = f"{sanitizer.runtime} does not come with {compiler()}"
        return [Outcome(sanitizer.name, "build", fault, 0.0)]
    print(f"built in {time.monotonic() - begun_s:.0f} s", flush=True)
    last = LastTimes(BUILD / sanitizer.name / "seconds.json")
    outcomes = []
    with ThreadPoolExecutor(jobs) as workers:
        running = [
            workers.submit(run_part, sanitizer.name, name, environment)
            for name in sorted(names, key=last.seconds_of, reverse=True)
        ]
        for done in as_completed(running):
            outcome = done.result()
            if outcome.fault:
                print(outcome.output[-TAIL_CHARS:])
            print(outcome, flush=True)
            outcomes.append(outcome)
            last.note(outcome)
    return outcomes


def run_part(sanitizer: str, name: str, environment: Mapping[str, str]) -> Outcome:
    """Run one part to its end, or to the end of its time."""
    command = [
        sys.executable, "-S", "-P", "-m", "pytest", "-q", "--durations=5",
        "-p", "no:cacheprovider", "-p", "no:xdist",
        "--capture=sys",
        "-o", "pythonpath=", name,
    ]  # fmt: skip
    begun_s = time.monotonic()
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, check=False, timeout=PART_TIMEOUT_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        fault, output = f"not done after {PART_TIMEOUT_S} s", _text(late.stdout)
    else:
        output = ended.stdout
        reported = REPORT.search(output)
        fault = reported.group() if reported else ""
        if not fault and ended.returncode not in (0, 5):  # 5: all of it is skipped here.
            fault = f"exit code {ended.returncode}"
    return Outcome(sanitizer, name, fault, time.monotonic() - begun_s, output)


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


class LastTimes:
    """How long parts took when they last ran, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def seconds_of(self, part: str) -> float:
        """Seconds; of a part that never ran, more than any other's."""
        return self._seconds.get(part, PART_TIMEOUT_S)

    def note(self, outcome: Outcome) -> None:
        """Remember one."""
        self._seconds[outcome.part] = round(outcome.seconds, 1)
        self._path.write_text(json.dumps(self._seconds, indent=1, sort_keys=True))


def summary(outcomes: Sequence[Outcome], seconds: float) -> Iterator[str]:
    """What the end says: the longest parts first, then what is wrong."""
    yield ""
    yield from map(str, sorted(outcomes, key=lambda one: -one.seconds))
    faults = [outcome for outcome in outcomes if outcome.fault]
    yield f"{len(outcomes)} parts in {seconds / 60:.0f} minutes, {len(faults)} with a fault"
    yield from map(str, faults)


def main() -> int:
    """Run every sanitizer (or those named) over all parts (or those named); 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"sanitizers, groups ({', '.join(GROUPS)}), tests; all without one"
    )
    parser.add_argument("--times", type=float, default=TIMES, help="examples of property tests")
    parser.add_argument("--jobs", type=int, default=2, help="parts that run at a time")
    given = parser.parse_intermixed_args()
    chosen = [sanitizer for sanitizer in SANITIZERS if sanitizer.name in given.names]
    names = parts([name for name in given.names if name not in {one.name for one in chosen}])
    if not names:
        parser.error("no test has such a name")
    os.nice(NICENESS)
    begun_s = time.monotonic()
    outcomes = []
    for sanitizer in chosen or SANITIZERS:
        outcomes += run(sanitizer, names, times=given.times, jobs=given.jobs)
    print("\n".join(summary(outcomes, time.monotonic() - begun_s)))
    return 1 if any(outcome.fault for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
