"""Return the memory of large bodies to the system, which glibc would keep.

https://man7.org/linux/man-pages/man3/mallopt.3.html, https://man7.org/linux/man-pages/man3/malloc_trim.3.html
"""

import asyncio
import ctypes
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

ARENAS = 1
"""a trim does not return the end of any further arena: up to `TRIM_BYTES` of each would stay"""
MMAP_BYTES = 16 * 1024 * 1024
"""larger blocks go back to the system as soon as they are free; a body passes through several blocks of its size, which
would all be fetched again, page by page, for the next one: of 8 MB that takes longer than its conversion from memory"""
TRIM_BYTES = 32 * 1024 * 1024
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
CHECK_SECONDS = 20.0
CHECKS_BETWEEN_SWEEPS = 15
"""five minutes: what is forgotten was not used for so long, and costs a few milliseconds when it is wanted again"""
GROWN_BYTES = 16 * 1024 * 1024
"""so much above the least, at the start or after a trim, is worth another one, which takes some milliseconds"""
WORKED_SECONDS = 0.2
"""CPU time since the last trim; a daemon without requests takes less between two checks, and frees nothing"""
STATM = Path("/proc/self/statm")
PAGE_BYTES = 4096


@cache
def _glibc() -> ctypes.CDLL | None:
    """None where the C library has no such functions (macOS, Windows, musl)."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
        library.malloc_trim.argtypes = (ctypes.c_size_t,)
    except (AttributeError, OSError, TypeError):
        return None
    return library


def tune_allocator() -> None:
    """To be called before threads start."""
    if (library := _glibc()) is not None:
        library.mallopt(M_ARENA_MAX, ARENAS)
        library.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


async def return_memory(forget_unused: Callable[[], int], pack: Callable[[], Awaitable[int]]) -> None:
    """Pack what is older, forget what was not used for a while, and give back the free pages between blocks in use,
    until cancelled. Both return how many bytes that frees."""
    library = _glibc() if STATM.exists() else None
    trims = Trims(_resident_bytes() if library is not None else 0)
    for checks in count(1):
        await asyncio.sleep(CHECK_SECONDS)
        with suppress(OSError, ImportError):  # without free file handles the next check does it
            freed = await pack()
            if checks % CHECKS_BETWEEN_SWEEPS == 0:
                freed += forget_unused()
            if library is not None and trims.is_due(_resident_bytes(), time.process_time(), freed):
                await asyncio.to_thread(library.malloc_trim, 0)
                trims.trimmed(_resident_bytes())


class Trims:
    """When a trim is due, from the resident bytes and the CPU time of the process at each check.

    `least`: the bytes at the start. What is in use during a trim may be free soon after: the work before it counts for
    the next check, too, so that the last trim comes when the process has become idle.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._checked_at = self._checked_before = self._counts_from = 0.0

    def is_due(self, resident: int, cpu_seconds: float, forgotten: int = 0) -> bool:
        self._checked_before, self._checked_at = self._checked_at, cpu_seconds
        return is_worth_a_trim(resident, self._least, cpu_seconds - self._counts_from, forgotten)

    def trimmed(self, left: int) -> None:
        self._least = min(self._least, left)
        self._counts_from = self._checked_before


def is_worth_a_trim(resident: int, least: int, worked_seconds: float, forgotten: int) -> bool:
    """Sizes in bytes. A process does not shrink by itself when a body is freed: large bodies that were in use at the
    last trim may be free by now, if the process has worked since."""
    return resident > least + GROWN_BYTES and (worked_seconds > WORKED_SECONDS or forgotten > 0)


def _resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * PAGE_BYTES
