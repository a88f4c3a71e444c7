"""The bootstrap: what is missing is seen, installed with words, and a second start is silent."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import app

ROOT = Path(__file__).resolve().parent.parent
COMMAND_LINE = '''"""A stand-in that tells how it was called."""
import sys
def main(argv):
    import tomli_w
    print("prefix", sys.prefix)
    print("argv", argv)
    return 7
'''


@pytest.mark.parametrize(
    ("requirements", "missing"),
    [
        ("", []),
        ("# only a comment\n\n", []),
        ("pytest>=1", []),
        ("pytest>=1,<2000", []),
        ("pytest[extra]>=1.0,<2000  # why", []),
        ("pytest>=2000,<3000", ["pytest>=2000,<3000"]),
        ("pytest<2", ["pytest<2"]),
        ("surely-not-installed>=1", ["surely-not-installed>=1"]),
        ('surely-not-installed>=1; sys_platform == "nowhere"', []),
        (
            'surely-not-installed>=1; sys_platform != "nowhere"',
            ['surely-not-installed>=1; sys_platform != "nowhere"'],
        ),
    ],
)
def test_what_is_missing(requirements: str, missing: list[str]) -> None:
    assert app.missing_packages(requirements) == missing


def test_the_projects_own_requirements_are_understood_and_met_here() -> None:
    text = (ROOT / "requirements.txt").read_text()
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        found = app.REQUIREMENT.fullmatch(line)
        assert found is not None, line
    assert app.missing_packages(text) == []


class Checkout:
    """A fresh checkout with one small requirement, started by an interpreter that sees no packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "switchyard").mkdir()
        shutil.copy(ROOT / "app.py", folder)
        (folder / "requirements.txt").write_text("tomli-w>=1.1,<2\n")
        (folder / "switchyard" / "__init__.py").write_text("")
        (folder / "switchyard" / "cli.py").write_text(COMMAND_LINE)

    def start(self, *arguments: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-S", str(self.folder / "app.py"), *arguments],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode, done.stdout


def test_from_a_bare_machine_to_a_quick_second_start(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    offline = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
    }

    code, said = checkout.start("check", **offline)
    assert (code, "cannot start" in said, "network" in said) == (1, True, True), said

    code, said = checkout.start("explain", "--model", "with space")
    assert code == 7, said
    assert "tomli-w" in said
    assert f"prefix {tmp_path / '.venv'}" in said
    assert "argv ['explain', '--model', 'with space']" in said

    code, said = checkout.start("--no-install", "check")
    assert (code, said) == (7, f"prefix {tmp_path / '.venv'}\nargv ['check']\n")


def test_a_virtual_environment_without_pip_is_made_anew(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)

    code, said = checkout.start()

    assert code == 7, said
    assert f"Creating {tmp_path / '.venv'}" in said and f"prefix {tmp_path / '.venv'}" in said


def test_a_virtual_environment_that_does_not_run_is_named(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    foreign = tmp_path / ".venv" / "bin" / "python"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"\x7fELF of another machine")
    foreign.chmod(0o700)

    code, said = checkout.start()

    assert code == 1
    assert said.startswith(f"Switchyard cannot start: {foreign} does not run (")
    assert f"delete the folder {tmp_path / '.venv'} and start again" in said


def test_a_ctrl_c_while_it_loads_is_no_fault(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "switchyard" / "cli.py").write_text("raise KeyboardInterrupt\n")

    assert checkout.start() == (130, "")


def test_no_install_prints_the_command_and_touches_nothing(tmp_path: Path) -> None:
    code, said = Checkout(tmp_path).start("--no-install")

    assert code == 1
    assert "tomli-w>=1.1,<2" in said and f'-m pip install -r "{tmp_path / "requirements.txt"}"' in said
    assert not (tmp_path / ".venv").exists()


def test_a_place_where_nothing_can_be_created_is_named(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / ".venv").write_text("in the way")

    code, said = checkout.start()

    assert code == 1
    assert str(tmp_path / ".venv") in said and len(said.splitlines()) <= 2


def test_an_old_python_is_told_in_one_sentence() -> None:
    code = (
        "import sys, runpy; sys.version_info = (3, 9, 18, 'final', 0); "
        f"runpy.run_path({str(ROOT / 'app.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Switchyard needs Python 3.11 or newer; this is Python 3.9.18")
    assert len(done.stderr.splitlines()) == 1
