"""`make sanitize`: the native code under ASan + UBSan, then under TSan.

The instrumented extension goes into a copy of the package below build/sanitize, so the working
tree keeps its own. Python itself is not instrumented: leaks at exit are not looked for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "sanitize"
TESTS = (
    "tests/unit/index/kernels",
    "tests/unit/index/hnsw",
    "tests/unit/index/test_multi_vector.py",
    "tests/unit/index/test_muvera.py",
    "tests/unit/index/inverted",
    "tests/property/index",
    "tests/property/inverted",
    "tests/property/server",
)
TIMEOUT_S = 1800


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
        subprocess.run(command, check=True, env=environment, timeout=TIMEOUT_S)
    copy = folder / "tree"
    shutil.rmtree(copy, ignore_errors=True)
    skipped = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "src")
    shutil.copytree(ROOT / "weftdb", copy / "weftdb", symlinks=False, ignore=skipped)
    for name, home in (("_native", "index/kernels"), ("_session", "server/grpc")):
        for module in (folder / "cmake").glob(f"{name}*.so"):
            shutil.copy(module, copy / "weftdb" / home)
    return copy


def run(sanitizer: Sanitizer) -> int:
    """Build and test; the exit code of the tests."""
    print(f"== {sanitizer.name}: -fsanitize={sanitizer.flags}", flush=True)
    copy = build(sanitizer)
    runtime = runtime_of(sanitizer.runtime)
    if not Path(runtime).is_absolute():
        print(f"{sanitizer.runtime} does not come with {compiler()}", file=sys.stderr)
        return 2
    # -S keeps the editable install out and -P this folder, so that the copy is what gets imported.
    paths = [str(copy), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = {
        **os.environ,
        **sanitizer.options,
        # libstdc++ too, or the sanitizer does not find the real __cxa_throw to wrap.
        "LD_PRELOAD": f"{runtime} {runtime_of('libstdc++.so.6')}",
        "PYTHONPATH": os.pathsep.join(paths),
        "WEFTDB_KERNELS": "native",
        "WEFTDB_SANITIZER": sanitizer.name,  # a test checks that this build is the one that runs
    }
    command = [
        sys.executable, "-S", "-P", "-m", "pytest", "-q", "-x",
        "-p", "no:cacheprovider", "-p", "no:xdist",
        "--capture=sys",
        "-o", "pythonpath=", *(name for name in TESTS if (ROOT / name).exists()),
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=False, timeout=TIMEOUT_S
    ).returncode


def main() -> int:
    """Run every sanitizer (or those named); the first failure decides the exit code."""
    wanted = set(sys.argv[1:]) or {sanitizer.name for sanitizer in SANITIZERS}
    codes = [run(sanitizer) for sanitizer in SANITIZERS if sanitizer.name in wanted]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
