"""A report is a failure whatever the tests made of it, and the table counts what ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sanitize.__main__ import exit_status, summary
from tests.sanitize.ledger import Ledger, table
from tests.sanitize.outcome import Outcome, counts_in, fault_of, reports_in
from tests.sanitize.parts import GROUPS, group_of, parts
from tests.sanitize.reports import Reports

RACE = "WARNING: ThreadSanitizer: data race (pid=7)\n  Write of size 4\n"
CRASH = (
    "AddressSanitizer:DEADLYSIGNAL\n=======\n"
    "==7==ERROR: AddressSanitizer: SEGV on unknown address\n"
)
UNDEFINED = "kernels/src/codes.cpp:12:3: runtime error: shift exponent 64 is too large\n"
PASSED = "....\n12 passed, 2 skipped in 3.20s\n"


@pytest.mark.parametrize(
    ("output", "fault", "reports"),
    [
        (PASSED, "", 0),
        (RACE + PASSED, "WARNING: ThreadSanitizer", 1),
        (RACE + RACE, "WARNING: ThreadSanitizer", 2),
        (CRASH, "ERROR: AddressSanitizer", 1),
        ("ThreadSanitizer:DEADLYSIGNAL\n", "Sanitizer:DEADLYSIGNAL", 1),
        (UNDEFINED + PASSED, "runtime error", 1),
        ("FATAL: ThreadSanitizer: unexpected memory mapping\n", "FATAL: ThreadSanitizer", 1),
    ],
)
def test_a_report_is_a_fault_though_the_tests_pass(output: str, fault: str, reports: int) -> None:
    assert fault_of(output, 0, seconds_max=900) == fault
    assert reports_in(output) == reports


def test_parts_that_fail_die_or_hang_are_faults() -> None:
    assert fault_of("1 failed, 3 passed in 2.00s", 1, seconds_max=900) == "exit code 1"
    assert fault_of("", -9, seconds_max=900) == "exit code -9"
    assert fault_of("...", None, seconds_max=900) == "not done after 900 s"
    assert fault_of("2 skipped in 0.10s", 5, seconds_max=900) == ""


def test_tests_are_counted_where_pytest_counts_them() -> None:
    assert counts_in(PASSED) == (12, 2)
    assert counts_in("9 passed in the dark\n1 failed, 3 passed in 2.00s (0:00:02)\n") == (3, 0)
    assert counts_in("killed") == (0, 0)


def test_any_report_fails_the_run_and_so_does_running_nothing() -> None:
    good = Outcome("thread", "tests/a.py", "", 60.0, passed=3)
    assert exit_status([good]) == 0
    assert exit_status([good, Outcome("thread", "tests/b.py", "", 1.0, reports=1)]) == 1
    assert exit_status([good, Outcome("thread", "tests/b.py", "exit code 1", 1.0)]) == 1
    assert exit_status([]) == 1
    assert "1 parts in 2 minutes, 0 with a fault" in list(summary([good], 120.0))


def test_the_table_adds_parts_of_a_group() -> None:
    first, second = parts(["property"])[:2]
    outcomes = [
        Outcome("thread", first, "", 60.0, 3, 1, 0, "0a1b2c3", "2026-11-21"),
        Outcome("thread", second, "runtime error", 90.0, 4, 0, 2, "1a1b2c3", "2026-11-21"),
        Outcome("thread", "tests/unit/none.py", "", 6.0, 1, 0, 0, "0a1b2c3", "2026-11-21"),
        Outcome("address", first, "", 30.0, 3, 1, 0, "0a1b2c3", "2026-11-22"),
    ]
    all_ = len(parts(["property"]))
    assert list(table(outcomes))[2:] == [
        f"| property | thread | 2026-11-21 | 0a1b2c3, 1a1b2c3 | 2 of {all_} | 7 | 1 | 2 | 1 | 2 |",
        "| others | thread | 2026-11-21 | 0a1b2c3 | 1 of 1 | 1 | 0 | 0 | 0 | 0 |",
        f"| property | address | 2026-11-22 | 0a1b2c3 | 1 of {all_} | 3 | 1 | 0 | 0 | 0 |",
    ]


def test_every_group_has_parts_and_every_part_one_group() -> None:
    for group in GROUPS:
        assert parts([group]), group
        assert {group_of(part) for part in parts([group])} == {group}


def test_a_ledger_keeps_the_last_outcome_of_a_part(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.json"
    ledger = Ledger(path, "thread")
    assert ledger.seconds_of("tests/a.py") == float("inf")
    ledger.note(Outcome("thread", "tests/a.py", "exit code 1", 5.0, 1, 0, 0, "0a1b2c3", "d"))
    again = Outcome("thread", "tests/a.py", "", 7.25, 2, 1, 0, "1a1b2c3", "d")
    ledger.note(again)
    assert ledger.seconds_of("tests/a.py") == 7.2
    (kept,) = Ledger(path, "thread").outcomes()
    assert kept == Outcome("thread", "tests/a.py", "", 7.2, 2, 1, 0, "1a1b2c3", "d")


def test_what_an_earlier_run_reported_is_forgotten(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    told = reports.environment("tests/a.py", {"TSAN_OPTIONS": "halt_on_error=1"})
    prefix = told["TSAN_OPTIONS"].removeprefix("halt_on_error=1:log_path=")
    Path(f"{prefix}.71").write_text(RACE)
    Path(f"{prefix}.72").write_text(RACE)
    Reports(tmp_path).environment("tests/a.pyx", {})
    assert reports_in(reports.of("tests/a.py")) == 2
    reports.environment("tests/a.py", {})
    assert reports.of("tests/a.py") == ""
