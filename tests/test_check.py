"""scripts/check.py lists what it installs before it does, and changes the system only with a flag."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed.tools import real_uv

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tools are stood in for by shell scripts")
FILES = (
    "scripts/check.py",
    "switchyard/__init__.py",
    "switchyard/environment.py",
    "tests/bed/chrome.py",
)
PACKAGES = "  Python packages (requirements-dev.txt): to be installed into .cache/check-venv"
CLIENTS = "  real clients, @openai/codex@0.169.0 and @anthropic-ai/claude-code@2.1.197 (640 MB): "
OTHER_CLIENTS = (
    "  other clients, opencode-ai@1.18.33 and @qwen-code/qwen-code@0.24.4 and cline@3.0.65 "
    "and @continuedev/cli@1.5.47 (1.1 GB): "
)
SDKS = (
    "  SDKs, ai@7.0.173 and @ai-sdk/openai@4.0.118 and ai-6@npm:ai@6.0.325 and "
    "ai-sdk-openai-3@npm:@ai-sdk/openai@3.0.141 and zod@4.6.7 (30 MB): "
)
DASHBOARD_TOOLS = "  dashboard tools, prettier@3.10.1 and typescript@7.0.2: "

# the files that npm creates: clients that report their version
INSTALL_CLIENTS = """/bin/mkdir -p node_modules/.bin
for client in codex:0.169.0 claude:2.1.197 opencode:1.18.33 qwen:0.24.4 cline:3.0.65 cn:1.5.47; do
  printf '#!/bin/sh\\necho %s\\n' "${client#*:}" > "node_modules/.bin/${client%:*}"
  /bin/chmod 755 "node_modules/.bin/${client%:*}"
done
"""


class Machine:
    """A checkout with one small package to install, on a machine whose tools only record their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls.txt"
        self.calls.touch()
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / "requirements-dev.txt").write_text("tomli-w==1.2.0\n")
        (folder / "bin").mkdir()
        for tool in ("node", "npm", "apt-get"):
            self.add(tool)
        (folder / "bin" / "uv").symlink_to(real_uv())

    def add(self, tool: str, script: str = "") -> None:
        path = self.folder / "bin" / tool
        path.write_text(f'#!/bin/sh\necho "{tool} $*" >> "{self.calls}"\n{script}')
        path.chmod(0o755)

    def check(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(self.folder / "scripts" / "check.py"), *arguments],
            env={"PATH": str(self.folder / "bin"), "HOME": str(self.folder), **_network_settings()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert (done.returncode, "Traceback" in done.stdout) == (1, False), done.stdout
        return done.stdout


def _network_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_"))}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_browser_and_the_flag_nothing_is_installed(machine: Machine) -> None:
    said = machine.check()

    assert said == (
        "\nCannot check: the dashboard's tests need Chrome or Chromium; install one of them, "
        "give --install-system-packages, or use --fast.\n"
    )
    assert machine.calls.read_text() == "" and not (machine.folder / ".cache").exists()


def test_requirements_are_listed_before_anything_is_installed(machine: Machine) -> None:
    machine.add("google-chrome")
    said = machine.check()

    assert said.splitlines()[:8] == [
        "The checks need:",
        PACKAGES,
        f"{CLIENTS}to be installed into .cache/clients",
        f"{OTHER_CLIENTS}to be installed into .cache/other-clients",
        f"{SDKS}to be installed into .cache/sdks",
        f"{DASHBOARD_TOOLS}to be installed into .cache/dashboard-tools",
        f"  Chrome or Chromium: there, {machine.folder / 'bin' / 'google-chrome'}",
        "-- Installing: Python packages (requirements-dev.txt)",
    ]
    assert "-- Installing: real clients" in said and "with uv ..." in said
    assert "-- Installing: dashboard tools" in said
    assert "apt-get" not in machine.calls.read_text()
    assert "@openai/codex does not run" in said.splitlines()[-1]
    # installed packages are not installed again
    assert "-- Installing" not in machine.check()


WAIT_FOR_THE_OTHERS = """
: > "$HOME/begun.${PWD##*/}"
tries=0
until [ -e "$HOME/begun.clients" ] && [ -e "$HOME/begun.other-clients" ] &&
      [ -e "$HOME/begun.sdks" ] && [ -e "$HOME/begun.dashboard-tools" ]; do
  tries=$((tries + 1))
  [ $tries -lt 600 ] || exit 1
  /bin/sleep 0.1
done
"""


def test_installations_run_side_by_side_and_lint_waits_only_for_the_python_packages(machine: Machine) -> None:
    machine.add("google-chrome")
    machine.add("npm", WAIT_FOR_THE_OTHERS + INSTALL_CLIENTS)
    output = machine.check()

    order = ["   installed: Python packages", "-- mypy --strict", "   installed: real clients", "-- pytest"]
    places = [output.find(line) for line in order]
    assert -1 not in places and places == sorted(places), output


def test_a_failed_installation_shows_the_end_of_its_output(machine: Machine) -> None:
    machine.add("google-chrome")
    machine.add("npm", "echo looking; echo the registry does not answer; exit 1")
    output = machine.check()

    npm = machine.folder / "bin" / "npm"
    assert f"\nCannot check: {npm} install " in output
    assert output.endswith(" failed:\nlooking\nthe registry does not answer\n")


def test_the_system_package_manager_is_called_only_with_the_flag(machine: Machine) -> None:
    said = machine.check("--install-system-packages")

    if os.geteuid() == 0:
        assert f"Chrome or Chromium: to be installed on this system ({machine.folder}/bin/apt-get)" in said
        assert [line for line in machine.calls.read_text().splitlines() if "apt-get" in line] == [
            "apt-get update -q",
            "apt-get install -q -y --no-install-recommends chromium",
        ]
    else:
        assert "need Chrome or Chromium; install one of them, or use --fast." in said
        assert machine.calls.read_text() == ""


def test_the_fast_checks_need_only_the_packages(machine: Machine) -> None:
    said = machine.check("--fast")

    assert said.splitlines()[:3] == [
        "The checks need:",
        PACKAGES,
        "-- Installing: Python packages (requirements-dev.txt)",
    ]
    assert machine.calls.read_text() == ""


def test_the_dashboard_is_checked_with_the_pinned_tools(machine: Machine) -> None:
    machine.add("google-chrome")
    machine.add("npm", INSTALL_CLIENTS)
    output = machine.check()

    assert "-- prettier (static/)\n   ok" in output and "-- tsc --checkJs (static/js/)\n   ok" in output
    packages = machine.folder / ".cache" / "dashboard-tools" / "node_modules"
    calls = machine.calls.read_text().splitlines()
    assert [line for line in calls if line.startswith("node ")] == [
        f"node {packages / 'prettier' / 'bin' / 'prettier.cjs'} --check static",
        f"node {packages / 'typescript' / 'bin' / 'tsc'} --project jsconfig.json",
    ]


def test_a_fast_check_skips_the_dashboard(machine: Machine) -> None:
    output = machine.check("--fast")

    assert "-- mypy --strict" in output and "static/" not in output


def test_the_check_before_a_commit_runs_only_format_lint_and_types(machine: Machine) -> None:
    output = machine.check("--lint")

    checks = [line for line in output.splitlines() if line.startswith("-- ") and "Installing" not in line]
    assert checks == ["-- ruff format", "-- ruff check", "-- mypy --strict"]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert "entry: python scripts/check.py --lint" in hooks
    pinned = re.search(r'"(prettier@[\d.]+)"', (ROOT / "scripts" / "check.py").read_text())
    assert pinned is not None and f"npx --yes {pinned[1]} --check static" in hooks


def test_what_is_timed_runs_by_itself_after_all_the_others(machine: Machine) -> None:
    names = [line for line in machine.check("--fast").splitlines() if line.startswith("-- pytest")]

    assert names == ["-- pytest", "-- pytest, one by one"]


def test_ci_gives_the_flag() -> None:
    assert "--install-system-packages" in (ROOT / ".ci" / "run").read_text()
