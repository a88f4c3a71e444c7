"""The error envelope that both OpenAI protocols share: https://platform.openai.com/docs/guides/error-codes"""

import msgspec

CODES = {
    401: "invalid_api_key",
    402: "insufficient_quota",
    404: "model_not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "server_is_overloaded",
    504: "timeout",
    529: "server_is_overloaded",
}


def error_body(status: int, message: str) -> bytes:
    error = {
        "message": message,
        "type": "invalid_request_error" if status < 500 else "server_error",
        "param": None,
        "code": CODES.get(status),
    }
    return msgspec.json.encode({"error": error})
