"""The stored activations survive any damage to their file."""

import asyncio
import stat
from pathlib import Path

import pytest

from switchyard.exchange import Activated, ActivationResult
from switchyard.store.activations import MAX_NAMES, ActivationMemory

NOW = 1_795_000_000.0
DONE = Activated(
    day="2026-11-21",
    succeeded_at=NOW,
    tried_day="2026-11-21",
    tries=3,
    tried_at=NOW - 1,
    at="08:00",
    minutes=481,
    last=ActivationResult(NOW, True, 200, "pong"),
)


def memory(folder: Path) -> ActivationMemory:
    found = ActivationMemory(folder, lambda: NOW)
    found.load()
    return found


def remember(folder: Path, upstream: str = "Monday key", activated: Activated = DONE) -> ActivationMemory:
    found = memory(folder)
    asyncio.run(found.put(upstream, activated))
    return found


def test_a_restart_finds_everything_again(tmp_path: Path) -> None:
    remember(tmp_path)
    remember(tmp_path, "ключ", Activated(tries=1))
    assert memory(tmp_path).all() == {"Monday key": DONE, "ключ": Activated(tries=1)}
    assert memory(tmp_path).of("unknown") == Activated()


def test_the_file_is_private(tmp_path: Path) -> None:
    path = remember(tmp_path).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    memory(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_first_start_has_nothing_to_remember_and_writes_nothing(tmp_path: Path) -> None:
    found = memory(tmp_path)
    assert (found.all(), found.fault, list(tmp_path.iterdir())) == ({}, "", [])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"upstreams": {"a": {"tries": "many"}}}',
        b"[]",
        b"\xff\xfe",
        b'{"upstreams": {"a": "\xff"}}',
        b"[" * 100_000,
    ],
    ids=["empty", "torn", "wrong type", "other form", "other bytes", "not UTF-8", "nested without end"],
)
def test_a_corrupt_file_is_set_aside_and_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "activations.json").write_bytes(content)
    found = memory(tmp_path)
    [aside] = tmp_path.iterdir()
    assert aside.name == "activations.json.bad-20261118T110640Z"
    assert aside.read_bytes() == content
    assert found.all() == {}
    assert found.fault.startswith("activations.json is damaged (")
    assert found.fault.endswith(f"; it was renamed to {aside.name}.")
    asyncio.run(found.put("a", DONE))
    assert found.fault == ""
    assert memory(tmp_path).all() == {"a": DONE}


def test_fields_of_a_newer_version_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "activations.json").write_bytes(
        b'{"upstreams": {"a": {"day": "2026-11-21", "new": 1}}, "version": 2, "more": []}'
    )
    assert memory(tmp_path).all() == {"a": Activated(day="2026-11-21")}


def test_a_disk_that_refuses_costs_only_the_memory_over_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    found = memory(folder)
    asyncio.run(found.put("a", DONE))
    assert found.of("a") == DONE
    assert found.fault == (
        f"{folder / 'activations.json'} cannot be written (No such file or directory); "
        "today's activations are lost at a restart."
    )


def test_what_the_disk_refused_is_written_once_it_allows_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "gone"
        found = memory(folder)
        await found.put("a", DONE)
        await found.save_again()
        assert "cannot be written" in found.fault
        await found.put("b", DONE)
        folder.mkdir()
        await found.save_again()
        assert found.fault == ""
        assert memory(folder).all() == {"a": DONE, "b": DONE}
        (folder / "activations.json").unlink()
        await found.save_again()
        assert list(folder.iterdir()) == [], "nothing is left to be written"

    asyncio.run(scenario())


def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        found = memory(tmp_path)
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(found.put(f"u{number}", Activated(tries=number)))

    asyncio.run(scenario())
    assert memory(tmp_path).all() == {f"u{number}": Activated(tries=number) for number in range(20)}


def test_the_names_of_long_gone_upstreams_do_not_pile_up(tmp_path: Path) -> None:
    names = ",".join(f'"u{number}":{{}}' for number in range(MAX_NAMES))
    (tmp_path / "activations.json").write_text(f'{{"upstreams":{{{names}}}}}')
    kept = remember(tmp_path, "new").all()
    assert list(kept) == [*(f"u{number}" for number in range(1, MAX_NAMES)), "new"]
