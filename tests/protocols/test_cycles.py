"""A conversion leaves nothing for the garbage collector: the large bodies that it holds are free at its end."""

import gc
from collections.abc import Iterator

import pytest

from switchyard.protocols import neutral
from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import StreamConversion, convert_request, convert_response
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from tests.bed import wire
from tests.bed.wire import Call, Reply

REPLY = Reply("answer", "thought", (Call("read", {"path": "a"}),))
READ = neutral.Tool("read", "Reads.", {"type": "object", "properties": {"path": {"type": "string"}}})


@pytest.fixture
def collected() -> Iterator[list[object]]:
    """What the garbage collector has found, instead of freeing it."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def convert(upstream: ProtocolName, client: ProtocolName) -> None:
    request = neutral.Request(
        model="m",
        messages=(neutral.Message("user", (neutral.Text("please"),)),),
        tools=(READ,),
        stream=True,
        include_usage=True,
    )
    sent = convert_request(request, CODECS[upstream], Target("told", "issuer"))
    stream = StreamConversion(CODECS[upstream], CODECS[client], sent, request)
    written = b"".join(map(stream.feed, wire.records(upstream, REPLY))) + stream.close()
    assert b"answer" in written and stream.finished
    whole = convert_response(CODECS[upstream], CODECS[client], wire.body(upstream, REPLY), sent, request)
    assert whole.failed is None


@pytest.mark.parametrize("upstream", PROTOCOLS)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_a_conversion_leaves_no_cycles(
    upstream: ProtocolName, client: ProtocolName, collected: list[object]
) -> None:
    convert(upstream, client)
    gc.collect()
    kinds = {type(one).__name__ for one in collected if type(one).__module__.startswith("switchyard")}
    assert kinds == set()
