"""Check everything, here and in CI: format, lint, types, all tests, real clients and a browser included.

The Python is checked with ruff and mypy, the dashboard in static/ with prettier and TypeScript.

It installs what it needs into the folder .cache of the checkout and changes nothing else on this machine, unless
--install-system-packages is given.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from switchyard.environment import CannotInstall, install, python_of  # noqa: E402
from tests.bed.chrome import find_chrome  # noqa: E402

CACHE = ROOT / ".cache"
VENV = CACHE / "check-venv"
CLIENTS = CACHE / "clients"
OTHERS = CACHE / "other-clients"
SDKS = CACHE / "sdks"
DASHBOARD_TOOLS = CACHE / "dashboard-tools"
LOCK = ROOT / "requirements-dev.txt"

REAL_CLIENTS = {"codex": ("@openai/codex", "0.169.0"), "claude": ("@anthropic-ai/claude-code", "2.1.197")}
OTHER_CLIENTS = {
    "opencode": ("opencode-ai", "1.18.33"),
    "qwen": ("@qwen-code/qwen-code", "0.24.4"),
    "cline": ("cline", "3.0.65"),
    "cn": ("@continuedev/cli", "1.5.47"),
}
"""those that `setup` knows and that run without a terminal; in a folder of their own, as they share no packages"""
PINNED_CLIENTS = [f"{package}@{version}" for package, version in REAL_CLIENTS.values()]
PINNED_OTHER_CLIENTS = [f"{package}@{version}" for package, version in OTHER_CLIENTS.values()]
PINNED_SDKS = [
    "ai@7.0.173",
    "@ai-sdk/openai@4.0.118",
    "ai-6@npm:ai@6.0.325",
    "ai-sdk-openai-3@npm:@ai-sdk/openai@3.0.141",
    "zod@4.6.7",
]
PINNED_DASHBOARD_TOOLS = ["prettier@3.10.1", "typescript@7.0.2"]
FAST = "not real_clients and not browser"
END = 40
"""lines of the output of a command that failed"""
NO_TESTS = 5
"""pytest's exit code if no test was selected"""
APT = (
    ("apt-get", "update", "-q"),
    ("apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"),
)


Check = tuple[str, list[str]]
"""its name and its command"""


class CannotCheck(Exception):
    """What is missing on this machine, and the remedy."""


class Need(NamedTuple):
    """Something the checks need besides Python. `install` is None if it is present."""

    title: str
    state: str
    install: Callable[[], None] | None


def main(argv: Sequence[str]) -> int:
    options = _parse(argv)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile all that it imports
    began = time.monotonic()
    try:
        failed = _prepare(_needs(options), _lint())
        if not (options.fast or options.lint):
            for folder, clients in ((CLIENTS, REAL_CLIENTS), (OTHERS, OTHER_CLIENTS)):
                for name, (package, version) in clients.items():
                    _require_version(folder, name, package, version)
    except (CannotCheck, CannotInstall) as reason:
        print(f"\nCannot check: {reason}", file=sys.stderr)
        return 1
    failed += _failed(_checks(options), options.tests)
    print(f"\n{'FAILED: ' + ', '.join(failed) if failed else 'All checks passed'} in {_seconds_since(began)}")
    return 1 if failed else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fast", action="store_true", help="skip what needs Node.js or a browser")
    parser.add_argument("--lint", action="store_true", help="format, lint and types of the Python only")
    parser.add_argument(
        "--install-system-packages",
        action="store_true",
        help="if there is no Chrome or Chromium, install it with apt-get (Debian, Ubuntu; as root)",
    )
    parser.add_argument("--jobs", default="3", help="test processes (default 3; many tests mostly wait)")
    parser.add_argument("tests", nargs="*", help="test paths (default: all)")
    return parser.parse_args(argv)


def _lint() -> list[Check]:
    python = [str(python_of(VENV)), "-m"]
    return [
        ("ruff format", [*python, "ruff", "format", "--check", "."]),
        ("ruff check", [*python, "ruff", "check", "."]),
        ("mypy --strict", [*python, "mypy", "--strict"]),
    ]


def _checks(options: argparse.Namespace) -> list[Check]:
    """All but lint; tests last, so that their summary ends the output."""
    if options.lint:
        return []
    python = [str(python_of(VENV)), "-m"]
    side_by_side = ["-n", options.jobs, "--dist", "loadfile", "--no-loadscope-reorder", "--durations=25"]
    return [
        *([] if options.fast else _dashboard_checks()),
        ("pytest", [*python, "pytest", *side_by_side, *_chosen("not timing", options)]),
        ("pytest, one by one", [*python, "pytest", *_chosen("timing", options, _files_with_timing())]),
    ]


def _chosen(kind: str, options: argparse.Namespace, files: Sequence[str] = ()) -> list[str]:
    marks = [kind, FAST] if options.fast else [kind]
    skipped = [] if options.fast else ["--nothing-skipped"]
    return ["-m", " and ".join(marks), *skipped, *(options.tests or files)]


def _files_with_timing() -> list[str]:
    """The others need not be imported to find the few tests in these."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path) for path in files if "mark.timing" in path.read_text(encoding="utf-8")]


def _dashboard_checks() -> list[Check]:
    packages = DASHBOARD_TOOLS / "node_modules"
    prettier = ["node", str(packages / "prettier" / "bin" / "prettier.cjs")]
    tsc = ["node", str(packages / "typescript" / "bin" / "tsc")]
    return [
        ("prettier (static/)", [*prettier, "--check", "static"]),
        ("tsc --checkJs (static/js/)", [*tsc, "--project", "jsconfig.json"]),
    ]


# --- what the checks need ------------------------------------------------------


def _needs(options: argparse.Namespace) -> list[Need]:
    """Raises CannotCheck, before any installation, for what this script cannot or may not install."""
    if sys.version_info < (3, 11):  # noqa: UP036
        raise CannotCheck(f"Python 3.11 or newer is needed; this is Python {sys.version.split()[0]}.")
    needs = [_packages()]
    if options.fast or options.lint:
        return needs
    return [*needs, *_npm_packages(), _browser(options.install_system_packages)]


def _prepare(needs: list[Need], lint: list[Check]) -> list[str]:
    """Install side by side what is missing, and lint once the Python packages are there; returns what failed.

    Most of the installations wait for the network, and lint needs the processor.
    """
    print("The checks need:")
    for need in needs:
        print(f"  {need.title}: {need.state}", flush=True)
    for need in needs:
        if need.install is not None:
            print(f"-- Installing: {need.title}", flush=True)
    with ThreadPoolExecutor(len(needs)) as pool:
        packages, *others = [(need, pool.submit(_install, need)) for need in needs]
        _await(*packages)
        failed = _failed(lint)
        for other in others:
            _await(*other)
    return failed


def _install(need: Need) -> str:
    """Returns how long it took."""
    began = time.monotonic()
    if need.install is not None:
        need.install()
    return _seconds_since(began)


def _await(need: Need, installation: Future[str]) -> None:
    took = installation.result()
    if need.install is not None:
        print(f"   installed: {need.title}, {took}", flush=True)


def _run(command: Sequence[str], folder: Path = ROOT, environment: dict[str, str] | None = None) -> None:
    """Run beside others, and show the output only if the command fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-END:])
        raise CannotCheck(f"{' '.join(command)} failed:\n{end}")


def _packages() -> Need:
    """In a virtual environment, recreated only when the lock, the Python or the folder has changed."""
    contents = LOCK.read_bytes() + f"{sys.version} {VENV}".encode()
    title = f"Python packages ({LOCK.name})"

    def install_packages() -> None:
        shutil.rmtree(VENV, ignore_errors=True)
        install(VENV, LOCK)
        _stamp(VENV, contents)

    return _cached(title, VENV, contents, install_packages)


def _npm_packages() -> list[Need]:
    """The real Claude Code and Codex, the SDKs of JavaScript, and the tools that check the dashboard: all pinned."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise CannotCheck(
            "Node.js with npm is needed for the real clients and the dashboard; install it, or use --fast."
        )
    return [
        _npm_need(npm, "real clients", " (640 MB)", CLIENTS, PINNED_CLIENTS),
        _npm_need(npm, "other clients", " (1.1 GB)", OTHERS, PINNED_OTHER_CLIENTS),
        _npm_need(npm, "SDKs", " (30 MB)", SDKS, PINNED_SDKS),
        _npm_need(npm, "dashboard tools", "", DASHBOARD_TOOLS, PINNED_DASHBOARD_TOOLS),
    ]


def _npm_need(npm: str, title: str, size: str, folder: Path, packages: list[str]) -> Need:
    contents = " ".join(packages).encode()

    def install_packages() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(f'{{"name": "{folder.name}", "private": true}}\n')
        _run([npm, "install", "--no-audit", "--no-fund", "--save-exact", *packages], folder)
        _stamp(folder, contents)

    return _cached(f"{title}, {' and '.join(packages)}{size}", folder, contents, install_packages)


def _cached(title: str, folder: Path, contents: bytes, install_it: Callable[[], None]) -> Need:
    place = folder.relative_to(ROOT)
    if _is_stamped(folder, contents):
        return Need(title, f"installed in {place}", None)
    return Need(title, f"to be installed into {place}", install_it)


def _browser(may_install: bool) -> Need:
    found, title = find_chrome(), "Chrome or Chromium"
    if found is not None:
        return Need(title, f"there, {found}", None)
    if may_install and sys.platform != "win32" and os.geteuid() == 0 and shutil.which("apt-get"):
        return Need(title, f"to be installed on this system ({shutil.which('apt-get')})", _install_browser)
    remedy = "install one of them" if may_install else "install one of them, give --install-system-packages"
    raise CannotCheck(f"the dashboard's tests need Chrome or Chromium; {remedy}, or use --fast.")


def _install_browser() -> None:
    for command in APT:
        _run(command, environment={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def _require_version(folder: Path, name: str, package: str, version: str) -> None:
    """A client is used only after it has reported its version."""
    command = [str(folder / "node_modules" / ".bin" / name), "--version"]
    try:
        reported = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCheck(f"{package} does not run ({error}); delete {folder} and try again.") from None
    if reported.returncode != 0 or version not in reported.stdout:
        raise CannotCheck(
            f"{package} {version} does not run: {(reported.stderr or reported.stdout).strip()[:500]}"
        )


def _is_stamped(folder: Path, contents: bytes) -> bool:
    stamp = folder / ".stamp"
    return stamp.exists() and stamp.read_text() == hashlib.sha256(contents).hexdigest()


def _stamp(folder: Path, contents: bytes) -> None:
    (folder / ".stamp").write_text(hashlib.sha256(contents).hexdigest())


# --- reporting -------------------------------------------------------------------


def _failed(checks: list[Check], tests: Sequence[str] = ()) -> list[str]:
    """The names of those that fail."""
    return [name for name, command in checks if not _passes(name, command, tests)]


def _passes(name: str, command: list[str], tests: Sequence[str]) -> bool:
    print(f"-- {name}", flush=True)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT).returncode
    if code == NO_TESTS and tests:
        code = 0  # all requested tests are of the other kind
    print(f"   {'ok' if code == 0 else f'FAILED (exit code {code})'}, {_seconds_since(began)}", flush=True)
    return code == 0


def _seconds_since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
