"""When the free memory of the process is worth returning to the system."""

import asyncio

import pytest

from switchyard import memory
from switchyard.memory import GROWN_BYTES, WORKED_SECONDS, Trims, is_worth_a_trim

LEAST = 60_000_000
GROWN, NOT_GROWN = LEAST + GROWN_BYTES + 1, LEAST + GROWN_BYTES
WORKED, IDLE = WORKED_SECONDS + 0.1, WORKED_SECONDS / 10


@pytest.mark.parametrize(
    ("resident", "worked", "forgotten", "expected"),
    [
        pytest.param(GROWN, WORKED, 0, True, id="grown while it worked"),
        pytest.param(NOT_GROWN, WORKED, 0, False, id="not grown"),
        pytest.param(GROWN, IDLE, 0, False, id="nothing can have become free"),
        pytest.param(GROWN, IDLE, 1_000_000, True, id="something was forgotten while idle"),
        pytest.param(NOT_GROWN, IDLE, 1_000_000, False, id="forgotten, but not grown"),
    ],
)
def test_a_trim_is_worth_its_time(resident: int, worked: float, forgotten: int, expected: bool) -> None:
    assert is_worth_a_trim(resident, LEAST, worked, forgotten) == expected


def test_what_becomes_free_after_a_trim_amid_large_bodies_is_returned_too() -> None:
    """The last trim left 500 MB, as bodies were under way; they are free now, and the process is as large as then."""
    assert is_worth_a_trim(500_000_000, LEAST, WORKED, 0)


MB = 1_000_000


def test_after_the_last_work_one_more_trim_returns_what_was_in_use_at_the_one_before() -> None:
    trims = Trims(45 * MB)
    assert trims.is_due(300 * MB, cpu_seconds=2.0)
    trims.trimmed(200 * MB)  # bodies were under way
    assert trims.is_due(200 * MB, cpu_seconds=2.01)
    trims.trimmed(110 * MB)  # the memories of conversations are left
    assert [trims.is_due(110 * MB, cpu_seconds) for cpu_seconds in (2.02, 2.03, 2.04)] == [False] * 3
    assert trims.is_due(110 * MB, cpu_seconds=2.05, forgotten=1)


def test_a_little_work_at_each_check_adds_up_to_a_trim() -> None:
    trims = Trims(45 * MB)
    due = [trims.is_due(100 * MB, cpu_seconds=WORKED_SECONDS * 0.4 * check) for check in (1, 2, 3)]
    assert due == [False, False, True]


@pytest.mark.parametrize("error", [OSError("Too many open files"), ImportError("zstandard")])
def test_a_check_that_fails_is_not_the_last_one(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    checks: list[int] = []

    async def pack() -> int:
        checks.append(len(checks))
        if len(checks) == 1:
            raise error
        raise asyncio.CancelledError

    monkeypatch.setattr(memory, "CHECK_SECONDS", 0.0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(memory.return_memory(lambda: 0, pack))
    assert len(checks) == 2
