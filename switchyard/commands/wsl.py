"""Find the clients' files on the other side of WSL: those of Windows from inside, those of a distribution from Windows.

Whether programs inside reach Windows at localhost depends on the networking mode.
https://learn.microsoft.com/windows/wsl/networking
https://learn.microsoft.com/windows/wsl/filesystems
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import MappingProxyType

import msgspec

from switchyard.client_plans import TITLES, path_of
from switchyard.commands.command import CommandFailed
from switchyard.installation import own_command

TOOL_SECONDS = 30
KERNEL = Path("/proc/sys/kernel/osrelease")
SHARES_LOCALHOST = ("mirrored", "wsl1")
"""networking modes in which Linux programs reach Windows at 127.0.0.1"""
NO_DISTRIBUTIONS = ("docker-desktop", "docker-desktop-data")

Run = Callable[[Sequence[str]], bytes]
"""Runs a system tool and returns its output; raises CommandFailed."""


class OtherSide(msgspec.Struct, frozen=True):
    """A home folder as this side reads it, and as the other side names it."""

    home: Path
    own_home: PurePath
    environment: Mapping[str, str] = MappingProxyType({})
    host: str = "localhost"
    unreachable: str = ""
    """why its programs cannot reach a server here, with the remedy; "" if they can"""

    def own_name(self, folder: Path) -> PurePath:
        return self.own_home / folder.relative_to(self.home)


def is_inside() -> bool:
    """True in a distribution of WSL."""
    if sys.platform != "linux":
        return False
    try:
        return "WSL_DISTRO_NAME" in os.environ or "microsoft" in KERNEL.read_text().lower()
    except OSError:
        return False


def run_tool(command: Sequence[str]) -> bytes:
    """Raises CommandFailed."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TOOL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(f"{command[0]} cannot be run: {error}.") from None
    if done.returncode != 0:
        said = _decoded(done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise CommandFailed(f"`{' '.join(command)}` failed: {said}")
    return done.stdout


def windows_side(run: Run = run_tool) -> OtherSide:
    """The user's files of Windows, from inside WSL. Raises CommandFailed.

    In each networking mode Windows reaches a server inside at localhost.
    """
    # /u: in UTF-16, whatever the language of Windows
    profile = _last_line(run(("cmd.exe", "/u", "/d", "/c", "echo %USERPROFILE%")))
    if not PureWindowsPath(profile).drive:
        raise CommandFailed(f"Windows does not name the user's folder: %USERPROFILE% is {profile!r}.")
    home = Path(_last_line(run(("wslpath", "-u", profile))))
    roaming = home / "AppData" / "Roaming"
    return OtherSide(home, PureWindowsPath(profile), MappingProxyType({"APPDATA": str(roaming)}))


def wsl_side(distribution: str = "", run: Run = run_tool) -> OtherSide:
    """The user's files in a distribution, the default one if none is named, from Windows. Raises CommandFailed."""
    inside = ("wsl.exe", *(("-d", distribution) if distribution else ()), "-e")
    home = _last_line(run((*inside, "sh", "-c", "echo $HOME")))
    here = _last_line(run((*inside, "wslpath", "-w", home)))
    return OtherSide(Path(here), PurePosixPath(home), host="127.0.0.1", unreachable=_unreachable(inside, run))


def offers(client: str, run: Run = run_tool) -> tuple[str, ...]:
    """A note if the client may also be installed on the other side."""
    try:
        if is_inside():
            side = windows_side(run)
            path = path_of(client, side.environment, side.home)
            more = own_command(f"setup {client} --windows")
            return (
                (f"{TITLES[client]} of Windows has its own {path}; to set it up: {more}",)
                if path.exists()
                else ()
            )
        if sys.platform == "win32" and (names := _distributions(run)):
            more = own_command(f"setup {client} --wsl")
            return (
                f"Programs inside WSL ({', '.join(names)}) have files of their own; to set them up: {more}",
            )
    except CommandFailed:
        pass  # there is no other side, or it is switched off
    return ()


def _distributions(run: Run) -> list[str]:
    names = _decoded(run(("wsl.exe", "--list", "--quiet"))).split("\n")
    return [name for line in names if (name := line.strip()) and name not in NO_DISTRIBUTIONS]


def _unreachable(inside: Sequence[str], run: Run) -> str:
    try:
        mode = _last_line(run((*inside, "wslinfo", "--networking-mode")))
    except CommandFailed:
        mode = "nat"  # an older WSL has no other one
    if mode in SHARES_LOCALHOST:
        return ""
    return (
        f"WSL uses the networking mode {mode}: its programs do not reach Windows at localhost. Either set "
        "networkingMode=mirrored below [wsl2] in %USERPROFILE%\\.wslconfig and run `wsl --shutdown`; or run "
        "Switchyard inside WSL, where Windows reaches it at localhost; or let Switchyard listen on the address of "
        f"Windows{_gateway(inside, run)} (--host, with client_keys), and name it with --url."
    )


def _gateway(inside: Sequence[str], run: Run) -> str:
    """The address of Windows as seen from inside."""
    try:
        words = _last_line(run((*inside, "ip", "route", "show", "default"))).split()
    except CommandFailed:
        return ""
    return f", now {words[2]}" if words[:2] == ["default", "via"] and len(words) > 2 else ""


def _last_line(output: bytes) -> str:
    """cmd.exe first complains of a current folder inside WSL."""
    lines = [line.strip() for line in _decoded(output).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _decoded(output: bytes) -> str:
    return output.decode("utf-16-le" if b"\0" in output else "utf-8", "replace").lstrip("\ufeff")
