"""The sanitizers: how each compiles the extension, and the environment its tests run in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.sanitize.parts import ROOT

BUILD = ROOT / "build" / "sanitize"
BUILD_TIMEOUT_S = 1800
SCARCE = Path(__file__).with_name("scarce.cpp")
SUPPRESSIONS = Path(__file__).with_name("suppressions.tsan")


@dataclass(frozen=True, slots=True)
class Sanitizer:
    """One way of compiling: flags, the runtime to preload, and its options."""

    name: str
    flags: str
    runtime: str
    options: dict[str, str]

    @property
    def folder(self) -> Path:
        """Where its build and its ledger lie."""
        return BUILD / self.name


SANITIZERS = (
    Sanitizer(
        "address",
        "address,undefined",
        "libasan.so",
        {
            "ASAN_OPTIONS": (
                "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1"
                ":verify_asan_link_order=0"  # scarce.cpp comes first, and knows what it does
            ),
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        },
    ),
    # Only our code is instrumented: what NumPy's BLAS threads do among themselves is not looked at.
    Sanitizer(
        "thread",
        "thread",
        "libtsan.so",
        {
            "TSAN_OPTIONS": f"halt_on_error=1:suppressions={SUPPRESSIONS}",
            "OPENBLAS_NUM_THREADS": "1",
        },
    ),
)


def compiler() -> str:
    """The C++ compiler that CMake will take as well."""
    found = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert found, "no C++ compiler"
    return found


def runtime_of(name: str) -> str:
    """Full path of a library that comes with the compiler; the bare name if it does not."""
    command = [compiler(), f"-print-file-name={name}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return answer.stdout.strip()


def build(sanitizer: Sanitizer) -> Path:
    """Compile, and lay a copy of the package with the instrumented extension; returns its root."""
    compiled = sanitizer.folder / "cmake"
    launcher = shutil.which("ccache")
    through = [f"-DCMAKE_{language}_COMPILER_LAUNCHER={launcher}" for language in ("C", "CXX")]
    commands = [
        ["cmake", "-S", str(ROOT), "-B", str(compiled), "-G", "Ninja",
         f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
         f"-DWEFTDB_SANITIZE={sanitizer.flags}", *(through if launcher else [])],
        ["cmake", "--build", str(compiled), "-j", "2"],
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for command in commands:
        subprocess.run(command, check=True, env=environment, timeout=BUILD_TIMEOUT_S)
    copy = sanitizer.folder / "tree"
    shutil.rmtree(copy, ignore_errors=True)
    skipped = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "src")
    shutil.copytree(ROOT / "weftdb", copy / "weftdb", symlinks=False, ignore=skipped)
    for name, home in (("_native", "index/kernels"), ("_session", "server/grpc")):
        for module in compiled.glob(f"{name}*.so"):
            shutil.copy(module, copy / "weftdb" / home)
    return copy


def build_library(sanitizer: Sanitizer, source: Path, *flags: str) -> Path:
    """Compile one source file of the tests to a library."""
    library = sanitizer.folder / f"{source.stem}.so"
    command = [
        compiler(), "-std=c++20", "-O1", "-g1", "-fno-omit-frame-pointer", "-fPIC", "-shared",
        *flags, str(source), "-o", str(library), "-pthread", "-ldl",
    ]  # fmt: skip
    library.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, check=True, timeout=BUILD_TIMEOUT_S)
    return library


def environment_of(sanitizer: Sanitizer, copy: Path, times: float) -> dict[str, str] | None:
    """The environment of its tests; None where the compiler comes without its runtime."""
    runtime = runtime_of(sanitizer.runtime)
    if not Path(runtime).is_absolute():
        return None
    # -S keeps the editable install out and -P this folder, so that the copy is what gets imported;
    # the folder comes last, for what tests import of each other.
    paths = [str(copy), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(ROOT)]
    scarce = build_library(sanitizer, SCARCE)
    return {
        **os.environ,
        **sanitizer.options,
        # libstdc++ too, or the sanitizer does not find the real __cxa_throw to wrap.
        "LD_PRELOAD": f"{scarce} {runtime} {runtime_of('libstdc++.so.6')}",
        "PYTHONPATH": os.pathsep.join(paths),
        "WEFTDB_KERNELS": "native",
        "WEFTDB_SANITIZER": sanitizer.name,  # a test checks that this build is the one that runs
        "WEFTDB_SCARCE": str(scarce),
        "WEFTDB_FUZZ_TIMES": str(times),
    }
