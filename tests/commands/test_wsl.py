"""`setup` for the clients on the other side of WSL, with the system's tools replaced: it was not run on Windows."""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from switchyard.client_plans import Wanted, plan
from switchyard.clients.plan import apply
from switchyard.commands.command import CommandFailed
from switchyard.commands.wsl import OtherSide, Run, is_inside, offers, windows_side, wsl_side
from switchyard.settings_validation import parse
from tests.bed.daemon import Daemon, settings, upstream

UNC_WARNING = "'\\\\wsl.localhost\\Ubuntu\\home\\me'\r\nCMD.EXE was started with the above path.\r\n"
MODE = ("wsl.exe", "-e", "wslinfo", "--networking-mode")
GATEWAY = ("wsl.exe", "-e", "ip", "route", "show", "default")
HOME: dict[tuple[str, ...], bytes] = {
    ("wsl.exe", "-e", "sh", "-c", "echo $HOME"): b"/home/me\n",
    ("wsl.exe", "-e", "wslpath", "-w", "/home/me"): b"\\\\wsl.localhost\\Ubuntu\\home\\me\n",
}


def tools(answers: Mapping[tuple[str, ...], bytes]) -> Run:
    def run(command: Sequence[str]) -> bytes:
        if tuple(command) not in answers:
            raise CommandFailed(f"{command[0]} cannot be run")
        return answers[tuple(command)]

    return run


@pytest.mark.parametrize("before", ["", UNC_WARNING])
@pytest.mark.parametrize("name", ["me", "张 三"])
def test_the_home_of_windows_is_found_from_inside(name: str, before: str) -> None:
    profile = f"C:\\Users\\{name}"
    run = tools(
        {
            ("cmd.exe", "/u", "/d", "/c", "echo %USERPROFILE%"): f"{before}{profile}\r\n".encode("utf-16-le"),
            ("wslpath", "-u", profile): f"/mnt/c/Users/{name}\n".encode(),
        }
    )
    home = Path("/mnt/c/Users") / name
    side = windows_side(run)
    assert (side.home, side.own_home, side.unreachable) == (home, PureWindowsPath(profile), "")
    assert side.environment == {"APPDATA": f"{home}/AppData/Roaming"}
    assert str(side.own_name(home / ".codex")) == f"{profile}\\.codex"


@pytest.mark.parametrize("said", [b"%USERPROFILE%\r\n", b""])
def test_a_windows_that_names_no_folder_is_an_error(said: bytes) -> None:
    with pytest.raises(CommandFailed, match="USERPROFILE"):
        windows_side(tools({("cmd.exe", "/u", "/d", "/c", "echo %USERPROFILE%"): said}))


@pytest.mark.parametrize(
    ("answers", "unreachable"),
    [
        ({MODE: b"mirrored\n"}, ()),
        ({MODE: b"wsl1\n"}, ()),
        (
            {MODE: b"nat\n", GATEWAY: b"default via 172.30.96.1 dev eth0 proto kernel\n"},
            ("networking mode nat", "networkingMode=mirrored", "now 172.30.96.1", "--url"),
        ),
        ({MODE: b"virtioproxy\n"}, ("networking mode virtioproxy", "address of Windows (--host")),
        ({}, ("networking mode nat",)),
    ],
)
def test_whether_programs_inside_reach_windows_depends_on_the_networking_mode(
    answers: Mapping[tuple[str, ...], bytes], unreachable: tuple[str, ...]
) -> None:
    side = wsl_side(run=tools({**HOME, **answers}))
    assert (str(side.home), side.own_home) == (
        "\\\\wsl.localhost\\Ubuntu\\home\\me",
        PurePosixPath("/home/me"),
    )
    # the loopback address of IPv6 is not shared
    assert side.host == "127.0.0.1"
    assert bool(side.unreachable) == bool(unreachable)
    assert all(part in side.unreachable for part in unreachable)


def test_another_distribution_can_be_named() -> None:
    named: dict[tuple[str, ...], bytes] = {
        ("wsl.exe", "-d", "Debian", *command[1:]): said for command, said in HOME.items()
    }
    assert wsl_side("Debian", tools(named)).own_home == PurePosixPath("/home/me")


@pytest.mark.parametrize("client", ["codex", "aider"])
def test_a_file_of_windows_names_the_folders_of_windows_and_has_no_modes(tmp_path: Path, client: str) -> None:
    found = parse(
        {
            "upstreams": [
                {"name": "a", "base_url": "https://a.example", "protocol": "chat", "models": ["qwen3"]}
            ]
        }
    )
    home, own = tmp_path / "me", PureWindowsPath("C:/Users/me")
    path = home / "config"
    home.mkdir()
    home.chmod(0o777)
    wanted = Wanted("http://localhost:5101", key="123", folder=OtherSide(home, own).own_name(home))
    apply(plan(client, path, wanted, found.settings, {}), "1")
    path.chmod(0o777)
    assert "C:\\\\Users\\\\me\\\\" in path.read_text()
    assert plan(client, path, wanted, found.settings, {}).is_empty


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_clients_of_windows_are_set_up_and_offered_from_inside(tmp_path: Path) -> None:
    windows, bin = tmp_path / "c" / "me", tmp_path / "bin"
    tool(bin, "cmd.exe", "printf 'C:\\\\Users\\\\me\\r\\n'")
    tool(bin, "wslpath", f"echo '{windows}'")
    (windows / ".claude").mkdir(parents=True)
    file = windows / ".claude" / "settings.json"
    file.write_text("{}")
    environment = {"WSL_DISTRO_NAME": "Ubuntu", "PATH": f"{bin}:{os.environ['PATH']}"}
    daemon = Daemon(tmp_path, settings(upstream("a", "https://a.example", models=["m"])), environment)

    offered = daemon.command("setup", "claude", "--dry-run")[1]
    assert f"{file}; to set it up: " in offered and "setup claude --windows" in offered
    code, said = daemon.command("setup", "claude", "--windows", "--yes")
    assert code == 0 and "setup claude --windows --undo" in said
    assert json.loads(file.read_text())["env"]["ANTHROPIC_BASE_URL"] == f"http://localhost:{daemon.port}/api"
    assert daemon.command("setup", "codex", "--windows", "--model", "m", "--yes")[0] == 0
    config = tomllib.loads((windows / ".codex" / "config.toml").read_text())
    assert config["model_catalog_json"].startswith("C:\\Users\\me\\.codex\\")
    assert daemon.command("setup", "claude", "--windows", "--undo", "--yes")[0] == 0
    assert file.read_text() == "{}"


def test_elsewhere_the_flags_are_refused(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings())
    assert daemon.command("setup", "claude", "--windows") == (
        1,
        "--windows is for a Switchyard that runs inside WSL.\n",
    )
    assert (
        daemon.command("setup", "claude", "--wsl")[1] == "--wsl is for a Switchyard that runs on Windows.\n"
    )


def test_nothing_is_offered_where_the_other_side_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_DISTRO_NAME", "Ubuntu")
    assert is_inside() and offers("claude", tools({})) == ()
