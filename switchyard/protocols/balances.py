"""Where services report the remaining credit of a key, and how to read their answers.

Sources: openrouter.ai/docs (credits, key), api-docs.deepseek.com (user balance), platform.moonshot.cn/docs/api/balance,
docs.siliconflow.cn (user info), docs.newapi.pro (billing panel), docs.litellm.ai (key info).
"""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from switchyard.protocols.wire import Json, entries, fields

NO_LIMIT_DOLLARS = 100_000_000.0
"""what panels report for a token without a limit"""


class Balance(msgspec.Struct, frozen=True):
    """The credit that is left."""

    amount: float
    currency: str = "USD"


Decode = Callable[[Sequence[Json], str], Balance | None]
"""the answers of the paths in their order, and the host; None if the answers are others than expected"""


class Endpoint(NamedTuple):
    """`hosts`: those of the service itself; none stands for any other host, where a panel or gateway may run."""

    name: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    decode: Decode


def _credits(answers: Sequence[Json], host: str) -> Balance | None:
    found = fields(answers[0].get("data"))
    return _balance(_difference(found.get("total_credits"), found.get("total_usage")))


def _limit_of_key(answers: Sequence[Json], host: str) -> Balance | None:
    return _balance(_number(fields(answers[0].get("data")).get("limit_remaining")))


def _deepseek(answers: Sequence[Json], host: str) -> Balance | None:
    infos = map(fields, entries(answers[0].get("balance_infos")))
    read = [_balance(_number(one.get("total_balance")), str(one.get("currency"))[:8]) for one in infos]
    return max((one for one in read if one is not None), key=lambda one: one.amount, default=None)


def _moonshot(answers: Sequence[Json], host: str) -> Balance | None:
    return _balance(_number(fields(answers[0].get("data")).get("available_balance")), _currency_of(host))


def _siliconflow(answers: Sequence[Json], host: str) -> Balance | None:
    return _balance(_number(fields(answers[0].get("data")).get("totalBalance")), _currency_of(host))


def _litellm(answers: Sequence[Json], host: str) -> Balance | None:
    found = fields(answers[0].get("info"))
    return _balance(_difference(found.get("max_budget"), found.get("spend")))


def _panel(answers: Sequence[Json], host: str) -> Balance | None:
    limit, cents = _number(answers[0].get("hard_limit_usd")), _number(answers[1].get("total_usage"))
    if limit is None or cents is None or limit >= NO_LIMIT_DOLLARS:
        return None
    return Balance(limit - cents / 100)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("OpenRouter", ("openrouter.ai",), ("/api/v1/credits",), _credits),
    Endpoint("OpenRouter, limit of the key", ("openrouter.ai",), ("/api/v1/key",), _limit_of_key),
    Endpoint("DeepSeek", ("api.deepseek.com",), ("/user/balance",), _deepseek),
    Endpoint("Moonshot", ("api.moonshot.cn", "api.moonshot.ai"), ("/v1/users/me/balance",), _moonshot),
    Endpoint("SiliconFlow", ("api.siliconflow.cn", "api.siliconflow.com"), ("/v1/user/info",), _siliconflow),
    Endpoint("LiteLLM", (), ("/key/info",), _litellm),
    Endpoint(
        "new-api, one-api",
        (),
        ("/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage"),
        _panel,
    ),
)
"""Those of one host are tried in this order."""


def endpoints_of(base_url: str) -> tuple[Endpoint, ...]:
    """Where the service behind this address may report a balance."""
    host = host_of(base_url)
    own = tuple(one for one in ENDPOINTS if host in one.hosts)
    return own or tuple(one for one in ENDPOINTS if not one.hosts)


def host_of(base_url: str) -> str:
    return urlsplit(base_url).hostname or ""


def urls_of(endpoint: Endpoint, base_url: str) -> tuple[str, ...]:
    """The addresses to ask, all of them at the host of `base_url`."""
    parts = urlsplit(base_url)
    return tuple(f"{parts.scheme}://{parts.netloc}{path}" for path in endpoint.paths)


def _currency_of(host: str) -> str:
    return "CNY" if host.endswith(".cn") else "USD"


def _difference(whole: Any, part: Any) -> float | None:
    limit, used = _number(whole), _number(part)
    return None if limit is None or used is None else limit - used


def _balance(amount: float | None, currency: str = "USD") -> Balance | None:
    return None if amount is None else Balance(amount, currency)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
