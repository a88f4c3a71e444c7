"""Files that receive a key become private to their owner, whatever their mode was; others keep theirs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from switchyard.clients import claude_code, codex
from switchyard.clients.plan import Plan, apply
from tests.bed.daemon import Daemon, settings, upstream

ADDRESS = "http://localhost:5101"
KEY = "sy-client-key"
PLANS: dict[str, Callable[..., Plan]] = {"settings.json": claude_code.plan, "config.toml": codex.plan}
UNDOS: dict[str, Callable[[Path], Plan]] = {"settings.json": claude_code.undo, "config.toml": codex.undo}
USERS = {"settings.json": '{"theme": "dark"}\n', "config.toml": 'model = "gpt-5.5"\n'}
WIDE = (0o644, 0o664, 0o640, 0o666)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: mode(path) for path in folder.iterdir()}


def users_file(folder: Path, name: str, bits: int) -> Path:
    path = folder / name
    path.write_text(USERS[name])
    path.chmod(bits)
    return path


@pytest.mark.parametrize("bits", WIDE)
@pytest.mark.parametrize("name", PLANS)
def test_a_file_that_receives_a_key_is_closed_and_so_is_its_backup(
    tmp_path: Path, name: str, bits: int
) -> None:
    path = users_file(tmp_path, name, bits)
    plan = PLANS[name](path, ADDRESS, KEY)
    assert [note for note in plan.notes if "0600" in note]
    apply(plan, "stamp")
    assert KEY in path.read_text()
    assert modes(tmp_path) == {
        name: "0o600",
        f"{name}.backup-stamp": "0o600",
        f"{path.stem}.switchyard-undo.json": "0o600",
    }
    apply(UNDOS[name](path), "later")
    assert path.read_text() == USERS[name]
    assert set(modes(tmp_path).values()) == {"0o600"}


@pytest.mark.parametrize("bits", [*WIDE, 0o600, 0o400])
@pytest.mark.parametrize("name", PLANS)
def test_a_file_that_receives_no_key_keeps_its_mode(tmp_path: Path, name: str, bits: int) -> None:
    path = users_file(tmp_path, name, bits)
    apply(PLANS[name](path, ADDRESS), "stamp")
    assert mode(path) == oct(bits)


@pytest.mark.parametrize("name", PLANS)
def test_a_link_stays_and_the_file_behind_it_is_closed(tmp_path: Path, name: str) -> None:
    dotfiles, home = tmp_path / "dotfiles", tmp_path / "home"
    dotfiles.mkdir()
    home.mkdir()
    target = users_file(dotfiles, name, 0o644)
    (home / name).symlink_to(target)
    apply(PLANS[name](home / name, ADDRESS, KEY), "stamp")
    assert (home / name).is_symlink() and KEY in target.read_text()
    assert (mode(target), mode(home / f"{name}.backup-stamp")) == ("0o600", "0o600")


@pytest.mark.parametrize("name", PLANS)
def test_a_set_up_of_an_earlier_version_is_closed_when_it_is_repeated(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    apply(PLANS[name](path, ADDRESS, KEY), "stamp")
    before = path.read_bytes()
    path.chmod(0o644)
    again = PLANS[name](path, ADDRESS, KEY)
    assert (again.is_empty, again.diff()) == (False, "")
    assert apply(again, "later") == ()
    assert (mode(path), path.read_bytes()) == ("0o600", before)
    assert PLANS[name](path, ADDRESS, KEY).is_empty


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, settings(upstream("a", "http://127.0.0.1:9"), client_keys={KEY: "laptop"})) as one:
        yield one


def test_the_command_and_the_dashboard_close_the_files(daemon: Daemon) -> None:
    places = {"claude": ".claude/settings.json", "codex": ".codex/config.toml"}
    for by_command in (True, False):
        for client, place in places.items():
            path = daemon.home / place
            path.parent.mkdir(exist_ok=True)
            users_file(path.parent, path.name, 0o644)
            if by_command:
                code, said = daemon.command("setup", client, "--yes")
                assert code == 0 and "0600" in said
            else:
                assert daemon.post("/api/clients/apply", {"client": client}).status == 200
            assert KEY in path.read_text()
            assert set(modes(path.parent).values()) == {"0o600"}
            assert daemon.post("/api/clients/undo", {"client": client}).status == 200
            assert mode(path) == "0o600"
