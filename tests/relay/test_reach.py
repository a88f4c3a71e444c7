"""The way to an upstream over real sockets: each step with what it found."""

import asyncio
import socket

import pytest

from switchyard.relay.reach import reach
from switchyard.settings import Tls
from tests.bed.upstream import ScriptedUpstream, closed_url


def steps(url: str, proxy: str = "") -> list[tuple[str, bool, str]]:
    return [(step.name, step.ok, step.detail) for step in asyncio.run(reach(url, proxy, 2.0, Tls()))]


def test_an_open_port_is_reached() -> None:
    with ScriptedUpstream() as server:
        assert steps(server.url) == [("resolve", True, "127.0.0.1"), ("connect", True, f"port {server.port}")]


def test_a_closed_port_is_reported() -> None:
    url = closed_url()
    (resolved, connected) = steps(url)
    assert (resolved[1], connected[:2]) == (True, ("connect", False))
    assert "refused" in connected[2].lower()


def test_an_unknown_name_is_reported() -> None:
    assert steps("http://no-such-host.invalid")[-1][:2] == ("resolve", False)


def test_a_server_without_tls_is_reported_at_the_handshake() -> None:
    with ScriptedUpstream() as server:
        assert steps(f"https://127.0.0.1:{server.port}")[-1][:2] == ("tls", False)


def test_the_proxy_is_reached_instead_of_what_lies_behind_it() -> None:
    with ScriptedUpstream() as proxy:
        found = steps("https://somewhere.invalid", f"http://127.0.0.1:{proxy.port}")
    assert found == [("resolve", True, "proxy 127.0.0.1: 127.0.0.1"), ("connect", True, f"port {proxy.port}")]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_that_sends_nothing_is_still_reached(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert steps(f"http://{host}:{listener.getsockname()[1]}")[-1][1] is True
