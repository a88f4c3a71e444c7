"""The real Claude Code and Codex, with a tool call, through outages: no turn ends, and none is sent too often."""

import pytest

from tests.outage.cases import CLAUDE, CODEX, LONG, REAL_CLIENTS, Case, Result, cases_of, judge

pytestmark = [pytest.mark.real_clients, pytest.mark.timeout(900)]

AT_A_TIME = 5
CASES = [Case(CLAUDE, "503", 1, LONG), Case(CODEX, "529", 2, LONG), *cases_of(REAL_CLIENTS)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_real_client_finishes_its_turn_though_all_upstreams_fail_for_a_while(
    results: dict[str, Result], case: Case
) -> None:
    judge(results[case.name])
