import time

import pytest

from switchyard.relay.clocks import local_moment, steady_seconds


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has a clock of this name")
def test_cooldowns_are_measured_by_the_clock_that_goes_on_while_the_machine_sleeps() -> None:
    clock = time.CLOCK_BOOTTIME
    times = (
        time.clock_gettime(clock),
        steady_seconds(),
        local_moment().monotonic,
        time.clock_gettime(clock),
    )
    assert list(times) == sorted(times)


def test_the_clock_never_goes_back() -> None:
    times = [steady_seconds() for _ in range(100)]
    assert times == sorted(times)
