"""The remaining credit is asked of the entry's own host, only where the user switches that on."""

from pathlib import Path

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, Document, settings, upstream
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream

PANEL = {
    "/v1/dashboard/billing/subscription": b'{"hard_limit_usd": 20}',
    "/v1/dashboard/billing/usage": b'{"total_usage": 1234}',
}
GATEWAY = {"/key/info": b'{"info": {"spend": 1.5, "max_budget": 10}}'}


def balances(daemon: Daemon) -> list[Document]:
    found: list[Document] = daemon.get("/api/state").json["upstreams"][0]["balances"]
    return found


def once_known(daemon: Daemon, count: int = 1) -> list[Document]:
    wait_until(lambda: len(balances(daemon)) == count, "the balance")
    return balances(daemon)


def test_nothing_is_asked_until_the_entry_switches_it_on_and_then_once(tmp_path: Path) -> None:
    with ScriptedUpstream() as server:
        server.pages = PANEL
        entry = upstream("relay", f"{server.url}/v1", "chat")
        with Daemon(tmp_path, settings(entry)) as daemon:
            ask(daemon.url, "chat")
            assert (balances(daemon), server.probes) == ([], [])
            daemon.change_settings(settings({**entry, "balance": True}))
            (found,) = once_known(daemon)
            assert (found["amount"], found["currency"], found["fault"]) == (7.66, "USD", "")
            # neither an edit nor a look at the page asks again within 10 minutes
            asked = len(server.probes)
            daemon.change_settings(settings({**entry, "balance": True, "note": "edited"}))
            ask(daemon.url, "chat")
            assert len(server.probes) == asked
    assert {one.header("authorization") for one in server.probes} == {"Bearer sk-of-relay"}
    assert all("sk-of-relay" not in one.target for one in server.probes)


def test_each_key_has_its_balance(tmp_path: Path) -> None:
    with ScriptedUpstream() as server:
        server.pages = GATEWAY
        entry = {"name": "g", "base_url": server.url, "protocol": "chat", "keys": ["sk-1", "sk-2"]}
        with Daemon(tmp_path, settings({**entry, "balance": True})) as daemon:
            found = once_known(daemon, 2)
    assert [(one["key"], one["amount"]) for one in found] == [("key 1", 8.5), ("key 2", 8.5)]
    assert {one.header("authorization") for one in server.probes} == {"Bearer sk-1", "Bearer sk-2"}


def test_a_service_without_a_balance_is_named_and_requests_go_on(tmp_path: Path) -> None:
    with ScriptedUpstream() as server:
        server.pages = {"/other": b"{}"}
        with Daemon(tmp_path, settings(upstream("relay", server.url, balance=True))) as daemon:
            (found,) = once_known(daemon)
            assert ask(daemon.url, "messages").status == 200
    assert found["amount"] is None
    assert found["fault"] == "no known balance endpoint answers at this address"


def test_a_host_that_cannot_be_reached_is_reported(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings(upstream("relay", "http://127.0.0.1:9", balance=True))) as daemon:
        (found,) = once_known(daemon)
    assert found["fault"].startswith("cannot connect")


def test_an_entry_that_passes_the_clients_key_on_is_never_asked(tmp_path: Path) -> None:
    with ScriptedUpstream() as server:
        server.pages = PANEL
        entries = [
            {**upstream("a", server.url, balance=True), "key": "client"},
            upstream("b", server.url, balance=True),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            wait_until(lambda: daemon.get("/api/state").json["upstreams"][1]["balances"] != [], "b's balance")
            assert balances(daemon) == []
    assert {one.header("authorization") for one in server.probes} == {"Bearer sk-of-b"}
