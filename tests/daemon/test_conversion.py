"""The nine protocol pairs through the daemon: response forms, usage, dropped parts and errors."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.bed import wire
from tests.bed.asking import PATHS, ask, error_of, question, text_of, usage_of
from tests.bed.daemon import Daemon, Document, Response, request, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, answer, stream, whole
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage, error_body
from tests.protocols.sdks import said_to

USAGE = Usage(fresh=1000, cache_read=300, cache_write=0, output=77, reasoning=0)
ARGUMENTS = {"where": "ü", "deep": {"n": [1, 2]}}
CALL = Call("look", ARGUMENTS, "call_1")
REPLY = Reply("Let me look.", calls=(CALL,), usage=USAGE)
PAIRS = [(client, spoken) for client in PROTOCOLS for spoken in PROTOCOLS]
FORMS = [True, False]
SCHEMA = {"type": "object", "properties": {"where": {"type": "string"}}}
TOOLS: dict[Protocol, list[Document]] = {
    "messages": [{"name": "look", "description": "d", "input_schema": SCHEMA}],
    "chat": [{"type": "function", "function": {"name": "look", "description": "d", "parameters": SCHEMA}}],
    "responses": [
        {"type": "function", "name": "look", "description": "d", "parameters": SCHEMA, "strict": False}
    ],
}


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream

    def ask(self, client: Protocol, spoken: Protocol, streamed: bool, **more: Any) -> Response:
        body = question(client, f"model-{spoken}", stream=streamed) | {"tools": TOOLS[client]} | more
        if client == "chat" and streamed:
            body["stream_options"] = {"include_usage": True}
        return request(self.daemon.url, "POST", PATHS[client], body)

    def last_line(self) -> Document:
        return self.daemon.journal()[-1]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream() as server:
        entries = [upstream(name, server.url, name, models=[f"model-{name}"]) for name in PROTOCOLS]
        document = settings(*entries, failover={"cooldown_seconds": 0})
        with Daemon(tmp_path_factory.mktemp("conversion"), document) as daemon:
            yield Bed(daemon, server)


# --- the client's view -----------------------------------------------------


def calls_of(client: Protocol, response: Response) -> list[tuple[str, str, str]]:
    """Id, name and arguments of the calls in an answer, streamed or whole."""
    streamed = (response.header("content-type") or "").startswith("text/event-stream")
    return _CALLS[client, streamed](response.records if streamed else response.json)


def _messages_stream_calls(records: Any) -> list[tuple[str, str, str]]:
    blocks = {
        record["index"]: record["content_block"]
        for record in records
        if record["type"] == "content_block_start" and record["content_block"]["type"] == "tool_use"
    }
    arguments = dict.fromkeys(blocks, "")
    for record in records:
        if record["type"] == "content_block_delta" and record["index"] in blocks:
            arguments[record["index"]] += record["delta"]["partial_json"]
    return [(block["id"], block["name"], arguments[index]) for index, block in blocks.items()]


def _messages_body_calls(body: Any) -> list[tuple[str, str, str]]:
    blocks = [block for block in body["content"] if block["type"] == "tool_use"]
    return [(block["id"], block["name"], json.dumps(block["input"])) for block in blocks]


def _chat_stream_calls(records: Any) -> list[tuple[str, str, str]]:
    calls: dict[int, list[str]] = {}
    for record in records:
        for choice in record["choices"]:
            for part in choice["delta"].get("tool_calls", ()):
                call = calls.setdefault(part["index"], ["", "", ""])
                call[0] += part.get("id") or ""
                call[1] += part["function"].get("name") or ""
                call[2] += part["function"].get("arguments") or ""
    return [(id, name, arguments) for id, name, arguments in calls.values()]


def _chat_body_calls(body: Any) -> list[tuple[str, str, str]]:
    calls = body["choices"][0]["message"]["tool_calls"]
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


def _responses_items_calls(items: Any) -> list[tuple[str, str, str]]:
    calls = [item for item in items if item["type"] == "function_call"]
    return [(call["call_id"], call["name"], call["arguments"]) for call in calls]


_CALLS: dict[tuple[Protocol, bool], Callable[[Any], list[tuple[str, str, str]]]] = {
    ("messages", True): _messages_stream_calls,
    ("messages", False): _messages_body_calls,
    ("chat", True): _chat_stream_calls,
    ("chat", False): _chat_body_calls,
    ("responses", True): lambda records: _responses_items_calls(
        [record["item"] for record in records if record["type"] == "response.output_item.done"]
    ),
    ("responses", False): lambda body: _responses_items_calls(body["output"]),
}


def spelled(client: Protocol, usage: Usage) -> Document:
    """The usage in the client's protocol, as far as clients use it."""
    if client == "messages":
        return {
            "input_tokens": usage.fresh,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": usage.cache_write,
            "output_tokens": usage.output,
        }
    total = {"total_tokens": usage.whole_input + usage.output}
    if client == "chat":
        return {"prompt_tokens": usage.whole_input, "completion_tokens": usage.output, **total}
    return {"input_tokens": usage.whole_input, "output_tokens": usage.output, **total}


def assert_is_reply(bed: Bed, client: Protocol, response: Response, streamed: bool) -> None:
    assert response.status == 200, response.text
    kind = "text/event-stream" if streamed else "application/json"
    assert (response.header("content-type") or "").startswith(kind)
    assert text_of(client, response) == REPLY.text
    [(id, name, arguments)] = calls_of(client, response)
    assert (id, name, json.loads(arguments)) == (CALL.id, CALL.name, CALL.input)
    reported = usage_of(client, response)
    expected = spelled(client, USAGE)
    assert {field: reported[field] for field in expected} == expected
    line = bed.last_line()
    assert line["usage"] == {"input": 1000, "cache_read": 300, "output": 77}
    assert (line["outcome"], line["client_protocol"], line.get("stream", False)) == ("ok", client, streamed)


# --- forms and usage -----------------------------------------------------------


@pytest.mark.parametrize("streamed", FORMS, ids=["stream", "whole"])
@pytest.mark.parametrize(("client", "spoken"), PAIRS)
def test_every_pair_reports_text_call_and_exact_usage(
    bed: Bed, client: Protocol, spoken: Protocol, streamed: bool
) -> None:
    bed.server.script(answer(REPLY))
    before = bed.daemon.token_stats()["by_upstream"].get(spoken, {})

    assert_is_reply(bed, client, bed.ask(client, spoken, streamed), streamed)

    after = bed.daemon.token_stats()["by_upstream"][spoken]
    grown = {
        name: after[name] - before.get(name, 0)
        for name in ("input_tokens", "cache_read_tokens", "output_tokens")
    }
    assert grown == {"input_tokens": 1000, "cache_read_tokens": 300, "output_tokens": 77}


def in_the_other_form(received: Received) -> Script:
    """JSON for a client that requested a stream, a stream for one that did not."""
    reply = replace(REPLY, id="other")
    if received.wants_stream:
        return whole(200, wire.body(received.protocol, reply))
    return stream(wire.records(received.protocol, reply))


@pytest.mark.parametrize("streamed", FORMS, ids=["JSON for a stream", "a stream for JSON"])
@pytest.mark.parametrize(("client", "spoken"), PAIRS)
def test_an_answer_in_the_other_form_reaches_the_client_in_its_own(
    bed: Bed, client: Protocol, spoken: Protocol, streamed: bool
) -> None:
    bed.server.script(in_the_other_form)
    assert_is_reply(bed, client, bed.ask(client, spoken, streamed), streamed)


@pytest.mark.parametrize("streamed", FORMS, ids=["stream", "whole"])
@pytest.mark.parametrize(("client", "spoken"), PAIRS)
def test_unreported_usage_is_estimated_and_marked(
    bed: Bed, client: Protocol, spoken: Protocol, streamed: bool
) -> None:
    def without_usage(received: Received) -> Script:
        if received.wants_stream:
            records = wire.records(received.protocol, Reply("Some words."), include_usage=False)
            return stream(record.replace(b'"usage"', b'"unsaid"') for record in records)
        return whole(200, wire.body(received.protocol, Reply("Some words.")).replace(b'"usage"', b'"unsaid"'))

    bed.server.script(without_usage)
    response = bed.ask(client, spoken, streamed)
    assert text_of(client, response) == "Some words."
    usage = bed.last_line()["usage"]
    assert usage["estimated"] is True
    assert usage["input"] > 0
    if streamed or client != spoken:
        assert usage["output"] > 0


# --- dropped in conversion --------------------------------------------------------------------

LOSSES: tuple[tuple[Protocol, Protocol, Document, str], ...] = (
    ("chat", "messages", {"logit_bias": {"50256": -100}}, "logit_bias"),
    ("chat", "messages", {"seed": 7}, "seed"),
    ("messages", "responses", {"top_k": 5}, "top_k"),
    ("messages", "chat", {"context_management": {"edits": [{"type": "e"}]}}, "context_management"),
    ("chat", "responses", {"seed": 7}, "seed"),
    ("responses", "messages", {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "tools"),
    ("responses", "chat", {"tools": [{"type": "web_search"}]}, "web_search"),
)


@pytest.mark.parametrize("streamed", FORMS, ids=["stream", "whole"])
@pytest.mark.parametrize(("client", "spoken", "more", "lost"), LOSSES)
def test_what_is_lost_is_reported(
    bed: Bed, client: Protocol, spoken: Protocol, more: Document, lost: str, streamed: bool
) -> None:
    bed.server.script(answer(Reply("Fine.")))
    response = bed.ask(client, spoken, streamed, **more)
    assert response.status == 200, response.text
    reported = (response.header("x-switchyard-dropped") or "").split(",")
    losses = bed.last_line()["losses"]
    assert [loss["field"] for loss in losses] == reported
    assert any(lost in field for field in reported), reported
    assert all(loss["why"] for loss in losses)


@pytest.mark.parametrize(("client", "spoken"), PAIRS)
def test_half_a_character_in_a_whole_answer_is_no_error(bed: Bed, client: Protocol, spoken: Protocol) -> None:
    body = wire.body(spoken, Reply("Half?")).replace(b"Half?", rb"Half \ud83d")
    bed.server.script(lambda _: whole(200, body))
    response = bed.ask(client, spoken, False)
    assert response.status == 200, response.text
    assert text_of(client, response).startswith("Half ")


NAMELESS_BESIDE_CALL = {
    "role": "assistant",
    "tool_calls": [
        {"index": 0, "id": "c0", "type": "function", "function": {"name": "", "arguments": "{}"}},
        {"index": 1, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
    ],
}


@pytest.mark.parametrize("streamed", FORMS, ids=["stream", "whole"])
@pytest.mark.parametrize("client", ["messages", "responses"])
def test_what_is_lost_of_an_answer_is_reported(bed: Bed, client: Protocol, streamed: bool) -> None:
    choice = {"index": 0, "delta" if streamed else "message": NAMELESS_BESIDE_CALL}
    reply = {"id": "c", "model": "m", "choices": [{**choice, "finish_reason": "tool_calls"}]}
    body = json.dumps(reply).encode()
    records = [b"data: " + body + b"\n\n", b"data: [DONE]\n\n"]
    bed.server.script(lambda _: stream(records) if streamed else whole(200, body))
    response = bed.ask(client, "chat", streamed)
    assert [name for _, name, _ in calls_of(client, response)] == ["look"]
    assert [loss["field"] for loss in bed.last_line()["losses"]] == ["tool_calls"]


@pytest.mark.parametrize(("client", "spoken"), PAIRS)
def test_nothing_is_reported_as_dropped_unless_it_is(bed: Bed, client: Protocol, spoken: Protocol) -> None:
    bed.server.script(answer(REPLY))
    response = bed.ask(client, spoken, True)
    assert response.header("x-switchyard-dropped") is None
    assert "losses" not in bed.last_line()


# --- errors --------------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """An upstream's error, and the (type, code) for a client of each protocol; None for any."""

    name: str
    status: int
    kind: str
    message: str
    code: str | None
    messages: str
    chat: tuple[str, str | None]
    responses: tuple[str, str | None]
    headers: tuple[tuple[str, str], ...] = ()

    def answers(self, received: Received) -> Script:
        return whole(
            self.status,
            error_body(received.protocol, self.message, self.kind, self.code),
            headers=dict(self.headers),
        )

    def expected(self, client: Protocol) -> tuple[str, str | None]:
        return {"messages": (self.messages, None), "chat": self.chat, "responses": self.responses}[client]


SERVER = ("server_error", None)
OVERLOADED = ("server_error", "server_is_overloaded")
NO_KEY = ("invalid_request_error", "invalid_api_key")
NO_MODEL = ("invalid_request_error", "model_not_found")
TROUBLES = (
    Trouble("401", 401, "authentication_error", "bad key", None, "authentication_error", NO_KEY, NO_KEY),
    Trouble(
        "403",
        403,
        "permission_error",
        "not for you",
        None,
        "permission_error",
        ("permission_error", None),
        ("permission_error", None),
    ),
    Trouble(
        "404 model",
        404,
        "not_found_error",
        "model: x-9 not found",
        "model_not_found",
        "not_found_error",
        NO_MODEL,
        NO_MODEL,
    ),
    Trouble(
        "429",
        429,
        "rate_limit_error",
        "slow down",
        None,
        "rate_limit_error",
        ("requests", "rate_limit_exceeded"),
        ("rate_limit_error", "rate_limit_exceeded"),
    ),
    Trouble(
        "429 with retry-after",
        429,
        "rate_limit_error",
        "slow down",
        None,
        "rate_limit_error",
        ("requests", "rate_limit_exceeded"),
        ("rate_limit_error", "rate_limit_exceeded"),
        (("retry-after", "7"),),
    ),
    Trouble("500", 500, "api_error", "it broke", None, "api_error", SERVER, SERVER),
    Trouble("529", 529, "overloaded_error", "Overloaded", None, "overloaded_error", OVERLOADED, OVERLOADED),
    Trouble(
        "400",
        400,
        "invalid_request_error",
        "the third word is odd",
        None,
        "invalid_request_error",
        ("invalid_request_error", None),
        ("invalid_request_error", None),
    ),
)


@pytest.mark.parametrize("streamed", FORMS, ids=["stream", "whole"])
@pytest.mark.parametrize(("client", "spoken"), PAIRS)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_an_error_arrives_in_the_clients_envelope(
    bed: Bed, trouble: Trouble, client: Protocol, spoken: Protocol, streamed: bool
) -> None:
    bed.server.script(trouble.answers)
    response = bed.ask(client, spoken, streamed)
    reported = error_of(client, response)
    assert response.status >= 400
    assert (response.header("content-type") or "").startswith("application/json")
    assert trouble.message in reported["message"]
    assert (reported["type"], reported.get("code")) == trouble.expected(client)
    assert response.header("retry-after") == dict(trouble.headers).get("retry-after")
    line = bed.last_line()
    assert (line["outcome"], line["attempts"][-1]["status"]) == ("failed", trouble.status)
    assert trouble.message in line["error"]["message"]


OVERFLOWS: dict[str, tuple[Protocol, int, bytes, str]] = {
    "Anthropic": (
        "messages",
        400,
        error_body("messages", "prompt is too long: 215000 tokens > 200000 maximum", "invalid_request_error"),
        "prompt is too long: 215000 tokens > 200000 maximum",
    ),
    "OpenAI Chat": (
        "chat",
        400,
        error_body(
            "chat",
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens. "
            "Please reduce the length of the messages.",
            "invalid_request_error",
            "context_length_exceeded",
        ),
        "prompt is too long: 130001 tokens > 128000 maximum",
    ),
    "vLLM": (
        "chat",
        400,
        b'{"object":"error","message":"This model\'s maximum context length is 8192 tokens. However, you requested '
        b"9000 tokens (8500 in the messages, 500 in the completion). Please reduce the length of the messages or "
        b'completion.","type":"BadRequestError","param":null,"code":400}',
        "prompt is too long: ",
    ),
    "llama.cpp": (
        "chat",
        400,
        b'{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":'
        b'"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}',
        "prompt is too long: 5000 tokens > 4096 maximum",
    ),
    "OpenAI Responses": (
        "responses",
        400,
        error_body(
            "responses",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "invalid_request_error",
            "context_length_exceeded",
        ),
        "prompt is too long",
    ),
}


@pytest.mark.parametrize("streamed", FORMS, ids=["stream", "whole"])
@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("server", OVERFLOWS)
def test_an_overflow_is_reported_in_the_sentence_that_the_client_understands(
    bed: Bed, server: str, client: Protocol, streamed: bool
) -> None:
    spoken, status, body, sentence = OVERFLOWS[server]
    bed.server.script(lambda received: whole(status, body))
    response = bed.ask(client, spoken, streamed)
    reported = error_of(client, response)
    assert response.status == 400
    if client == "messages":
        assert reported["type"] == "invalid_request_error"
        assert sentence in reported["message"]
    else:
        assert reported["code"] == "context_length_exceeded"
    assert len(bed.server.requests) == 1


CODEX = {"originator": "codex_exec", "user-agent": "codex_exec/0.169.0"}


@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_codex_gets_the_overflow_as_a_failed_response(bed: Bed, spoken: Protocol) -> None:
    _, status, body, _ = next(reported for reported in OVERFLOWS.values() if reported[0] == spoken)
    bed.server.script(lambda received: whole(status, body))
    response = ask(bed.daemon.url, "responses", f"model-{spoken}", headers=CODEX)
    last = response.records[-1]
    assert (response.status, last["type"]) == (200, "response.failed")
    assert last["response"]["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("streamed", FORMS, ids=["stream", "whole"])
@pytest.mark.parametrize(("client", "spoken"), PAIRS)
def test_an_error_inside_a_good_status_is_an_error_for_the_client(
    bed: Bed, client: Protocol, spoken: Protocol, streamed: bool
) -> None:
    bed.server.script(
        lambda received: whole(200, error_body(received.protocol, "Overloaded", "overloaded_error"))
    )
    response = bed.ask(client, spoken, streamed)
    assert response.status >= 500
    assert "Overloaded" in error_of(client, response)["message"]


# --- answers in another protocol ---------------------------------------------------


def in_form(form: Protocol, streamed: bool, opening: bytes = b"") -> Callable[[Received], Script]:
    """The answer in this protocol, whatever the request was in."""
    if streamed:
        return lambda _: stream([opening, *wire.records(form, REPLY, "m")])
    return lambda _: whole(200, wire.body(form, REPLY, "m"))


OTHER_FORMS = [(client, spoken, form) for client, spoken in PAIRS for form in PROTOCOLS if form != spoken]
OPENINGS = [b"", b": PROCESSING\n\n", b'event: ping\ndata: {"type":"ping"}\n\n']


@pytest.mark.parametrize(("client", "spoken", "form"), OTHER_FORMS)
def test_an_answer_is_decoded_by_its_own_form(
    bed: Bed, client: Protocol, spoken: Protocol, form: Protocol
) -> None:
    for wants_stream, is_stream in [(a, b) for a in FORMS for b in FORMS]:
        bed.server.script(in_form(form, is_stream))
        response = bed.ask(client, spoken, wants_stream)
        case = (wants_stream, is_stream)
        assert (response.status, text_of(client, response)) == (200, "Let me look."), (case, response.body)
        [(_, name, arguments)] = calls_of(client, response)
        assert (name, json.loads(arguments)) == ("look", ARGUMENTS), case
        if wants_stream:
            assert said_to(client, response.body).calls == (("look", ARGUMENTS),), case
        last = bed.last_line()
        assert (last["outcome"], last["usage"]["output"]) == ("ok", 77), last


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_the_form_is_found_behind_comments_and_pings(bed: Bed, client: Protocol, opening: bytes) -> None:
    for spoken in PROTOCOLS:
        for form in PROTOCOLS:
            bed.server.script(in_form(form, True, opening))
            for wants_stream in FORMS:
                response = bed.ask(client, spoken, wants_stream)
                assert (response.status, text_of(client, response)) == (200, "Let me look."), (spoken, form)


def test_a_freeform_call_in_another_form_is_the_clients_own(bed: Bed) -> None:
    """What a Responses client gets from a Responses upstream that answers as a Chat one."""
    patch = {"type": "custom", "name": "apply_patch", "description": "d"}
    call = Reply(calls=(Call("apply_patch", {"input": "*** Begin Patch"}, "call_1"),))
    bed.server.script(lambda _: stream(wire.records("chat", call, "m")))
    response = bed.ask("responses", "responses", True, tools=[patch])
    assert said_to("responses", response.body).calls == (("apply_patch", "*** Begin Patch"),)


# --- ends under other names --------------------------------------------------------

DONE: dict[str, tuple[str, str, dict[Protocol, str | None]]] = {
    "completed": ('"status": "completed"', '"status": "completed"', {}),
    "no status": ('"status": "completed"', '"state": "x"', {"responses": None}),
    "incomplete": (
        '"status": "completed"',
        '"incomplete_details": {"reason": "max_output_tokens"}, "status": "incomplete"',
        {"messages": "max_tokens", "chat": "length", "responses": "max_output_tokens"},
    ),
}
USUAL_STOPS: dict[Protocol, str | None] = {"messages": "end_turn", "chat": "stop", "responses": "completed"}


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("name", DONE)
def test_a_stream_may_end_with_response_done(bed: Bed, client: Protocol, name: str) -> None:
    old, new, stops = DONE[name]
    *records, last = wire.records("responses", Reply("All is said."), "m")
    last = last.replace(b'"incomplete_details": null, ', b"")
    end = last.replace(b"response.completed", b"response.done").replace(old.encode(), new.encode(), 1)
    assert (end != last) and (name == "completed" or new.encode() in end)
    bed.server.script(lambda _: stream([*records, end]))
    for wants_stream in FORMS:
        response = bed.ask(client, "responses", wants_stream)
        assert (response.status, text_of(client, response)) == (200, "All is said."), response.body
        if wants_stream:
            assert said_to(client, response.body).stop == (USUAL_STOPS | stops)[client]
        assert bed.last_line()["outcome"] == "ok"


SENTINEL = b"data: [DONE]\n\n"
SAID: list[Reply] = [
    Reply("All is said."),
    Reply("All is said.", thinking="Hm."),
    Reply("All is said.", calls=(CALL,)),
]


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("reply", SAID, ids=["text", "reasoning", "call"])
def test_a_stream_of_responses_may_end_with_the_sentinel_alone(
    bed: Bed, client: Protocol, reply: Reply
) -> None:
    records = [*wire.records("responses", reply, "m")[:-1], SENTINEL]
    bed.server.script(lambda _: stream(records))
    for wants_stream in FORMS:
        response = bed.ask(client, "responses", wants_stream)
        assert (response.status, text_of(client, response)) == (200, "All is said."), response.body
        assert not reply.calls or len(calls_of(client, response)) == 1
        assert bed.last_line()["outcome"] == "ok"
        if wants_stream:
            said = said_to(client, response.body)
            assert (said.stop is not None, said.text) == (True, "All is said.")


@pytest.mark.parametrize("kept", [1, 2], ids=["nothing", "an open item"])
def test_the_sentinel_is_no_end_of_what_is_not_whole(bed: Bed, kept: int) -> None:
    *records, _ = wire.records("responses", Reply("All is said."), "m")
    delta = next(at for at, record in enumerate(records) if b"output_text.delta" in record)
    bed.server.script(lambda _: stream([*records[: 1 if kept == 1 else delta + 1], SENTINEL]))
    response = bed.ask("responses", "responses", True)
    assert response.status != 200 or response.records[-1]["type"] == "response.failed"
    assert bed.last_line()["outcome"] != "ok"


# --- calls of another kind than their tool -----------------------------------------

EDIT: Document = {"type": "custom", "name": "look", "description": "d"}
CHAT_EDIT: Document = {"type": "custom", "custom": {"name": "look", "description": "d"}}
MISTAKEN: list[tuple[Protocol, Document, Any, Any]] = [
    ("chat", TOOLS["chat"][0], "over there", {"where": "over there"}),
    ("responses", TOOLS["responses"][0], "over there", {"where": "over there"}),
    ("messages", TOOLS["messages"][0], "over there", {"where": "over there"}),
    ("messages", TOOLS["messages"][0], '{"where": "x"}', {"where": "x"}),
    ("chat", CHAT_EDIT, {"input": "over there"}, "over there"),
    ("responses", EDIT, {"input": "over there"}, "over there"),
]


@pytest.mark.parametrize(
    ("spoken", "client", "tool", "called", "expected"),
    [(spoken, *case) for spoken in ("chat", "responses") for case in MISTAKEN if case[0] != spoken],
)
def test_a_call_has_the_kind_of_its_tool(
    bed: Bed, spoken: Protocol, client: Protocol, tool: Document, called: Any, expected: Any
) -> None:
    for is_stream in FORMS:
        bed.server.script(in_form_of(spoken, Reply(calls=(Call("look", called, "call_1"),)), is_stream))
        streamed = bed.ask(client, spoken, True, tools=[tool])
        assert said_to(client, streamed.body).calls == (("look", expected),), streamed.body


@pytest.mark.parametrize("case", [case for case in MISTAKEN if case[0] != "messages"])
def test_a_call_that_passes_through_has_the_kind_of_its_tool(bed: Bed, case: Any) -> None:
    """One beside a call that is right, streamed and whole."""
    protocol, tool, called, expected = case
    other = Call("other", {"a": 1}, "call_2")
    reply = Reply("I look.", calls=(Call("look", called, "call_1"), other))
    for is_stream in FORMS:
        bed.server.script(in_form_of(protocol, reply, is_stream))
        response = bed.ask(protocol, protocol, is_stream, tools=[tool])
        if is_stream:
            said = said_to(protocol, response.body)
            assert (said.text, said.calls) == ("I look.", (("look", expected), ("other", {"a": 1})))
        assert kinds_in(protocol, response, is_stream)[0] == (tool["type"], expected)


def kinds_in(protocol: Protocol, response: Response, streamed: bool) -> list[tuple[str, Any]]:
    """The kinds and arguments of the calls in the final message."""
    if protocol == "responses":
        output = response.records[-1]["response"]["output"] if streamed else response.json["output"]
        items = [item for item in output if item["type"].endswith("_call")]
        kinds = [item["type"].removesuffix("_call").removesuffix("_tool") for item in items]
        given = [item.get("input") or json.loads(item["arguments"]) for item in items]
        return list(zip(kinds, given, strict=True))
    if streamed:
        deltas = [
            one["choices"][0]["delta"].get("tool_calls", ()) for one in response.records if one["choices"]
        ]
        named = [call for calls in deltas for call in calls if "type" in call]
        texts = [
            "".join(_text_in(call) for calls in deltas for call in calls if call["index"] == at)
            for at in (0, 1)
        ]
        pairs = zip((call["type"] for call in named), texts, strict=True)
    else:
        calls = response.json["choices"][0]["message"]["tool_calls"]
        pairs = zip((call["type"] for call in calls), map(_text_in, calls), strict=True)
    return [(kind, json.loads(text) if kind == "function" else text) for kind, text in pairs]


def _text_in(call: Document) -> str:
    return str(call.get("custom", {}).get("input") or call.get("function", {}).get("arguments", ""))


def in_form_of(form: Protocol, reply: Reply, streamed: bool) -> Callable[[Received], Script]:
    sent = [wire.body(form, reply, "m")] if not streamed else wire.records(form, reply, "m")
    return lambda _: stream(sent) if streamed else whole(200, sent[0])


def test_a_history_has_the_kinds_that_its_tools_are_declared_with(bed: Bed) -> None:
    """A custom call of a function, and a function call of a custom tool."""
    custom = {"type": "custom_tool_call", "call_id": "c1", "name": "look", "input": "there"}
    function = {"type": "function_call", "call_id": "c2", "name": "edit", "arguments": '{"input":"x"}'}
    results = [
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
    ]
    tools = [*TOOLS["responses"], {"type": "custom", "name": "edit", "description": "d"}]
    bed.server.script(answer(Reply("Done.")))
    bed.ask("responses", "chat", False, input=[custom, function, *results], tools=tools)
    calls = bed.server.requests[-1].json["messages"][0]["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [
        {"where": "there"},
        {"input": "x"},
    ]
