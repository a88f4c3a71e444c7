"""Installing by hand: the commands that are named work where they are named."""

import sys
import sysconfig
from pathlib import Path

import pytest

from switchyard.environment import CannotInstall, install, manual_steps, python_of

LOCK = Path("/somewhere/requirements.txt")


def test_within_an_environment_its_own_pip_is_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/me/venv")
    monkeypatch.setattr(sys, "base_prefix", "/usr")

    assert manual_steps(tmp_path, LOCK) == [f'"{sys.executable}" -m pip install -r "{LOCK}"']


def test_outside_an_environment_one_is_made_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "base_prefix", "/usr")

    assert manual_steps(tmp_path, LOCK) == [
        f'"{sys.executable}" -m venv "{tmp_path}"',
        f'"{python_of(tmp_path)}" -m pip install -r "{LOCK}"',
    ]


@pytest.mark.parametrize("is_managed", [True, False])
def test_the_systems_own_pip_is_named_only_where_the_system_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_managed: bool
) -> None:
    """Debian and others mark their Python as externally managed (PEP 668)."""
    stdlib = tmp_path / "lib"
    stdlib.mkdir()
    if is_managed:
        (stdlib / "EXTERNALLY-MANAGED").touch()
    (tmp_path / ".venv").write_text("in the way")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(stdlib))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CannotInstall) as caught:
        install(tmp_path / ".venv", LOCK)

    assert ("-m pip install" in str(caught.value)) is not is_managed
    assert "make the folder writable" in str(caught.value)
