"""Check everything, here and in CI: format, lint, types, all tests, real clients and a browser included."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VENV = CACHE / "check-venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
CLIENTS = CACHE / "clients"
REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")

REAL_CLIENTS = {"codex": ("@openai/codex", "0.169.0"), "claude": ("@anthropic-ai/claude-code", "2.1.197")}
NEITHER_CLIENTS_NOR_BROWSER = "not real_clients and not browser"


class CannotCheck(Exception):
    """What is missing on this machine, and the remedy."""


def main(argv: Sequence[str]) -> int:
    options = _parse(argv)
    began = time.monotonic()
    try:
        _step("Python packages", _install_packages)
        if not options.fast:
            _step("Real clients", _install_clients)
            _step("Browser", _install_browser)
    except CannotCheck as reason:
        print(f"\nCannot check: {reason}", file=sys.stderr)
        return 1
    failed = [name for name, command in _checks(options) if not _passes(name, command)]
    print(f"\n{'FAILED: ' + ', '.join(failed) if failed else 'All checks passed'} in {_seconds_since(began)}")
    return 1 if failed else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="leave out the real clients and the browser")
    parser.add_argument("--jobs", default="2", help="test processes (default 2)")
    parser.add_argument("tests", nargs="*", help="test paths (default: all)")
    return parser.parse_args(argv)


def _checks(options: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Each check with its command; tests last, so that their closing line ends the output."""
    python = [str(BIN / "python"), "-m"]
    tests = [*python, "pytest", "-n", options.jobs, "--dist", "loadfile", "--durations=5"]
    tests += ["-m", NEITHER_CLIENTS_NOR_BROWSER] if options.fast else ["--nothing-skipped"]
    return [
        ("ruff format", [*python, "ruff", "format", "--check", "."]),
        ("ruff check", [*python, "ruff", "check", "."]),
        ("mypy --strict", [*python, "mypy", "--strict"]),
        ("pytest", [*tests, *options.tests]),
    ]


# --- what the checks need ------------------------------------------------------


def _install_packages() -> None:
    """A virtual environment of our own, made anew only when the requirements (or its place) have changed."""
    contents = b"".join(path.read_bytes() for path in REQUIREMENTS) + f"{sys.version} {VENV}".encode()
    if _is_stamped(VENV, contents):
        return
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except subprocess.CalledProcessError:
        raise CannotCheck(
            "Python's venv module is incomplete (Debian, Ubuntu: apt install python3-venv)."
        ) from None
    pip = [
        str(BIN / "python"),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    if subprocess.run([*pip, "--quiet", "-r", str(REQUIREMENTS[-1])]).returncode != 0:
        raise CannotCheck("pip could not install requirements-dev.txt (see above).")
    _stamp(VENV, contents)


def _install_clients() -> None:
    """The real Claude Code and Codex, pinned, in a cache; trusted only once they have told their version."""
    wanted = [f"{package}@{version}" for package, version in REAL_CLIENTS.values()]
    if not _is_stamped(CLIENTS, " ".join(wanted).encode()):
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            raise CannotCheck("Node.js with npm is needed for the real clients; install it, or use --fast.")
        shutil.rmtree(CLIENTS, ignore_errors=True)
        CLIENTS.mkdir(parents=True)
        (CLIENTS / "package.json").write_text('{"name": "clients", "private": true}\n')
        command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--save-exact", *wanted]
        if subprocess.run(command, cwd=CLIENTS).returncode != 0:
            raise CannotCheck("npm could not install the real clients (see above).")
        _stamp(CLIENTS, " ".join(wanted).encode())
    for name, (package, version) in REAL_CLIENTS.items():
        _require_version(name, package, version)


def _require_version(name: str, package: str, version: str) -> None:
    command = [str(CLIENTS / "node_modules" / ".bin" / name), "--version"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCheck(f"{package} does not run ({error}); delete {CLIENTS} and try again.") from None
    if told.returncode != 0 or version not in told.stdout:
        raise CannotCheck(f"{package} {version} does not run: {(told.stderr or told.stdout).strip()[:500]}")
    print(f"   {told.stdout.strip()}")


def _install_browser() -> None:
    if shutil.which("chromium") is None:
        if shutil.which("apt-get") is None or os.name == "nt" or os.geteuid() != 0:
            raise CannotCheck("the dashboard's tests need Chromium as `chromium` on the path, or use --fast.")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-q"],
            ["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"],
        ):
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode != 0:
                raise CannotCheck(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


def _is_stamped(folder: Path, contents: bytes) -> bool:
    stamp = folder / ".stamp"
    return stamp.exists() and stamp.read_text() == hashlib.sha256(contents).hexdigest()


def _stamp(folder: Path, contents: bytes) -> None:
    (folder / ".stamp").write_text(hashlib.sha256(contents).hexdigest())


# --- telling -------------------------------------------------------------------


def _step(name: str, step: Callable[[], None]) -> None:
    print(f"-- {name} ...", flush=True)
    began = time.monotonic()
    step()
    print(f"   {_seconds_since(began)}", flush=True)


def _passes(name: str, command: list[str]) -> bool:
    print(f"-- {name}", flush=True)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT).returncode
    print(f"   {'ok' if code == 0 else f'FAILED (exit code {code})'}, {_seconds_since(began)}", flush=True)
    return code == 0


def _seconds_since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
