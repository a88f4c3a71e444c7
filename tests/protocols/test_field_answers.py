"""Answers of the field reach every program: all words and calls, the reason to stop, and nothing lost unreported."""

import msgspec
import pytest
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_response
from switchyard.protocols.fold import fold
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.passthrough.stream import PassthroughStream
from tests.protocols.field_answers import ANSWERS, Answer
from tests.protocols.sdks import said_to

REQUEST = neutral.Request("asked", (neutral.Message("user", (neutral.Text("please"),)),))
SENT = SentRequest(b"{}", Target("m", "issuer"))
NAMED = [(upstream, name) for upstream, cases in ANSWERS.items() for name in cases]
PAIRS = [(upstream, name, client) for upstream, name in NAMED for client in PROTOCOLS if client != upstream]


@pytest.mark.parametrize(("upstream", "name", "client"), PAIRS)
def test_an_answer_of_the_field_reaches_a_program(
    upstream: ProtocolName, name: str, client: ProtocolName
) -> None:
    """Judged by the official SDKs where it is streamed, read back where it is whole."""
    answer = ANSWERS[upstream][name]
    codecs = CODECS[upstream], CODECS[client]
    streamed = convert_response(*codecs, answer.bytes, SENT, replace(REQUEST, stream=True))
    said = said_to(client, streamed.body)
    assert (said.text, said.thinking, said.calls, said.error) == expected(answer)
    assert said.stop == answer.stop[client]
    assert tuple(loss.field for loss in streamed.losses) == answer.losses
    assert client != "responses" or answer.cites.encode() in streamed.body

    whole = convert_response(*codecs, answer.bytes, SENT, REQUEST)
    assert (whole.failed, whole.losses) == (None, streamed.losses)
    got = fold(CODECS[client].decode_response(whole.body, SentRequest(b"", Target("asked", ""))))
    assert isinstance(got, neutral.Response)
    words = [block.text for block in got.content if isinstance(block, neutral.Text | neutral.Refusal)]
    calls = [block for block in got.content if isinstance(block, neutral.ToolCall)]
    assert "".join(words) == answer.text
    assert tuple((call.name, msgspec.json.decode(call.arguments)) for call in calls) == answer.calls


def expected(answer: Answer) -> tuple[object, ...]:
    return answer.text, answer.thinking, answer.calls, None


@pytest.mark.parametrize(("upstream", "name"), NAMED)
def test_an_answer_of_the_field_passes_to_a_program_of_its_protocol(
    upstream: ProtocolName, name: str
) -> None:
    body = ANSWERS[upstream][name].bytes
    if isinstance(ANSWERS[upstream][name].body, dict):
        summary = INSPECTORS[upstream].summarize_whole(body)
        assert summary.error is None
        return
    stream = PassthroughStream(CODECS[upstream], "m")
    passed = stream.feed(body) + stream.close()
    assert (stream.finished, stream.failed, stream.content_begun) == (True, None, True)
    assert passed.startswith(body.removesuffix(b"data: [DONE]\n\n"))
