"""Any failure before content is answered by the next upstream in the same request; a later break is reported."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.bed.asking import ask, end_reported, error_of, text_of
from tests.bed.daemon import Daemon, Document, Response, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import (
    CLIENT_STATUSES,
    FAULTS,
    SILENT_FAULTS,
    Answer,
    Close,
    Received,
    Script,
    ScriptedUpstream,
    Send,
    Wait,
    chunk,
    closed_url,
    cut_after_content,
    fixed,
    say,
    status,
    whole,
)
from tests.bed.wire import PROTOCOLS, Protocol, error_body, error_records

UNREACHABLE = ("refused", "TLS to a plain port")
NAMES = (*FAULTS, *UNREACHABLE)
IMPATIENT = {"connect": 1, "first_byte": 0.3, "idle": 0.3}
"""only for upstreams that stay silent; on a busy machine any other one could miss these"""
PATIENT, HURRIED = "m", "hurried"
PLACE_TIMEOUTS: dict[str, Document] = {PATIENT: {}, HURRIED: {"first_byte": 2, "idle": 2}}
"""by the beginning of a model's name"""
NO_HANDSHAKE = {"connect": 1}
"""for TLS to a plain port: a server that finds no line in the first bytes waits for more"""
TIMEOUTS = {"TLS to a plain port": NO_HANDSHAKE, **dict.fromkeys(SILENT_FAULTS, IMPATIENT)}


@dataclass(frozen=True)
class Case:
    fault: str
    client: Protocol
    spoken: Protocol
    stream: bool

    @property
    def model(self) -> str:
        """Each case has its own model, which only its faulty upstream and the good one serve."""
        how = "stream" if self.stream else "whole"
        return f"{self.fault} {self.client} {self.spoken} {how}".replace(" ", "-").replace(",", "")

    def __str__(self) -> str:
        return self.model


def next_of(protocol: Protocol) -> Protocol:
    return PROTOCOLS[(PROTOCOLS.index(protocol) + 1) % len(PROTOCOLS)]


CASES = [
    Case(fault, client, spoken, stream)
    for fault in NAMES
    for client in PROTOCOLS
    for spoken in (client, next_of(client))
    for stream in (True, False)
]


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    faulty: ScriptedUpstream
    good: ScriptedUpstream

    def asked(self, server: ScriptedUpstream, model: str) -> list[Received]:
        return [request for request in server.requests if request.json["model"] == model]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    def fail(request: Received) -> Script:
        return FAULTS[NAMES[int(request.path.split("/")[1])]](request)

    with ScriptedUpstream(fail) as faulty, ScriptedUpstream(say("The good one answers")) as good:
        urls = {"refused": closed_url(), "TLS to a plain port": good.url.replace("http:", "https:")}
        entries = [
            upstream(
                str(case),
                urls.get(case.fault, f"{faulty.url}/{NAMES.index(case.fault)}"),
                case.spoken,
                models=[case.model],
                timeouts=TIMEOUTS.get(case.fault, {}),
            )
            for case in CASES
        ]
        backups = [
            upstream(f"good {protocol}", good.url, protocol, clients=[protocol], role="backup")
            for protocol in PROTOCOLS
        ]
        folder = tmp_path_factory.mktemp("faults")
        with Daemon(folder, settings(*entries, *backups)) as daemon:
            yield Bed(daemon, faulty, good)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_next_upstream_answers_within_the_same_request(bed: Bed, case: Case) -> None:
    response = ask(bed.daemon.url, case.client, case.model, stream=case.stream)

    assert (response.status, text_of(case.client, response)) == (200, "The good one answers"), response.body
    assert len(bed.asked(bed.good, case.model)) == 1
    if case.fault in UNREACHABLE:
        return
    wait_until(lambda: len(bed.asked(bed.faulty, case.model)) > 0, "the request")
    # a kept connection that closes without data may have been stale: the request is then sent once more on a new one
    assert len(bed.asked(bed.faulty, case.model)) in (1, 2)


def test_every_failed_attempt_is_in_the_journal_with_its_reason(bed: Bed) -> None:
    lines = [line for line in bed.daemon.journal() if len(line["attempts"]) > 1]
    if not lines:
        ask(bed.daemon.url, CASES[0].client, CASES[0].model)
        lines = bed.daemon.journal()
    for line in lines:
        failed, answered = line["attempts"]
        assert failed["upstream"] == line["model"]
        assert failed["failed"] and failed["message"]
        assert answered["upstream"].startswith("good ") and "failed" not in answered
        assert line["outcome"] == "ok"


# --- the client's own mistakes -------------------------------------------------

PLACES = 60


@dataclass(frozen=True)
class Pair:
    """A first upstream to be scripted and a good second one. Each test requests its own model, which has a
    separate entry, so that no cooldown is left by an earlier test."""

    daemon: Daemon
    first: ScriptedUpstream
    second: ScriptedUpstream
    numbers: Iterator[int]

    def ask(self, protocol: Protocol, stream: bool = True, kind: str = PATIENT) -> Response:
        return ask(self.daemon.url, protocol, f"{kind}-{protocol}-{next(self.numbers)}", stream=stream)

    def asked(self) -> tuple[int, int]:
        return len(self.first.requests), len(self.second.requests)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ScriptedUpstream() as first, ScriptedUpstream() as second:
        primaries = [
            upstream(
                f"first {protocol} {kind} {n}",
                first.url,
                protocol,
                models=[f"{kind}-{protocol}-{n}"],
                timeouts=timeouts,
            )
            for kind, timeouts in PLACE_TIMEOUTS.items()
            for protocol in PROTOCOLS
            for n in range(PLACES)
        ]
        backups = [
            upstream(f"second {protocol}", second.url, protocol, clients=[protocol], role="backup")
            for protocol in PROTOCOLS
        ]
        document = settings(*primaries, *backups, failover={"error_threshold": 1000})
        with Daemon(tmp_path_factory.mktemp("pair"), document) as daemon:
            yield Pair(daemon, first, second, iter(range(PLACES)))


@pytest.fixture
def pair(pairs: Pair) -> Pair:
    pairs.first.script(say("The first one answers"))
    pairs.second.script(say("The good one answers"))
    return pairs


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", CLIENT_STATUSES)
def test_a_mistake_of_the_client_is_reported_by_the_first_upstream_unchanged(
    pair: Pair, code: int, protocol: Protocol, stream: bool
) -> None:
    reported = error_body(protocol, "temperature: expected at most 1", "invalid_request_error")
    pair.first.script(fixed(whole(code, reported)))

    response = pair.ask(protocol, stream)

    assert (response.status, response.json) == (code, json.loads(reported))
    assert pair.asked() == (1, 0)


# --- breaks after content ------------------------------------------------------


def reported_in_the_stream(request: Received) -> Script:
    error = b"".join(error_records(request.protocol, "Overloaded"))
    return cut_after_content([Send(chunk(error) + b"0\r\n\r\n")])(request)


SILENCE = "silence"
BREAKS: dict[str, Answer] = {
    "closed": cut_after_content(),
    "reset": cut_after_content([Wait(0.05), Close(reset=True)]),
    SILENCE: cut_after_content([Wait()]),
    "a proper end": cut_after_content([Send(b"0\r\n\r\n")]),
    "an error event": reported_in_the_stream,
}


def kind_for(name: str) -> str:
    """Only silence is to meet a time limit: on a busy machine any other answer could miss it."""
    return HURRIED if name == SILENCE else PATIENT


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", BREAKS)
def test_a_break_after_content_is_reported_once_and_in_the_clients_protocol(
    pair: Pair, name: str, protocol: Protocol
) -> None:
    pair.first.script(BREAKS[name])

    response = pair.ask(protocol, kind=kind_for(name))

    assert response.status == 200
    assert text_of(protocol, response).startswith("The beg")
    ends = [end for end in (end_reported(record) for record in response.records) if end]
    assert (ends, end_reported(response.records[-1])) == (["failed"], "failed")
    assert "[DONE]" not in response.text
    assert pair.asked() == (1, 0)
    line = pair.daemon.journal()[-1]
    assert (line["outcome"], line["usage"]["estimated"]) == ("truncated", True)
    # the counts from the start of the stream are exact, later ones are not
    assert line["usage"]["input"] == 11 if protocol == "messages" else line["usage"]["input"] > 0
    assert line["usage"]["output"] > 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", BREAKS)
def test_a_break_of_a_whole_answer_is_no_break_for_the_client(
    pair: Pair, name: str, protocol: Protocol
) -> None:
    pair.first.script(BREAKS[name])

    response = pair.ask(protocol, stream=False, kind=kind_for(name))

    assert (response.status, text_of(protocol, response)) == (200, "The good one answers")
    assert pair.asked() == (1, 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upstream_that_broke_cools_down_when_the_client_asks_again(pair: Pair, protocol: Protocol) -> None:
    pair.first.script(BREAKS["closed"])
    model = f"{PATIENT}-{protocol}-{next(pair.numbers)}"
    ask(pair.daemon.url, protocol, model)

    response = ask(pair.daemon.url, protocol, model, stream=False)

    assert text_of(protocol, response) == "The good one answers"
    assert pair.asked() == (1, 1)


# --- nothing left --------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_when_nothing_is_left_the_client_gets_the_most_descriptive_error_in_its_own_envelope(
    pair: Pair, protocol: Protocol, stream: bool
) -> None:
    pair.first.script(status(403, "this key may not use the model"))
    pair.second.script(status(500, "something broke"))

    response = pair.ask(protocol, stream)

    assert response.status == 403, response.text
    message = error_of(protocol, response)["message"]
    assert "this key may not use the model" in message and f"first {protocol}" in message, message
    assert response.header("x-should-retry") is None
    assert pair.asked() == (1, 1)


def test_a_hanging_upstream_is_left_when_its_time_is_up(pair: Pair) -> None:
    pair.first.script(FAULTS["silence before headers"])

    pair.ask("messages", kind=HURRIED)

    hung = pair.first.wait_for()[0]
    wait_until(lambda: hung.gone_at is not None, "the end of the hanging attempt")
