"""Shared by all tests: a full run must not skip any."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nothing-skipped", action="store_true", help="fail if any test was skipped")


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
