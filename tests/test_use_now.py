"""What the user uses now survives a restart, and ends by itself."""

import asyncio
from pathlib import Path

import pytest

from switchyard.routing.uses import Use
from switchyard.use_now import UseNow

NOW = 1_795_000_000.0
ENABLED = {"a", "b"}


def loaded(folder: Path, now: float = NOW) -> UseNow:
    found = UseNow(folder, lambda: now)
    found.load(ENABLED)
    return found


def saved(folder: Path, use: Use) -> UseNow:
    found = loaded(folder)
    found.put(use, ["messages", "chat"])
    asyncio.run(found.save())
    return found


@pytest.mark.parametrize(
    ("use", "now", "is_used"),
    [
        (Use("a"), NOW + 1e9, True),
        (Use("a", NOW + 60), NOW + 59, True),
        (Use("a", NOW + 60), NOW + 60, False),
        (Use("removed"), NOW, False),
    ],
)
def test_a_start_finds_what_is_not_over_and_still_enabled(
    tmp_path: Path, use: Use, now: float, is_used: bool
) -> None:
    saved(tmp_path, use)
    assert loaded(tmp_path, now).current() == ({"messages": use, "chat": use} if is_used else {})


def test_an_edit_is_followed_and_says_whether_something_changed(tmp_path: Path) -> None:
    found = saved(tmp_path, Use("a"))
    assert not found.follow({}, ENABLED)
    assert found.follow({"a": "new"}, {"new", "b"})
    assert found.current() == {"messages": Use("new"), "chat": Use("new")}
    assert found.follow({}, {"b"})
    assert found.current() == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"clients": {"other": {"upstream": "a"}}}'])
def test_a_damaged_file_is_set_aside_and_nothing_is_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "use_now.json").write_bytes(content)
    found = loaded(tmp_path)
    assert found.current() == {}
    assert found.fault.startswith("use_now.json is damaged (")
    asyncio.run(found.save())
    assert found.fault == ""
