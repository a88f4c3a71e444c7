"""The windows of quotas: the pace, the forecast, and when new conversations go elsewhere."""

from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.protocols.retry_hints.quota_windows import QuotaWindow, read_windows
from switchyard.routing.quotas import MAX_SAMPLES, MAX_WINDOWS, Quota, Quotas
from switchyard.routing.route import Route, State
from switchyard.routing.sessions import Affinity
from switchyard.settings import Settings
from tests.routing.test_route import ASK, MONDAY_NOON, names, route, settings

WALL = 1_790_000_000.0
NOW = MONDAY_NOON.monotonic


@pytest.mark.parametrize(
    ("headers", "windows"),
    [
        (
            {
                "anthropic-ratelimit-unified-status": "allowed",
                "anthropic-ratelimit-unified-reset": "1790003600",
                "anthropic-ratelimit-unified-5h-status": "allowed",
                "anthropic-ratelimit-unified-5h-reset": "1790003600",
                "anthropic-ratelimit-unified-5h-utilization": "0.42",
                "anthropic-ratelimit-unified-7d-reset": "1790086400",
                "anthropic-ratelimit-unified-7d-utilization": "0.9",
            },
            [("5h", 0.42, 3600), ("7d", 0.9, 86400)],
        ),
        (
            {
                "x-codex-primary-used-percent": "37.5",
                "x-codex-primary-window-minutes": "300",
                "x-codex-primary-reset-after-seconds": "1200",
                "x-codex-primary-reset-at": "1790001200",
                "x-codex-secondary-used-percent": "80",
                "x-codex-secondary-window-minutes": "10080",
                "x-codex-secondary-reset-at": "1790500000",
                "x-codex-other-used-percent": "5",
                "x-codex-other-reset-after-seconds": "60",
            },
            [("5h", 0.375, 1200), ("7d", 0.8, 500000), ("other", 0.05, 60)],
        ),
        (
            {
                "x-ratelimit-limit-requests": "200",
                "x-ratelimit-remaining-requests": "50",
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-limit-tokens": "1000",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "20ms",
            },
            [("requests", 0.75, 360), ("tokens", 1.0, 0.02)],
        ),
        (
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "15", "x-ratelimit-reset": "1790000060000"},
            [("requests", 0.25, 60)],
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-limit": "1000",
                "anthropic-ratelimit-input-tokens-remaining": "900",
                "anthropic-ratelimit-input-tokens-reset": "2026-09-21T14:13:50Z",
            },
            [("input-tokens", 0.1, 30)],
        ),
        ({"anthropic-ratelimit-unified-reset": "1790003600"}, []),
        ({"x-ratelimit-limit": "0", "x-ratelimit-remaining": "nan", "x-ratelimit-reset": "soon"}, []),
        ({"x-ratelimit-used-percent": "inf", "x-ratelimit-reset": "inf"}, []),
        ({"retry-after": "30", "x-reset": "5"}, []),
    ],
    ids=[
        "anthropic",
        "codex",
        "openai",
        "openrouter",
        "anthropic-api",
        "no-share",
        "broken",
        "infinite",
        "none",
    ],
)
def test_the_windows_in_the_headers_of_an_answer(
    headers: dict[str, str], windows: list[tuple[str, float, float]]
) -> None:
    found = read_windows(list(headers.items()), WALL)
    assert [(one.name, round(one.used, 6), round(one.seconds, 6)) for one in found] == windows


HOSTILE = ("", "nan", "inf", "-1", "1e999", "9" * 5000, "\0", "soon", "9999-12-31", "99999999999d")
FIRST_YEAR = "0001-01-01T00:00:00+23:59"


@pytest.mark.parametrize("value", [*HOSTILE, FIRST_YEAR])
def test_whatever_the_headers_hold_the_answer_goes_on(value: str) -> None:
    for prefix in ("anthropic-ratelimit-unified-5h-", "x-codex-primary-", "x-ratelimit-", "x-rate-limit-"):
        names = [f"{prefix}{part}" for part in ("reset", "reset-at", "reset-requests", "reset-after-seconds")]
        names += [
            f"{prefix}{part}" for part in ("remaining", "limit", "utilization", "used-percent", "status")
        ]
        for other in (value, "0.5", "10"):
            headers = [(name, value if "reset" in name else other) for name in names]
            windows = read_windows(
                [("date", value), *headers, *((name.upper(), value) for name in names)], WALL
            )
            assert all(0 <= one.used <= 1 and 0 < one.seconds <= 7 * 86400 for one in windows)
    assert read_windows([(f"x-ratelimit-{'long' * 100}-reset", value)], WALL) == ()


def test_a_moment_is_that_of_the_upstreams_clock() -> None:
    headers = [
        ("date", "Mon, 21 Sep 2026 14:13:20 GMT"),
        ("x-codex-primary-used-percent", "10"),
        ("x-codex-primary-reset-at", "1790000060"),
    ]
    assert read_windows(headers, WALL + 5000)[0].seconds == 60


def noted(*readings: tuple[float, float], resets_at: float = NOW + 20_000) -> Quotas:
    quotas = Quotas()
    for at, used in readings:
        quotas.note("a", [QuotaWindow("5h", used, resets_at - at)], at)
    return quotas


def test_the_pace_of_the_last_hour_forecasts_when_a_window_is_used_up() -> None:
    quotas = noted((NOW - 7200, 0.0), (NOW - 3600, 0.3), (NOW - 1800, 0.4), (NOW, 0.5))
    (found,) = quotas.of("a", NOW)
    assert replace(found, full_at=None) == Quota("5h", 0.5, NOW + 20_000)
    assert found.full_at == pytest.approx(NOW + 9000)


@pytest.mark.parametrize(
    "readings",
    [
        [(NOW, 0.9)],
        [(NOW - 60, 0.2), (NOW, 0.9)],
        [(NOW - 3600, 0.5), (NOW, 0.5)],
        [(NOW - 3600, 0.50), (NOW, 0.51)],
        [(NOW - 3600, 0.9), (NOW - 30, 0.1), (NOW, 0.2)],
        [(NOW - 3600, 0.9), (NOW, 1.0)],
    ],
    ids=["one reading", "too short", "no use", "after the end", "a new window", "used up"],
)
def test_no_forecast_is_made_without_a_pace(readings: list[tuple[float, float]]) -> None:
    assert [quota.full_at for quota in noted(*readings).of("a", NOW)] == [None]


def test_a_window_that_has_ended_is_gone() -> None:
    assert noted((NOW - 10, 0.9), resets_at=NOW - 1).of("a", NOW) == ()


def test_what_is_remembered_is_bounded() -> None:
    quotas = noted(*((NOW + second, 0.5) for second in range(0, 10_000, 10)))
    quotas.note("a", [QuotaWindow(f"w{number}", 0.5, 99_999) for number in range(1000)], NOW)
    assert len(quotas.of("a", NOW)) == MAX_WINDOWS
    assert len(quotas._tracks["a"]["5h"].samples) <= MAX_SAMPLES


def test_quotas_follow_a_renamed_account_and_are_dropped_with_it() -> None:
    quotas = noted((NOW, 0.5))
    quotas.rename({"a": "b"})
    assert (len(quotas.of("a", NOW)), len(quotas.of("b", NOW))) == (0, 1)
    quotas.keep_only({"c"})
    assert quotas.of("b", NOW) == ()


def leaving(found: Settings, used: float = 0.9, **more: Any) -> Route:
    quotas = Quotas()
    quotas.note("u0", [QuotaWindow("5h", used, 3600)], NOW)
    quotas.note("u0 (key 1)", [QuotaWindow("5h", used, 3600)], NOW)
    return route(found, state=State(quotas=quotas), **more)


LEAVES = {"leave_at_percent": 85}


def test_new_conversations_leave_an_account_before_its_limit_with_the_reason() -> None:
    found = leaving(settings(LEAVES, {}))
    text = "90% of its 5h quota is used, new conversations leave at 85% until 13:00"
    assert names(found) == ["u1"]
    assert [(skip.upstream, skip.reason, skip.text, skip.until) for skip in found.skipped] == [
        ("u0", "quota", text, NOW + 3600)
    ]


def test_a_running_conversation_stays() -> None:
    affinity = Affinity("u0", NOW)
    assert names(leaving(settings(LEAVES, {}), affinity=affinity)) == ["u0", "u1"]


def test_below_the_share_and_without_the_setting_nothing_changes() -> None:
    assert names(leaving(settings(LEAVES, {}), used=0.84)) == ["u0", "u1"]
    assert names(leaving(settings({}, {}))) == ["u0", "u1"]


def test_an_account_that_is_the_last_that_can_answer_is_used_up_to_its_limit() -> None:
    assert names(leaving(settings(LEAVES))) == ["u0"]
    assert names(leaving(settings(LEAVES, {"role": "rescue"}))) == ["u0"]
    assert names(leaving(settings(LEAVES, {"role": "backup"}))) == ["u1"]


def test_another_key_of_the_entry_takes_new_conversations() -> None:
    entry = {"keys": ["sk-1", "sk-2"], **LEAVES}
    assert names(leaving(settings(entry))) == ["u0 (key 2)"]


def test_an_upstream_that_the_request_names_is_asked_all_the_same() -> None:
    assert names(leaving(settings(LEAVES, {}), ask=replace(ASK, model="u0,claude-sonnet-4-5"))) == ["u0"]
