"""Mistakes in the settings file of a running daemon: the last good settings stay, and the error names its place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, say


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with ScriptedUpstream(say("Served")) as server:
        entry = upstream("a", server.url)
        with Daemon(tmp_path_factory.mktemp("edited"), settings(entry)) as running:
            yield running


def errors_of(daemon: Daemon, text: str) -> list[str]:
    """What the daemon reports after this edit; afterwards, the file is as before."""
    before = daemon.settings_path.read_text()
    daemon.settings_path.write_text(text)
    try:
        wait_until(lambda: daemon.get("/health").json["faults"] > 0, "the error")
        assert text_of("messages", ask(daemon.url, "messages")) == "Served"
        code, printed = daemon.command("check")
        assert code == 1
        return printed.splitlines()
    finally:
        daemon.settings_path.write_text(before)
        wait_until(lambda: daemon.get("/health").json["faults"] == 0, "the file without errors")


@pytest.mark.parametrize(
    ("text", "first", "again"),
    [
        ('{\n"upstreams": [],\n"upstreams": []\n}', 2, 3),
        ('{"upstreams": [{"name": "a",\n"base_url": "http://h", "protocol": "chat",\n"name": "b"}]}', 1, 3),
        ('{"upstreams": [],\n"failover": {\n"hold_seconds": 1,\n\n"hold_seconds": 2}}', 3, 5),
    ],
)
def test_a_name_that_occurs_twice_is_reported_with_both_lines(
    daemon: Daemon, text: str, first: int, again: int
) -> None:
    [line] = [one for one in errors_of(daemon, text) if "only once" in one]

    assert f"(line {again}," in line
    assert f"line {first} has it too" in line


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"user_agent": "a\r\nx-stolen: b"}, "$.upstreams[0].user_agent"),
        ({"user_agent": "a\0"}, "$.upstreams[0].user_agent"),
        ({"headers": {"x-a": "b\nx-c: d"}}, '$.upstreams[0].headers["x-a"]'),
        ({"headers": {"x-a\r\nx-b": "c"}}, "$.upstreams[0].headers["),
    ],
)
def test_a_line_break_in_a_header_is_an_error_of_the_file(
    daemon: Daemon, more: dict[str, Any], path: str
) -> None:
    entry = upstream("a", "http://127.0.0.1:9", **more)

    assert any(path in line for line in errors_of(daemon, json.dumps(settings(entry), indent=1)))


def test_a_daemon_does_not_start_with_a_line_break_in_a_header(tmp_path: Path) -> None:
    entry = upstream("a", "http://127.0.0.1:9", user_agent="a\nb")
    code, printed = Daemon(tmp_path, settings(entry)).command()

    assert (code, "user_agent" in printed, "Traceback" in printed) == (1, True, False)
