"""The content of the wheel; its installed command works like the checkout."""

import os
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchyard import VERSION
from switchyard.installation import user_data_folder
from tests.bed.asking import ask, text_of
from tests.bed.daemon import free_port, request
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.processes import killed_at_end

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "static"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without the network: the build backend is among the packages of the checks."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    return next(folder.glob("*.whl"))


def _run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment or None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_carries_the_package_the_static_files_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(f"switchyard-{VERSION}.dist-info/METADATA").decode()

    files = [path for path in (ROOT / "switchyard").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    expected |= {
        f"switchyard/{path.relative_to(ROOT).as_posix()}" for path in STATIC.rglob("*") if path.is_file()
    }
    assert names == expected
    assert {"switchyard/py.typed", "switchyard/__main__.py", "switchyard/static/index.html"} <= names
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert metadata.count("Requires-Dist: ") == len(project["dependencies"])


class Installed:
    """The wheel in a separate environment, which shares the dependencies of this one."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        venv = folder / "venv"
        _run(sys.executable, "-m", "venv", str(venv))
        self.bin = venv / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"
        _run(str(self.python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
        packages = _run(
            str(self.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
        ).strip()
        here = _run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (Path(packages) / "borrowed.pth").write_text(here + "\n")
        self.command = self.bin / "switchyard"

    def environment(self, path: str = "/usr/bin:/bin") -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": path, "PYTHONUNBUFFERED": "1"}

    def run(self, *words: str, path: str = "/usr/bin:/bin") -> str:
        done = subprocess.run(
            words,
            cwd=self.home,
            env=self.environment(path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Installed]:
    yield Installed(tmp_path_factory.mktemp("installed"), wheel)


def test_an_installed_command_serves_the_demo_and_the_dashboard_from_the_users_data_folder(
    installed: Installed,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with killed_at_end(
        subprocess.Popen(
            [str(installed.command), "--port", str(port)],
            cwd=installed.home,
            env=installed.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    ) as process:
        try:
            wait_until(lambda: _answers(url), "the daemon")
            assert "demo" in text_of("messages", ask(url, "messages"))
            assert request(url, "GET", "/").text == (STATIC / "index.html").read_text()
            assert request(url, "GET", "/js/main.js").status == 200
        finally:
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    data = user_data_folder(sys.platform, {}, installed.home)
    assert process.returncode == 0, said
    assert f"Data folder  {data}\n" in said
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "all_configs.json").is_file() and not (installed.home / "json_data").exists()


def _answers(url: str) -> bool:
    try:
        return request(url, "GET", "/health").status == 200
    except OSError:
        return False


def test_messages_name_the_command_as_the_user_can_type_it(installed: Installed) -> None:
    hint = "install it with: {} service install\n"
    command, python = str(installed.command), str(installed.python)

    assert hint.format(command) in installed.run(command, "service", "status")
    assert hint.format("switchyard") in installed.run(
        command, "service", "status", path=f"{installed.bin}:/usr/bin:/bin"
    )
    assert hint.format(f"{python} -m switchyard") in installed.run(
        python, "-m", "switchyard", "service", "status"
    )
    assert installed.run(command, "--help").startswith(f"usage: {command}\n")


def test_the_service_of_an_installed_command_starts_it_by_its_own_python(installed: Installed) -> None:
    shown = installed.run(str(installed.command), "service", "install", "--print")
    data = user_data_folder(sys.platform, {}, installed.home)

    assert f"{installed.python} -m switchyard --data {data} --host 127.0.0.1 --port 5101" in shown
    assert str(ROOT) not in shown
    assert installed.run(str(installed.python), "-m", "switchyard", "--version") == f"switchyard {VERSION}\n"


def test_a_copy_in_a_cache_is_not_made_a_service(installed: Installed) -> None:
    tag = installed.home.parent / "CACHEDIR.TAG"
    tag.touch()
    try:
        said = installed.run(str(installed.command), "service", "install")
    finally:
        tag.unlink()

    assert said.startswith("This copy runs from the cache of uvx or pipx") and len(said.splitlines()) == 1
