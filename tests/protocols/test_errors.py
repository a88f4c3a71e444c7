"""Errors of upstreams in every shape that was met."""

import time

import msgspec
import pytest

from switchyard.protocols.errors.decode import decode_embedded_error, decode_error
from switchyard.protocols.errors.table import context_sentence
from switchyard.protocols.neutral import ErrorType, WireError

T = ErrorType

JSON_BODIES = [
    (
        529,
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "Overloaded"},
            "request_id": "req_1",
        },
        WireError(T.OVERLOADED, "Overloaded", 529),
    ),
    (
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "messages: at least one"}},
        WireError(T.INVALID_REQUEST, "messages: at least one", 400),
    ),
    (
        404,
        {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-x"}},
        WireError(T.MODEL_NOT_FOUND, "model: claude-x", 404),
    ),
    (
        404,
        {"type": "error", "error": {"type": "not_found_error", "message": "Not Found"}},
        WireError(T.NOT_FOUND, "Not Found", 404),
    ),
    (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access"},
        },
        WireError(T.BILLING, "Your credit balance is too low to access", 400),
    ),
    (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 5 maximum"},
        },
        WireError(T.CONTEXT_OVERFLOW, "prompt is too long: 9 tokens > 5 maximum", 400, tokens=9, limit=5),
    ),
    (
        401,
        {
            "error": {
                "message": "Incorrect API key",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
                "param": None,
            }
        },
        WireError(T.AUTHENTICATION, "Incorrect API key", 401, code="invalid_api_key"),
    ),
    (
        404,
        {
            "error": {
                "message": "The model `x` does not exist",
                "type": "invalid_request_error",
                "code": "model_not_found",
            }
        },
        WireError(T.MODEL_NOT_FOUND, "The model `x` does not exist", 404, code="model_not_found"),
    ),
    (
        400,
        {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use x.",
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            }
        },
        WireError(
            T.INVALID_REQUEST,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use x.",
            400,
            code="unsupported_parameter",
            param="max_tokens",
        ),
    ),
    (
        429,
        {
            "error": {
                "message": "You exceeded your current quota, please",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }
        },
        WireError(T.QUOTA, "You exceeded your current quota, please", 429, code="insufficient_quota"),
    ),
    (
        429,
        {
            "error": {
                "message": "Rate limit reached. Please try again in 1.5s.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        WireError(
            T.RATE_LIMIT,
            "Rate limit reached. Please try again in 1.5s.",
            429,
            code="rate_limit_exceeded",
            retry_after=1.5,
        ),
    ),
    (
        429,
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota. Please retry in 20s",
                "status": "RESOURCE_EXHAUSTED",
            }
        },
        WireError(
            T.RATE_LIMIT,
            "You exceeded your current quota. Please retry in 20s",
            429,
            code="429",
            retry_after=20,
        ),
    ),
    (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 4096 tokens. However, your messages resulted in "
                "5000 tokens.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
        WireError(
            T.CONTEXT_OVERFLOW,
            "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.",
            400,
            code="context_length_exceeded",
            param="messages",
            tokens=5000,
            limit=4096,
        ),
    ),
    (
        400,
        {
            "error": {
                "message": "max_tokens is too large: 9. This model supports at most 5 completion tokens, whereas",
                "type": "invalid_request_error",
            }
        },
        WireError(
            T.INVALID_REQUEST,
            "max_tokens is too large: 9. This model supports at most 5 completion tokens, whereas",
            400,
            param="max_tokens",
            limit=5,
        ),
    ),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "too big",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9,
                "n_ctx": 5,
            }
        },
        WireError(T.CONTEXT_OVERFLOW, "too big", 400, code="400", tokens=9, limit=5),
    ),
    (
        404,
        {"error": "model 'x' not found, try pulling it first"},
        WireError(T.MODEL_NOT_FOUND, "model 'x' not found, try pulling it first", 404),
    ),
    (
        422,
        {"error": "Input validation", "error_type": "validation"},
        WireError(T.INVALID_REQUEST, "Input validation", 422),
    ),
    (
        400,
        {"object": "error", "message": "m", "code": 40303},
        WireError(T.CONTEXT_OVERFLOW, "m", 400, code="40303"),
    ),
    (
        400,
        {"object": "error", "message": "m", "type": "BadRequestError", "param": None, "code": 400},
        WireError(T.INVALID_REQUEST, "m", 400, code="400"),
    ),
    (401, {"detail": "Unauthorized"}, WireError(T.AUTHENTICATION, "Unauthorized", 401)),
    (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "tools", 0, "cache_control"],
                    "msg": "Extra inputs are not permitted",
                }
            ]
        },
        WireError(
            T.INVALID_REQUEST,
            "tools.0.cache_control: Extra inputs are not permitted",
            422,
            param="tools.0.cache_control",
        ),
    ),
    (500, {"message": "boom"}, WireError(T.SERVER, "boom", 500)),
    (
        502,
        {"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": "busy"}}},
        WireError(T.SERVER, "Provider returned error: busy", 502, code="502"),
    ),
    (
        503,
        {"error": {"code": "model_not_found", "message": "No available channel for model x"}},
        WireError(T.MODEL_NOT_FOUND, "No available channel for model x", 503, code="model_not_found"),
    ),
    (
        400,
        {"base_resp": {"status_code": 2013, "status_msg": "invalid params"}},
        WireError(T.INVALID_REQUEST, "invalid params", 400, code="2013"),
    ),
    (
        500,
        {"error": {"type": "api_error", "message": "The server is overloaded"}},
        WireError(T.OVERLOADED, "The server is overloaded", 500),
    ),
    (402, {"error": {"message": "Insufficient Balance"}}, WireError(T.BILLING, "Insufficient Balance", 402)),
    (403, {"error": {"message": "用户额度不足"}}, WireError(T.BILLING, "用户额度不足", 403)),
    (400, {"what": 1}, WireError(T.INVALID_REQUEST, '{"what":1}', 400)),
    (
        400,
        {"error": {"message": "Prompt too long: 300 tokens exceeds max context window of 200"}},
        WireError(
            T.CONTEXT_OVERFLOW,
            "Prompt too long: 300 tokens exceeds max context window of 200",
            400,
            tokens=300,
            limit=200,
        ),
    ),
    (
        400,
        {"error": {"message": "Your input exceeds the context window of this model."}},
        WireError(T.CONTEXT_OVERFLOW, "Your input exceeds the context window of this model.", 400),
    ),
]


@pytest.mark.parametrize(("status", "body", "expected"), JSON_BODIES)
def test_an_error_in_json_is_decoded(status: int, body: dict[str, object], expected: WireError) -> None:
    assert decode_error(status, msgspec.json.encode(body)) == expected


OVERFLOWS = (
    (
        "This model's maximum context length is 32768 tokens. However, your request has 40000 input tokens.",
        40000,
        32768,
    ),
    (
        "You passed 32769 input tokens and requested 0 output tokens. However, the model's context length is only "
        "32768 tokens, resulting in a maximum input length of 32768 tokens.",
        32769,
        32768,
    ),
    ("The decoder prompt (length 40000) is longer than the maximum model length of 32768.", 40000, 32768),
    ("the request exceeds the available context size, try increasing it", None, None),
    ("Requested tokens (5000) exceed context window of 4096", 5000, 4096),
    ("The number of tokens to keep from the initial prompt is greater than the context length.", None, None),
    (
        "Trying to keep the first 12000 tokens when context the overflows. However, the model is loaded with context "
        "length of only 4096 tokens, which is not enough.",
        12000,
        4096,
    ),
    ("`inputs` must have less than 4095 tokens. Given: 5000", 5000, 4095),
    ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20", 5020, 4096),
    (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        1200000,
        1048576,
    ),
    ("Input is too long for requested model.", None, None),
    ("Range of input length should be [1, 30720]", None, 30720),
    ("Invalid request: Your request exceeded model token limit: 131072", None, 131072),
    ("Prompt exceeds max length", None, None),
    ("invalid params, context window exceeds limit", None, None),
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        40000,
        32768,
    ),
    (
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
        300000,
        272000,
    ),
    (
        "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
        150000,
        131072,
    ),
    ("Input length (40000 tokens) exceeds the maximum allowed length (32768 tokens).", 40000, 32768),
    ("The input (40000 tokens) is longer than the model's context length (32768 tokens).", 40000, 32768),
    ("Prompt is too long: 1,200,000 tokens > 200,000 maximum", 1200000, 200000),
)


@pytest.mark.parametrize(("message", "tokens", "limit"), OVERFLOWS)
def test_a_prompt_that_is_too_long_is_known_by_every_servers_words(
    message: str, tokens: int | None, limit: int | None
) -> None:
    error = decode_error(400, msgspec.json.encode({"error": {"message": message}}))
    assert (error.type, error.tokens, error.limit) == (T.CONTEXT_OVERFLOW, tokens, limit)


TOO_MANY = (
    (
        "This model's maximum context length is 32768 tokens. However, you requested 44000 tokens (12000 in the "
        "messages, 32000 in the completion). Please reduce the length of the messages or completion.",
        (T.INVALID_REQUEST, "max_tokens", 12000, 32768),
    ),
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 "
        "tokens and your request has 12000 input tokens (32000 > 32768 - 12000).",
        (T.INVALID_REQUEST, "max_tokens", 12000, 32768),
    ),
    (
        "This model's maximum context length is 32768 tokens. However, you requested 32000 output tokens and your "
        "prompt contains at least 769 input tokens, for a total of at least 32769 tokens.",
        (T.INVALID_REQUEST, "max_tokens", 769, 32768),
    ),
    (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about 150000 tokens "
        "(118000 of text input, 32000 in the output). Please reduce the length of either one.",
        (T.INVALID_REQUEST, "max_tokens", 118000, 131072),
    ),
    (
        "Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a total "
        "of 150000 tokens: 118000 tokens from the input messages and 32000 tokens for the completion.",
        (T.INVALID_REQUEST, "max_tokens", 118000, 131072),
    ),
    (
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or "
        "`max_tokens` and try again",
        (T.INVALID_REQUEST, "max_tokens", 190000, 200000),
    ),
    (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3000 `inputs` tokens "
        "and 2000 `max_new_tokens`",
        (T.INVALID_REQUEST, "max_tokens", 3000, 4096),
    ),
    (
        "You passed 20000 input tokens and requested 32000 output tokens. However, the model's context length is "
        "only 32768 tokens, resulting in a maximum input length of 768 tokens.",
        (T.INVALID_REQUEST, "max_tokens", 20000, 32768),
    ),
    (
        # what is left would be no answer
        "This model's maximum context length is 32768 tokens. However, you requested 64000 tokens (32000 in the "
        "messages, 32000 in the completion). Please reduce the length of the messages or completion.",
        (T.CONTEXT_OVERFLOW, "", 64000, 32768),
    ),
    (
        "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku",
        (T.INVALID_REQUEST, "max_tokens", None, 8192),
    ),
    (
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        (T.INVALID_REQUEST, "max_tokens", None, 8192),
    ),
    ("Range of max_tokens should be [1, 8,192]", (T.INVALID_REQUEST, "max_tokens", None, 8192)),
    (
        "max_output_tokens 64000 exceeds the limit of 32768",
        (T.INVALID_REQUEST, "max_tokens", None, 32768),
    ),
    ("max_tokens must be at least 1, got -1000.", (T.INVALID_REQUEST, "max_tokens", None, None)),
)


@pytest.mark.parametrize(("message", "expected"), TOO_MANY)
def test_a_prompt_that_is_too_long_differs_from_an_answer_that_is(message: str, expected: object) -> None:
    error = decode_error(400, msgspec.json.encode({"error": {"message": message}}))
    assert (error.type, error.param, error.tokens, error.limit) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            502,
            b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
            WireError(T.SERVER, "502 Bad Gateway", 502),
        ),
        (500, b"<p>It <b>broke</b></p>", WireError(T.SERVER, "It broke", 500)),
        (503, b"upstream connect error", WireError(T.OVERLOADED, "upstream connect error", 503)),
        (
            504,
            b"",
            WireError(T.TIMEOUT, "the upstream answered 504 Gateway Timeout without a reason", 504),
        ),
        (599, b"{}", WireError(T.SERVER, "the upstream answered 599 without a reason", 599)),
        (400, b"\xff", WireError(T.INVALID_REQUEST, "\ufffd", 400)),
        (418, b"[]", WireError(T.INVALID_REQUEST, "[]", 418)),
    ],
)
def test_an_error_that_is_no_json_is_decoded(status: int, body: bytes, expected: WireError) -> None:
    assert decode_error(status, body) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"error": {"message": "boom"}}, WireError(T.SERVER, "boom", 500)),
        ({"error": {"message": "slow", "code": 429}}, WireError(T.RATE_LIMIT, "slow", 429, code="429")),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            WireError(T.OVERLOADED, "m", 529),
        ),
        (
            {
                "type": "error",
                "code": "rate_limit_exceeded",
                "message": "slow",
                "param": None,
                "sequence_number": 3,
            },
            WireError(T.RATE_LIMIT, "slow", 429, code="rate_limit_exceeded"),
        ),
        (
            {
                "type": "response.failed",
                "response": {"id": "r", "output": [], "error": {"code": "server_error", "message": "m"}},
            },
            WireError(T.SERVER, "m", 500, code="server_error"),
        ),
        (
            {"type": "response.failed", "response": {"error": None}},
            WireError(T.SERVER, "the response failed", 500),
        ),
        (
            {"text": "out of memory", "error_code": 50002},
            WireError(T.SERVER, "out of memory", 500, code="50002"),
        ),
        (
            {"base_resp": {"status_code": 2013, "status_msg": "bad"}},
            WireError(T.INVALID_REQUEST, "bad", 400, code="2013"),
        ),
        (
            {"code": 500, "msg": "404 NOT_FOUND", "success": False},
            WireError(T.SERVER, "404 NOT_FOUND", 500, code="500"),
        ),
        ({"error": "went away"}, WireError(T.SERVER, "went away", 500)),
        ({"choices": [], "error": None}, None),
        ({"choices": [], "base_resp": {"status_code": 0, "status_msg": ""}}, None),
        ({"type": "message_start", "message": {"id": "m"}}, None),
        ({"type": "message_stop"}, None),
        ({"type": "response.created", "response": {"error": None}}, None),
        ({"type": "response.output_text.delta", "delta": "error"}, None),
        ({}, None),
    ],
)
def test_an_error_inside_a_regular_answer_is_found(
    record: dict[str, object], expected: WireError | None
) -> None:
    assert decode_embedded_error(record) == expected


@pytest.mark.parametrize(
    "code",
    """
    invalid_prompt cyber_policy bio_policy misalignment_policy_violation content_policy_violation
    inference_hook_denied access_program_not_enabled data_residency_mismatch invalid_image invalid_image_format
    invalid_base64_image invalid_image_url image_too_large image_too_small image_parse_error
    image_content_policy_violation invalid_image_mode image_file_too_large unsupported_image_media_type
    empty_image_file failed_to_download_image image_file_not_found invalid_audio invalid_audio_data
    invalid_audio_format audio_too_large missing_audio_sample_rate
    """.split(),
)
def test_a_failed_response_of_openai_that_refuses_the_request_is_no_failure_of_the_server(code: str) -> None:
    record = {"type": "response.failed", "response": {"error": {"code": code, "message": "m"}}}
    assert decode_embedded_error(record) == WireError(T.INVALID_REQUEST, "m", 400, code=code)


def test_an_empty_body_with_an_error_of_minimax_is_an_error_in_spite_of_its_choices() -> None:
    error = decode_embedded_error(
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no balance"}}
    )
    assert error == WireError(T.BILLING, "no balance", 402, code="1008")


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("bad key sk-ant-api03-abcdefghijk given", "bad key [key] given"),
        ("Incorrect API key provided: sk-proj-ab***xyz1.", "Incorrect API key provided: [key]"),
        ("bad key sk-abcdefghij/klm+nop== given", "bad key [key] given"),
        ("AIza0123456789abcdefghij/klm+nop", "[key]"),
        ("api_key: abcdefghijklmn/op+qr==, sorry", "api_key: [key], sorry"),
        ("header Bearer abcdef0123456789", "header Bearer [key]"),
        ("api_key=abcdefghijklmnop", "api_key=[key]"),
        ("the task-runner and risk-averse sk-8 stay", "the task-runner and risk-averse sk-8 stay"),
    ],
)
def test_keys_do_not_get_into_messages(secret: str, shown: str) -> None:
    assert decode_error(500, secret.encode()).message == shown


def test_a_message_is_cut() -> None:
    assert len(decode_error(500, b"x" * 5000).message) == 2000


HUGE_NUMBER = b"9" * 5000
HOSTILE = {
    "opened tags": b"<html>" + b"<" * 500_000,
    "opened scripts": b"<html>" + b"<script>" * 60_000,
    "opened comments": b"<html>" + b"<!--" * 120_000,
    "opened titles": b"<html>" + b"<title>" * 60_000,
    "digits": b'{"error":{"code":"context_length_exceeded","message":"' + b"1" * 500_000 + b'"}}',
    "a code of many digits": b'{"error":{"message":"no","code":"' + HUGE_NUMBER + b'"}}',
    "a limit of many digits": b'{"error":{"message":"at most ' + HUGE_NUMBER + b' completion tokens"}}',
    "a wait of many digits": b'{"error":{"type":"rate_limit_error","message":"retry in '
    + HUGE_NUMBER
    + b's"}}',
    "an endless wait": b'{"error":{"type":"rate_limit_error","message":"try again in 999999999999 m"}}',
    "words that begin every pattern": b'{"error":{"message":"'
    + b"model invalid exceed context length " * 20_000
    + b'"}}',
    "deep nesting": b'{"error":' * 100_000 + b"1" + b"}" * 100_000,
    "a code without end": b'{"error":{"message":"no","code":"' + b"x" * 500_000 + b'"}}',
}


@pytest.mark.parametrize("status", [400, 429, 500, 999])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_costs_little_time_and_stays_small(name: str, status: int) -> None:
    began = time.process_time()
    error = decode_error(status, HOSTILE[name])

    assert time.process_time() - began < 2
    assert len(error.message) <= 2000 and len(error.code) <= 100
    assert (error.retry_after or 0) < 10**6


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            WireError(T.CONTEXT_OVERFLOW, "m", 400, tokens=9, limit=5),
            "prompt is too long: 9 tokens > 5 maximum",
        ),
        (
            WireError(T.CONTEXT_OVERFLOW, "too much context", 400, limit=5),
            "prompt is too long: too much context",
        ),
        (WireError(T.CONTEXT_OVERFLOW, "prompt is too long", 400), "prompt is too long"),
    ],
)
def test_an_overflow_is_reported_so_that_clients_compact(error: WireError, sentence: str) -> None:
    assert context_sentence(error) == sentence
