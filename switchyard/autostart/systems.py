"""Add the daemon to this system's autostart, remove it, and report its status."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from switchyard.autostart.texts import LABEL, NAME, launchd_plist, shown, systemd_unit, windows_task
from switchyard.store.files import ensure_folder, write_whole

TOOL_SECONDS = 30


class CannotAutostart(Exception):
    """One sentence with the remedy."""


class Job(msgspec.Struct, frozen=True):
    """What to start, and for which user. `run` runs a system tool; returns its exit code and output."""

    command: Sequence[str]
    program: str
    """the command that the user types, for messages"""
    folder: Path
    data: Path
    home: Path
    environment: Mapping[str, str]
    run: Callable[[Sequence[str]], tuple[int, str]]


class System(msgspec.Struct, frozen=True):
    """One way to start a program with the session; the functions return a sentence for the user."""

    title: str
    file: Callable[[Job], Path]
    content: Callable[[Job], bytes]
    start: Callable[[Job], tuple[Sequence[str], ...]]
    """the tools to run after the file is written"""
    stop: Callable[[Job], tuple[Sequence[str], ...]]
    """the tools to run before the file is removed"""
    query: Callable[[Job], Sequence[str]]
    """the tool that succeeds if the job is in place"""
    means: str
    """what that success means"""


def install(system: System, job: Job) -> str:
    """Raises CannotAutostart; the file stays in that case, so that you can finish by hand."""
    path = system.file(job)
    try:
        if path.exists():
            for command in system.stop(job):
                job.run(command)
        ensure_folder(job.data)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, system.content(job))
    except OSError as error:
        raise CannotAutostart(f"{path} cannot be written: {error.strerror or error}.") from None
    for command in system.start(job):
        _called(job, command, f"{path} is written, but")
    return f"Switchyard is started and starts with your session ({system.title}: {path})."


def remove(system: System, job: Job) -> str:
    path = system.file(job)
    if not path.exists():
        return f"Nothing to remove: {path} does not exist."
    problems = [problem for command in system.stop(job) if (problem := _problem(job, command))]
    try:
        path.unlink()
    except OSError as error:
        raise CannotAutostart(f"{path} cannot be removed: {error.strerror or error}.") from None
    note = f" ({problems[0]})" if problems else ""
    return f"Switchyard no longer starts with your session; {path} is removed{note}."


def status(system: System, job: Job) -> tuple[bool, str]:
    """Whether it is installed and works as far as the system reports, and the same as a sentence."""
    path = system.file(job)
    if not path.exists():
        return False, f"Not installed; install it with: {job.program} service install"
    problem = _problem(job, system.query(job))
    if problem:
        return False, f"Installed ({path}), but not {system.means}: {problem}"
    return True, f"Installed and {system.means} ({path})."


def _called(job: Job, command: Sequence[str], before: str) -> None:
    problem = _problem(job, command)
    if problem:
        raise CannotAutostart(f"{before} `{shown(command)}` failed: {problem}")


def _problem(job: Job, command: Sequence[str]) -> str:
    code, output = job.run(command)
    last = output.strip().splitlines()[-1] if output.strip() else f"exit code {code}"
    return "" if code == 0 else last


def run_tool(command: Sequence[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TOOL_SECONDS,
        )
    except FileNotFoundError:
        return 127, f"{command[0]} is not installed on this machine"
    except (OSError, subprocess.TimeoutExpired) as error:
        return 126, str(error)
    return done.returncode, done.stdout


# --- the systems ------------------------------------------------------------------


def _systemd_file(job: Job) -> Path:
    configured = job.environment.get("XDG_CONFIG_HOME")
    base = Path(configured) if configured else job.home / ".config"
    return base / "systemd" / "user" / f"{NAME}.service"


def _launchd_file(job: Job) -> Path:
    return job.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"


def _launchd_domain() -> str:
    return f"gui/{os.getuid() if os.name != 'nt' else 0}"


def _user(job: Job) -> str:
    domain, name = job.environment.get("USERDOMAIN", ""), job.environment.get("USERNAME", "")
    return f"{domain}\\{name}" if domain else name


LINUX = System(
    "systemd --user",
    _systemd_file,
    lambda job: systemd_unit(job.command, str(job.folder)).encode(),
    lambda job: (
        ("systemctl", "--user", "daemon-reload"),
        ("systemctl", "--user", "enable", f"{NAME}.service"),
        ("systemctl", "--user", "restart", f"{NAME}.service"),
    ),
    lambda job: (("systemctl", "--user", "disable", "--now", f"{NAME}.service"),),
    lambda job: ("systemctl", "--user", "is-active", f"{NAME}.service"),
    "running",
)
MACOS = System(
    "launchd",
    _launchd_file,
    lambda job: launchd_plist(job.command, str(job.folder), str(job.data / "launchd.log")).encode(),
    lambda job: (
        ("launchctl", "bootstrap", _launchd_domain(), str(_launchd_file(job))),
        ("launchctl", "kickstart", "-k", f"{_launchd_domain()}/{LABEL}"),
    ),
    lambda job: (("launchctl", "bootout", f"{_launchd_domain()}/{LABEL}"),),
    lambda job: ("launchctl", "print", f"{_launchd_domain()}/{LABEL}"),
    "known to launchd",
)
WINDOWS = System(
    "task scheduler",
    lambda job: job.data / f"{NAME}-task.xml",
    lambda job: windows_task(job.command, str(job.folder), _user(job)).encode("utf-16"),
    lambda job: (
        ("schtasks", "/Create", "/F", "/TN", NAME, "/XML", str(job.data / f"{NAME}-task.xml")),
        ("schtasks", "/Run", "/TN", NAME),
    ),
    lambda job: (("schtasks", "/End", "/TN", NAME), ("schtasks", "/Delete", "/F", "/TN", NAME)),
    lambda job: ("schtasks", "/Query", "/TN", NAME),
    "known to the task scheduler",
)
SYSTEMS = {"linux": LINUX, "darwin": MACOS, "win32": WINDOWS}
