"""Errors in the shapes that services of the field give: their words, what they mean, and their code."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.neutral import ErrorType

REQUEST, RATE, SERVER = ErrorType.INVALID_REQUEST, ErrorType.RATE_LIMIT, ErrorType.SERVER
MISSING = {"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}
ERRORS: dict[str, tuple[int, Any, ErrorType, str, str]] = {
    "OpenRouter, with the words of its provider": (
        429,
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {"raw": "m is limited upstream"},
            }
        },
        RATE,
        "Provider returned error: m is limited upstream",
        "429",
    ),
    "Google, in a list": (
        400,
        [{"error": {"code": 400, "message": "Unknown name x", "status": "INVALID_ARGUMENT"}}],
        REQUEST,
        "Unknown name x",
        "400",
    ),
    "Cloudflare": (
        400,
        {
            "success": False,
            "errors": [{"code": 5006, "message": "oneOf not met"}],
            "messages": [],
            "result": {},
        },
        REQUEST,
        "oneOf not met",
        "5006",
    ),
    "Bedrock": (400, {"message": "Malformed input request"}, REQUEST, "Malformed input request", ""),
    "AWS, in capitals": (
        403,
        {"Message": "User is not authorized"},
        ErrorType.PERMISSION,
        "User is not authorized",
        "",
    ),
    "Azure's filter": (
        400,
        {"error": {"message": "It was filtered", "code": "content_filter", "innererror": {"code": "Policy"}}},
        REQUEST,
        "It was filtered",
        "content_filter",
    ),
    "vLLM, flat": (
        400,
        {"object": "error", "message": "max_tokens too large", "type": "BadRequestError", "code": 400},
        REQUEST,
        "max_tokens too large",
        "400",
    ),
    "FastAPI": (422, {"detail": [MISSING]}, REQUEST, "messages: Field required", ""),
    "Mistral, FastAPI's list as its message": (
        422,
        {"object": "error", "message": {"detail": [MISSING]}, "type": "invalid_request_error"},
        REQUEST,
        "messages: Field required",
        "",
    ),
    "TGI": (
        422,
        {"error": "Input validation error", "error_type": "validation"},
        REQUEST,
        "Input validation error",
        "",
    ),
    "Hugging Face, in a list": (
        422,
        {"error": ["max_new_tokens: too big"]},
        REQUEST,
        "max_new_tokens: too big",
        "",
    ),
    "Ollama": (404, {"error": 'model "x" not found'}, ErrorType.MODEL_NOT_FOUND, 'model "x" not found', ""),
    "GLM": (400, {"error": {"code": "1210", "message": "参数有误"}}, REQUEST, "参数有误", "1210"),
    "DashScope": (
        400,
        {"code": "InvalidParameter", "message": "A parameter is missing", "request_id": "r"},
        REQUEST,
        "A parameter is missing",
        "InvalidParameter",
    ),
    "Qianfan": (
        400,
        {"error_msg": "the text is too big", "error_code": 336007},
        REQUEST,
        "the text is too big",
        "336007",
    ),
    "MiniMax": (
        400,
        {"base_resp": {"status_code": 2013, "status_msg": "bad params"}},
        REQUEST,
        "bad params",
        "2013",
    ),
    "new-api": (
        500,
        {"error": {"message": "boom (request id: 1)", "type": "new_api_error", "param": "", "code": ""}},
        SERVER,
        "boom (request id: 1)",
        "",
    ),
    "Groq, with what the model has written": (
        400,
        {
            "error": {
                "message": "Failed to call a function.",
                "code": "tool_use_failed",
                "failed_generation": "<f>",
            }
        },
        REQUEST,
        "Failed to call a function.",
        "tool_use_failed",
    ),
    "xAI": (
        400,
        {"code": "The argument is invalid", "error": "Incorrect API key provided"},
        ErrorType.AUTHENTICATION,
        "Incorrect API key provided",
        "The argument is invalid",
    ),
    "an error inside an error": (
        400,
        {"error": {"error": {"message": "bad", "code": 7}}},
        REQUEST,
        "bad",
        "7",
    ),
    "an object as the message": (400, {"error": {"message": {"error": "bad"}}}, REQUEST, "bad", ""),
    "errors as an object": (400, {"errors": {"message": "bad"}}, REQUEST, "bad", ""),
    "another name for the message": (400, {"error_message": "bad"}, REQUEST, "bad", ""),
    "a gateway's fault": (
        429,
        {"fault": {"faultstring": "Quota violation", "detail": {}}},
        RATE,
        "Quota violation",
        "",
    ),
    "a problem document": (400, {"title": "Bad Request", "status": 400, "detail": "bad"}, REQUEST, "bad", ""),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_of_the_field_is_understood(name: str) -> None:
    status, body, type, message, code = ERRORS[name]
    error = decode_error(status, msgspec.json.encode(body))
    assert (error.type, error.message, error.code) == (type, message, code)
