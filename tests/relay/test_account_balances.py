"""When services are asked for balances: at most every 10 minutes, by a clock that is an argument."""

import asyncio

from msgspec.structs import replace

from switchyard.protocols.balances import Balance
from switchyard.relay.account_balances import INTERVAL_SECONDS, AccountBalance, AccountBalances
from switchyard.settings import Settings
from switchyard.settings_validation import parse
from tests.bed.dependencies import Bed
from tests.bed.upstream import ScriptedUpstream

WALL = 1_790_000_000.0


def settings(url: str, **more: object) -> Settings:
    entry = {"name": "relay", "base_url": url, "protocol": "chat", "key": "sk-1", "balance": True, **more}
    return parse({"upstreams": [entry]}).settings


def test_a_service_is_asked_again_after_10_minutes_at_the_endpoint_that_answered() -> None:
    with ScriptedUpstream() as server:
        server.pages = {"/key/info": b'{"info": {"spend": 1, "max_budget": 3}}'}
        asked, found = asyncio.run(asked_at(server, settings(server.url), [0.0, 599.0, 600.0, 601.0]))
    assert asked == [1, 1, 2, 2]
    assert found == AccountBalance(Balance(2.0), WALL)
    assert INTERVAL_SECONDS == 600


def test_a_service_that_does_not_answer_is_not_asked_more_often() -> None:
    with ScriptedUpstream() as server:
        server.pages = {"/other": b"{}"}
        asked, _ = asyncio.run(asked_at(server, settings(server.url), [0.0, 300.0, 600.0]))
    assert asked == [2, 2, 4], "the first page of each of the two forms"


def test_what_is_no_json_object_is_no_balance() -> None:
    for body in (
        b"[]",
        b"<html>",
        b'{"info": {"spend": true, "max_budget": []}}',
        b"[" * 100_000,
        b'{"a": "\xff"}',
    ):
        with ScriptedUpstream() as server:
            server.pages = {"/key/info": body}
            _, found = asyncio.run(asked_at(server, settings(server.url), [0.0]))
        assert found.balance is None and found.fault


async def asked_at(
    server: ScriptedUpstream, used: Settings, times: list[float]
) -> tuple[list[int], AccountBalance]:
    """How many requests the server had received at each of these times, and the balance in the end."""
    bed, now = Bed(used), [0.0]
    balances = AccountBalances(replace(bed.dependencies, monotonic=lambda: now[0]), lambda: WALL)
    asked = []
    for now[0] in times:
        await balances.ask_due()
        asked.append(len(server.probes))
    await bed.close()
    return asked, balances.states()["relay"]
