"""Opening connections: names and their addresses, time limits, TLS, proxies, and leaving halfway."""

import asyncio
import ssl

import pytest

from switchyard.http1 import addresses, dial
from switchyard.http1.addresses import connect_first, has_address
from switchyard.http1.errors import ConnectFailed, ConnectionBroken, ConnectTimeout, ProxyRefused
from switchyard.http1.transport import Http1Transport
from tests.bed.certificates import Certificates, make_certificates
from tests.bed.full_listener import FullListener
from tests.bed.raw_server import RawServer, Talk, answers, ok
from tests.bed.upstream import closed_port
from tests.http1.conftest import Run


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def get(transport: Http1Transport, url: str, seconds: float = 5) -> bytes:
    reply = await transport.send("GET", url, [], b"", seconds)
    return b"".join([chunk async for chunk in reply.chunks()])


async def holds_on(talk: Talk) -> None:
    """Says nothing at all, until the client leaves."""
    await talk.left()


# --- names and addresses -------------------------------------------------------


def test_a_name_leads_to_its_addresses(run: Run) -> None:
    async def work(transport: Http1Transport) -> bytes:
        async with RawServer(answers(ok())) as server:
            return await get(transport, f"http://localhost:{server.port}/")

    assert run(work) == b"hello"


def test_a_machine_knows_which_addresses_it_has() -> None:
    found = [
        has_address(one) for one in (("127.0.0.1", 5101), ("192.0.2.1", 5101), ("2001:db8::1", 5101, 0, 0))
    ]
    assert found == [True, False, False]


@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_the_address_that_answers_first_wins(run: Run, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if first == "refuses":  # a refusal is not waited out
        monkeypatch.setattr(addresses, "NEXT_ADDRESS_SECONDS", 600)

    async def work(_: Http1Transport) -> bool:
        with FullListener() as full:
            silent = ("127.0.0.1", full.port)
            refusing = ("::1", closed_port())
            async with RawServer(answers(ok())) as server:
                answering = ("127.0.0.1", server.port)
                candidates = [refusing if first == "refuses" else silent, answering, silent]
                won = (await connect_first(candidates, asyncio.Protocol))[0]
                won.abort()
                return bool(won.get_extra_info("peername") == answering)

    assert run(work)


def test_the_reason_of_the_last_address_is_reported_when_none_answers(run: Run) -> None:
    async def work(_: Http1Transport) -> None:
        candidates = [("::1", closed_port()), ("127.0.0.1", closed_port())]
        with pytest.raises(ConnectionRefusedError):
            await connect_first(candidates, asyncio.Protocol)

    run(work)


# --- time ----------------------------------------------------------------------


def test_a_server_that_does_not_accept_in_time_is_reported(run: Run) -> None:
    async def work(transport: Http1Transport) -> str:
        with FullListener() as full:
            with pytest.raises(ConnectTimeout) as caught:
                await get(transport, f"{full.url}/", 0.1)
        return str(caught.value)

    assert run(work) == "no connection within 0.1 s"


def test_the_time_to_connect_includes_tls(run: Run) -> None:
    async def work(transport: Http1Transport) -> int:
        async with RawServer(holds_on) as server:
            with pytest.raises(ConnectTimeout):
                await get(transport, server.url.replace("http:", "https:"), 0.1)
            return transport.open_count

    assert run(work) == 0


def test_the_time_to_connect_ends_with_the_connection(run: Run) -> None:
    async def slow(talk: Talk) -> None:
        await talk.hear()
        await asyncio.sleep(1.5)
        await talk.say(ok())

    async def work(transport: Http1Transport) -> bytes:
        async with RawServer(slow) as server:
            return await get(transport, server.url, 1)

    assert run(work) == b"hello"


# --- TLS -----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_carries_a_pooled_connection(run: Run, certificates: Certificates, host: str) -> None:
    async def work(transport: Http1Transport) -> tuple[bytes, bytes, int]:
        async with RawServer(answers(ok(b"x" * 700_000)), certificates.server()) as server:
            url = server.url.replace("127.0.0.1", host)
            return await get(transport, url), await get(transport, url), server.connection_count

    assert run(work, tls=certificates.client) == (b"x" * 700_000, b"x" * 700_000, 1)


def test_large_bodies_pass_through_tls(run: Run, certificates: Certificates) -> None:
    async def script(talk: Talk) -> None:
        await talk.say(ok(str(len(await talk.hear())).encode()))

    async def work(transport: Http1Transport) -> int:
        async with RawServer(script, certificates.server()) as server:
            reply = await transport.send("POST", server.url, [], b"x" * 5_000_000, 5)
            return int(b"".join([chunk async for chunk in reply.chunks()]))

    assert run(work, tls=certificates.client) > 5_000_000


def test_an_answer_over_tls_may_end_with_its_connection(run: Run, certificates: Certificates) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(b"HTTP/1.1 200 OK\r\n\r\nall")
        talk.close()

    async def work(transport: Http1Transport) -> bytes:
        async with RawServer(script, certificates.server()) as server:
            return await get(transport, server.url)

    assert run(work, tls=certificates.client) == b"all"


def test_a_broken_answer_over_tls_is_reported(run: Run, certificates: Certificates) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall")
        talk.reset()

    async def work(transport: Http1Transport) -> None:
        async with RawServer(script, certificates.server()) as server:
            with pytest.raises(ConnectionBroken):
                await get(transport, server.url)

    run(work, tls=certificates.client)


@pytest.mark.parametrize(
    ("server_name", "trusting", "text"),
    [
        ("good", False, "certificate not accepted: self-signed certificate"),
        ("other", True, "certificate not accepted: IP address mismatch"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_reported_in_words(
    run: Run, certificates: Certificates, server_name: str, trusting: bool, text: str
) -> None:
    async def work(transport: Http1Transport) -> tuple[str, int]:
        async with RawServer(answers(ok()), certificates.server(server_name)) as server:
            with pytest.raises(ConnectFailed) as caught:
                await get(transport, server.url)
            return str(caught.value), transport.open_count

    reported, open_count = run(work, tls=certificates.client if trusting else ssl.create_default_context)
    assert (reported.startswith(text), open_count) == (True, 0), reported


def test_tls_to_a_plain_port_is_reported_in_words(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def work(transport: Http1Transport) -> str:
        async with RawServer(script) as server:
            with pytest.raises(ConnectFailed) as caught:
                await get(transport, server.url.replace("http:", "https:"))
            return str(caught.value)

    assert run(work) == "the server does not speak TLS at this port"


# --- proxies -------------------------------------------------------------------


def test_a_proxy_carries_plain_requests(run: Run) -> None:
    received: list[bytes] = []

    async def script(talk: Talk) -> None:
        while request := await talk.hear():
            received.append(request)
            await talk.say(ok())

    async def main(transport: Http1Transport) -> tuple[list[bytes], int]:
        async with RawServer(script) as proxy:
            through = Http1Transport(f"http://user:word@127.0.0.1:{proxy.port}")
            bodies = [await get(through, "http://api.example/v1?a=b") for _ in range(2)]
            await through.close()
            return bodies, proxy.connection_count

    assert run(main) == ([b"hello", b"hello"], 1)
    assert (
        received
        == [
            b"GET http://api.example/v1?a=b HTTP/1.1\r\nhost: api.example\r\n"
            b"proxy-authorization: Basic dXNlcjp3b3Jk\r\n\r\n"
        ]
        * 2
    )


def test_a_proxy_opens_a_tunnel_for_secure_requests(run: Run, certificates: Certificates) -> None:
    received: list[bytes] = []

    async def script(talk: Talk) -> None:
        received.append(await talk.hear())
        await talk.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await talk.encrypt(certificates.server())
        while request := await talk.hear():
            received.append(request)
            await talk.say(ok())

    async def main(_: Http1Transport) -> tuple[list[bytes], int, int]:
        async with RawServer(script) as proxy:
            through = Http1Transport(f"http://user:word@127.0.0.1:{proxy.port}", tls=certificates.client)
            bodies = [await get(through, "https://localhost/v1") for _ in range(2)]
            idle_count = through.idle_count
            await through.close()
            return bodies, proxy.connection_count, idle_count

    assert run(main) == ([b"hello", b"hello"], 1, 1)
    assert received == [
        b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n"
        b"proxy-authorization: Basic dXNlcjp3b3Jk\r\n\r\n",
        *[b"GET /v1 HTTP/1.1\r\nhost: localhost\r\n\r\n"] * 2,
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_may_itself_be_reached_by_tls(
    run: Run, certificates: Certificates, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "tls_context", certificates.client)  # the origin's files are not the proxy's

    async def script(talk: Talk) -> None:
        if scheme == "https":
            await talk.hear()
            await talk.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await talk.encrypt(certificates.server())
        while await talk.hear():
            await talk.say(ok())

    async def main(_: Http1Transport) -> list[bytes]:
        async with RawServer(script, certificates.server()) as proxy:
            through = Http1Transport(f"https://127.0.0.1:{proxy.port}", tls=certificates.client)
            bodies = [await get(through, f"{scheme}://localhost/v1") for _ in range(2)]
            await through.close()
            return bodies

    assert run(main) == [b"hello", b"hello"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 407 Auth\r\ncontent-length: 3\r\n\r\nwho", "it requires other credentials"),
        (b"HTTP/1.1 403 No\r\n\r\n", "it forbids this address"),
        (b"HTTP/1.0 502 Bad\r\n\r\n", "it answered 502"),
        (b"HTTP/1.1 20", "it closed the connection"),
        (b"\x05\x00 no\r\n\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 9000, "it does not speak HTTP"),
    ],
)
def test_a_tunnel_that_does_not_open_is_reported_in_words(run: Run, answer: bytes, text: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(answer)

    async def main(_: Http1Transport) -> str:
        async with RawServer(script) as proxy:
            through = Http1Transport(f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(ProxyRefused) as caught:
                await get(through, "https://localhost/v1")
            await through.close()
            return str(caught.value)

    assert run(main) == text


# --- leaving -------------------------------------------------------------------

WAYS = ("TLS", "tunnel", "TLS in the tunnel")


@pytest.mark.parametrize("way", WAYS)
def test_leaving_while_connecting_closes_the_socket(run: Run, way: str) -> None:
    async def main(_: Http1Transport) -> int:
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def script(talk: Talk) -> None:
            if way != "TLS":
                await talk.hear()
            if way == "TLS in the tunnel":
                await talk.say(b"HTTP/1.1 200 OK\r\n\r\n")
            reached.set_result(None)
            await talk.left()
            gone.set_result(None)

        async with RawServer(script) as server:
            proxy = f"http://127.0.0.1:{server.port}" if way != "TLS" else ""
            through = Http1Transport(proxy)
            asking = asyncio.create_task(get(through, f"https://127.0.0.1:{server.port}/"))
            await reached
            asking.cancel()
            await asyncio.wait([asking])
            await gone
            await through.close()
            return through.open_count

    assert run(main) == 0


def test_leaving_while_addresses_race_closes_their_sockets(run: Run) -> None:
    async def work(transport: Http1Transport) -> int:
        async with RawServer(holds_on) as server:
            for turns in range(12):
                asking = asyncio.create_task(get(transport, f"http://localhost:{server.port}/"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
            return transport.idle_count

    assert run(work) == 0
