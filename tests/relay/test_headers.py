"""What travels between the two sides, and what an upstream cannot smuggle to a client."""

import tracemalloc

import pytest

from switchyard.relay.headers import given_back, retry_after_seconds, upstream_headers
from switchyard.relay.http1.request import request_head, target_of
from switchyard.settings import Upstream

NOW = 1_800_000_000.0
WEEK = 7 * 86400.0

WAITS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after": "30"}, 30.0),
    ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    ({"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}, 60.0),
    ({"x-ratelimit-reset": "12"}, 12.0),
    ({"x-ratelimit-reset": str(NOW + 90)}, 90.0),
    ({"x-ratelimit-reset": str((NOW + 90) * 1000)}, 90.0),
    ({"retry-after": "Fri, 15 Jan 2027 09:01:00 GMT", "date": "Fri, 15 Jan 2027 09:00:30 GMT"}, 30.0),
    ({"x-ratelimit-reset": str(NOW + 90), "date": "Fri, 15 Jan 2027 08:01:00 GMT"}, 30.0),
    ({"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT", "date": "today"}, 60.0),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "-5"}, 0.0),
    ({"retry-after": "nan"}, 0.0),
    ({"retry-after": "inf"}, WEEK),
    ({"retry-after": "1e999"}, WEEK),
    ({"retry-after": "Thu, 01 Jan 9999999999999999 00:00:00 GMT"}, None),
    ({"x-ratelimit-reset": "-inf"}, 0.0),
    ({"retry-after": "9" * 60_000}, WEEK),
]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_a_wait_is_a_number_of_seconds_within_reason(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, 429, NOW) == seconds


@pytest.mark.parametrize("status", [401, 500, 503, 529])
def test_the_end_of_a_quota_window_is_no_time_to_wait_for_after_another_error(status: int) -> None:
    """Anthropic tells with every answer when the subscription's five hours end."""
    window = {"anthropic-ratelimit-unified-reset": str(int(NOW) + 4 * 3600)}
    assert retry_after_seconds(window, status, NOW) is None
    assert retry_after_seconds({**window, "retry-after": "5"}, status, NOW) == 5.0
    assert retry_after_seconds(window, 429, NOW) == 4 * 3600


@pytest.mark.parametrize(
    ("refused", "left"),
    [((), "a-1, b-2,c-3"), (("b-2",), "a-1,c-3"), (("a-1", "b-2", "c-3"), None), (("*",), None)],
)
def test_betas_that_an_upstream_refuses_are_not_passed_on(refused: tuple[str, ...], left: str | None) -> None:
    upstream = Upstream(name="u", base_url="https://h")
    told = [("anthropic-beta", "a-1, b-2"), ("anthropic-beta", "c-3")]
    sent = upstream_headers(upstream, "k", told, same_protocol=True, stream=False, refused_betas=refused)
    assert dict(sent).get("anthropic-beta") == left


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


def test_what_goes_back_fits_into_what_clients_read() -> None:
    many = [(f"x-ratelimit-{number}", "x" * 1000) for number in range(100)]

    assert sum(len(name) + len(value) for name, value in given_back(many)) <= 8 * 1024


@pytest.mark.parametrize(("count", "length"), [(1000, 5), (1, 20_000)], ids=["many", "long"])
def test_headers_that_are_others_each_time_are_forgotten(count: int, length: int) -> None:
    upstream, target = Upstream(name="u", base_url="http://host", key="k"), target_of("http://host/")
    tracemalloc.start()
    try:
        for turn in range(300):
            told = [(f"x-{turn}-{number}-{'n' * length}", "") for number in range(count)]
            sent = upstream_headers(upstream, "k", told, same_protocol=True, stream=True)
            request_head("POST", target, sent, 0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 4_000_000
