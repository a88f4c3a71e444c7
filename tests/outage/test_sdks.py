"""The official SDKs, without their own retries, through outages: no turn ends, and none is sent too often."""

import pytest

from tests.outage.cases import LONG, SDKS, Case, Result, cases_of, judge

pytestmark = pytest.mark.timeout(400)

AT_A_TIME = 56
LONG_ONES = {
    "anthropic SDK stream": ("529", 2),
    "anthropic SDK whole": ("503", 1),
    "openai SDK chat stream": ("429 with retry-after", 1),
    "openai SDK chat whole": ("refused", 2),
    "openai SDK responses stream": ("hang", 1),
    "openai SDK responses whole": ("reset", 1),
}
CASES = [*(Case(client, *LONG_ONES[client.name], LONG) for client in SDKS), *cases_of(SDKS)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_sdk_gets_its_answer_though_all_upstreams_fail_for_a_while(
    results: dict[str, Result], case: Case
) -> None:
    judge(results[case.name])
