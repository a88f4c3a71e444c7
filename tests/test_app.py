"""The bootstrap: missing packages are installed with visible progress, and a second start is silent."""

import ast
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from switchyard import bootstrap
from tests.bed.tools import real_uv

ROOT = Path(__file__).resolve().parent.parent
BEFORE_THE_PACKAGES = ("__init__.py", "bootstrap.py", "environment.py", "installation.py")
COMMAND_LINE = '''"""A stand-in that tells how it was called."""
import sys
from switchyard.installation import own_command
def main(argv):
    import tomli_w
    print("prefix", sys.prefix)
    print("argv", argv)
    print("command", own_command("check"))
    return 7
'''
PROJECT = """[project]
dependencies = [{}]
"""
OFFLINE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_RETRIES": "0",
    "UV_OFFLINE": "1",
    "UV_NO_CACHE": "1",
}


@pytest.mark.parametrize(
    ("requirement", "is_missing"),
    [
        ("pytest>=1", False),
        ("pytest>=1,<2000", False),
        ("pytest[extra]>=1.0,<2000", False),
        ("pytest>=2000,<3000", True),
        ("pytest<2", True),
        ("surely-not-installed>=1", True),
        ("surely-not-installed>=1; sys_platform == 'nowhere'", False),
        ("surely-not-installed>=1; sys_platform != 'nowhere'", True),
    ],
)
def test_what_is_missing(requirement: str, is_missing: bool) -> None:
    assert bootstrap.missing_packages([requirement]) == ([requirement] if is_missing else [])


@pytest.mark.parametrize(
    ("version", "bounds", "is_satisfied"),
    [
        ("0.54.0", "~=0.54.0", True),
        ("0.54.3", "~=0.54.0", True),
        ("0.54.1", "~=0.54.2", False),
        ("0.55.0", "~=0.54.0", False),
        ("1.54.0", "~=0.54.0", False),
        ("1", ">=1.0", True),
        ("1.0", ">=1", True),
        ("1.0.0", "<1", False),
        ("2026.10.19.post1", ">=2026.10,<2027", True),
    ],
)
def test_which_versions_satisfy_a_requirement(
    version: str, bounds: str, is_satisfied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: version)
    assert (bootstrap.missing_packages([f"any{bounds}"]) == []) is is_satisfied


def test_the_projects_own_requirements_are_understood_and_met_here() -> None:
    demanded = bootstrap.dependencies(ROOT / "pyproject.toml")
    assert [one for one in demanded if not bootstrap.REQUIREMENT.fullmatch(one)] == []
    assert bootstrap.missing_packages(demanded) == []


class Checkout:
    """A fresh checkout with one small requirement, started by an interpreter without packages."""

    def __init__(self, folder: Path, *requirements: str) -> None:
        self.folder = folder
        (folder / "switchyard").mkdir()
        (folder / "bin").mkdir()
        shutil.copy(ROOT / "app.py", folder)
        for name in BEFORE_THE_PACKAGES:
            shutil.copy(ROOT / "switchyard" / name, folder / "switchyard")
        (folder / "switchyard" / "cli.py").write_text(COMMAND_LINE)
        (folder / "pyproject.toml").write_text(PROJECT.format(", ".join(map(repr, requirements))))
        (folder / "requirements.txt").write_text("tomli-w==1.2.0\n")

    def start(self, *arguments: str, python: str = sys.executable, **environment: str) -> tuple[int, str]:
        """On a machine without uv, unless the test puts one into `bin`."""
        hidden = {"SWITCHYARD_PYTHON", "VIRTUAL_ENV", "UV_PYTHON"}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        done = subprocess.run(
            [python, "-S", str(self.folder / "app.py"), *arguments],
            env=kept | {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode, done.stdout


def fresh_checkout(folder: Path) -> Checkout:
    return Checkout(folder, "tomli-w>=1.1,<2")


def test_from_a_bare_machine_to_a_quick_second_start(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path)

    code, said = checkout.start("check", **OFFLINE)
    assert (code, "cannot start" in said, "network" in said) == (1, True, True), said

    code, said = checkout.start("explain", "--model", "with space")
    assert code == 7, said
    assert said.startswith("Missing packages: tomli-w>=1.1,<2\n")
    assert f"prefix {tmp_path / '.venv'}" in said
    assert "argv ['explain', '--model', 'with space']" in said

    code, said = checkout.start("--no-install", "check")
    assert (code, said.splitlines()[:2]) == (7, [f"prefix {tmp_path / '.venv'}", "argv ['check']"])


def test_the_first_line_comes_before_anything_slow(tmp_path: Path) -> None:
    """Creating the environment is slow; here that cannot even start."""
    checkout = fresh_checkout(tmp_path)
    (tmp_path / ".venv").write_text("in the way")

    _, said = checkout.start()

    assert said.startswith("Missing packages: tomli-w>=1.1,<2\nCreating ")


@pytest.mark.parametrize("typed", ["python3", "python", "python3.11"])
def test_messages_name_the_python_that_the_user_has_typed(tmp_path: Path, typed: str) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / "bin" / typed).symlink_to(sys.executable)
    (tmp_path / "switchyard" / "cli.py").write_text(COMMAND_LINE.replace("import tomli_w", ""))

    code, said = checkout.start(python=str(tmp_path / "bin" / typed))

    assert (code, said.splitlines()[-1]) == (7, f"command {typed} app.py check")


def test_the_name_of_the_python_survives_the_change_into_the_environment(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path)
    (tmp_path / "bin" / "python3.99").symlink_to(sys.executable)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)
    (tmp_path / "switchyard" / "cli.py").write_text(COMMAND_LINE.replace("import tomli_w", ""))
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(""))

    code, said = checkout.start(SWITCHYARD_PYTHON="python3.99")

    assert (code, said.splitlines()[-1]) == (7, "command python3.99 app.py check")


# --- uv --------------------------------------------------------------------------


def test_uv_installs_the_packages_where_it_is_there(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path)
    (tmp_path / "bin" / "uv").symlink_to(real_uv())

    code, said = checkout.start("check")

    assert code == 7, said
    assert "with uv" in said and "with pip" not in said
    assert not list((tmp_path / ".venv").rglob("site-packages/pip")), "uv needs no pip"
    assert checkout.start("check") == (7, said[said.index("prefix ") :])


def test_pip_helps_out_where_uv_cannot(tmp_path: Path) -> None:
    """uv does not read pip's configuration, so it may not know the reachable mirror."""
    checkout = fresh_checkout(tmp_path)
    (tmp_path / "bin" / "uv").symlink_to(real_uv())

    code, said = checkout.start("check", UV_OFFLINE="1", UV_NO_CACHE="1")

    assert code == 7, said
    assert "uv could not install the packages (see above); trying pip." in said


# --- what can be wrong -----------------------------------------------------------


def test_a_virtual_environment_without_pip_is_recreated(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)

    code, said = checkout.start()

    assert code == 7, said
    assert f"Creating {tmp_path / '.venv'}" in said and f"prefix {tmp_path / '.venv'}" in said


def test_a_virtual_environment_that_does_not_run_is_named(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path)
    foreign = tmp_path / ".venv" / "bin" / "python"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"\x7fELF of another machine")
    foreign.chmod(0o700)

    code, said = checkout.start()

    assert code == 1
    assert said.startswith(f"Switchyard cannot start: {foreign} does not run (")
    assert f"delete the folder {tmp_path / '.venv'} and start again" in said


def test_a_ctrl_c_while_it_loads_is_no_error(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / "switchyard" / "cli.py").write_text("raise KeyboardInterrupt\n")

    assert checkout.start() == (130, "")


def test_no_install_prints_commands_that_work_and_touches_nothing(tmp_path: Path) -> None:
    """With a virtual environment: Debian's pip refuses to change the system's packages (PEP 668)."""
    checkout = fresh_checkout(tmp_path)

    code, said = checkout.start("--no-install", python=sys._base_executable)  # type: ignore[attr-defined]  # a private name

    first, *commands = said.splitlines()
    assert (code, first) == (1, "Switchyard needs packages that are not installed: tomli-w>=1.1,<2")
    assert not (tmp_path / ".venv").exists()
    assert [command.split()[1:3] for command in commands[1:]] == [["-m", "venv"], ["-m", "pip"]]
    for command in commands[1:]:
        subprocess.run(command, shell=True, check=True, capture_output=True)
    assert checkout.start("--no-install")[0] == 7


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path)
    (tmp_path / ".venv").write_text("in the way")

    code, said = checkout.start()

    assert code == 1
    assert f"{tmp_path / '.venv'} cannot be created" in said.splitlines()[-1]


# --- an old Python ---------------------------------------------------------------

OLD_SYNTAX = (
    ast.Module,
    ast.Expr,
    ast.Constant,
    ast.Import,
    ast.ImportFrom,
    ast.alias,
    ast.If,
    ast.Compare,
    ast.Assign,
    ast.Call,
    ast.Attribute,
    ast.Subscript,
    ast.Slice,
    ast.Name,
    ast.Tuple,
    ast.BinOp,
    ast.Load,
    ast.Store,
    ast.Eq,
    ast.Lt,
    ast.Mod,
)
"""what Python 2.7 reads as Python 3.14 does"""


def test_python_2_7_can_read_the_front() -> None:
    source = (ROOT / "app.py").read_bytes()
    nodes = list(ast.walk(ast.parse(source)))
    assert [ast.unparse(node) for node in nodes if not isinstance(node, OLD_SYNTAX)] == []
    assert source.isascii() and (ROOT / "switchyard" / "__init__.py").read_bytes().isascii()


def test_an_old_python_is_reported_in_one_sentence() -> None:
    """With each old Python found on this machine, and with one that only reports an old version."""
    says_so = (
        "import sys, runpy; sys.version_info = (3, 9, 18, 'final', 0); "
        f"runpy.run_path({str(ROOT / 'app.py')!r}, run_name='__main__')"
    )
    commands = {"3.9.18": [sys.executable, "-c", says_so]}
    for path in Path.home().glob(".pyenv/versions/*/bin/python"):
        version = path.parent.parent.name
        if version.startswith(("2.7", "3.6", "3.7", "3.8", "3.9", "3.10")):
            commands[version] = [str(path), str(ROOT / "app.py"), "check"]
    for version, command in commands.items():
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, ""), version
        assert done.stderr.startswith(f"Switchyard needs Python 3.11 or newer; this is Python {version} (")
        assert len(done.stderr.splitlines()) == 1
