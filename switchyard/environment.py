"""Create a virtual environment and install locked packages: with uv if it is installed, else with venv and pip."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path


class CannotInstall(Exception):
    """One sentence for the user, with the remedy."""


def python_of(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(folder: Path, requirements: Path) -> None:
    """Install a requirements file into this environment, creating it if necessary. Raises CannotInstall."""
    uv = shutil.which("uv")
    if uv is not None:
        if _install_with_uv(uv, folder, requirements):
            return
        _report("uv could not install the packages (see above); trying pip.")
    _install_with_pip(folder, requirements)


def _install_with_uv(uv: str, folder: Path, requirements: Path) -> bool:
    python = python_of(folder)
    if not python.exists():
        _report(f"Creating {folder} with uv ...")
        if subprocess.run([uv, "venv", "--quiet", "--python", _base_python(), str(folder)]).returncode != 0:
            return False
    _report(f"Installing the packages of {requirements.name} with uv ...")
    command = [uv, "pip", "install", "--python", str(python), "-r", str(requirements)]
    return subprocess.run(command).returncode == 0


def _install_with_pip(folder: Path, requirements: Path) -> None:
    python = python_of(folder)
    # an environment made by uv has no pip, and one of an older Python has it in a folder that is no longer searched
    if not _has_pip(python):
        _make_venv(folder, requirements)
    _report(f"Installing the packages of {requirements.name} with pip ...")
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
    if subprocess.run(command).returncode != 0:
        raise CannotInstall(
            "the packages could not be installed (see above); check the network connection or proxy "
            f"and start again, or run {_pip_command(python, requirements)}"
        )


def _has_pip(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def _make_venv(folder: Path, requirements: Path) -> None:
    _report(f"Creating {folder}, which takes a few seconds ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotInstall(
            f"{folder} cannot be created ({error.strerror}); make the folder writable{_or_pip(requirements)}"
        ) from None
    made = subprocess.run(
        [_base_python(), "-m", "venv", "--clear", str(folder)], capture_output=True, text=True
    )
    if made.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        last = (made.stderr.strip() or made.stdout.strip() or "no reason given").splitlines()[-1]
        raise CannotInstall(
            f"no virtual environment could be made ({last}); install Python's venv module "
            f"(Debian, Ubuntu: apt install python3-venv){_or_pip(requirements)}"
        )


def _base_python() -> str:
    """The interpreter outside any environment: an environment cannot be recreated by its own."""
    return getattr(sys, "_base_executable", "") or sys.executable


def manual_steps(folder: Path, requirements: Path) -> list[str]:
    """The commands that do by hand what `install` does; they also work where pip refuses to change the system."""
    if sys.prefix != sys.base_prefix:
        return [_pip_command(Path(sys.executable), requirements)]
    return [f'"{sys.executable}" -m venv "{folder}"', _pip_command(python_of(folder), requirements)]


def _or_pip(requirements: Path) -> str:
    """How to install without an environment, unless the system forbids it (PEP 668)."""
    is_forbidden = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file()
    return "" if is_forbidden else f", or run {_pip_command(Path(sys.executable), requirements)}"


def _pip_command(python: Path, requirements: Path) -> str:
    return f'"{python}" -m pip install -r "{requirements}"'


def _report(text: str) -> None:
    print(text, flush=True)
