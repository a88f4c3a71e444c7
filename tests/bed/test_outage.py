"""The scripted upstream of an outage fails as set and for as long, answers afterwards, and records its requests."""

import threading
import time

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Response, request
from tests.bed.outage import OUTAGES, REFUSED, Outage, OutageUpstream, most_at_once
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import Hold, Received, agent, say
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply

SHORT = 0.3
STATUSES = {
    "503": (503, None),
    "529": (529, None),
    "429": (429, None),
    "429 with retry-after": (429, "2"),
    "error as JSON in a 200": (200, None),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("fault", OUTAGES)
def test_it_fails_while_the_outage_lasts_and_answers_then(
    fault: str, protocol: Protocol, stream: bool
) -> None:
    outage = Outage(60)
    with OutageUpstream(say("Back again")) as server:
        server.set_outage(fault, outage)
        if fault == REFUSED:
            outage.begin()
        failed = failure_of(server, protocol, stream, seconds=0.1 if fault == "hang" else 10)
        wait_until(lambda: fault == REFUSED or bool(server.failed), "the failed request")
        outage.end()
        answer = ask(server.url, protocol, stream=stream)

    assert fault not in STATUSES or failed == STATUSES[fault]
    assert text_of(protocol, answer) == "Back again"
    assert len(server.failed) == (0 if fault == REFUSED else 1)
    assert len(server.answered) == 1


@pytest.mark.parametrize("fault", ["503", REFUSED])
def test_it_answers_again_when_the_outage_is_over(fault: str) -> None:
    outage = Outage(SHORT)
    with OutageUpstream() as server:
        server.set_outage(fault, outage)
        outage.begin()
        failure_of(server, "messages", True)
        wait_until(lambda: answers(server), "an answer")
        assert not outage.is_on


def answers(server: OutageUpstream) -> bool:
    try:
        return ask(server.url, "messages").status == 200
    except OSError:
        return False


def failure_of(
    server: OutageUpstream, protocol: Protocol, stream: bool, seconds: float = PATIENCE_SECONDS
) -> object:
    """The status and the retry hint that a client gets, or why it gets none."""
    try:
        response = ask(server.url, protocol, stream=stream, seconds=seconds)
    except OSError as broken:
        return type(broken).__name__
    assert "Back again" not in response.text
    return response.status, response.header("retry-after")


NETWORK = {"reset": "ConnectionResetError", REFUSED: "ConnectionRefusedError", "hang": "TimeoutError"}


@pytest.mark.parametrize("fault", NETWORK)
def test_a_network_fault_does_what_its_name_says(fault: str) -> None:
    outage = Outage(60)
    with OutageUpstream() as server:
        server.set_outage(fault, outage)
        outage.begin()
        seconds = 0.2 if fault == "hang" else PATIENCE_SECONDS
        assert failure_of(server, "messages", True, seconds) == NETWORK[fault]


def test_two_upstreams_share_an_outage() -> None:
    outage = Outage(60)
    with OutageUpstream() as first, OutageUpstream() as second:
        for server in (first, second):
            server.set_outage("503", outage)
        assert [ask(server.url, "chat").status for server in (first, second)] == [503, 503]
        assert outage.is_on
        outage.end()
        assert [ask(server.url, "chat").status for server in (first, second)] == [200, 200]


def test_an_outage_may_concern_one_model() -> None:
    with OutageUpstream() as server:
        server.set_outage("529", Outage(60), model="large")
        assert [ask(server.url, "messages", model).status for model in ("large", "small")] == [529, 200]


@pytest.mark.parametrize("fault", ["503", REFUSED])
def test_an_outage_may_begin_after_some_good_answers(fault: str) -> None:
    outage = Outage(60, answers_before=2)
    with OutageUpstream() as server:
        server.set_outage(fault, outage)
        assert [ask(server.url, "responses").status for _ in range(2)] == [200, 200]
        wait_until(lambda: outage.is_on, "the beginning of the outage")
        assert failure_of(server, "responses", True) in ((503, None), "ConnectionRefusedError")


def test_an_outage_of_no_length_is_none() -> None:
    for fault in OUTAGES:
        with OutageUpstream() as server:
            server.set_outage(fault, Outage(0))
            assert ask(server.url, "messages").status == 200


def test_it_records_each_request_and_its_end() -> None:
    with OutageUpstream() as server:
        server.set_outage("hang", Outage(60), model="hangs")
        for text in ("the same", "the same", "another"):
            ask(server.url, "messages", text=text)
        with pytest.raises(OSError):
            ask(server.url, "messages", "hangs", seconds=0.1)
        wait_until(lambda: any(one.gone_at for one in server.failed), "the end of the connection")

    first, second, third = server.answered
    assert first.fingerprint == second.fingerprint != third.fingerprint
    assert first.ended_at is not None and first.at <= first.ended_at <= second.at
    hung = server.failed[0]
    assert hung.ended_at == hung.gone_at and hung.gone_at is not None and hung.gone_at > hung.at


def test_it_counts_the_requests_under_way_at_the_same_time() -> None:
    all_came = threading.Event()
    with OutageUpstream() as server:
        server.set_outage("503", Outage(60), before=lambda request: [Hold(all_came)])
        workers = [threading.Thread(target=ask, args=(server.url, "messages")) for _ in range(3)]
        for worker in workers:
            worker.start()
        wait_until(lambda: len(server.failed) == 3, "all of them")
        all_came.set()
        for worker in workers:
            worker.join()
        parted, overlapping = time.monotonic(), len(server.overlapping)
        for _ in range(2):
            ask(server.url, "messages")

    assert most_at_once(server.requests) == 3
    assert len(server.overlapping) == overlapping >= 2
    assert most_at_once(server.requests, since=parted) == 1
    assert most_at_once([], since=parted) == 0


def test_a_request_that_began_before_the_window_counts_in_it() -> None:
    def span(at: float, ended_at: float | None) -> Received:
        return Received("POST", "/", [], b"", at, ended_at=ended_at)

    spans = [span(0, 5), span(3, 4), span(6, None)]
    assert most_at_once(spans, until=8) == 2
    assert most_at_once(spans, since=4, until=8) == 1
    assert most_at_once(spans, since=5, until=6) == 0


def test_a_conversation_with_a_tool_goes_on_after_the_outage() -> None:
    turns = agent(Reply(calls=(Call("look", {}),)), Reply("Seen"))
    tool = {"name": "look", "input_schema": {"type": "object"}}
    asked = {"role": "user", "content": "Look"}
    called = {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "look", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]}
    with OutageUpstream(turns) as server:
        outage = Outage(60, answers_before=1)
        server.set_outage("503", outage)
        first = post(server, [asked], tool)
        wait_until(lambda: outage.is_on, "the beginning of the outage")
        failed = post(server, [asked, called, result], tool)
        outage.end()
        second = post(server, [asked, called, result], tool)

    assert first.json["content"][0]["name"] == "look"
    assert failed.status == 503
    assert second.json["content"][0]["text"] == "Seen"


def post(server: OutageUpstream, messages: list[object], tool: object) -> Response:
    body = {"model": "m", "max_tokens": 100, "messages": messages, "tools": [tool]}
    return request(server.url, "POST", "/v1/messages", body)
