"""How the tests wait: for a condition, long enough for a busy machine."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
"""for events that are certain; it costs nothing, as each wait ends with its condition"""


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {PATIENCE_SECONDS:g} s")
        time.sleep(0.01)
