"""Run all cases of a file in parallel, since nearly all of their time is waiting; each has its own test.

A file names its cases `CASES` and how many may run at a time `AT_A_TIME`; its tests take `case` and `results`.
"""

import pytest

from tests.outage.cases import Case, Result, run_through_switchyard


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("outages")
    return run_through_switchyard(_selected(request), folder, request.module.AT_A_TIME)


def _selected(request: pytest.FixtureRequest) -> list[Case]:
    """The cases whose tests are selected in this run."""
    chosen = {
        item.callspec.id
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    }
    cases: list[Case] = request.module.CASES
    return [case for case in cases if case.name in chosen]
