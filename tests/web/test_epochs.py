"""Times as calendar dates: the same each time, until the clocks drift apart."""

from switchyard.web.epochs import Epochs


class Clocks:
    def __init__(self) -> None:
        self.steady, self.wall = 100.0, 1_000_000.4

    def go_on(self, seconds: float, drift: float = 0.0) -> None:
        self.steady += seconds
        self.wall += seconds + drift

    def epochs(self) -> Epochs:
        return Epochs(lambda: self.steady, lambda: self.wall)


def test_a_moment_is_the_same_second_whenever_it_is_shown() -> None:
    clocks = Clocks()
    epochs, seen = clocks.epochs(), set()
    for _ in range(100):
        seen.add((epochs.of(150.09), epochs.of(150.11)))
        clocks.go_on(0.37, drift=0.001)
    assert seen == {(1_000_050, 1_000_051)}


def test_a_clock_that_was_set_moves_what_is_shown() -> None:
    clocks = Clocks()
    epochs = clocks.epochs()
    clocks.go_on(10, drift=3600)
    assert epochs.of(150.0) == 1_003_650


def test_now_is_reported_by_both_clocks() -> None:
    clocks = Clocks()
    epochs = clocks.epochs()
    clocks.go_on(0.25)
    now = epochs.now()
    assert (now.monotonic, round(now.wall.timestamp(), 3)) == (100.25, 1_000_000.65)
    assert (epochs.seconds_until(101.0), epochs.seconds_until(99.0)) == (0.75, 0.0)
