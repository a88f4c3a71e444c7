"""The log uses plain lines, whatever text comes from upstreams and clients."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from switchyard.exchange import Attempt, Exchange
from switchyard.logs import Logs, harmless, line_of


@pytest.mark.parametrize(
    ("reported", "shown"),
    [
        ("plain words, 中文 and ünïcode", "plain words, 中文 and ünïcode"),
        ("two\r\nlines", "two  lines"),
        ("\x1b[2J\x1b]0;title\x07", " [2J ]0;title "),
        ("\x9b31m", " 31m"),
        ("a\u2028b\u202ec\u2066d", "a b c d"),
        ("half \ud800 a character", "half   a character"),
        ("nul\0", "nul "),
    ],
)
def test_nothing_that_a_terminal_obeys_is_shown(reported: str, shown: str) -> None:
    assert harmless(reported) == shown


def test_a_record_stays_one_line_and_a_traceback_is_indented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = Logs(tmp_path)
    logs.start()
    log = logging.getLogger("switchyard.test")
    log.info("answered %s", "no\n2026-01-01 00:00:00 INFO a forged line\x1b[31m")
    try:
        raise ValueError("broken\n2026-01-01 00:00:00 INFO another one")
    except ValueError:
        log.exception("fault")
    logs.stop()

    lines = (tmp_path / "switchyard.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines if not line.startswith(" ")] == [
        "INFO answered no 2026-01-01 00:00:00 INFO a forged line [31m",
        "ERROR fault",
    ]
    assert "\x1b" not in capsys.readouterr().err


def a_file_for_the_folder(folder: Path) -> None:
    folder.write_text("no folder")


def a_folder_for_the_file(folder: Path) -> None:
    (folder / "switchyard.log").mkdir(parents=True)


def a_full_disk(folder: Path) -> None:
    folder.mkdir()
    (folder / "switchyard.log").symlink_to("/dev/full")


OBSTACLES = [a_file_for_the_folder, a_folder_for_the_file]


@pytest.mark.parametrize("obstacle", [*OBSTACLES, *([a_full_disk] if Path("/dev/full").exists() else [])])
def test_a_file_that_cannot_be_written_is_reported_once_and_the_console_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], obstacle: Callable[[Path], None]
) -> None:
    folder = tmp_path / "logs"
    obstacle(folder)
    logs = Logs(folder)
    logs.start()
    log = logging.getLogger("switchyard.test")
    log.warning("first")
    said = ""
    while "cannot be written" not in said:
        time.sleep(0.01)
        said += capsys.readouterr().err
    log.warning("second")
    logs.stop()
    said += capsys.readouterr().err

    lines = [line.split(" ", 1)[1] for line in said.splitlines()]
    assert [line.partition(" cannot be written (")[0] for line in lines] == [
        "first",
        str(folder / "switchyard.log"),
        "second",
    ]


def moved(folder: Path) -> None:
    (folder / "switchyard.log").rename(folder / "switchyard.log.old")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files where they are")
@pytest.mark.parametrize("remove", [shutil.rmtree, moved])
def test_lines_after_the_file_was_deleted_or_moved_are_in_a_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], remove: Callable[[Path], None]
) -> None:
    folder = tmp_path / "logs"
    logs = Logs(folder)
    logs.start()
    log = logging.getLogger("switchyard.test")
    log.warning("first")
    while not (folder / "switchyard.log").exists() or not (folder / "switchyard.log").read_text():
        time.sleep(0.01)
    remove(folder)
    log.warning("second")
    logs.stop()

    lines = (folder / "switchyard.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["WARNING second"]
    assert "cannot be written" not in capsys.readouterr().err


def test_a_long_model_name_is_cut() -> None:
    exchange = Exchange(id="x", at=0.0, client_protocol="chat", requested_model="m" * 100_000)

    assert len(line_of(exchange)) < 1000


def test_an_address_is_shown_without_passwords_and_keys() -> None:
    exchange = Exchange(id="x", at=0.0, client_protocol="chat", requested_model="m")
    url = "https://user:pass@h.example:8080/v1/chat/completions?key=secret"
    exchange.attempts.append(Attempt("a", "m", "chat", url, "primary", 0.0))

    assert '"a" https://h.example:8080/v1/chat/completions as m (primary)' in line_of(exchange)


def test_the_line_of_a_request_that_was_held_says_for_how_long() -> None:
    exchange = Exchange(id="x", at=0.0, client_protocol="chat", requested_model="m")
    assert "held" not in line_of(exchange)
    exchange.held = 12.34
    assert " attempts=0 held=12.3s tokens=?" in line_of(exchange)


def test_skipped_upstreams_are_reported_with_the_reasons_that_explain_gives() -> None:
    exchange = Exchange(id="x", at=0.0, client_protocol="chat", requested_model="m")
    exchange.skipped = (("b", "disabled"), ("c", "cooling down until 09:10 after 3 errors: 500 boom"))
    assert "skipped" not in line_of(exchange)  # if no upstream was tried, the error names them all
    exchange.attempts.append(Attempt("a", "m", "chat", "https://h.example", "keeps its conversation", 0.0))
    line = line_of(exchange)
    assert '"a" https://h.example as m (keeps its conversation): ' in line
    assert line.endswith('; skipped: "b" disabled; "c" cooling down until 09:10 after 3 errors: 500 boom')
    exchange.skipped *= 100
    assert len(line_of(exchange)) < 1000
