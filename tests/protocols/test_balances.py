"""The table of balance endpoints: which address is asked, and what its answer means."""

from typing import Any

import pytest

from switchyard.protocols.balances import Balance, endpoints_of, urls_of

CASES: list[tuple[str, list[Any], tuple[str, ...], Balance | None]] = [
    (
        "https://openrouter.ai/api/v1",
        [{"data": {"total_credits": 100.5, "total_usage": 25.75}}],
        ("https://openrouter.ai/api/v1/credits",),
        Balance(74.75),
    ),
    (
        "https://api.deepseek.com/anthropic",
        [
            {
                "is_available": True,
                "balance_infos": [
                    {"currency": "USD", "total_balance": "0.00"},
                    {"currency": "CNY", "total_balance": "110.00", "granted_balance": "10.00"},
                ],
            }
        ],
        ("https://api.deepseek.com/user/balance",),
        Balance(110.0, "CNY"),
    ),
    (
        "https://api.moonshot.cn/v1",
        [{"code": 0, "data": {"available_balance": 49.58894, "cash_balance": -3}}],
        ("https://api.moonshot.cn/v1/users/me/balance",),
        Balance(49.58894, "CNY"),
    ),
    (
        "https://api.moonshot.ai/anthropic",
        [{"data": {"available_balance": 5}}],
        ("https://api.moonshot.ai/v1/users/me/balance",),
        Balance(5.0),
    ),
    (
        "https://api.siliconflow.cn/v1",
        [{"data": {"balance": "0.88", "chargeBalance": "88.00", "totalBalance": "88.88"}}],
        ("https://api.siliconflow.cn/v1/user/info",),
        Balance(88.88, "CNY"),
    ),
    (
        "http://gateway.example:4000/v1",
        [{"key": "hash", "info": {"spend": 1.5, "max_budget": 10}}],
        ("http://gateway.example:4000/key/info",),
        Balance(8.5),
    ),
    ("https://gateway.example", [{"info": {"spend": 1.5, "max_budget": None}}], (), None),
    ("https://openrouter.ai/api/v1", [{"error": "no"}], (), None),
    ("https://api.deepseek.com", [{"balance_infos": [{"total_balance": "nan"}, 3]}], (), None),
]


@pytest.mark.parametrize(("base_url", "answers", "urls", "balance"), CASES)
def test_each_service_is_asked_at_its_own_address(
    base_url: str, answers: list[Any], urls: tuple[str, ...], balance: Balance | None
) -> None:
    first = endpoints_of(base_url)[0]
    assert first.decode(answers, base_url.split("/")[2]) == balance
    assert not urls or urls_of(first, base_url) == urls


@pytest.mark.parametrize(
    ("limit", "cents", "balance"),
    [(20.0, 1234.0, Balance(7.66)), (100_000_000, 0, None), ("x", 1, None)],
)
def test_a_panel_reports_its_limit_and_what_is_used_of_it(
    limit: Any, cents: Any, balance: Balance | None
) -> None:
    panel = endpoints_of("https://panel.example")[-1]
    found = panel.decode([{"hard_limit_usd": limit}, {"total_usage": cents}], "panel.example")
    assert (found and round(found.amount, 6)) == (balance and balance.amount)


def test_the_key_goes_to_the_host_of_the_entry_only() -> None:
    for base_url in ("https://relay.example/v1", "http://127.0.0.1:1", "https://openrouter.ai/api"):
        host = "/".join(base_url.split("/")[:3])
        for endpoint in endpoints_of(base_url):
            assert all(url.startswith(f"{host}/") for url in urls_of(endpoint, base_url))
