"""A refusal that names a limit of an upstream is followed at once, within the client's own request, and remembered."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS, error_of, question, text_of
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.upstream import Received, Script, ScriptedUpstream, say, whole
from tests.bed.wire import Protocol, error_body

Body = dict[str, Any]
TOOL = {"name": "look", "description": "d", "input_schema": {"type": "object", "properties": {}}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SIGNED = [
    {"role": "user", "content": "Hello"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "T", "signature": "c2lnbmVkIGVsc2V3aGVyZQ=="},
            {"type": "text", "text": "Hi"},
        ],
    },
    {"role": "user", "content": "Go on"},
]
REFERRING: Body = {
    "type": "object",
    "properties": {"p": {"$ref": "#/$defs/x", "type": "object"}},
    "$defs": {"x": {"type": "object", "properties": {}}},
}
SEALED = [
    {"role": "user", "content": "Hello"},
    {"type": "reasoning", "summary": [], "encrypted_content": "c2VhbGVkIGVsc2V3aGVyZQ=="},
    {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
    {"role": "user", "content": "Go on"},
]
EFFORT_OF_TURN: Body = {
    "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": "Be brief.", "output_config": {"effort": "low"}},
    ],
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "medium"},
    "max_tokens": 9000,
}


@dataclass(frozen=True)
class Case:
    """A server that refuses, with `message`, every request in which it `finds` something unknown."""

    name: str
    client: Protocol
    spoken: Protocol
    message: str
    finds: Callable[[Body], Any]
    more: Body = field(default_factory=dict)
    status: int = 400
    remembered: bool = True
    body: bytes | None = None

    def answers(self, received: Received) -> Script:
        if not self.finds(received.json):
            return say("Now it is fine.")(received)
        reported = self.body or error_body(self.spoken, self.message, "invalid_request_error")
        return whole(self.status, reported)


def roles(body: Body) -> list[str]:
    return [message["role"] for message in body["messages"]]


def holds(text: str) -> Callable[[Body], bool]:
    return lambda body: text in str(body)


CASES = (
    Case(
        "max_tokens",
        "messages",
        "chat",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        lambda body: "max_tokens" in body,
    ),
    Case(
        "temperature",
        "messages",
        "chat",
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
        "supported.",
        lambda body: "temperature" in body,
        {"temperature": 0.2},
    ),
    Case(
        "temperature of an SDK",
        "chat",
        "chat",
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
        "supported.",
        lambda body: "temperature" in body,
        {"temperature": 0.2},
    ),
    Case(
        "an effort",
        "messages",
        "chat",
        "Unsupported value: 'reasoning_effort' does not support 'max' with this model. Supported values are: 'low', "
        "'medium', and 'high'.",
        lambda body: body.get("reasoning_effort") == "max",
        {"output_config": {"effort": "max"}, "thinking": {"type": "adaptive"}},
    ),
    Case(
        "stream_options of vLLM",
        "responses",
        "chat",
        "",
        lambda body: "stream_options" in body,
        body=b"{\"object\":\"error\",\"message\":\"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), "
        b"'msg': 'Extra inputs are not permitted', 'input': {'include_usage': True}}]\",\"type\":"
        b'"BadRequestError","param":null,"code":400}',
    ),
    Case(
        "thinking of Ollama",
        "messages",
        "chat",
        "",
        lambda body: "reasoning_effort" in body,
        {"output_config": {"effort": "high"}, "thinking": {"type": "adaptive"}},
        body=b'{"error":{"message":"\\"qwen2.5:7b\\" does not support thinking","type":"api_error","param":null,'
        b'"code":null}}',
    ),
    Case(
        "an image for llama.cpp",
        "messages",
        "chat",
        "",
        holds("image_url"),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                        {"type": "text", "text": "What is it?"},
                    ],
                }
            ]
        },
        status=500,
        body=b'{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may '
        b'need to provide the mmproj","type":"server_error"}}',
    ),
    Case(
        "a system message in the middle",
        "messages",
        "messages",
        "messages.1.role: Input should be 'user' or 'assistant'",
        lambda body: "system" in roles(body),
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "system", "content": "Be brief."}]},
    ),
    Case(
        "a system message in the middle for a template",
        "chat",
        "chat",
        "Jinja Exception: System message must be at the beginning.",
        lambda body: "system" in roles(body)[1:],
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "system", "content": "Be brief."}]},
    ),
    Case(
        "context management",
        "messages",
        "messages",
        "context_management: Extra inputs are not permitted",
        lambda body: "context_management" in body,
        {"context_management": {"edits": []}},
    ),
    Case(
        "adaptive thinking",
        "messages",
        "messages",
        "adaptive thinking is not supported on this model",
        lambda body: body.get("thinking", {}).get("type") == "adaptive",
        {"thinking": {"type": "adaptive"}, "max_tokens": 9000},
    ),
    Case(
        "an effort in a message",
        "messages",
        "messages",
        "messages.1.output_config: Extra inputs are not permitted",
        lambda body: "output_config" in str(body["messages"]),
        EFFORT_OF_TURN,
    ),
    Case(
        "the most of a model",
        "messages",
        "chat",
        "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided "
        "32000.",
        lambda body: body["max_tokens"] > 16384,
        {"max_tokens": 32000},
    ),
    Case(
        "the most of a model of an SDK",
        "chat",
        "chat",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        lambda body: body["max_tokens"] > 8192,
        {"max_tokens": 32000},
    ),
    Case(
        "the room beside a prompt",
        "messages",
        "chat",
        "This model's maximum context length is 32768 tokens. However, you requested 44000 tokens (12000 in the "
        "messages, 32000 in the completion). Please reduce the length of the messages or completion.",
        lambda body: body["max_tokens"] > 20768,
        {"max_tokens": 32000},
        remembered=False,
    ),
    Case(
        "a budget for thinking",
        "messages",
        "messages",
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.',
        lambda body: body.get("thinking", {}).get("type") == "enabled",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 9000},
    ),
    Case(
        "a cache key",
        "responses",
        "responses",
        "Unknown parameter: 'prompt_cache_key'.",
        lambda body: "prompt_cache_key" in body,
        {"prompt_cache_key": "k"},
    ),
    Case(
        "cache marks",
        "messages",
        "messages",
        "tools.0.cache_control: Extra inputs are not permitted",
        holds("cache_control"),
        {"tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}]},
    ),
    Case(
        "a foreign signature",
        "messages",
        "messages",
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        holds("signature"),
        {"messages": SIGNED},
        remembered=False,
    ),
    Case(
        "foreign encrypted content",
        "responses",
        "responses",
        "The encrypted content c2Vh could not be verified. Reason: Encrypted content could not be decrypted or "
        "parsed.",
        holds("encrypted_content"),
        {"input": SEALED},
        remembered=False,
    ),
    Case(
        "the efforts of a list",
        "messages",
        "chat",
        "effort must be one of: low medium high",
        lambda body: body.get("reasoning_effort") == "max",
        {"output_config": {"effort": "max"}, "thinking": {"type": "adaptive"}},
    ),
    Case(
        "the efforts of a validator",
        "chat",
        "chat",
        "",
        lambda body: body.get("reasoning_effort") == "xhigh",
        {"reasoning_effort": "xhigh"},
        status=422,
        body=b'{"detail":[{"type":"literal_error","loc":["body","reasoning_effort"],"msg":"Input should be \'low\', '
        b'\'medium\' or \'high\'","input":"xhigh"}]}',
    ),
    Case(
        "the age of cache marks",
        "messages",
        "messages",
        "system.0.cache_control.ttl: Extra inputs are not permitted",
        holds("ttl"),
        {
            "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "tools": [{**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        },
    ),
    Case(
        "a thought signature",
        "messages",
        "messages",
        "Thought signature is not valid",
        holds("signature"),
        {"messages": SIGNED},
        remembered=False,
    ),
    Case(
        "a schema of Moonshot",
        "responses",
        "chat",
        "tools.0.function.parameters is not a valid moonshot flavored json schema, details: <At path 'properties.p': "
        "when using $ref, type should be defined in the referenced schema>",
        lambda body: '"$ref": "#/$defs/x", "type"' in json.dumps(body["tools"]),
        {"tools": [{"type": "function", "name": "look", "strict": False, "parameters": REFERRING}]},
    ),
    Case(
        "a schema of Moonshot between two sides of one protocol",
        "chat",
        "chat",
        "tools.0.function.parameters is not a valid moonshot flavored json schema, details: <At path 'root'>",
        lambda body: '"$ref": "#/$defs/x", "type"' in json.dumps(body["tools"]),
        {"tools": [{"type": "function", "function": {"name": "look", "parameters": REFERRING}}]},
    ),
    Case(
        "a keyword of schemas",
        "messages",
        "chat",
        "Invalid schema for function 'look': In context=('properties', 'p'), 'oneOf' is not permitted.",
        holds("oneOf"),
        {
            "tools": [
                {
                    **TOOL,
                    "input_schema": {"type": "object", "properties": {"p": {"oneOf": [{"type": "string"}]}}},
                }
            ]
        },
    ),
    Case(
        "thinking beside a forced tool",
        "messages",
        "messages",
        "Thinking may not be enabled when tool_choice forces tool use.",
        lambda body: body.get("thinking", {}).get("type") == "adaptive",
        {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}},
    ),
    Case(
        "a forced tool",
        "chat",
        "chat",
        "tool_choice 'required' is not supported",
        lambda body: body.get("tool_choice") == "required",
        {
            "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            "tool_choice": "required",
        },
    ),
    Case(
        "content as parts",
        "chat",
        "chat",
        "messages[0].content: invalid type: sequence, expected a string at line 1 column 88",
        lambda body: isinstance(body["messages"][0]["content"], list),
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
    ),
    Case(
        "two messages of the user in a row",
        "chat",
        "chat",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        lambda body: roles(body) != ["user"],
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "user", "content": "You there?"}]},
    ),
    Case(
        "a verbosity",
        "responses",
        "responses",
        "",
        holds("verbosity"),
        {"text": {"verbosity": "low", "format": {"type": "text"}}},
        body=b'{"error":{"message":"This is not supported with this model.","type":"invalid_request_error",'
        b'"param":"text.verbosity","code":"unsupported_parameter"}}',
    ),
    Case(
        "what must not be stored",
        "responses",
        "responses",
        "Store must be set to false",
        lambda body: body.get("store") is not False,
        {"store": True},
    ),
    Case(
        "the bounds of a number",
        "chat",
        "chat",
        "Input validation error: `top_p` must be > 0.0 and < 1.0",
        lambda body: body["top_p"] >= 1,
        {"top_p": 1},
        status=422,
    ),
    Case(
        "an error that a relay quotes",
        "messages",
        "messages",
        'litellm.BadRequestError: AnthropicException - {"type":"error","error":{"type":"invalid_request_error",'
        '"message":"thinking.adaptive.display: Extra inputs are not permitted"}}',
        holds("display"),
        {"thinking": {"type": "adaptive", "display": "summarized"}},
    ),
)
ASKED = [
    (case, stream)
    for case in CASES
    for stream in (True, False)
    if stream or case.name != "stream_options of vLLM"
]
ONLY_WHOLE = Case(
    "a stream",
    "chat",
    "chat",
    "parameter.enable_thinking must be set to false for non-streaming calls",
    lambda body: body.get("stream") is not True,
)
UNKNOWN_REFUSAL = (
    b'{"type": "error", "error":  {"type": "invalid_request_error", "message": "No idea."}, "more": 1}'
)


STUBBORN = ("alpha", "beta", "gamma", "delta")


def _takes_no_forced_tool(received: Received) -> Script:
    """Whatever it says of thinking."""
    if received.json["tool_choice"]["type"] != "auto":
        message = "Thinking may not be enabled when tool_choice forces tool use."
        return whole(400, error_body("messages", message))
    return say("Now it is fine.")(received)


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream

    def ask(self, client: Protocol, model: str, more: Body, stream: bool = True) -> Response:
        return request(self.daemon.url, "POST", PATHS[client], question(client, model, stream=stream) | more)

    def received(self, model: str) -> list[Received]:
        return [one for one in self.server.requests if one.json["model"] == model]

    def lines(self, model: str) -> list[Body]:
        return [line for line in self.daemon.journal() if line["model"] == model]

    def errors_of(self, name: str) -> tuple[str, int]:
        state = self.daemon.get("/api/state").json["upstreams"]
        return next((entry["state"], entry["errors"]) for entry in state if entry["name"] == name)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    def answers(received: Received) -> Script:
        place = received.path.split("/")[1]
        if place == "unknown":
            return whole(400, UNKNOWN_REFUSAL)
        if place == "stubborn":
            name = next(name for name in STUBBORN if name in received.json)
            return whole(400, error_body("messages", f"{name}: Extra inputs are not permitted"))
        if place == "absent":
            return whole(400, error_body("messages", "Unknown parameter: 'absent'."))
        if place == "both":
            return _takes_no_forced_tool(received)
        return CASES[int(place)].answers(received)

    with ScriptedUpstream(answers) as server:
        entries = [
            upstream(
                case.name,
                f"{server.url}/{place}",
                case.spoken,
                models=[f"{kind}-{place}" for kind in ("streamed", "whole", "ids")],
            )
            for place, case in enumerate(CASES)
        ]
        entries += [
            upstream(name, f"{server.url}/{name}", models=[f"model-{name}"])
            for name in ("unknown", "stubborn", "absent", "both")
        ]
        with Daemon(tmp_path_factory.mktemp("limits"), settings(*entries)) as daemon:
            yield Bed(daemon, server)


@pytest.mark.parametrize(
    ("case", "stream"),
    ASKED,
    ids=[f"{case.name}-{'streamed' if stream else 'whole'}" for case, stream in ASKED],
)
def test_a_refused_request_is_repeated_without_it(bed: Bed, case: Case, stream: bool) -> None:
    model = f"{'streamed' if stream else 'whole'}-{CASES.index(case)}"

    answers = [bed.ask(case.client, model, case.more, stream) for _ in range(2)]

    assert [(answer.status, text_of(case.client, answer)) for answer in answers] == [
        (200, "Now it is fine.")
    ] * 2
    refused = [bool(case.finds(one.json)) for one in bed.received(model)]
    assert refused == ([True, False, False] if case.remembered else [True, False, True, False])
    first, second = bed.lines(model)
    assert (first["outcome"], second["outcome"]) == ("ok", "ok")
    reported, retried = first["attempts"]
    assert (reported["status"], reported["verdict"].startswith("learn: ")) == (case.status, True), reported
    assert (retried["status"], retried.get("failed", "")) == (200, "")
    assert len(second["attempts"]) == (1 if case.remembered else 2)
    assert bed.errors_of(case.name) == ("ready", 0)
    assert answers[0].header("x-switchyard-attempts") == "2"


def test_of_a_refused_effort_in_a_message_nothing_else_is_learned(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "an effort in a message")
    with ScriptedUpstream(case.answers) as server:
        with Daemon(tmp_path, settings(upstream("strict", server.url))) as daemon:
            for stream in (False, True, False):
                asked = question("messages", "m") | EFFORT_OF_TURN | {"stream": stream}
                assert request(daemon.url, "POST", PATHS["messages"], asked).status == 200
    sent = [(one.json["thinking"], one.json["output_config"]) for one in server.requests]
    assert sent == [({"type": "adaptive"}, {"effort": effort}) for effort in ("medium", "low", "low", "low")]


@pytest.mark.parametrize("client", ["chat", "messages", "responses"])
def test_a_whole_answer_is_made_of_a_stream_where_only_that_is_known(
    tmp_path: Path, client: Protocol
) -> None:
    with ScriptedUpstream(ONLY_WHOLE.answers) as server:
        with Daemon(tmp_path, settings(upstream("streams", server.url, "chat"))) as daemon:
            answers = [
                request(daemon.url, "POST", PATHS[client], question(client, "m", stream=False))
                for _ in range(2)
            ]
    assert [(answer.status, text_of(client, answer)) for answer in answers] == [(200, "Now it is fine.")] * 2
    assert [one.json.get("stream", False) for one in server.requests] == [False, True, True]


def test_ids_of_another_service_are_not_sent(bed: Bed) -> None:
    item = {"type": "reasoning", "id": "item_a4c1", "summary": [], "encrypted_content": "c2VhbGVk"}
    case = next(case for case in CASES if case.name == "a cache key")
    model = f"ids-{CASES.index(case)}"
    bed.ask("responses", model, {"input": [*SEALED[:1], item, *SEALED[2:]]})
    assert [one.get("id") for one in bed.received(model)[0].json["input"]] == [None] * 4


def test_a_foreign_compaction_is_not_sent_again(tmp_path: Path) -> None:
    foreign = {"type": "compaction", "encrypted_content": "gAAAAABc2VhbGVkIGVsc2V3aGVyZQ=="}
    message = "The encrypted content gAAA could not be verified."
    refusal = whole(400, error_body("responses", message, "invalid_request_error"))
    with ScriptedUpstream(lambda _: refusal) as server:
        entry = upstream("r", server.url, "responses", capabilities={"compaction": True})
        with Daemon(tmp_path, settings(entry)) as daemon:
            asked = question("responses", "m") | {"input": [*SEALED[:1], foreign, *SEALED[3:]]}
            answer = request(daemon.url, "POST", PATHS["responses"], asked)
    assert (answer.status, len(server.requests)) == (400, 1)


QUOTING = "the prompt contains 'temperature is not supported'"


def test_a_refusal_that_quotes_the_user_is_not_followed(tmp_path: Path) -> None:
    with ScriptedUpstream(
        lambda _: whole(400, error_body("chat", QUOTING, "invalid_request_error"))
    ) as server:
        with Daemon(tmp_path, settings(upstream("filter", server.url, "chat"))) as daemon:
            answer = request(daemon.url, "POST", PATHS["chat"], question("chat", "m") | {"temperature": 0.5})
    assert (answer.status, len(server.requests)) == (400, 1)


def test_an_unknown_refusal_goes_to_the_client_as_it_came(bed: Bed) -> None:
    answer = bed.ask("messages", "model-unknown", {})
    assert (answer.status, answer.body) == (400, UNKNOWN_REFUSAL)
    assert len(bed.received("model-unknown")) == 1
    assert bed.errors_of("unknown") == ("ready", 0)


def test_a_request_is_repeated_at_most_twice(bed: Bed) -> None:
    answer = bed.ask("messages", "model-stubborn", {name: 1 for name in STUBBORN})
    assert answer.status == 400
    assert error_of("messages", answer)["message"] == "gamma: Extra inputs are not permitted"
    sent = [[name for name in STUBBORN if name in one.json] for one in bed.received("model-stubborn")]
    assert sent == [list(STUBBORN), list(STUBBORN[1:]), list(STUBBORN[2:])]
    assert bed.errors_of("stubborn") == ("ready", 0)


def test_nothing_is_kept_of_a_request_that_failed_in_the_end(bed: Bed) -> None:
    before = len(bed.received("model-stubborn"))
    bed.ask("messages", "model-stubborn", {name: 1 for name in STUBBORN})
    assert "alpha" in bed.received("model-stubborn")[before].json


def test_the_very_same_request_is_never_sent_twice(bed: Bed) -> None:
    answer = bed.ask("messages", "model-absent", {})
    assert (answer.status, len(bed.received("model-absent"))) == (400, 1)


def test_a_change_that_does_not_help_is_undone_and_not_tried_again(bed: Bed) -> None:
    more = {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}
    answers = [bed.ask("messages", "model-both", {**more, "max_tokens": 9000}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    sent = [
        (one.json["thinking"]["type"], one.json["tool_choice"]["type"]) for one in bed.received("model-both")
    ]
    assert sent == [("adaptive", "any"), ("disabled", "any"), ("adaptive", "auto"), ("adaptive", "auto")]


def test_what_one_model_lacks_is_not_held_against_another(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "an image for llama.cpp")

    def answers(received: Received) -> Script:
        return case.answers(received) if received.json["model"] == "blind" else say("A dot.")(received)

    with ScriptedUpstream(answers) as server:
        with Daemon(tmp_path, settings(upstream("both", server.url, "chat"))) as daemon:
            for model in ("blind", "seeing", "blind"):
                request(daemon.url, "POST", PATHS["messages"], question("messages", model) | case.more)
    seen = [(one.json["model"], "image_url" in str(one.json)) for one in server.requests]
    assert seen == [("blind", True), ("blind", False), ("seeing", True), ("blind", False)]


def test_what_the_file_settles_is_not_learned(tmp_path: Path) -> None:
    case = CASES[0]
    with ScriptedUpstream(case.answers) as server:
        wrong = upstream("wrong", server.url, "chat", capabilities={"max_tokens_field": "max_tokens"})
        with Daemon(tmp_path, settings(wrong)) as daemon:
            answer = request(daemon.url, "POST", PATHS["messages"], question("messages", "m"))
    assert (answer.status, len(server.requests)) == (400, 1)


def test_what_the_file_states_about_an_upstream_need_not_be_learned(tmp_path: Path) -> None:
    case = CASES[0]
    with ScriptedUpstream(case.answers) as server:
        known = upstream(
            "known", server.url, "chat", capabilities={"max_tokens_field": "max_completion_tokens"}
        )
        with Daemon(tmp_path, settings(known)) as daemon:
            answer = request(daemon.url, "POST", PATHS["messages"], question("messages", "m"))
    assert (answer.status, len(server.requests)) == (200, 1)
