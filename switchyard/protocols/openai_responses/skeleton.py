"""The response object, which repeats fields of the request."""

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.wire import Json

ECHO_DEFAULTS: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a request that its response repeats, and their defaults."""


ENCODED_DEFAULTS: Json = {
    name: msgspec.Raw(msgspec.json.encode(value)) for name, value in ECHO_DEFAULTS.items()
}


def echo_of(body: Json) -> Json:
    """What of the client's body its response will repeat."""
    return {field: body[field] for field in ECHO_DEFAULTS if body.get(field) is not None}


def skeleton(request: neutral.Request, id: str) -> Json:
    """The part of the response object that stays the same; the echo as raw JSON, since it is sent three times."""
    given = {
        name: msgspec.Raw(msgspec.json.encode(request.echo[name]))
        for name in ECHO_DEFAULTS
        if name in request.echo
    }
    return {
        "id": id,
        "object": "response",
        "created_at": request.received_at,
        "model": request.model,
        "background": False,
        **ENCODED_DEFAULTS,
        **given,
    }


def response_object(
    skeleton: Json,
    status: str,
    output: list[Json],
    *,
    usage: Json | None = None,
    error: Json | None = None,
    incomplete_details: Json | None = None,
) -> Json:
    return {
        **skeleton,
        "status": status,
        "error": error,
        "incomplete_details": incomplete_details,
        "output": output,
        "usage": usage,
    }
