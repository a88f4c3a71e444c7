"""Conversations that Anthropic's service holds: other upstreams get them as a whole."""

import msgspec
import pytest

from switchyard.protocols.codec import BadRequest
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.errors.table import encode_error
from switchyard.protocols.neutral import ErrorType, WireError

CONTINUED = {"type": "continue", "previous_message_id": "msg_1"}


def body(**fields: object) -> bytes:
    said = [{"role": "user", "content": "Hello"}]
    return msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": said, **fields})


def test_a_new_thread_is_like_no_thread() -> None:
    decode = CODECS["messages"].decode_request
    assert decode(body(thread={"type": "create"})) == decode(body())


def test_the_rest_of_a_thread_is_refused_so_that_the_client_sends_the_whole() -> None:
    with pytest.raises(BadRequest, match="no conversation is held for message 'msg_1'") as refused:
        CODECS["messages"].decode_request(body(thread=CONTINUED))
    error = WireError(ErrorType.INVALID_REQUEST, refused.value.message, 400, refused.value.code)
    reported = msgspec.json.decode(encode_error("messages", error)[1])["error"]
    assert reported["details"] == {"error_code": "thread_not_found"}


def test_other_errors_have_no_details() -> None:
    error = WireError(ErrorType.INVALID_REQUEST, "bad", 400, "other")
    assert "details" not in msgspec.json.decode(encode_error("messages", error)[1])["error"]
