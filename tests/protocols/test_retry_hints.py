"""When to try again, as services state it: in headers, in body fields and in sentences."""

import time
from typing import Any

import msgspec
import pytest

from switchyard.protocols.errors.decode import decode_embedded_error, decode_error
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.retry_hints.combine import with_hints
from switchyard.protocols.retry_hints.fields import ROWS
from switchyard.protocols.retry_hints.sentences import named_moment
from switchyard.protocols.retry_hints.values import duration, http_date

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z, a Friday"""
DAY = 86400.0
WEEK = 7 * DAY
RATE = ErrorType.RATE_LIMIT
QUOTA = ErrorType.QUOTA
HERE = 3600.0
"""this machine is an hour east of UTC"""

Headers = dict[str, str]


def wait_of(status: int, body: object, headers: Headers | None = None) -> tuple[ErrorType, float | None]:
    content = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    error = with_hints(decode_error(status, content), headers or {}, NOW, HERE)
    rounded = None if error.retry_after is None else round(error.retry_after, 3)
    return error.type, rounded


def said(message: str, **more: object) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


# --- headers -------------------------------------------------------------------

EXCEEDED = said("Too Many Requests")

HEADERS: list[tuple[Headers, ErrorType, float | None]] = [
    ({}, RATE, None),
    ({"retry-after": "30"}, RATE, 30.0),
    ({"Retry-After": "30"}, RATE, 30.0),
    ({"retry-after": "1m30s"}, RATE, 90.0),
    ({"retry-after-ms": "1500", "retry-after": "2"}, RATE, 1.5),
    ({"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}, RATE, 60.0),
    ({"retry-after": "2027-01-15T08:01:00Z"}, RATE, 60.0),
    ({"retry-after": "Fri, 15 Jan 2027 09:01:00 GMT", "date": "Fri, 15 Jan 2027 09:00:30 GMT"}, RATE, 30.0),
    ({"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT", "date": "today"}, RATE, 60.0),
    ({"retry-after": "soon"}, RATE, None),
    ({"retry-after": "-5"}, RATE, 0.0),
    ({"retry-after": "nan"}, RATE, 0.0),
    ({"retry-after": "inf"}, RATE, WEEK),
    ({"retry-after": "1e999"}, RATE, WEEK),
    ({"retry-after": "Thu, 01 Jan 9999999999999999 00:00:00 GMT"}, RATE, None),
    ({"retry-after": "9" * 60_000}, RATE, WEEK),
    # x-ratelimit: seconds, epoch, epoch in milliseconds, durations
    ({"x-ratelimit-reset": "12"}, RATE, 12.0),
    ({"x-ratelimit-reset": str(NOW + 90)}, RATE, 90.0),
    ({"x-ratelimit-reset": str((NOW + 90) * 1000)}, RATE, 90.0),
    ({"x-ratelimit-reset": str(NOW + 90), "date": "Fri, 15 Jan 2027 08:01:00 GMT"}, RATE, 30.0),
    ({"x-rate-limit-reset": "12"}, RATE, 12.0),
    ({"x-ratelimit-reset": "-inf"}, RATE, 0.0),
    ({"x-ratelimit-reset-after": "0.75"}, RATE, 0.75),
    ({"x-ratelimit-reset-requests": "1m30s", "x-ratelimit-remaining-requests": "0"}, RATE, 90.0),
    ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, RATE, 360.0),
    ({"x-ratelimit-reset-tokens": "20ms", "x-ratelimit-remaining-tokens": "0"}, RATE, 0.02),
    ({"x-ratelimit-reset-tokens": "49", "x-ratelimit-remaining-tokens": "0"}, RATE, 49.0),
    ({"x-ratelimit-reset-tokens": str(NOW + 9), "x-ratelimit-remaining-tokens": "0"}, RATE, 9.0),
    ({"x-ratelimit-reset-tokens-minute": "12.4", "x-ratelimit-remaining-tokens-minute": "0"}, RATE, 12.4),
    # only the limit that is used up counts
    (
        {
            "x-ratelimit-reset-requests": "8.64s",
            "x-ratelimit-remaining-requests": "9998",
            "x-ratelimit-reset-tokens": "2m",
            "x-ratelimit-remaining-tokens": "0",
        },
        RATE,
        120.0,
    ),
    ({"x-ratelimit-reset-requests": "8.64s", "x-ratelimit-remaining-requests": "9998"}, RATE, None),
    # where nobody says which it is, the one that ends first
    ({"x-ratelimit-reset-requests": "8m", "x-ratelimit-reset-tokens": "20s"}, RATE, 20.0),
    # an explicit pause goes before the end of a window of a minute
    ({"retry-after": "3", "x-ratelimit-reset": str(NOW + 40)}, RATE, 3.0),
    ({"retry-after": "3", "x-ratelimit-reset": str(NOW + 40), "x-ratelimit-remaining": "0"}, RATE, 3.0),
    (
        {
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:41Z",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": "2027-01-15T09:00:00Z",
        },
        RATE,
        41.0,
    ),
    # long windows are quotas, and their end goes before a short pause
    ({"x-ratelimit-reset-requests": "8h", "x-ratelimit-remaining-requests": "0"}, QUOTA, 8 * 3600.0),
    (
        {
            "retry-after": "5",
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(int(NOW) + 4 * 3600),
        },
        QUOTA,
        4 * 3600.0,
    ),
    (
        {
            "anthropic-ratelimit-unified-5h-status": "allowed",
            "anthropic-ratelimit-unified-5h-reset": str(int(NOW) + 3600),
            "anthropic-ratelimit-unified-7d-status": "rejected",
            "anthropic-ratelimit-unified-7d-reset": str(int(NOW) + 2 * 86400),
            "anthropic-ratelimit-unified-overage-status": "rejected",
            "anthropic-ratelimit-unified-overage-reset": str(int(NOW) + 6 * 86400),
        },
        QUOTA,
        2 * DAY,
    ),
    (
        {
            "anthropic-ratelimit-unified-5h-utilization": "1.0",
            "anthropic-ratelimit-unified-5h-reset": str(int(NOW) + 3600),
            "anthropic-ratelimit-unified-7d-utilization": "0.4",
            "anthropic-ratelimit-unified-7d-reset": str(int(NOW) + 2 * 86400),
        },
        QUOTA,
        3600.0,
    ),
    ({"anthropic-ratelimit-unified-reset": str(int(NOW) + 4 * 3600)}, QUOTA, 4 * 3600.0),
    (
        {
            "x-codex-primary-used-percent": "100",
            "x-codex-primary-reset-after-seconds": "13873",
            "x-codex-secondary-used-percent": "80",
            "x-codex-secondary-reset-after-seconds": "316705",
        },
        QUOTA,
        13873.0,
    ),
    (
        {
            "x-codex-primary-used-percent": "100",
            "x-codex-primary-reset-after-seconds": "13873",
            "x-codex-secondary-used-percent": "100",
            "x-codex-secondary-reset-after-seconds": "316705",
        },
        QUOTA,
        316705.0,
    ),
    (
        {"x-codex-primary-used-percent": "40", "x-codex-primary-reset-after-seconds": "13873"},
        RATE,
        None,
    ),
    ({"x-codex-primary-used-percent": "100", "x-codex-primary-reset-at": str(int(NOW) + 900)}, QUOTA, 900.0),
]


@pytest.mark.parametrize(("headers", "type", "seconds"), HEADERS)
def test_a_429_is_waited_out_by_its_headers(headers: Headers, type: ErrorType, seconds: float | None) -> None:
    assert wait_of(429, EXCEEDED, headers) == (type, seconds)


@pytest.mark.parametrize("status", [401, 500, 503, 529])
def test_the_end_of_a_window_is_no_hint_after_another_error(status: int) -> None:
    """Anthropic and Codex report with every answer when the subscription's windows end."""
    for window in (
        {"anthropic-ratelimit-unified-reset": str(int(NOW) + 4 * 3600)},
        {"x-ratelimit-reset": "3600", "x-ratelimit-remaining": "0"},
        {"x-codex-primary-used-percent": "100", "x-codex-primary-reset-after-seconds": "13873"},
    ):
        assert wait_of(status, said("failed"), window)[1] is None
        assert wait_of(status, said("failed"), {**window, "retry-after": "5"})[1] == 5.0


def test_every_row_has_a_source_and_no_name_stands_twice() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(row.source and row.name == row.name.lower() and "_" not in row.name for row in ROWS)


# --- bodies of real services ----------------------------------------------------

BODIES: list[tuple[str, int, object, ErrorType, float | None]] = [
    (
        "OpenAI, tokens a minute",
        429,
        said(
            "Rate limit reached for gpt-4o-mini in organization org-x on tokens per min (TPM): Limit 200000, "
            "Used 150974, Requested 53621. Please try again in 1.378s. Visit "
            "https://platform.openai.com/account/rate-limits to learn more.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        RATE,
        1.378,
    ),
    (
        "OpenAI, requests a day",
        429,
        said(
            "Rate limit reached for gpt-4o in organization org-x on requests per day (RPD): Limit 200, Used 200, "
            "Requested 1. Please try again in 7m12s.",
            type="requests",
            code="rate_limit_exceeded",
        ),
        RATE,
        432.0,
    ),
    ("OpenAI, milliseconds", 429, said("Rate limit reached. Please try again in 608ms."), RATE, 0.608),
    (
        "OpenAI, no credit",
        429,
        said(
            "You exceeded your current quota, please check your plan and billing details.",
            type="insufficient_quota",
            code="insufficient_quota",
        ),
        QUOTA,
        None,
    ),
    (
        "Azure",
        429,
        said(
            "Requests to the Creates a completion for the chat message Operation under Azure OpenAI API version "
            "2023-03-15-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry "
            "after 20 seconds. Please go here: https://aka.ms/oai/quotaincrease",
            code="429",
        ),
        RATE,
        20.0,
    ),
    (
        "Azure API Management",
        429,
        {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 3 seconds."},
        RATE,
        3.0,
    ),
    (
        "Groq",
        429,
        said(
            "Rate limit reached for model `openai/gpt-oss-120b` in organization `org_x` service tier `on_demand` on "
            "tokens per day (TPD): Limit 200000, Used 199000, Requested 4000. Please try again in 21m36.5s.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        RATE,
        1296.5,
    ),
    (
        "Google, a minute",
        429,
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota, please check your plan and billing details. * Quota "
                "exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, "
                "limit: 20, model: gemini-2.5-flash Please retry in 34.074824224s.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{"quotaValue": "20"}],
                    },
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"},
                ],
            }
        },
        RATE,
        34.0,
    ),
    (
        "Google, as a list",
        429,
        [
            {
                "error": {
                    "code": 429,
                    "status": "RESOURCE_EXHAUSTED",
                    "message": "Resource exhausted, please try again later.",
                    "details": [{"retryDelay": "34.07s"}],
                }
            }
        ],
        RATE,
        34.07,
    ),
    (
        "Google Code Assist, soon",
        429,
        {
            "error": {
                "code": 429,
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "RATE_LIMIT_EXCEEDED",
                        "metadata": {
                            "quotaResetDelay": "479.417207ms",
                            "quotaResetTimeStamp": "2027-01-15T08:00:01Z",
                        },
                    },
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.479417207s"},
                ],
                "message": "You have exhausted your capacity on this model.",
                "status": "RESOURCE_EXHAUSTED",
            }
        },
        RATE,
        0.479,
    ),
    (
        "Google Code Assist, hours",
        429,
        {
            "error": {
                "code": 429,
                "details": [
                    {"reason": "QUOTA_EXHAUSTED", "metadata": {"quotaResetDelay": "66970.5s"}},
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "66970.5s"},
                ],
                "message": "You have exhausted your capacity on this model. Your quota will reset after 18h36m10s.",
                "status": "RESOURCE_EXHAUSTED",
            }
        },
        QUOTA,
        66970.5,
    ),
    (
        "Google Code Assist, only words",
        429,
        said("You have exhausted your capacity on this model. Your quota will reset after 3h12m."),
        QUOTA,
        11520.0,
    ),
    (
        "Google Code Assist, clock with zone",
        429,
        said("Usage limit reached for gemini-3-flash. Access resets at 10:57 AM GMT+1."),
        QUOTA,
        3600 + 57 * 60.0,
    ),
    (
        "Codex",
        429,
        {
            "error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "plan_type": "plus",
                "resets_at": int(NOW) + 13872,
                "eligible_promo": None,
                "resets_in_seconds": 13872,
            }
        },
        QUOTA,
        13872.0,
    ),
    (
        "Codex, only the moment",
        429,
        {
            "error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "resets_at": int(NOW) + 600,
            }
        },
        QUOTA,
        600.0,
    ),
    (
        "a relay of Codex, the moment in RFC 3339",
        429,
        said("Too many requests", resets_at="2027-01-15T10:00:00+01:00"),
        QUOTA,
        3600.0,
    ),
    (
        "Codex, in words",
        429,
        said(
            "You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 5 days "
            "22 hours 11 minutes."
        ),
        QUOTA,
        5 * DAY + 22 * 3600 + 11 * 60,
    ),
    (
        "Anthropic, a minute",
        429,
        {
            "type": "error",
            "error": {
                "type": "rate_limit_error",
                "message": "This request would exceed your organization's rate limit of 30,000 input tokens per "
                "minute (org: 9bdecd1f, model: claude-sonnet-4-6). For details, refer to: "
                "https://docs.claude.com/en/api/rate-limits.",
            },
        },
        RATE,
        None,
    ),
    (
        "Anthropic, spend limit",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "You have reached your specified API usage limits. You will regain access on 2027-01-18 at "
                "00:00 UTC.",
            },
        },
        QUOTA,
        2 * DAY + 16 * 3600,
    ),
    (
        "Claude subscription, as Claude Code knew it",
        429,
        said("Claude AI usage limit reached|1800003600", type="rate_limit_error"),
        QUOTA,
        3600.0,
    ),
    (
        "Claude subscription, clock",
        429,
        said("You've hit your limit · resets 9:10am (Europe/Kiev)", type="rate_limit_error"),
        QUOTA,
        600.0,
    ),
    (
        "Claude subscription, clock without minutes",
        429,
        said("You have reached your Claude Pro usage limit. Your limit will reset at 6pm."),
        QUOTA,
        2 * 3600.0,
    ),
    (
        "Volcengine",
        429,
        said(
            "You have exceeded the 5-hour usage quota. It will reset at 2027-01-15 18:26:31 +0800 CST. We recommend "
            "upgrading your plan.",
            code="AccountQuotaExceeded",
            type="TooManyRequests",
        ),
        QUOTA,
        2 * 3600 + 26 * 60 + 31.0,
    ),
    (
        "Zhipu, five hours",
        429,
        {
            "error": {
                "code": "1308",
                "message": "已达到 5 小时的使用上限。您的限额将在 2027-01-15 17:41:44 重置。",
            }
        },
        QUOTA,
        3600 + 41 * 60 + 44.0,
    ),
    (
        "Z.ai, five hours",
        429,
        {
            "error": {
                "code": "1308",
                "message": "Usage limit reached for 5 hour. Your limit will reset at 2027-01-15 17:41:44",
            }
        },
        QUOTA,
        3600 + 41 * 60 + 44.0,
    ),
    (
        "Zhipu, as a field",
        429,
        {"error": {"code": "1310", "message": "x", "next_flush_time": "2027-01-16 16:00:00"}},
        QUOTA,
        DAY,
    ),
    (
        "Zhipu, too many at a time",
        429,
        {"error": {"code": "1302", "message": "您的账户已达到速率限制，请您控制请求频率"}},
        RATE,
        None,
    ),
    (
        "OpenRouter, a minute",
        429,
        {
            "error": {
                "message": "Rate limit exceeded: free-models-per-min. ",
                "code": 429,
                "metadata": {
                    "headers": {
                        "X-RateLimit-Limit": "20",
                        "X-RateLimit-Remaining": "0",
                        "X-RateLimit-Reset": str(int(NOW + 40) * 1000),
                    },
                    "provider_name": None,
                },
            }
        },
        RATE,
        40.0,
    ),
    (
        "OpenRouter, a day",
        429,
        {
            "error": {
                "message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model "
                "requests per day",
                "code": 429,
                "metadata": {
                    "headers": {
                        "X-RateLimit-Limit": "50",
                        "X-RateLimit-Remaining": "0",
                        "X-RateLimit-Reset": str(int(NOW + 57600) * 1000),
                    }
                },
            }
        },
        QUOTA,
        57600.0,
    ),
    (
        "Cloudflare",
        429,
        {
            "title": "Error 1015",
            "message": "You are being rate limited",
            "retryable": True,
            "retry_after": 30,
        },
        RATE,
        30.0,
    ),
    ("FastAPI", 429, {"detail": "Rate limit exceeded, retry after: 12"}, RATE, 12.0),
    ("Django", 429, {"detail": "Request was throttled. Expected available in 12 seconds."}, RATE, 12.0),
    ("nginx", 503, "Service Temporarily Unavailable", ErrorType.OVERLOADED, None),
    ("Moonshot", 429, said("rate limited, please try again after 1 seconds"), RATE, 1.0),
    ("a pause in plain text", 429, "Too many requests, please wait 30s", RATE, 30.0),
    ("Hugging Face", 503, {"error": "overloaded", "retry_after_seconds": 7.5}, ErrorType.OVERLOADED, 7.5),
    ("Chinese, seconds", 429, said("请求过于频繁，请在30秒后重试"), RATE, 30.0),
    ("Chinese, minutes", 429, said("操作太频繁，5分钟后再试"), RATE, 300.0),
    ("Chinese, numerals", 429, said("查询太频繁，请十分钟后再试"), RATE, 600.0),
    ("Chinese, wait", 429, said("触发限流，请等待 20 秒"), RATE, 20.0),
    ("Chinese, reset", 429, said("额度已用完，将在2小时30分钟后重置"), QUOTA, 9000.0),
    (
        "an error passed on as text",
        429,
        said(
            'upstream error: 429 {"error":{"type":"usage_limit_reached","message":"The usage limit has been reached",'
            '"resets_in_seconds":7200}}'
        ),
        QUOTA,
        7200.0,
    ),
    ("a moment that is no moment", 429, said("resets at 2027-13-45T00:00:00Z"), RATE, None),
    ("a moment that has passed", 429, said("resets at 2026-01-15T00:00:00Z"), RATE, None),
    (
        "midnight, wherever it comes first",
        429,
        said("Monthly limit reached, resets at 00:00"),
        QUOTA,
        8 * 3600.0,
    ),
    ("RFC 3339", 429, said("resets at 2027-01-15T08:30:00Z"), QUOTA, 1800.0),
    ("RFC 3339, soon", 429, said("resets at 2027-01-15T08:00:30Z"), RATE, 30.0),
]


@pytest.mark.parametrize(
    ("status", "body", "type", "seconds"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_an_answer_of_a_real_service_is_waited_out_by_its_hints(
    status: int, body: object, type: ErrorType, seconds: float | None
) -> None:
    assert wait_of(status, body) == (type, seconds)


def test_a_wait_inside_a_stream_is_found_as_well() -> None:
    """The Codex service reports the limit in a record of a stream, headers included."""
    record = {
        "type": "error",
        "error": {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "resets_in_seconds": 900,
        },
        "status_code": 429,
        "headers": {
            "X-Codex-Primary-Used-Percent": "100",
            "X-Codex-Primary-Reset-After-Seconds": "13873",
            "X-Codex-Secondary-Used-Percent": "80",
            "X-Codex-Secondary-Reset-After-Seconds": "316705",
        },
    }
    error = decode_embedded_error(record)
    assert error is not None
    assert (error.type, error.status, error.retry_after) == (QUOTA, 429, 13873.0)


@pytest.mark.parametrize(
    "message",
    [
        "Unknown parameter: 'retry_after'. Try again in 5 minutes.",
        "messages.0.content: please retry in 20s is not an object",
        "prompt is too long: 9 tokens > 5 maximum, retry in 5s",
    ],
)
def test_an_error_of_the_request_has_no_wait(message: str) -> None:
    assert wait_of(400, said(message))[1] is None


def test_what_quotes_the_request_gives_no_hint() -> None:
    detail = [
        {"loc": ["body"], "msg": "Too many requests", "input": {"retry_after": 99, "resets_at": NOW + 9}}
    ]
    assert wait_of(429, {"detail": detail}) == (RATE, None)


# --- headers and body together --------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        # an explicit header goes before the body's pause
        (said("Please try again in 20s"), {"retry-after": "3"}, (RATE, 3.0)),
        (said("Please try again in 20s"), {}, (RATE, 20.0)),
        # the end of a quota goes before both
        (said("Please try again in 20s", resets_in_seconds=7200), {"retry-after": "3"}, (QUOTA, 7200.0)),
        (said("x", type="usage_limit_reached", resets_at=NOW + 700), {"retry-after": "3"}, (QUOTA, 700.0)),
        (said("x", type="usage_limit_reached"), {"retry-after": "3600"}, (QUOTA, 3600.0)),
        (said("You exceeded your current quota"), {"retry-after": "20"}, (QUOTA, 20.0)),
        # a window of a minute is no quota
        (said("x", resets_in_seconds=45), {}, (RATE, 45.0)),
    ],
)
def test_of_several_hints_the_fitting_one_counts(
    body: object, headers: Headers, expected: tuple[ErrorType, float]
) -> None:
    assert wait_of(429, body, headers) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, (RATE, 20.0)),
        ({"retry-after": "7"}, (RATE, 7.0)),
        ({"x-ratelimit-remaining-tokens": "0"}, (RATE, 40.0)),
        ({"x-ratelimit-remaining-requests": "5"}, (RATE, 40.0)),
    ],
)
def test_of_windows_that_may_all_be_open_the_first_counts_and_only_without_a_better_hint(
    more: Headers, expected: tuple[ErrorType, float]
) -> None:
    windows = {"x-ratelimit-reset-requests": "20s", "x-ratelimit-reset-tokens": "40s"}
    assert wait_of(429, EXCEEDED, {**windows, **more}) == expected


def test_of_windows_that_end_at_a_moment_or_after_a_time_the_first_counts() -> None:
    headers = {"anthropic-ratelimit-unified-reset": str(int(NOW) + 10), "x-ratelimit-reset": "40s"}
    assert wait_of(429, EXCEEDED, headers) == (RATE, 10.0)


def test_a_window_that_may_be_open_is_not_waited_for_where_the_error_names_the_reset() -> None:
    body = said("x", type="usage_limit_reached", resets_in_seconds=3600)
    headers = {"x-codex-secondary-reset-after-seconds": "316705"}
    assert wait_of(429, body, headers) == (QUOTA, 3600.0)


def test_credit_comes_back_at_the_latest_hint() -> None:
    error = WireError(ErrorType.BILLING, "no credit", 402, retry_after=10.0, resets_at=NOW + 3 * DAY)
    assert with_hints(error, {"retry-after": "60"}, NOW).retry_after == 3 * DAY


# --- parts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m30s", 90.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("34.07s", 34.07),
        ("1h2m3s", 3723.0),
        ("3 days, 4 hours and 9 minutes", 3 * DAY + 4 * 3600 + 9 * 60),
        ("2 hrs", 7200.0),
        ("1 week", WEEK),
        ("5分钟", 300.0),
        ("两小时", 7200.0),
        ("3个小时", 10800.0),
        ("半小时", 1800.0),
        ("5 months", None),
        ("12", None),
        ("", None),
        ("9" * 60_000 + "s", None),
    ],
)
def test_a_duration_has_many_forms(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("resets at 09:00 UTC", 3600.0),
        ("resets at 09:00 GMT+1", DAY),
        ("resets at 08:30", 1800.0),
        ("resets 3pm", 6 * 3600.0),
        ("available again at 2027-01-16", 8 * 3600.0),
        ("resets Apr 23 at 4pm", None),
        ("resets at 25:00 UTC", None),
        ("resets soon", None),
        ("limit resets 24/7", None),
    ],
)
def test_a_moment_without_a_zone_is_the_first_that_may_be_meant(message: str, seconds: float | None) -> None:
    assert named_moment(message, NOW, HERE) == seconds


def test_http_dates_are_decoded() -> None:
    assert http_date("Fri, 15 Jan 2027 08:00:00 GMT") == NOW
    assert http_date("no date") is None


HOSTILE = {
    "words that begin every pattern": "try again retry after resets at wait 等待 " * 200,
    "digits": "retry after " + "1" * 4000,
    "digits and units": "try again in " + "1h" * 2000,
    "spaces": "resets at" + " " * 4000,
    "numerals": "一" * 4000,
    "dates": "resets at 2027-01-15 " * 200,
    "clocks": "again 99:99 " * 300,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_sentence_costs_little_time(name: str) -> None:
    body = msgspec.json.encode(said(HOSTILE[name]))
    began = time.process_time()
    error = with_hints(decode_error(429, body), {"retry-after": HOSTILE[name]}, NOW, HERE)
    assert time.process_time() - began < 2
    assert error.retry_after is None or 0 <= error.retry_after <= WEEK


def test_a_hostile_body_costs_little_time() -> None:
    deep: object = {"retry_after": 5}
    for depth in range(50):
        deep = {"a": deep, "b": [deep, deep]} if depth < 6 else {"a": deep}
    wide = {f"field{number}": number for number in range(100_000)}
    began = time.process_time()
    for body in (deep, wide, [wide] * 3):
        decode_error(429, msgspec.json.encode({"error": {"message": "m", "details": body}}))
    assert time.process_time() - began < 2
