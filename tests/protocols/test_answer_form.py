"""The protocol of an answer is recognized from its beginning alone."""

import json

import pytest

from switchyard.protocols.answer_form import LONGEST_OPENING, FormFinder, form_of_whole
from tests.bed import wire
from tests.bed.wire import PROTOCOLS, Protocol

PAIRS = [(expected, form) for expected in PROTOCOLS for form in PROTOCOLS]


@pytest.mark.parametrize("octets", [1, 7, 10_000])
@pytest.mark.parametrize(("expected", "form"), PAIRS)
def test_the_first_record_decides_in_pieces_of_any_size(
    expected: Protocol, form: Protocol, octets: int
) -> None:
    sent = b"".join(wire.records(form, wire.Reply("message_start response. choices"), "m"))
    finder = FormFinder(expected)
    found = (finder.feed(sent[start : start + octets]) for start in range(0, len(sent), octets))
    assert next(filter(None, found)) == form


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_error_is_left_to_the_expected_protocol(protocol: Protocol) -> None:
    for record in (
        b'event: error\ndata: {"error":{"message":"no"}}\n\n',
        b"data: [DONE]\n\n",
        b"data: x\n\n",
    ):
        assert FormFinder(protocol).feed(record) == protocol


def test_endless_comments_show_no_other_form() -> None:
    finder, size = FormFinder("chat"), 0
    while (found := finder.feed(b": PROCESSING\n\n")) is None:
        size += 14
    assert found == "chat" and size <= LONGEST_OPENING


@pytest.mark.parametrize("form", PROTOCOLS)
def test_a_whole_answer_is_recognized_by_its_content(form: Protocol) -> None:
    assert form_of_whole(wire.body(form, wire.Reply("choices"), "m")) == form


@pytest.mark.parametrize("body", [{"error": {"message": "no"}}, {"choices": None}, {"content": "text"}, []])
def test_what_has_no_content_has_no_form(body: object) -> None:
    assert form_of_whole(json.dumps(body).encode()) is None
