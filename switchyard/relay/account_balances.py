"""Ask services for the remaining credit of the accounts whose entries switch that on, at most every 10 minutes."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from switchyard.protocols.balances import Balance, Endpoint, endpoints_of, host_of, urls_of
from switchyard.relay.credentials import KeyMissing, fetch_key
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.headers import OUR_USER_AGENT, Headers
from switchyard.relay.upstream import Call
from switchyard.settings import Upstream
from switchyard.timeouts import timeouts_of

INTERVAL_SECONDS = 600.0
PATIENCE_SECONDS = 20.0
MAX_BYTES = 64 * 1024
NOT_REPORTED = "no known balance endpoint answers at this address"


class AccountBalance(msgspec.Struct, frozen=True):
    """The last answer for an account. `at`: seconds since 1970; `fault`: why there is no newer balance."""

    balance: Balance | None
    at: float
    fault: str = ""


class _Asked(msgspec.Struct, frozen=True):
    """When a service was asked for this account, and which endpoint answered."""

    at: float
    endpoint: Endpoint | None
    found: AccountBalance


Identity = tuple[str, str]
"""the address and the key, or where it comes from"""


class AccountBalances:
    """Asks in the background, whatever requests do."""

    def __init__(self, dependencies: Dependencies, wall: Callable[[], float]) -> None:
        self._dependencies = dependencies
        self._wall = wall
        self._asked: dict[Identity, _Asked] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            await self.ask_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._changed.wait()

    async def ask_due(self) -> None:
        """Ask for each account whose last answer is old enough."""
        now = self._dependencies.monotonic()
        due = {_identity(one): one for one in self._accounts() if self._seconds_left(one, now) <= 0}
        await asyncio.gather(*(self._ask(one) for one in due.values()))

    def replan(self) -> None:
        """The settings have changed."""
        known = {_identity(one) for one in self._dependencies.settings().accounts}
        self._asked = {identity: asked for identity, asked in self._asked.items() if identity in known}
        self._changed.set()

    def states(self) -> Mapping[str, AccountBalance]:
        """The last answer, by account."""
        found = {one.account: self._asked.get(_identity(one)) for one in self._accounts()}
        return {account: asked.found for account, asked in found.items() if asked is not None}

    def _accounts(self) -> list[Upstream]:
        return [one for one in self._dependencies.settings().accounts if _is_asked(one)]

    def _seconds_left(self, account: Upstream, now: float) -> float:
        asked = self._asked.get(_identity(account))
        return 0.0 if asked is None else asked.at + INTERVAL_SECONDS - now

    def _pause(self) -> float | None:
        """Until the next account is due; None if there is none."""
        now = self._dependencies.monotonic()
        return min((max(self._seconds_left(one, now), 1.0) for one in self._accounts()), default=None)

    async def _ask(self, account: Upstream) -> None:
        identity, now = _identity(account), self._dependencies.monotonic()
        before = self._asked.get(identity)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                endpoint, balance = await self._balance(account, before.endpoint if before else None)
            found = AccountBalance(balance, self._wall(), "" if balance else NOT_REPORTED)
        except (AttemptFailed, KeyMissing, TimeoutError) as error:
            endpoint, last = (before.endpoint, before.found.balance) if before else (None, None)
            found = AccountBalance(last, self._wall(), _why(error))
        self._asked[identity] = _Asked(now, endpoint, found)

    async def _balance(
        self, account: Upstream, known: Endpoint | None
    ) -> tuple[Endpoint | None, Balance | None]:
        """Of the endpoint that answered before, else of the first that answers. Raises AttemptFailed, KeyMissing."""
        headers = _headers(account, await fetch_key(account, []))
        for endpoint in (known,) if known else endpoints_of(account.base_url):
            answers = await self._answers(account, endpoint, headers)
            balance = endpoint.decode(answers, host_of(account.base_url)) if answers else None
            if balance is not None:
                return endpoint, balance
        return None, None

    async def _answers(
        self, account: Upstream, endpoint: Endpoint, headers: Headers
    ) -> list[dict[str, object]]:
        """The answers of all its paths; none if one of them does not answer. Raises AttemptFailed."""
        answers = []
        for url in urls_of(endpoint, account.base_url):
            found = await self._get(account, url, headers)
            if found is None:
                return []
            answers.append(found)
        return answers

    async def _get(self, account: Upstream, url: str, headers: Headers) -> dict[str, object] | None:
        """The JSON object of a successful answer. Raises AttemptFailed."""
        seconds = timeouts_of(account, self._dependencies.settings()).connect
        call = Call(
            url, headers, b"", seconds, account.proxy, account.tls, upstream=account.name, method="GET"
        )
        reply = await self._dependencies.wire.send(call)
        try:
            if reply.status != 200:
                return None
            found = msgspec.json.decode(await reply.read_up_to(MAX_BYTES))
        except (ValueError, RecursionError):  # also text that is not UTF-8
            return None
        finally:
            await reply.close()
        return found if isinstance(found, dict) else None


def _is_asked(account: Upstream) -> bool:
    has_key = account.key not in ("", "client")
    return account.balance and account.enabled and has_key and not account.is_demo


def _identity(account: Upstream) -> Identity:
    return account.base_url, account.key


def _headers(account: Upstream, key: str) -> Headers:
    own = [("authorization", f"Bearer {key}"), ("accept", "application/json"), ("user-agent", OUR_USER_AGENT)]
    return [*own, *((name.lower(), value) for name, value in account.headers.items())]


def _why(error: Exception) -> str:
    match error:
        case AttemptFailed():
            return error.failure.message
        case TimeoutError():
            return f"no answer within {PATIENCE_SECONDS:g} s"
        case _:
            return str(error)
