import msgspec

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.prepare import Preparation
from switchyard.relay.values import ClientRequest


def test_answers_built_here_name_the_time_of_their_request() -> None:
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    request = ClientRequest(
        "chat", body, read_request_summary("chat", body, {}), [], received_at=1_780_000_000
    )
    assert Preparation(request, CODECS).decoded().received_at == 1_780_000_000
