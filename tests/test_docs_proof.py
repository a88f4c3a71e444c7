"""The sentences of the page on security, each with the tests that prove it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = re.sub(r"\s+", " ", (ROOT / "docs" / "security.md").read_text())
PARAGRAPHS = {
    "Against web pages in your browser.": " **Against upstreams.**",
    "Against broken or malicious clients.": " **Stored keys.**",
    "Beyond this machine.": " ## What is not protected",
}
"""the paragraphs whose sentences are all proven: bold beginning -> what follows the paragraph"""

GUARD, ATTACKS = "tests/daemon/test_guard.py", "tests/web/test_guard_attacks.py"
CONNECTIONS, CLIENTS = "tests/test_connections.py", "tests/daemon/test_hostile_client.py"

PROOF = {
    "Any page can try to call": (f"{GUARD}::test_a_foreign_page_is_refused_on_every_route",),
    "On every path": (
        f"{GUARD}::test_a_foreign_host_name_is_refused_on_every_route",
        f"{GUARD}::test_our_own_names_are_served",
        f"{ATTACKS}::test_a_name_that_is_not_exactly_allowed_is_refused",
        f"{ATTACKS}::test_a_page_of_another_origin_is_refused",
        f"{GUARD}::test_a_cross_site_call_is_refused_on_every_route",
    ),
    "Only a link to the dashboard": (f"{ATTACKS}::test_a_link_to_the_dashboard_works_and_nothing_else_does",),
    "There is no CORS": (
        f"{GUARD}::test_nothing_is_opened_to_other_origins",
        f"{ATTACKS}::test_no_answer_invites_other_origins",
    ),
    "Writes of the dashboard need": (f"{GUARD}::test_a_form_cannot_write",),
    "Other sites cannot embed": (f"{GUARD}::test_every_answer_carries_the_security_headers",),
    "Request bodies may have up to": (
        f"{CLIENTS}::test_a_bomb_is_refused_with_413_and_bounded_memory",
        f"{CONNECTIONS}::test_large_headers_are_refused_with_a_status",
    ),
    "A client has 30 seconds": (
        f"{CONNECTIONS}::test_a_client_that_does_not_send_its_request_is_disconnected",
        f"{CONNECTIONS}::test_a_body_that_never_ends_is_not_waited_for",
    ),
    "Slow readers are disconnected": (
        f"{CONNECTIONS}::test_a_client_that_does_not_read_is_disconnected",
        f"{CONNECTIONS}::test_a_slow_reader_gets_all_of_its_answer",
    ),
    "At 2,500 connections": (
        f"{CONNECTIONS}::test_when_too_many_connect_the_longest_idle_are_closed_and_busy_ones_stay",
        f"{CLIENTS}::test_thousands_of_idle_connections_keep_no_client_out",
    ),
    "JSON that is broken": (
        f"{CLIENTS}::test_odd_bodies_are_refused_or_served_and_never_an_internal_error",
        f"{CLIENTS}::test_a_pile_of_brackets_is_refused_with_bounded_memory",
    ),
    "A decompression bomb": (f"{CLIENTS}::test_a_bomb_is_refused_with_413_and_bounded_memory",),
    "Ambiguous requests": (
        f"{GUARD}::test_odd_requests_are_refused_or_answered_once",
        f"{ATTACKS}::test_no_host_and_several_hosts_are_refused",
        f"{CONNECTIONS}::test_a_body_whose_end_no_framing_states_is_rejected_at_once",
    ),
    "A request for another protocol": (
        f"{CONNECTIONS}::test_an_upgrade_without_a_body_is_ignored",
        f"{CONNECTIONS}::test_the_body_of_a_request_with_an_upgrade_is_its_body",
        "tests/daemon/test_endpoints.py::test_an_upgrade_is_declined_with_426",
    ),
    "By default, only this machine": (
        f"{GUARD}::test_beyond_loopback_it_refuses_to_start_without_client_keys",
    ),
    "With any other `--host`": (
        f"{GUARD}::test_beyond_loopback_it_refuses_to_start_without_client_keys",
        f"{GUARD}::test_beyond_loopback_the_dashboard_needs_the_admin_token",
        f"{ATTACKS}::test_without_the_token_the_dashboard_is_closed",
    ),
    "If you remove the last client key": (
        f"{ATTACKS}::test_when_the_last_client_key_is_taken_out_the_endpoints_close_to_the_network",
    ),
    "The answer to a wrong key": (f"{CLIENTS}::test_wrong_client_keys_cost_time_and_right_ones_do_not",),
}
"""the beginning of a sentence -> its tests"""


def sentences(begin: str) -> list[str]:
    paragraph = PAGE.split(f"**{begin}** ")[1].split(PARAGRAPHS[begin])[0]
    return re.split(r"(?<=[.)]) (?=[A-Z])", paragraph)


@pytest.mark.parametrize("begin", PARAGRAPHS)
def test_each_sentence_names_its_tests(begin: str) -> None:
    assert [one for one in sentences(begin) if not one.startswith(tuple(PROOF))] == []


def test_nothing_is_proven_that_the_page_does_not_say() -> None:
    said = [one for begin in PARAGRAPHS for one in sentences(begin)]
    assert [begin for begin in PROOF if not any(one.startswith(begin) for one in said)] == []


@pytest.mark.parametrize("named", sorted({test for tests in PROOF.values() for test in tests}))
def test_each_named_test_exists(named: str) -> None:
    path, _, name = named.partition("::")
    assert f"def {name}(" in (ROOT / path).read_text()
