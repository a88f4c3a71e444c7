"""Every client that `setup` knows and that runs without a terminal: set-up, a turn with a tool call, undoing."""

from pathlib import Path

import pytest

from switchyard.client_plans import TITLES
from switchyard.doctor.clients import MEASURED
from tests.bed.client_turns import CLIENTS, WITHOUT_A_TEST, measure, pinned, title_of
from tests.bed.clients import ROOT
from tests.bed.wire import PROTOCOLS, Protocol


@pytest.mark.real_clients
@pytest.mark.parametrize(
    ("client", "protocol"), [(name, protocol) for name in CLIENTS for protocol in CLIENTS[name].checked_over]
)
def test_a_client_works_after_setup_and_its_file_is_as_before_after_undo(
    tmp_path: Path, client: str, protocol: Protocol
) -> None:
    measured = measure(client, protocol, tmp_path)
    assert measured.is_complete, measured


def test_every_client_is_run_or_the_reason_is_stated() -> None:
    assert {*CLIENTS, *WITHOUT_A_TEST} == {*TITLES}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_versions_that_are_run_are_those_of_the_doctor_and_of_the_page(client: str) -> None:
    assert pinned(client) in MEASURED[client]
    rows = [
        line for line in (ROOT / "docs" / "clients.md").read_text().splitlines() if pinned(client) in line
    ]
    assert [row.split(" | ")[0] for row in rows] == [f"| {title_of(client)}"] * len(PROTOCOLS)
    call = "yes" if CLIENTS[client].tool else "yes, an edit by text"
    assert all(row.endswith(f"| yes | yes | {call} | yes |") for row in rows)
