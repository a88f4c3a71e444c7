"""The daemon in the autostart of each system: the generated files and the tools called."""

import plistlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from switchyard.autostart.systems import (
    LINUX,
    MACOS,
    WINDOWS,
    CannotAutostart,
    Job,
    System,
    install,
    remove,
    status,
)
from switchyard.autostart.texts import systemd_unit, windows_task

COMMAND = ("/opt/my python/bin/python", "/home/me/100% mine/app.py", "--port", "5101")
TASKS = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


class Tools:
    """Answers like the tools of a system; `called` records the commands."""

    def __init__(self, code: int = 0, said: str = "") -> None:
        self.called: list[tuple[str, ...]] = []
        self._answer = (code, said)

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        self.called.append(tuple(command))
        return self._answer


def job(folder: Path, tools: Tools) -> Job:
    return Job(
        command=COMMAND,
        program="python3 app.py",
        folder=Path("/home/me/100% mine"),
        data=folder / "data",
        home=folder,
        environment={"USERNAME": "me", "USERDOMAIN": "BOX"},
        run=tools,
    )


def test_the_unit_quotes_what_systemd_would_read_otherwise() -> None:
    lines = systemd_unit(COMMAND, "/home/me/100% mine").splitlines()
    assert 'ExecStart="/opt/my python/bin/python" "/home/me/100%% mine/app.py" --port 5101' in lines
    assert "WorkingDirectory=/home/me/100%% mine" in lines
    assert "Restart=on-failure" in lines


@pytest.mark.parametrize("name", ["plain", "my home", "100% x", "o'brien", 'a"b', "cash$HOME", "back\\slash"])
def test_systemd_itself_accepts_the_unit(tmp_path: Path, name: str) -> None:
    checker = shutil.which("systemd-analyze")
    program = tmp_path / name / "python"
    program.parent.mkdir()
    shutil.copy(shutil.which("true") or "/bin/true", program)
    path = tmp_path / "switchyard.service"
    path.write_text(systemd_unit((str(program), "a b", "100%", "$HOME", 'say "x"'), str(program.parent)))
    if checker is None:
        return
    done = subprocess.run(
        [checker, "verify", "--user", str(path)],
        capture_output=True,
        text=True,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert str(path.name) not in done.stderr


def test_a_program_whose_path_systemd_refuses_is_started_by_the_shell() -> None:
    command = ("/home/o'brien/python", "/home/o'brien/app.py", "--port", "5101")
    (line,) = [line for line in systemd_unit(command, "/x").splitlines() if line.startswith("ExecStart=")]
    assert line == (
        'ExecStart=/bin/sh -c "exec \\"$$0\\" \\"$$@\\"" "/home/o\'brien/python" "/home/o\'brien/app.py" --port 5101'
    )


def test_launchd_reads_the_words_back(tmp_path: Path) -> None:
    plist = plistlib.loads(MACOS.content(job(tmp_path, Tools())))
    assert plist["ProgramArguments"] == list(COMMAND)
    assert (plist["RunAtLoad"], plist["KeepAlive"]) == (True, {"SuccessfulExit": False})


def test_the_task_of_windows_starts_at_logon_without_more_rights() -> None:
    command = ("C:\\Program Files\\python.exe", "C:\\a & b\\app.py", "--port", "5101")
    text = windows_task(command, "C:\\a & b", "BOX\\me")
    # without it a task runs below normal, its input and output too
    assert "<Priority>4</Priority>" in text
    task = ElementTree.fromstring(text.partition("\n")[2])
    execution = task.find(f"{TASKS}Actions/{TASKS}Exec")
    assert execution is not None
    assert [part.text for part in execution] == [
        "C:\\Program Files\\python.exe",
        '"C:\\a & b\\app.py" --port 5101',
        "C:\\a & b",
    ]
    assert [user.text for user in task.iter(f"{TASKS}UserId")] == ["BOX\\me", "BOX\\me"]
    assert [level.text for level in task.iter(f"{TASKS}RunLevel")] == ["LeastPrivilege"]


@pytest.mark.parametrize(
    ("system", "tools"),
    [
        (
            LINUX,
            [
                ("systemctl", "--user", "daemon-reload"),
                ("systemctl", "--user", "enable", "switchyard.service"),
                ("systemctl", "--user", "restart", "switchyard.service"),
            ],
        ),
        (WINDOWS, [("schtasks", "/Create"), ("schtasks", "/Run")]),
        (MACOS, [("launchctl", "bootstrap"), ("launchctl", "kickstart")]),
    ],
)
def test_installing_writes_the_file_and_reports_the_system(
    tmp_path: Path, system: System, tools: list[tuple[str, ...]]
) -> None:
    called = Tools()
    here = job(tmp_path, called)
    install(system, here)
    assert system.file(here).read_bytes() == system.content(here)
    assert [command[: len(tool)] for command, tool in zip(called.called, tools, strict=True)] == tools


def test_removing_leaves_nothing_behind(tmp_path: Path) -> None:
    here = job(tmp_path, Tools())
    install(LINUX, here)
    assert "is removed" in remove(LINUX, here)
    assert not LINUX.file(here).exists()
    assert remove(LINUX, here).startswith("Nothing to remove")


def test_a_system_that_refuses_is_reported_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(CannotAutostart, match="daemon-reload` failed: Failed to connect to bus"):
        install(LINUX, job(tmp_path, Tools(1, "Failed to connect to bus\n")))


def test_the_state_is_reported(tmp_path: Path) -> None:
    assert status(LINUX, job(tmp_path, Tools()))[0] is False
    install(LINUX, job(tmp_path, Tools()))
    assert status(LINUX, job(tmp_path, Tools()))[0] is True
    runs, text = status(LINUX, job(tmp_path, Tools(3, "inactive")))
    assert (runs, text.endswith("but not running: inactive")) == (False, True)


@pytest.mark.parametrize(
    ("system", "means"), [(MACOS, "known to launchd"), (WINDOWS, "known to the task scheduler")]
)
def test_the_report_claims_no_more_than_the_system_does(tmp_path: Path, system: System, means: str) -> None:
    install(system, job(tmp_path, Tools()))
    assert status(system, job(tmp_path, Tools()))[1].startswith(f"Installed and {means} (")
