"""Requests as bytes: the exact head, and what is refused."""

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchyard.http1.errors import InvalidHeader, InvalidUrl
from switchyard.http1.request import (
    USUAL_URL,
    Headers,
    Origin,
    Proxy,
    Target,
    connect_head,
    proxy_of,
    request_head,
    target_of,
)

HOST = target_of("http://host/v1/messages?beta=true")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://host/a?b=c", Target(Origin("http", "host", 80), "/a?b=c", "host")),
        ("https://host", Target(Origin("https", "host", 443), "/", "host")),
        ("https://host:443/a", Target(Origin("https", "host", 443), "/a", "host")),
        ("http://host:443/a#part", Target(Origin("http", "host", 443), "/a", "host:443")),
        ("http://[::1]:8080/a", Target(Origin("http", "::1", 8080), "/a", "[::1]:8080")),
        ("http://user:secret@host/a", Target(Origin("http", "host", 80), "/a", "host")),
        (
            "http://bücher.example/ä b",
            Target(Origin("http", "xn--bcher-kva.example", 80), "/%C3%A4%20b", "xn--bcher-kva.example"),
        ),
    ],
)
def test_a_url_is_parsed(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize("url", ["", "host/a", "ftp://host/", "http://", "http:///a", "socks5://host:1"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        target_of(url)


@pytest.mark.parametrize("url", ["http://host:65536/", "http://host:0/", "http://[::1/", "http://host:port/"])
def test_a_broken_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        target_of(url)


@given(st.from_regex(USUAL_URL, fullmatch=True))
@example("https://api.anthropic.com/v1/messages?beta=true")
@example("http://host:80/a.b/c:d/?x=1&y=")
@example("https://localhost:8443/deployments/gpt-4.1/")
def test_a_usual_url_is_read_as_the_library_reads_it(url: str) -> None:
    try:
        found = target_of(url)
    except InvalidUrl:
        assert (httpx.URL(url).port or 0) > 65535
        return
    read = httpx.URL(url)
    port = {"http": 80, "https": 443}[read.scheme] if read.port is None else read.port
    origin = Origin(read.scheme, read.raw_host.decode(), port)
    assert found == Target(origin, read.raw_path.decode(), read.netloc.decode())


@pytest.mark.parametrize(
    ("method", "headers", "length", "head"),
    [
        (
            "POST",
            [("X-B", "2"), ("a", ""), ("x-b", "1")],
            7,
            "POST /v1/messages?beta=true HTTP/1.1|host: host|X-B: 2|a: |x-b: 1|content-length: 7||",
        ),
        ("POST", [], 0, "POST /v1/messages?beta=true HTTP/1.1|host: host|content-length: 0||"),
        ("GET", [], 0, "GET /v1/messages?beta=true HTTP/1.1|host: host||"),
        (
            "POST",
            [("a", "1"), ("Host", "front")],
            1,
            "POST /v1/messages?beta=true HTTP/1.1|a: 1|Host: front|content-length: 1||",
        ),
        (
            "POST",
            [("Content-Length", "99"), ("transfer-encoding", "chunked"), ("a", "é")],
            1,
            "POST /v1/messages?beta=true HTTP/1.1|host: host|a: é|content-length: 1||",
        ),
    ],
)
def test_a_head_has_the_given_headers_and_no_others(
    method: str, headers: Headers, length: int, head: str
) -> None:
    assert request_head(method, HOST, headers, length) == head.replace("|", "\r\n").encode("latin-1")


@pytest.mark.parametrize(
    "header",
    [
        ("a", "x\r\nhost: evil"),
        ("a", "x\ny"),
        ("a", "x\ry"),
        ("a", "x\0y"),
        ("a", "密"),
        ("a b", "x"),
        ("a:", "x"),
        ("a\r\nb", "x"),
        ("", "x"),
        ("é", "x"),
    ],
)
def test_a_header_that_is_not_expressible_is_refused_without_showing_its_value(
    header: tuple[str, str],
) -> None:
    with pytest.raises(InvalidHeader) as caught:
        request_head("POST", HOST, [header], 0)
    assert str(caught.value) in {
        "a header holds a line break or a null byte",
        "a header holds characters that HTTP cannot carry",
        "a header has a name that HTTP does not allow",
    }


def test_a_proxy_gets_the_whole_address_of_http_and_its_credentials() -> None:
    proxy = proxy_of("http://us%40er:p%3Ass@proxy:3128")
    assert proxy == Proxy(Origin("http", "proxy", 3128), "Basic dXNAZXI6cDpzcw==")
    assert request_head("POST", HOST, [], 2, proxy) == (
        b"POST http://host/v1/messages?beta=true HTTP/1.1\r\nhost: host\r\n"
        b"proxy-authorization: Basic dXNAZXI6cDpzcw==\r\ncontent-length: 2\r\n\r\n"
    )
    secure = target_of("https://host/v1/messages")
    assert request_head("POST", secure, [], 2, proxy) == (
        b"POST /v1/messages HTTP/1.1\r\nhost: host\r\ncontent-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("host", "authority"), [("host", b"host:443"), ("10.0.0.1", b"10.0.0.1:443"), ("::1", b"[::1]:443")]
)
def test_a_tunnel_is_requested_with_the_port(host: str, authority: bytes) -> None:
    origin, proxy = Origin("https", host, 443), Proxy(Origin("http", "proxy", 3128), "")
    assert connect_head(origin, proxy) == b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (authority, authority)
