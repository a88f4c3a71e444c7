"""The length of a cooldown against a small model, written from docs/failures.md."""

from hypothesis import given
from hypothesis import strategies as st

from switchyard.routing.health import Charge, cooldown_length
from switchyard.settings import Failover
from tests.bed.examples import modelled

DAYS = 86400
RULES = st.builds(
    Failover,
    cooldown_start_seconds=st.integers(1, 100),
    cooldown_seconds=st.integers(100, 1000),
    max_cooldown_seconds=st.integers(1, 3000),
)


def expected(number: int, rules: Failover, hint: float | None, is_reset: bool) -> float:
    """Doubled from the start to the full length; a requested time replaces that, up to the longest one allowed."""
    if hint is not None:
        longest = 7 * DAYS if is_reset else max(rules.max_cooldown_seconds, rules.cooldown_seconds)
        return min(max(hint, 1), longest)
    length = rules.cooldown_start_seconds
    for _ in range(number - 1):
        length = min(2 * length, rules.cooldown_seconds)
    return length


@given(st.integers(1, 60), RULES, st.none() | st.floats(0, 30 * DAYS), st.booleans())
@modelled
def test_a_cooldown_is_as_long_as_the_page_on_failures_says(
    number: int, rules: Failover, hint: float | None, is_reset: bool
) -> None:
    charge = Charge("cooldown", retry_after=hint, is_reset=is_reset)

    assert cooldown_length(number, charge, rules) == expected(number, rules, hint, is_reset)
