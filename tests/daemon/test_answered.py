"""What an upstream states and delivers is kept with each exchange, whatever the two protocols are."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bed.asking import PATHS, ask, question
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, answer, stream, whole
from tests.bed.wire import PROTOCOLS, Protocol, Reply, Usage, records

USAGE = Usage(fresh=6000, cache_read=3000, cache_write=1000, output=70)
REPLY = Reply("Done.", usage=USAGE, model="another-model", fingerprint="fp_44")
PAIRS = [(client, side) for client in PROTOCOLS for side in PROTOCOLS]


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as server:
        entries = [
            upstream(side, server.url, side, models={f"for-{side}": "sent-model"}) for side in PROTOCOLS
        ]
        apart = {"usage_excludes_cache": True}
        entries.append(upstream("apart", server.url, "chat", models=["apart"], capabilities=apart))
        with Daemon(tmp_path_factory.mktemp("answered"), settings(*entries)) as daemon:
            yield Bed(daemon, server)


def answered(daemon: Daemon) -> dict[str, Any]:
    """As the last line of the journal has it, which is what the API shows."""
    line = daemon.journal()[-1]
    shown = daemon.get(f"/api/requests/{line['id']}").json["answered"]
    assert {name: shown[name] for name in ("model", "fingerprint", "input_reported")} == {
        name: line["answered"].get(name, "") for name in ("model", "fingerprint", "input_reported")
    }
    return dict(line["answered"])


@pytest.mark.parametrize("wants_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("client", "side"), PAIRS, ids=lambda name: name)
def test_what_the_answer_states_is_kept_for_every_pair_of_protocols(
    bed: Bed, client: Protocol, side: Protocol, wants_stream: bool
) -> None:
    bed.server.script(answer(REPLY))

    response = ask(bed.daemon.url, client, f"for-{side}", "A question of a few words.", stream=wants_stream)

    assert response.status == 200 and "another-model" not in response.text
    found = answered(bed.daemon)
    assert found["model"] == "another-model"
    assert found.get("fingerprint", "") == ("fp_44" if side == "chat" else "")
    assert (found["input_reported"], found["cache_share"]) == (10_000, 0.3)
    assert 3 < found["input_estimated"] < 100
    assert found["tokens_per_second"] > 0
    assert ("first_token" in found) is wants_stream


@pytest.mark.parametrize(("client", "side"), [("chat", "messages"), ("responses", "responses")])
def test_a_stream_for_a_client_that_wants_one_body_states_as_much(
    bed: Bed, client: Protocol, side: Protocol
) -> None:
    bed.server.script(lambda received: stream(records(side, REPLY)))

    ask(bed.daemon.url, client, f"for-{side}", stream=False)

    found = answered(bed.daemon)
    assert (found["model"], found["input_reported"]) == ("another-model", 10_000)
    assert "first_token" not in found


def test_an_answer_that_states_nothing_has_only_switchyards_own_numbers(bed: Bed) -> None:
    def bare(received: Received) -> Script:
        body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
        return answer(Reply())(received) if received.wants_stream else whole(200, json.dumps(body).encode())

    bed.server.script(bare)
    ask(bed.daemon.url, "chat", "for-chat", stream=False)

    line = bed.daemon.journal()[-1]["answered"]
    assert set(line) == {"input_estimated"}


@pytest.mark.parametrize("client", ["messages", "responses"])
def test_a_converted_answer_reports_the_same_tokens_as_its_usage(bed: Bed, client: Protocol) -> None:
    usage = {"prompt_tokens": 6000, "completion_tokens": 70, "prompt_tokens_details": {"cached_tokens": 3000}}
    message = {"role": "assistant", "content": "Hi"}
    body = {"model": "m", "choices": [{"index": 0, "message": message}], "usage": usage}
    bed.server.script(lambda received: whole(200, json.dumps(body).encode()))

    ask(bed.daemon.url, client, "apart", stream=False)

    line = bed.daemon.journal()[-1]
    assert (line["usage"]["input"], line["usage"]["cache_read"]) == (6000, 3000)
    assert (line["answered"]["input_reported"], line["answered"]["cache_share"]) == (9000, 0.3333)


# --- the prefix -------------------------------------------------------------------


def conversation(number: int, system: str, turns: int) -> dict[str, Any]:
    history = [
        {"role": "assistant" if turn % 2 else "user", "content": f"Turn {turn}. " + "word " * 600}
        for turn in range(turns)
    ]
    body = question("messages", "for-messages")
    session = json.dumps({"session_id": f"conversation-{number}"})
    return body | {"system": system, "messages": history, "metadata": {"user_id": session}}


def tell(bed: Bed, body: dict[str, Any]) -> dict[str, Any]:
    bed.server.script(answer(REPLY))
    assert request(bed.daemon.url, "POST", PATHS["messages"], body).status == 200
    return answered(bed.daemon)


def test_the_unchanged_part_of_a_conversation_is_expected_from_the_cache(bed: Bed) -> None:
    system = "You are a helpful program. " * 100

    first = tell(bed, conversation(1, system, 3))
    second = tell(bed, conversation(1, system, 5))

    assert "cache_expected" not in first and "input_before" not in first
    assert (second["input_before"], second["cache_expected"]) == (10_000, 10_000)
    assert "changed_at" not in second
    words, numbers, signs, wide = second["added_estimated"]
    assert 1000 < words < 2000 and 0 < numbers < 20 and 0 < signs < 200 and wide == 0


def test_the_place_where_the_client_changed_the_prefix_is_kept(bed: Bed) -> None:
    system = "You are a helpful program. " * 100

    tell(bed, conversation(2, system, 3))
    second = tell(bed, conversation(2, system[:2500] + "x" + system[2500:], 5))

    assert (second["changed_in"], second["changed_at"]) == ("system", 2048)
    assert 0 < second["cache_expected"] < 3000


def test_another_conversation_has_no_prefix_to_expect(bed: Bed) -> None:
    system = "You are a helpful program. " * 100

    tell(bed, conversation(3, system, 3))

    assert "cache_expected" not in tell(bed, conversation(4, system, 3))
