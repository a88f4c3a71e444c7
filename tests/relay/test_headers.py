"""What travels between the two sides, and what an upstream cannot smuggle to a client."""

import tracemalloc

import pytest

from switchyard.http1.request import request_head, target_of
from switchyard.relay.headers import given_back, upstream_headers
from switchyard.settings import Upstream


@pytest.mark.parametrize(
    ("refused", "left"),
    [((), "a-1, b-2,c-3"), (("b-2",), "a-1,c-3"), (("a-1", "b-2", "c-3"), None), (("*",), None)],
)
def test_betas_that_an_upstream_refuses_are_not_passed_on(refused: tuple[str, ...], left: str | None) -> None:
    upstream = Upstream(name="u", base_url="https://h")
    reported = [("anthropic-beta", "a-1, b-2"), ("anthropic-beta", "c-3")]
    sent = upstream_headers(upstream, "k", reported, same_protocol=True, stream=False, refused_betas=refused)
    assert dict(sent).get("anthropic-beta") == left


LOGIN = [("authorization", "Bearer OWN"), ("chatgpt-account-id", "workspace")]


@pytest.mark.parametrize(
    ("key", "sent", "workspace"),
    [
        ("client", LOGIN, "workspace"),
        ("client", LOGIN[1:], None),
        ("client", [("x-api-key", "OWN"), *LOGIN[1:]], None),
        ("sk-own", LOGIN, None),
        ("", LOGIN, None),
    ],
)
@pytest.mark.parametrize("same_protocol", [True, False])
def test_the_workspace_of_a_login_goes_only_where_the_login_goes(
    key: str, sent: list[tuple[str, str]], workspace: str | None, same_protocol: bool
) -> None:
    upstream = Upstream(name="u", base_url="https://h", key=key)
    headers = dict(upstream_headers(upstream, key, sent, same_protocol=same_protocol, stream=False))
    assert headers.get("chatgpt-account-id") == workspace


@pytest.mark.parametrize(
    ("base_url", "key", "sent"),
    [
        ("https://user:word@h/v1", "", "Basic dXNlcjp3b3Jk"),
        ("https://us%40er:w%C3%B6rd@h", "", "Basic dXNAZXI6d8O2cmQ="),
        ("https://token@h", "", "Basic dG9rZW4="),
        ("https://user:word@h", "sk-1", "Bearer sk-1"),
        ("https://h/a@b", "", None),
    ],
)
@pytest.mark.parametrize("same_protocol", [True, False])
def test_a_login_in_the_address_is_sent_where_no_key_is(
    base_url: str, key: str, sent: str | None, same_protocol: bool
) -> None:
    upstream = Upstream(name="u", base_url=base_url, key=key)
    headers = dict(upstream_headers(upstream, key, LOGIN, same_protocol=same_protocol, stream=False))
    assert headers.get("authorization") == sent
    own = Upstream(name="u", base_url=base_url, key=key, headers={"Authorization": "Own"})
    assert dict(upstream_headers(own, key, [], same_protocol=same_protocol, stream=False))[
        "authorization"
    ] == ("Own")


def test_only_request_ids_and_rate_limits_go_back() -> None:
    answered = [
        ("Request-Id", "req_1"),
        ("anthropic-ratelimit-requests-remaining", "9"),
        ("content-type", "text/html"),
        ("set-cookie", "a=b"),
        ("location", "https://elsewhere.example"),
        ("access-control-allow-origin", "*"),
        ("content-security-policy", "default-src *"),
        ("x-ratelimit-limit\r\nset-cookie", "a=b"),
        ("openai-version", "1\r\nset-cookie: a=b"),
        ("x-codex-plan", "\x1b[31mplus"),
    ]
    assert given_back(answered) == [
        ("request-id", "req_1"),
        ("anthropic-ratelimit-requests-remaining", "9"),
    ]


def test_codex_is_told_that_the_reported_tokens_include_earlier_reasoning() -> None:
    told = [("x-reasoning-included", "true"), ("x-oai-request-id", "req_1")]

    assert given_back([*told, ("x-models-etag", "of a list that Switchyard does not serve")]) == told


def test_what_goes_back_fits_into_what_clients_read() -> None:
    many = [(f"x-ratelimit-{number}", "x" * 1000) for number in range(100)]

    assert sum(len(name) + len(value) for name, value in given_back(many)) <= 8 * 1024


@pytest.mark.parametrize(("count", "length"), [(1000, 5), (1, 20_000)], ids=["many", "long"])
def test_headers_that_are_others_each_time_are_forgotten(count: int, length: int) -> None:
    upstream, target = Upstream(name="u", base_url="http://host", key="k"), target_of("http://host/")
    tracemalloc.start()
    try:
        for turn in range(300):
            reported = [(f"x-{turn}-{number}-{'n' * length}", "") for number in range(count)]
            sent = upstream_headers(upstream, "k", reported, same_protocol=True, stream=True)
            request_head("POST", target, sent, 0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 4_000_000
