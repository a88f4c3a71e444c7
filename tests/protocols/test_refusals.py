"""What is learned from the refusals of real servers: their words as a table."""

import time
from typing import Any

import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.refusals.limits import limits_in
from switchyard.protocols.refusals.rows import LearnedLimit
from tests.protocols.refusal_wordings import NOTHING, SERVERS, STRIP, Case, without

TABLE = tuple((server, case) for server, cases in SERVERS.items() for case in cases)


def learned_from(error: WireError, known: Capabilities, estimate: int = 0) -> LearnedLimit | None:
    """The change that is tried first."""
    return next(iter(limits_in(error, known, estimate)), None)


def refusal(message: str, status: int = 400, **more: Any) -> WireError:
    return WireError(ErrorType.INVALID_REQUEST, message, status, **more)


def capabilities_in(learned: LearnedLimit | None) -> object:
    if learned is None:
        return None
    return STRIP if learned.strip_thinking else dict(learned.capabilities)


@pytest.mark.parametrize(
    ("server", "case"), TABLE, ids=lambda value: str(value[0])[:60] if isinstance(value, tuple) else value
)
def test_what_the_server_lacks_is_learned_from_its_refusal(server: str, case: Case) -> None:
    known = Capabilities(reasoning_effort="budget") if "adaptive" in str(case[1]) else Capabilities()
    learned = capabilities_in(learned_from(refusal(case[0]), known))
    assert learned == (None if case[1] == without() else case[1])


BODIES: tuple[tuple[ProtocolName, int, bytes, object], ...] = (
    (
        "chat",
        400,
        b'{"error":{"message":"Unsupported parameter: \'max_tokens\' is not supported with this model. Use '
        b'\'max_completion_tokens\' instead.","type":"invalid_request_error","param":"max_tokens",'
        b'"code":"unsupported_parameter"}}',
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (
        "chat",
        400,
        b"{\"object\":\"error\",\"message\":\"[{'type': 'extra_forbidden', 'loc': ('body', 'store'), 'msg': "
        b'\'Extra inputs are not permitted\', \'input\': False}]","type":"BadRequestError","param":null,"code":400}',
        {"dropped_fields": ("store",)},
    ),
    (
        "chat",
        422,
        b'{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra inputs are not permitted",'
        b'"input":"x"}]}',
        {"dropped_fields": ("user",)},
    ),
    (
        "chat",
        500,
        b'{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may '
        b'need to provide the mmproj","type":"server_error"}}',
        {"images": False},
    ),
    ("chat", 400, b'{"error":"\\"qwen2.5:7b\\" does not support thinking"}', {"reasoning_effort": "none"}),
    (
        "messages",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0: Invalid '
        b'`signature` in `thinking` block"},"request_id":"req_1"}',
        STRIP,
    ),
    (
        "responses",
        400,
        b'{"error":{"message":"The encrypted content could not be verified.","type":"invalid_request_error",'
        b'"param":null,"code":"invalid_encrypted_content"}}',
        STRIP,
    ),
)


@pytest.mark.parametrize(("protocol", "status", "body", "expected"), BODIES)
def test_a_refusal_is_understood_in_its_own_envelope(
    protocol: ProtocolName, status: int, body: bytes, expected: object
) -> None:
    assert capabilities_in(learned_from(decode_error(status, body), Capabilities())) == expected


def test_the_most_a_model_answers_is_remembered() -> None:
    error = refusal("max_tokens is too large", param="max_tokens", limit=8192)
    learned = LearnedLimit("it gives at most 8192 tokens", {"max_output_tokens": 8192})
    assert learned_from(error, Capabilities()) == learned
    assert learned_from(error, Capabilities(max_output_tokens=9000)) == learned
    assert learned_from(error, Capabilities(max_output_tokens=8192)) is None


@pytest.mark.parametrize(
    ("message", "prompt", "estimate", "room"),
    [
        ("12000 input tokens", 12000, 13000, 20768),
        ("at least 769 input tokens", 769, 13000, 19768),
        ("at least 769 input tokens", 769, 40000, 31999),
        ("32768 input tokens", 32768, 0, None),
    ],
)
def test_what_one_prompt_leaves_for_the_answer_holds_for_it_alone(
    message: str, prompt: int, estimate: int, room: int | None
) -> None:
    error = refusal(message, param="max_tokens", tokens=prompt, limit=32768)
    learned = learned_from(error, Capabilities(), estimate)

    assert (learned and (learned.capabilities, learned.for_now)) == (
        room and ({"max_output_tokens": room}, True)
    )


OTHER_ERRORS = (
    refusal("max_tokens must be at least 1, got -1000.", param="max_tokens"),
    refusal("temperature is not supported", status=401),
    refusal("Rate limit reached for images: not supported", status=429),
    WireError(
        ErrorType.CONTEXT_OVERFLOW, "prompt is too long: 9 tokens > 8 maximum; image not supported", 400
    ),
    WireError(ErrorType.MODEL_NOT_FOUND, "The model `x` does not support the developer role", 404),
)


@pytest.mark.parametrize(
    "error", (*OTHER_ERRORS, *map(refusal, NOTHING)), ids=lambda error: error.message[:50]
)
def test_nothing_is_learned_from_any_other_refusal(error: WireError) -> None:
    assert learned_from(error, Capabilities()) is None


def test_nothing_is_learned_from_a_word_far_away() -> None:
    quoted = "x" * 3000
    assert learned_from(refusal(f"Invalid body: {{'content': '{quoted} an image'}}"), Capabilities()) is None


def test_what_is_known_is_not_learned_again() -> None:
    error = refusal("Unsupported parameter: 'stop' is not supported with this model.")
    learned = learned_from(error, Capabilities(stop=False))
    assert capabilities_in(learned) == {"dropped_fields": ("stop",)}
    assert learned_from(error, Capabilities(stop=False, dropped_fields=("stop",))) is None


def test_refused_fields_add_up() -> None:
    known = Capabilities(dropped_fields=("store",))
    learned = learned_from(refusal("Unknown parameter: 'user'."), known)
    assert capabilities_in(learned) == {"dropped_fields": ("store", "user")}


def test_refused_betas_add_up() -> None:
    error = refusal("Unexpected value(s) `b-2` for the `anthropic-beta` header.")
    assert capabilities_in(learned_from(error, Capabilities(refused_betas=("a-1",)))) == {
        "refused_betas": ("a-1", "b-2")
    }
    assert learned_from(error, Capabilities(refused_betas=("b-2",))) is None


def test_a_learned_limit_has_its_reason() -> None:
    learned = learned_from(refusal("Unknown parameter: 'user'."), Capabilities())
    assert learned is not None and learned.why == "it does not know user"


HOSTILE = (
    "unsupported " * 400,
    "unknown parameter: " + "a" * 4000,
    "'" * 4000,
    "a." * 2000 + ": ",
    "tools[0]" + ".parameters" * 400 + ": x",
    "unsupported parameters: " + "a, " * 1500,
    "temperature is " * 300,
    '{"message": "' + '\\"message\\": ' * 300,
    "thinking tool_choice " * 200,
    "(" * 4000 + "unknown",
    " -> ".join(["a"] * 900) + "\n  x",
)


@pytest.mark.timing
@pytest.mark.parametrize("message", HOSTILE, ids=lambda message: message[:20])
def test_no_text_takes_long_to_read(message: str) -> None:
    began = time.process_time()
    limits_in(refusal(message), Capabilities())
    assert time.process_time() - began < 1
