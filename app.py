"""Start Switchyard: on the standard library alone until its packages are there, then its command line."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
VENV = HERE / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED_ONCE = "SWITCHYARD_INSTALLED"
"""Set for the process that follows an installation, so that a failed one is never repeated without end."""

REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[[\w,.-]*\])?(?P<bounds>[^;]*)(;\s*sys_platform\s*(?P<test>[!=]=)\s*[\"'](?P<os>\w+)[\"'])?"
)
BOUND = re.compile(r"(>=|<)\s*(\d+(?:\.\d+)*)")


class CannotStart(Exception):
    """One sentence for the user, with the remedy."""


def main(argv: list[str]) -> int:
    # The newest syntax must not hide this sentence from an old interpreter, so this file uses none of it.
    if sys.version_info < (3, 11):  # noqa: UP036
        version = ".".join(map(str, sys.version_info[:3]))
        print(
            f"Switchyard needs Python 3.11 or newer; this is Python {version} ({sys.executable}).",
            file=sys.stderr,
        )
        return 1
    try:
        arguments = [argument for argument in argv if argument != "--no-install"]
        missing = missing_packages(REQUIREMENTS.read_text(encoding="utf-8"))
        if missing:
            return _continue_elsewhere(argv, missing, may_install=arguments == argv)
        from switchyard.cli import main as command_line

        return command_line(arguments)
    except CannotStart as reason:
        print(f"Switchyard cannot start: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def missing_packages(requirements: str) -> list[str]:
    """The lines of a requirements file that this interpreter does not satisfy."""
    lines = (line.partition("#")[0].strip() for line in requirements.splitlines())
    return [line for line in lines if line and not _is_satisfied(line)]


def _is_satisfied(line: str) -> bool:
    found = REQUIREMENT.match(line)
    if found is None:
        return True
    if found["os"] and (found["test"] == "==") != (sys.platform == found["os"]):
        return True
    try:
        installed = _release(metadata.version(found["name"]))
    except metadata.PackageNotFoundError:
        return False
    return all(
        (installed >= _release(bound)) == (sign == ">=") for sign, bound in BOUND.findall(found["bounds"])
    )


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, without trailing zeros, so that 1 and 1.0 are equal."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in re.sub(r"(\.0+)+\Z", "", numbers[0]).split(".")) if numbers else ()


def _continue_elsewhere(argv: list[str], missing: list[str], may_install: bool) -> int:
    """Run in the virtual environment beside this file, making and filling it first if need be."""
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    if not inside and VENV_PYTHON.exists():
        return _run_in_venv(argv)
    if not may_install:
        print(f"Switchyard needs packages that are not installed: {', '.join(missing)}", file=sys.stderr)
        print(f"Install them with:\n  {_pip_command(sys.executable)}", file=sys.stderr)
        return 1
    if os.environ.get(INSTALLED_ONCE):
        raise CannotStart(
            f"{', '.join(missing)} is missing even after the installation; run {_pip_command(sys.executable)}"
        )
    # after an update of the system's Python the folder's interpreter is the new one, and all packages those of the old
    if not inside or util.find_spec("pip") is None:
        _make_venv(missing)
    _install(missing)
    os.environ[INSTALLED_ONCE] = "1"
    return _run_in_venv(argv)


def _make_venv(missing: list[str]) -> None:
    print(f"First start: {len(missing)} packages are missing. Creating {VENV} ...", flush=True)
    try:
        VENV.mkdir(exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"{VENV} cannot be created ({error.strerror}); make the folder writable, "
            f"or run {_pip_command(sys.executable)}"
        ) from None
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True
    )
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        last = (made.stderr.strip() or made.stdout.strip() or "no reason given").splitlines()[-1]
        raise CannotStart(
            f"no virtual environment could be made ({last}); install Python's venv module "
            f"(Debian, Ubuntu: apt install python3-venv), or run {_pip_command(sys.executable)}"
        )


def _install(missing: list[str]) -> None:
    print(f"Installing {', '.join(missing)}", flush=True)
    command = [
        str(VENV_PYTHON),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "-r",
        str(REQUIREMENTS),
    ]
    if subprocess.run(command).returncode != 0:
        raise CannotStart(
            "the packages could not be installed (see above); check the network connection or proxy "
            f"and start again, or run {_pip_command(str(VENV_PYTHON))}"
        )
    print("Installed.", flush=True)


def _pip_command(python: str) -> str:
    return f'"{python}" -m pip install -r "{REQUIREMENTS}"'


def _run_in_venv(argv: list[str]) -> int:
    command = [str(VENV_PYTHON), str(HERE / "app.py"), *argv]
    if os.name != "nt":
        sys.stdout.flush()
        try:
            os.execv(command[0], command)
        except OSError as error:
            raise CannotStart(
                f"{VENV_PYTHON} does not run ({error.strerror}); delete the folder {VENV} and start again"
            ) from None
    # Windows has no exec that keeps the console: wait for the child, which gets Ctrl-C itself.
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
