"""The transports: kind and message of each failure; demo, proxies and headers."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from switchyard.exchange import FailureKind
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.upstream import Call, Reply, Wire
from switchyard.settings import Tls
from tests.bed.raw_server import RawServer, Script, Talk, answers, answers_and_closes, ok
from tests.bed.upstream import closed_port


async def demo(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Demo", b"yes")]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def on_the_wire(work: Callable[[Wire], Awaitable[Any]], listening: Sequence[tuple[str, int]] = ()) -> Any:
    async def main() -> Any:
        wire = Wire(demo, listening)
        try:
            return await work(wire)
        finally:
            await wire.close()

    return asyncio.run(main())


async def whole(reply: Reply) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks()])


async def failure_of(wire: Wire, call: Call) -> tuple[FailureKind, str]:
    with pytest.raises(AttemptFailed) as caught:
        await whole(await wire.send(call))
    return caught.value.failure.kind, caught.value.failure.message


async def resets(talk: Talk) -> None:
    await talk.hear()
    talk.reset()


async def resets_within_the_body(talk: Talk) -> None:
    await talk.hear()
    await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall")
    talk.reset()


SCRIPTS: dict[str, tuple[Script, FailureKind, str]] = {
    "closed": (
        answers_and_closes(b""),
        FailureKind.READ,
        "closed the connection without an answer",
    ),
    "reset": (
        resets,
        FailureKind.READ,
        "closed the connection without an answer (connection reset by peer)",
    ),
    "half a head": (answers_and_closes(b"HTTP/1.1 200"), FailureKind.READ, "connection broke"),
    "half a body": (
        answers_and_closes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall"),
        FailureKind.READ,
        "the connection broke before the end of the answer",
    ),
    "garbage": (
        answers_and_closes(b"<html>"),
        FailureKind.PROTOCOL,
        "answer is not HTTP (Expected HTTP/, RTSP/ or ICE/)",
    ),
    "garbage within the body": (
        answers_and_closes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nxyz"),
        FailureKind.PROTOCOL,
        "answer is not HTTP (Invalid character in chunk size)",
    ),
    "broken compression": (
        answers(ok(b"no gzip", "content-encoding: gzip")),
        FailureKind.PROTOCOL,
        "the compressed data cannot be unpacked",
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_break_has_its_kind_and_its_message(name: str) -> None:
    script, kind, text = SCRIPTS[name]

    async def work(wire: Wire) -> tuple[FailureKind, str]:
        async with RawServer(script) as server:
            return await failure_of(wire, Call(server.url, [], b"{}", 5))

    found, reported = on_the_wire(work)
    assert found is kind
    assert reported.startswith(text), reported


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            Call(f"http://127.0.0.1:{closed_port()}/", [], b"", 5),
            FailureKind.CONNECT,
            "cannot connect (connection refused)",
        ),
        (
            Call("http://api.example/", [], b"", 5, f"http://127.0.0.1:{closed_port()}"),
            FailureKind.CONNECT,
            "cannot connect (connection refused)",
        ),
        (Call("ftp://host/", [], b"", 5), FailureKind.CONNECT, "address cannot be used"),
        (Call("http://host:99999/", [], b"", 5), FailureKind.CONNECT, "address cannot be used"),
        (
            Call("http://127.0.0.1/", [("x-key", "secret\r\nx: y")], b"", 5),
            FailureKind.CONNECT,
            "request cannot be sent (a header holds a line break or a null byte)",
        ),
    ],
)
def test_what_cannot_be_reached_or_sent_is_reported_without_addresses_or_secrets(
    call: Call, kind: FailureKind, text: str
) -> None:
    assert on_the_wire(lambda wire: failure_of(wire, call)) == (kind, text)


@pytest.mark.parametrize(
    "files",
    [
        Tls(ca="/no/such/ca.pem"),
        Tls(ca="{folder}/empty.pem"),
        Tls(cert="{folder}/empty.pem"),
        Tls(cert="/no/such/cert.pem", key="/no/such/key.pem"),
    ],
)
def test_files_for_tls_that_cannot_be_used_are_a_lasting_failure(tmp_path: Path, files: Tls) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    ca, cert, key = (one.replace("{folder}", str(tmp_path)) for one in (files.ca, files.cert, files.key))

    async def work(wire: Wire) -> str:
        async with RawServer(answers(ok(b"hello"))) as server:
            url = server.url.replace("http:", "https:")
            with pytest.raises(AttemptFailed) as caught:
                await wire.send(Call(url, [], b"{}", 5, tls=Tls(ca=ca, cert=cert, key=key)))
        return caught.value.failure.cause

    assert on_the_wire(work) == "tls"


@pytest.mark.parametrize("through", ["", "proxy"])
@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0"])
def test_no_request_goes_to_the_addresses_of_this_program(listening: str, through: str) -> None:
    addresses: list[tuple[str, int]] = []

    async def work(wire: Wire) -> tuple[FailureKind, str, str]:
        async with RawServer(answers(ok(b"hello"))) as server:
            addresses.append((listening, server.port))
            call = Call(server.url, [], b"{}", 5)
            if through:
                call = Call("http://api.example/", [], b"{}", 5, proxy=server.url)
            with pytest.raises(AttemptFailed) as caught:
                await wire.send(call)
        failure = caught.value.failure
        return failure.kind, failure.message, failure.cause

    assert on_the_wire(work, addresses) == (
        FailureKind.CONNECT,
        "leads back to Switchyard itself; correct `base_url` or `proxy`",
        "address",
    )


@pytest.mark.parametrize("listening", [("127.0.0.1", 1), ("127.0.0.2", 0), ("::1", 0), ("::", 0)])
def test_other_servers_of_this_machine_are_reached(listening: tuple[str, int]) -> None:
    addresses: list[tuple[str, int]] = []

    async def work(wire: Wire) -> int:
        async with RawServer(answers(ok(b"hello"))) as server:
            addresses.append((listening[0], listening[1] or server.port))
            reply = await wire.send(Call(server.url, [], b"{}", 5))
            await reply.close()
            return reply.status

    assert on_the_wire(work, addresses) == 200


def test_a_reset_within_the_body_is_reported() -> None:
    async def work(wire: Wire) -> tuple[FailureKind, str]:
        async with RawServer(resets_within_the_body) as server:
            return await failure_of(wire, Call(server.url, [], b"{}", 5))

    assert on_the_wire(work) == (
        FailureKind.READ,
        "the connection broke before the end of the answer (connection reset by peer)",
    )


def test_the_answer_is_read_by_the_names_of_its_headers() -> None:
    async def work(wire: Wire) -> tuple[Any, ...]:
        answer = ok(b"hello", "Content-Type: Text/Event-Stream; charset=utf-8", "X-A: b")
        async with RawServer(answers(answer)) as server:
            reply = await wire.send(Call(server.url, [], b"{}", 5))
            found = reply.status, reply.content_type, reply.header("x-a"), reply.header("x-b")
            return *found, await reply.read_up_to(3)

    assert on_the_wire(work) == (200, "text/event-stream", "b", "", b"hel")


def test_the_demo_needs_no_network() -> None:
    async def work(wire: Wire) -> tuple[str, bytes]:
        reply = await wire.send(Call("http://demo/v1/messages", [], b"question", 5, is_demo=True))
        try:
            return reply.header("x-demo"), await whole(reply)
        finally:
            await reply.close()

    assert on_the_wire(work) == ("yes", b"question")


def test_a_socks_proxy_that_is_away_is_reported() -> None:
    call = Call("http://api.example/", [], b"", 5, f"socks5://127.0.0.1:{closed_port()}")
    assert on_the_wire(lambda wire: failure_of(wire, call)) == (FailureKind.CONNECT, "cannot connect")


@pytest.mark.parametrize(
    ("url", "proxy", "is_needed"),
    [
        ("http://api.example/v1/messages", "", False),
        ("http://api.example/v1/messages", "direct", False),
        ("http://api.example/v1/messages", "socks5://127.0.0.1:1080", True),
        ("http://api.example/v1/messages", "http://127.0.0.1:8080", True),
        ("http://bücher.example/v1/messages", "", True),
        ("http://:0/", "", True),
    ],
)
def test_httpx_is_imported_before_the_requests_that_need_it(url: str, proxy: str, is_needed: bool) -> None:
    probe = (
        "import sys; from switchyard.relay.upstream import import_for; "
        "import_for(*sys.argv[1:]); print('httpx' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe, url, proxy],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd()), "PYTHONUTF8": "1"},
    )
    assert ended.stdout == f"{is_needed}\n", ended.stderr
