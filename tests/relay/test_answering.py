import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from switchyard.exchange import Exchange, Outcome
from switchyard.protocols.head import read_head
from switchyard.relay.failover import Relay
from switchyard.relay.headers import Headers
from switchyard.relay.values import ClientRequest
from switchyard.settings import DEMO_URL, Upstream
from tests.bed.around import bed_of

DEMO = Upstream(name="demo", base_url=DEMO_URL)
BODY = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hello"}]}'


@dataclass
class Client:
    started: bool = False
    body: bytes = b""
    is_cut: bool = False

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True

    async def write(self, data: bytes) -> None:
        self.body += data

    async def end(self, data: bytes = b"") -> None:
        self.body += data

    async def cut(self) -> None:
        self.is_cut = True


def left_during(record: Callable[[asyncio.Event, Exchange], Awaitable[None]]) -> list[Exchange]:
    """What is recorded of a request whose client leaves while its end is being written down."""
    recorded: list[Exchange] = []

    async def scenario() -> None:
        bed = bed_of(DEMO)
        reached = asyncio.Event()

        async def slowly(exchange: Exchange) -> None:
            recorded.append(exchange)
            await record(reached, exchange)

        relay = Relay(replace(bed.around, record=slowly))
        request = ClientRequest("messages", BODY, read_head("messages", BODY, {}), [])
        asking = asyncio.create_task(relay.answer(request, Client()))
        await reached.wait()
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        assert bed.limits.under_way("demo") == 0
        await bed.close()

    asyncio.run(scenario())
    return recorded


async def never_done(reached: asyncio.Event, _: Exchange) -> None:
    reached.set()
    await asyncio.sleep(60)


def test_an_answer_that_had_ended_when_its_client_left_is_recorded_once_and_stays_what_it_was() -> None:
    (exchange,) = left_during(never_done)
    assert exchange.outcome is Outcome.OK
    assert exchange.usage is not None
