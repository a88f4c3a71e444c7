"""Start from a checkout with only the standard library until the packages are installed, then run the command line."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from switchyard.environment import CannotInstall, install, manual_steps, python_of
from switchyard.installation import CHECKOUT, PYTHON_NAME, python_name

PROJECT = CHECKOUT / "pyproject.toml"
LOCK = CHECKOUT / "requirements.txt"
VENV = CHECKOUT / ".venv"
INSTALLED_ONCE = "SWITCHYARD_INSTALLED"
"""Set for the process that follows an installation, so that a failed installation is not repeated forever."""

REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[[\w,.-]*\])?(?P<bounds>[^;]*)(;\s*sys_platform\s*(?P<test>[!=]=)\s*[\"'](?P<os>\w+)[\"'])?"
)
BOUND = re.compile(r"(>=|<|~=)\s*(\d+(?:\.\d+)*)")

LONGEST_RELEASE = 6


class CannotStart(Exception):
    """One sentence for the user, with the remedy."""


def main(argv: list[str]) -> int:
    try:
        arguments = [argument for argument in argv if argument != "--no-install"]
        missing = missing_packages(dependencies(PROJECT))
        if missing:
            return _continue_elsewhere(argv, missing, may_install=arguments == argv)
        from switchyard.cli import main as command_line

        return command_line(arguments)
    except (CannotStart, CannotInstall) as reason:
        print(f"Switchyard cannot start: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def dependencies(project: Path) -> list[str]:
    """The requirements of the project file."""
    with project.open("rb") as file:
        found: list[str] = tomllib.load(file)["project"]["dependencies"]
    return found


def missing_packages(requirements: list[str]) -> list[str]:
    """The requirements that this interpreter does not satisfy."""
    installed = _installed_versions()
    return [requirement for requirement in requirements if not _is_satisfied(requirement, installed)]


def _installed_versions() -> dict[str, str]:
    """From the names of folders: reading the metadata of packages takes a twentieth of the start."""
    found: dict[str, str] = {}
    for path in sys.path:
        folder = Path(path)
        for described in folder.glob("*.dist-info") if folder.is_dir() else ():
            name, _, version = described.stem.partition("-")
            found.setdefault(_plain(name), version)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _is_satisfied(requirement: str, installed: Mapping[str, str]) -> bool:
    found = REQUIREMENT.match(requirement)
    if found is None:
        return True
    if found["os"] and (found["test"] == "==") != (sys.platform == found["os"]):
        return True
    version = installed.get(_plain(found["name"])) or _described_version(found["name"])
    return bool(version) and all(
        _keeps(_release(version), sign, bound) for sign, bound in BOUND.findall(found["bounds"])
    )


def _described_version(name: str) -> str:
    """Of a package that was installed in another way; "" if it is missing."""
    from importlib import metadata  # which most starts do without

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _keeps(installed: tuple[int, ...], sign: str, bound: str) -> bool:
    limit = _release(bound)
    if sign == "<":
        return installed < limit
    # ~=0.54.0: at least this version, with the same numbers except the last
    same = bound.count(".") if sign == "~=" else 0
    return installed >= limit and installed[:same] == limit[:same]


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, padded with zeros, so that 1 and 1.0 are equal."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    found = tuple(map(int, numbers[0].split("."))) if numbers else ()
    return (*found, *(0,) * LONGEST_RELEASE)[:LONGEST_RELEASE]


def _continue_elsewhere(argv: list[str], missing: list[str], may_install: bool) -> int:
    """Run in the virtual environment of the checkout; create and fill it first if necessary."""
    is_inside = Path(sys.prefix).resolve() == VENV.resolve()
    if not is_inside and python_of(VENV).exists():
        return _run_in_venv(argv)
    names = ", ".join(missing)
    steps = "\n  ".join(manual_steps(VENV, LOCK))
    if not may_install:
        print(f"Switchyard needs packages that are not installed: {names}", file=sys.stderr)
        print(f"Install them with:\n  {steps}", file=sys.stderr)
        return 1
    if os.environ.get(INSTALLED_ONCE):
        raise CannotStart(f"{names} is still missing after the installation; run:\n  {steps}")
    print(f"Missing packages: {names}", flush=True)
    install(VENV, LOCK)
    print("Installed.", flush=True)
    os.environ[INSTALLED_ONCE] = "1"
    return _run_in_venv(argv)


def _run_in_venv(argv: list[str]) -> int:
    os.environ.setdefault(PYTHON_NAME, python_name())
    python = python_of(VENV)
    command = [str(python), str(CHECKOUT / "app.py"), *argv]
    if os.name != "nt":
        sys.stdout.flush()
        try:
            os.execv(command[0], command)
        except OSError as error:
            raise CannotStart(
                f"{python} does not run ({error.strerror}); delete the folder {VENV} and start again"
            ) from None
    # Windows has no exec that keeps the console: wait for the child, which receives Ctrl-C itself.
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue
