"""A broken or hostile client: refused in its own protocol, with bounded memory, while others are served."""

import http.client
import re
import resource
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import pytest
import zstandard

from tests.bed.asking import PATHS, ask, error_of, text_of
from tests.bed.certificates import Certificates, make_certificates
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.raw_client import cooldown_of
from tests.bed.upstream import ScriptedUpstream, say
from tests.bed.wire import PROTOCOLS, Protocol

MEGABYTE = 1 << 20
CROWD = 3000
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("Served")) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(server: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    entries = [upstream(f"over {one}", server.url, one, models=[f"over-{one}"]) for one in PROTOCOLS]
    with Daemon(tmp_path_factory.mktemp("client"), settings(*entries)) as running:
        yield running


def post(daemon: Daemon, protocol: Protocol, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return request(daemon.url, "POST", PATHS[protocol], body, JSON | (headers or {}), 60)


def body_with(model: str, more: str) -> bytes:
    said = '[{"role":"user","content":"x"}]'
    return f'{{"model":"{model}","max_tokens":5,"messages":{said},"input":{said},{more}}}'.encode()


def levels(count: int) -> str:
    return '{"a":' * count + "1" + "}" * count


ODD = {
    "100,000 levels": f'"metadata":{levels(100_000)}',
    "990 levels": f'"metadata":{levels(990)}',
    "not a number": '"temperature":NaN',
    "infinite": '"temperature":1e999',
    "half a character": '"user":"\\ud800"',
    "a broken escape": '"user":"\\x"',
    "a model of lists": '"model":[[]]',
    "an endless model": '"model":"' + "m" * MEGABYTE + '"',
    "a wrong type everywhere": '"tools":5,"system":7,"stop":{},"tool_choice":[1],"messages":{"a":1},"input":{"a":1}',
    "nothing where something must be": '"messages":[null],"input":[null],"tools":[null]',
}


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("name", ODD)
def test_odd_bodies_are_refused_or_served_and_never_an_internal_error(
    daemon: Daemon, server: ScriptedUpstream, name: str, client: Protocol
) -> None:
    for spoken in PROTOCOLS:
        response = post(daemon, client, body_with(f"over-{spoken}", ODD[name]))
        if response.status == 200:
            assert text_of(client, response) == "Served"
        else:
            assert response.status == 400, response.text[:300]
            assert error_of(client, response)["message"]


@pytest.mark.parametrize("depth", [200, 600, 850, 900, 930, 950, 970])
def test_tools_nested_to_the_edge_of_what_can_be_read(daemon: Daemon, depth: int) -> None:
    schema = f'{{"type":"object","properties":{levels(depth)}}}'
    function = f'{{"name":"t","parameters":{schema}}}'
    tool = f'{{"type":"function","name":"t","input_schema":{schema},"parameters":{schema},"function":{function}}}'
    for client in PROTOCOLS:
        for spoken in PROTOCOLS:
            assert post(daemon, client, body_with(f"over-{spoken}", f'"tools":[{tool}]')).status in (200, 400)


def test_of_a_model_reported_twice_the_one_that_routes_is_the_one_that_is_sent(
    daemon: Daemon, server: ScriptedUpstream
) -> None:
    server.script(say("Served"))
    body = b'{"model":"x","model":"over-chat","messages":[{"role":"user","content":"x","model":"y"}]}'

    assert post(daemon, "chat", body).status == 200
    assert server.requests[0].json["model"] == "over-chat"


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: zlib.compress(content, 9, wbits=31),
    "br": lambda content: bytes(brotli.compress(content, quality=1)),
    "zstd": lambda content: zstandard.ZstdCompressor().compress(content),
    "gzip, gzip": lambda content: zlib.compress(zlib.compress(content, 9, wbits=31), 9, wbits=31),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured in /proc")
@pytest.mark.parametrize("encoding", BOMBS)
def test_a_bomb_is_refused_with_413_and_bounded_memory(daemon: Daemon, encoding: str) -> None:
    bomb = BOMBS[encoding](b'{"model":"m","input":"' + bytes(500 * MEGABYTE))
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")
    before = peak_megabytes(daemon)
    response = post(daemon, "chat", bomb, {"content-encoding": encoding})

    assert response.status == 413
    assert peak_megabytes(daemon) - before < 250


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured in /proc")
@pytest.mark.parametrize("field", ["metadata", "messages", "input", "tools"])
def test_a_pile_of_brackets_is_refused_with_bounded_memory(daemon: Daemon, field: str) -> None:
    pile = b'{"model":"over-chat","max_tokens":5,"%b":[%b[]]}' % (field.encode(), b"[]," * 10 * MEGABYTE)
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")
    before = peak_megabytes(daemon)
    for path in (*PATHS.values(), "/v1/messages/count_tokens"):
        assert request(daemon.url, "POST", path, pile, JSON, 60).status == 400

    assert peak_megabytes(daemon) - before < 200


def test_tokens_of_odd_bodies_are_counted_all_the_same(daemon: Daemon) -> None:
    for name in ODD:
        body = body_with("over-messages", ODD[name])
        response = request(daemon.url, "POST", "/v1/messages/count_tokens", body, JSON, 60)
        assert response.json["input_tokens"] > 0, name


def peak_megabytes(daemon: Daemon) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{daemon.pid}/status").read_text())
    assert found is not None
    return int(found[1]) >> 10


def test_thousands_of_idle_connections_keep_no_client_out(daemon: Daemon) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + 500:
        pytest.skip("the system allows too few file handles")
    resource.setrlimit(resource.RLIMIT_NOFILE, (CROWD + 500, hard))
    crowd: list[socket.socket] = []
    try:
        for _ in range(CROWD):
            crowd.append(socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_SECONDS))
        assert text_of("messages", ask(daemon.url, "messages", "over-chat")) == "Served"
        assert len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())) < 2700
    finally:
        for connection in crowd:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_tls_client_that_never_shakes_hands_keeps_no_client_out(
    tmp_path: Path, server: ScriptedUpstream
) -> None:
    certificates = make_certificates(tmp_path)
    daemon = Daemon(tmp_path, settings(upstream("a", server.url)))
    daemon.start("--cert", f"{tmp_path}/good.pem", "--cert-key", f"{tmp_path}/good.key", wait=False)
    crowd: list[socket.socket] = []
    try:
        wait_until(lambda: status_over_tls(daemon, certificates) == 200, "the daemon")
        crowd += [
            socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_SECONDS) for _ in range(300)
        ]
        assert status_over_tls(daemon, certificates) == 200
    finally:
        for connection in crowd:
            connection.close()
        daemon.stop()


def status_over_tls(daemon: Daemon, certificates: Certificates) -> int:
    connection = http.client.HTTPSConnection(
        "localhost", daemon.port, timeout=PATIENCE_SECONDS, context=certificates.client()
    )
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_pipelined_requests_are_answered_in_their_order(daemon: Daemon) -> None:
    bodies = [body_with(f"over-{one}", '"user":"u"') for one in PROTOCOLS * 5]
    head = (
        b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: "
    )
    requests = b"".join(head + b"%d\r\n\r\n" % len(body) + body for body in bodies)
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(requests + b"GET /api HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        reported = cooldown_of(connection)

    assert [found.decode() for found in re.findall(rb'"model": ?"([^"]+)"', reported)] == [
        f"over-{one}" for one in PROTOCOLS * 5
    ]


@pytest.mark.timing
def test_wrong_client_keys_cost_time_and_right_ones_do_not(tmp_path: Path, server: ScriptedUpstream) -> None:
    document = settings(upstream("a", server.url), client_keys={"right": "laptop"})
    with Daemon(tmp_path, document) as daemon:
        began = time.monotonic()
        wrong = ask(daemon.url, "messages", headers={"x-api-key": "wrong"})
        seconds = time.monotonic() - began
        right = ask(daemon.url, "messages", headers={"x-api-key": "right"})

    assert (wrong.status, right.status) == (401, 200)
    assert seconds > 0.4
