"""`/v1/embeddings` and `/v1/completions`, with OpenAI's SDK: passed to Chat upstreams and never converted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.bed.asking import PATHS, question
from tests.bed.daemon import Daemon, Document, request, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, fixed, say, status, stream, whole

NUMBERS = [0.25, -0.5]
BASES = ("/v1", "/api/v1", "/openai/v1", "/openai")
LACKING = fixed(whole(404, b"404 page not found", content_type="text/plain"))


def embeddings(received: Received) -> Script:
    inputs = received.json["input"]
    count = len(inputs) if isinstance(inputs, list) else 1
    data = [{"object": "embedding", "index": place, "embedding": NUMBERS} for place in range(count)]
    usage = {"prompt_tokens": 8 * count, "total_tokens": 8 * count}
    return _json({"object": "list", "data": data, "model": "own-embed-v2", "usage": usage})


def completion(received: Received) -> Script:
    def chunk(text: str, reason: str | None, **more: Any) -> Document:
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
        return {"id": "cmpl-1", "object": "text_completion", "model": "own-v1", "choices": [choice], **more}

    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    if not received.wants_stream:
        return _json(chunk(" a + b", "stop", usage=usage))
    chunks = [chunk(" a", None), chunk(" + b", None), chunk("", "stop", usage=usage)]
    records = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks]
    return stream([*records, b"data: [DONE]\n\n"])


def _json(document: Document) -> Script:
    return whole(200, json.dumps(document).encode())


@dataclass
class Bed:
    daemon: Daemon
    talks: ScriptedUpstream
    """speaks Messages"""
    first: ScriptedUpstream
    second: ScriptedUpstream

    def sdk(self, base: str = "/v1", key: str = "123") -> openai.OpenAI:
        return openai.OpenAI(base_url=self.daemon.url + base, api_key=key, max_retries=0)

    def last(self) -> Document:
        """The newest request with its details."""
        row = self.daemon.get("/api/requests").json["requests"][0]
        details = self.daemon.get(f"/api/requests/{row['id']}").json
        return {**row, "attempts": details["attempts"]}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as talks, ScriptedUpstream() as first, ScriptedUpstream() as second:
        served = {"embed": "own-embed", "coder": "own-coder"}
        entries = [
            upstream("first", f"{first.url}/v1", "chat", models=served, body={"set": {"user": "me"}}),
            upstream("talks", talks.url, "messages", models={"*": "*"}),
            upstream("second", second.url, "chat", models=served, role="backup"),
        ]
        document = settings(*entries, client_keys={"123": "editor"})
        with Daemon(tmp_path_factory.mktemp("passed"), document) as daemon:
            yield Bed(daemon, talks, first, second)


@pytest.mark.parametrize("base", BASES)
def test_embeddings_are_passed_with_the_model_renamed_both_ways(bed: Bed, base: str) -> None:
    bed.talks.script(say("never"))
    bed.first.script(embeddings)
    bed.daemon.post("/api/capture", {"mode": "next"})
    with bed.sdk(base) as sdk:
        found = sdk.embeddings.create(model="embed", input=["one", "two"], encoding_format="float")

    assert (found.model, [one.embedding for one in found.data]) == ("embed", [NUMBERS] * 2)
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (16, 16)
    (received,) = bed.first.requests
    assert (received.path, received.header("authorization")) == ("/v1/embeddings", "Bearer sk-of-first")
    own = {"model": "own-embed", "user": "me"}
    assert received.json == {**own, "input": ["one", "two"], "encoding_format": "float"}
    assert bed.talks.requests == []
    usage = bed.last()["usage"]
    assert (usage["input"], usage["output"], usage["estimated"]) == (16, 0, False)
    captured = bed.daemon.get(f"/api/requests/{bed.last()['id']}/capture").json
    assert '"own-embed"' in captured["curl"] and "/v1/embeddings" in captured["curl"]
    assert (captured["answer"]["parts"], captured["answer"]["error"]) == ([], "")


@pytest.mark.parametrize("base", BASES)
def test_completions_are_passed_as_one_body(bed: Bed, base: str) -> None:
    bed.first.script(completion)
    with bed.sdk(base) as sdk:
        found = sdk.completions.create(model="coder", prompt="def add(a, b):\n    return", suffix="\n")

    assert (found.model, found.choices[0].text, found.choices[0].finish_reason) == ("coder", " a + b", "stop")
    (received,) = bed.first.requests
    assert received.path == "/v1/completions"
    own = {"model": "own-coder", "user": "me"}
    assert received.json == {**own, "prompt": "def add(a, b):\n    return", "suffix": "\n"}
    usage = bed.last()["usage"]
    assert (usage["input"], usage["output"], usage["estimated"]) == (12, 3, False)


def test_completions_are_streamed(bed: Bed) -> None:
    bed.first.script(completion)
    with bed.sdk() as sdk:
        options: Any = {"include_usage": True}
        chunks = list(sdk.completions.create(model="coder", prompt="x", stream=True, stream_options=options))

    assert "".join(one.choices[0].text for one in chunks) == " a + b"
    assert {one.model for one in chunks} == {"coder"}
    assert bed.first.requests[0].json == {
        "model": "own-coder",
        "user": "me",
        "prompt": "x",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    last = bed.last()
    assert (last["outcome"], last["usage"]["input"], last["usage"]["output"]) == ("ok", 12, 3)
    assert last["attempts"][0]["url"].endswith("/v1/completions")


@pytest.mark.parametrize("code", [500, 401])
def test_the_next_upstream_answers_when_the_first_fails(bed: Bed, code: int) -> None:
    bed.first.script(status(code))
    bed.second.script(embeddings)
    with bed.sdk() as sdk:
        assert sdk.embeddings.create(model="embed", input="x", encoding_format="float").model == "embed"
    assert [one["upstream"] for one in bed.last()["attempts"]] == ["first", "second"]
    assert bed.second.requests[0].path == "/v1/embeddings"
    bed.daemon.post("/api/upstreams/clear", {})


@pytest.mark.parametrize("lacking", [LACKING, status(501, "start it with --embeddings")])
def test_an_upstream_without_the_endpoint_still_answers_conversations(bed: Bed, lacking: Any) -> None:
    bed.first.script(lacking)
    bed.second.script(embeddings)
    with bed.sdk() as sdk:
        for _ in range(4):
            sdk.embeddings.create(model="embed", input="x", encoding_format="float")
        bed.first.script(say("still here"))
        said = sdk.chat.completions.create(model="embed", messages=[{"role": "user", "content": "x"}])
    assert said.choices[0].message.content == "still here"


def test_the_error_is_in_the_form_of_openai_and_names_every_upstream(bed: Bed) -> None:
    bed.first.script(LACKING)
    bed.second.script(status(501, "start it with --embeddings"))
    with bed.sdk() as sdk, pytest.raises(openai.APIStatusError) as raised:
        sdk.embeddings.create(model="embed", input="x", encoding_format="float")
    body: Any = raised.value.body
    assert raised.value.status_code in (404, 501) and body.keys() >= {"message", "type", "code"}
    assert 'upstream "first": 404 for /embeddings' in body["message"]
    assert 'upstream "second": 501 for /embeddings: start it with --embeddings' in body["message"]


def test_a_request_that_is_wrong_gets_the_upstreams_own_error(bed: Bed) -> None:
    bed.first.script(status(400, "input is empty"))
    with bed.sdk() as sdk, pytest.raises(openai.BadRequestError, match="input is empty"):
        sdk.embeddings.create(model="embed", input="", encoding_format="float")


def test_upstreams_of_other_protocols_are_skipped_with_the_reason(bed: Bed) -> None:
    reason = "speaks messages; /embeddings is passed only to upstreams that speak chat"
    with bed.sdk() as sdk, pytest.raises(openai.APIStatusError, match=reason):
        sdk.embeddings.create(model="only-talks-has-it", input="x", encoding_format="float")
    explained = bed.daemon.command("explain", "--endpoint", "embeddings", "--model", "embed")[1]
    assert explained.splitlines() == [
        "1. first -> own-embed (primary; sets user)",
        "2. second -> own-embed (backup)",
        f"skipped: talks: {reason}",
    ]
    assert bed.daemon.get("/api/explain?endpoint=completion").status == 400


def test_a_client_key_is_required_and_a_model_too(bed: Bed) -> None:
    with bed.sdk(key="wrong") as sdk, pytest.raises(openai.AuthenticationError):
        sdk.embeddings.create(model="embed", input="x")
    keyed = {"authorization": "Bearer 123"}
    response = request(bed.daemon.url, "POST", "/v1/embeddings", {"input": "x"}, keyed)
    assert (response.status, response.json["error"]["param"]) == (400, "model")
    assert "send a POST" in request(bed.daemon.url, "GET", "/v1/embeddings", None, keyed).text


@pytest.mark.parametrize(
    "answered", [b'{"object": "list"}', b'{"error": {"message": "no", "code": 500}}', b"{"]
)
def test_what_is_no_list_of_embeddings_is_a_failure(bed: Bed, answered: bytes) -> None:
    bed.first.script(fixed(whole(200, answered)))
    bed.second.script(embeddings)
    with bed.sdk() as sdk:
        assert sdk.embeddings.create(model="embed", input="x", encoding_format="float").model == "embed"
    bed.daemon.post("/api/upstreams/clear", {})


def test_usage_that_is_not_reported_is_estimated_without_output(bed: Bed) -> None:
    bed.first.script(fixed(_json({"data": [{"index": 0, "embedding": NUMBERS}], "model": "embed"})))
    with bed.sdk() as sdk:
        sdk.embeddings.create(model="embed", input="x" * 400, encoding_format="float")
    usage = bed.last()["usage"]
    assert usage["input"] > 90 and (usage["output"], usage["estimated"]) == (0, True)


def test_a_conversation_is_converted_as_before(bed: Bed) -> None:
    bed.talks.script(say("converted"))
    body = question("chat", "only-talks-has-it", stream=False)
    keyed = {"authorization": "Bearer 123"}
    assert "converted" in request(bed.daemon.url, "POST", PATHS["chat"], body, keyed).text
