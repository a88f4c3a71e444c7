"""The locked packages satisfy pyproject.toml, and the tests run with them."""

import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
DEMANDED = {
    "requirements.txt": RUNTIME,
    "requirements-dev.txt": RUNTIME + PROJECT["dependency-groups"]["dev"],
}
"""the sources of each lock; after a change there: python scripts/lock.py"""


def lines(lock: str) -> list[str]:
    return [line for line in (ROOT / lock).read_text().splitlines() if not line.startswith("#")]


def pins(lock: str) -> dict[str, str]:
    """The locked version for this platform and Python, by name."""
    found = [Requirement(line) for line in lines(lock)]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in found
        if pin.marker is None or pin.marker.evaluate()
    }


def closure(demanded: list[str]) -> dict[str, list[Requirement]]:
    """All direct and indirect requirements on this machine, with their version constraints."""
    found: dict[str, list[Requirement]] = {}
    waiting = [Requirement(text) for text in demanded]
    seen: set[str] = set()
    while waiting:
        needed = waiting.pop()
        if str(needed) not in seen and _applies(needed):
            seen.add(str(needed))
            found.setdefault(canonicalize_name(needed.name), []).append(needed)
            waiting += _needs_of(needed)
    return found


def _applies(needed: Requirement) -> bool:
    return needed.marker is None or needed.marker.evaluate()


def _needs_of(needed: Requirement) -> Iterator[Requirement]:
    for text in metadata.requires(needed.name) or ():
        further = Requirement(text)
        extras = needed.extras or {""}
        if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
            further.marker = None
            yield further


@pytest.mark.parametrize("lock", DEMANDED)
def test_the_lock_holds_what_is_demanded_and_nothing_else(lock: str) -> None:
    locked, needed = pins(lock), closure(DEMANDED[lock])

    assert sorted(locked) == sorted(needed)
    broken = [
        f"{name}=={locked[name]} is not {one}"
        for name, demands in needed.items()
        for one in demands
        if not one.specifier.contains(locked[name], prereleases=True)
    ]
    assert broken == []


def test_the_tests_run_with_the_locked_versions() -> None:
    locked = pins("requirements-dev.txt")
    assert {name: metadata.version(name) for name in locked} == locked


def test_users_get_the_versions_that_the_tests_run_with() -> None:
    of_users, of_tests = ({line.partition(" ")[0] for line in lines(lock)} for lock in DEMANDED)
    assert of_users - of_tests == set()


@pytest.mark.parametrize("lock", DEMANDED)
def test_a_lock_pins_versions_and_names_no_host(lock: str) -> None:
    loose = [line for line in lines(lock) if not Requirement(line).specifier or "@" in line]
    assert loose == []
    text = (ROOT / lock).read_text()
    assert [word for word in ("://", "--", " @ ", "file:") if word in text] == []
