"""Shared by all tests: their order, their time of day, their generated examples, and that a full run skips none."""

import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# It is about noon for the tests, their daemons and their browsers: no day, month or year ends while they run, and no
# clock is put forward or back.
os.environ["TZ"] = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
if hasattr(time, "tzset"):
    time.tzset()

settings.register_profile(
    "the same examples in every run, however long each takes",
    deadline=None,
    database=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("the same examples in every run, however long each takes")

TESTS = Path(__file__).parent
SLOW = tuple(TESTS / name for name in ("outage", "clients", "browser", "daemon"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nothing-skipped", action="store_true", help="fail if any test was skipped")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files begin first, so that no process ends long after the others.

    Their folders take turns: the tests of some mostly wait, those of others mostly compute.
    """
    files: Counter[Path] = Counter()
    turns: dict[Path, tuple[bool, int]] = {}
    for item in items:
        if item.path not in turns:
            files[item.path.parent] += 1
            turns[item.path] = (item.path.parent not in SLOW, files[item.path.parent])
    items.sort(key=lambda item: turns[item.path])


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        session.config.getoption("--nothing-skipped")
        and reporter is not None
        and reporter.stats.get("skipped")
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--nothing-skipped"):
        for report in terminalreporter.stats.get("skipped", []):
            terminalreporter.write_line(f"SKIPPED, which a full run may not: {report.nodeid}", red=True)
