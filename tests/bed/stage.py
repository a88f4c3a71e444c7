"""The relay in fake time, over a scripted wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from msgspec.structs import replace

from switchyard.exchange import Exchange, FailureKind
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.capture import NowhereSink
from switchyard.relay.failover import Relay
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.hold import Hold
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.slot_queue import SlotQueue
from switchyard.relay.upstream import Call, Destination, Reply, Wire
from switchyard.relay.values import ClientRequest, Sink
from switchyard.routing.lineup import Moment
from switchyard.settings import Settings, Upstream
from tests.bed.dependencies import Bed

ANSWER = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}'
)
BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}'

Answer = Callable[[Call], Awaitable[Reply]]


def upstream(name: str, **more: Any) -> Upstream:
    return Upstream(**{"name": name, "base_url": f"https://{name}.example", "key": "k", **more})


class Reported:
    """A wire that answers as scripted."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.kept_ready: list[tuple[str, float]] = []

    def keep_ready(self, destination: Destination, seconds: float) -> None:
        self.kept_ready.append((destination.url, seconds))

    async def send(self, call: Call) -> Reply:
        self.asked.append(call.upstream)
        return await self._answer(call)


class Body:
    """`lingers`: seconds between the last event and the end of the connection."""

    has_ended = False

    def __init__(self, content: bytes, lingers: float = 0.0) -> None:
        self._content = content
        self._lingers = lingers

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._content
        if self._lingers:
            await asyncio.sleep(self._lingers)

    async def close(self) -> None:
        return


def reply(status: int = 200, content: bytes = ANSWER, **headers: str) -> Reply:
    reported = {
        "content-type": "application/json",
        **{key.replace("_", "-"): one for key, one in headers.items()},
    }
    return Reply(status, list(reported.items()), Body(content))


def refused() -> AttemptFailed:
    return AttemptFailed(network_failure(FailureKind.CONNECT, "cannot connect"))


class Stage:
    """The relay in the running loop's time."""

    def __init__(self, settings: Settings, answer: Answer) -> None:
        loop = asyncio.get_running_loop()
        self.bed = Bed(settings)
        self.wire = Reported(answer)
        self.dependencies = replace(
            self.bed.dependencies,
            slots=SlotQueue(self.bed.limits, loop.time),
            wire=SimulatingWire(cast(Wire, self.wire), loop.time),
            now=lambda: Moment(self.bed.dependencies.now().wall, loop.time()),
            monotonic=loop.time,
            awake=loop.time,
            hold=Hold(loop.time, jitter=lambda: 0.0),
            answered={entry.name for entry in settings.upstreams},
        )

    async def ask(
        self,
        sink: Sink | None = None,
        *,
        stream: bool = False,
        model: str = "m",
        headers: dict[str, str] | None = None,
        prompt: str = "Hello",
        body: bytes = BODY,
        kind: str = "request",
    ) -> Exchange:
        body = body.replace(b'"model":"m"', b'"model":"%s"' % model.encode())
        body = body.replace(b"{", b'{"stream":true,', 1) if stream else body
        body = body.replace(b"Hello", prompt.encode())
        sent = headers or {}
        request = ClientRequest(
            "messages", body, read_request_summary("messages", body, sent), list(sent.items()), kind=kind
        )
        return await Relay(self.dependencies).answer(request, sink or NowhereSink())
