"""`explain`: show which upstreams would answer, and why not the others."""

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from switchyard.commands.check import first_byte_text
from switchyard.commands.command import Action, loaded
from switchyard.commands.running import explained_by_daemon
from switchyard.plural import plural
from switchyard.protocols.facts import NO_FACTS, stated_facts
from switchyard.protocols.names import CLIENTS, PASSED_ENDPOINTS, account_name
from switchyard.relay.clocks import local_moment
from switchyard.relay.proxies import proxy_text
from switchyard.routing.moments import moment_at
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.routing.rules import find_rule
from switchyard.settings import Settings
from switchyard.timeouts import Timeouts, timeouts_of
from switchyard.use_now import stored_uses

FACT_FLAGS: dict[str, str] = {
    "program": "the client: claude-code or codex",
    "agent": "the client's user agent",
    "client_key": "the name of the client's key",
    "subagent": "a request of a sub-agent",
    "background": "a title, or a request for a single token",
    "compaction": "the client has its conversation summarized",
    "thinking": "thinking is on",
    "effort": "the reasoning effort",
    "web_search": "web search is the only tool",
    "images": "the conversation has images",
    "tokens": "the size of the prompt",
    "project": "the client's working directory",
}
"""the facts that rules name"""
ALL_COOLING = "every upstream that could answer is cooling down: a new request is held and tries them again"


def explain(arguments: argparse.Namespace) -> int:
    settings_file = loaded(arguments)
    if settings_file is None:
        return 1
    try:
        now = moment_at(arguments.at, local_moment())
    except ValueError as error:
        print(f"--at: {error}", file=sys.stderr)
        return 1
    running = _route_of_daemon(arguments)
    if running is not None:
        print(explain_text(running, names_model=not arguments.model))
    else:
        settings, given = settings_file.settings, vars(arguments)
        facts = stated_facts(given)
        home = str(Path.home())
        protocol = "chat" if arguments.endpoint else CLIENTS[arguments.client]
        ruled = find_rule(settings.routes, protocol, arguments.model, facts, now.wall, home)
        ask = Ask(protocol, arguments.model, arguments.session, ruled=ruled, endpoint=arguments.endpoint)
        print(_rule_text("" if ruled is None else ruled.text), end="")
        print(route_text(choose_route(settings, _state(arguments, settings), ask, now), settings))
    return 0


def _state(arguments: argparse.Namespace, settings: Settings) -> State:
    """What is known without a running daemon: only what the user uses now."""
    enabled = {upstream.name for upstream in settings.upstreams if upstream.enabled}
    return State(uses=stored_uses(Path(arguments.data), enabled))


def _rule_text(rule: str) -> str:
    return f"{rule} applies\n" if rule else ""


def _route_of_daemon(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """A running daemon also knows cooldowns, limits and conversations."""
    query = {"client": arguments.client, "model": arguments.model}
    query |= {"session": arguments.session, "at": arguments.at, "endpoint": arguments.endpoint}
    query |= {name: f"{value}" for name in FACT_FLAGS if (value := getattr(arguments, name))}
    return explained_by_daemon(Path(arguments.data), "/api/explain", query)


def route_text(route: Route, settings: Settings) -> str:
    """The decision as lines of text."""
    return _text(
        [
            (
                one.name,
                one.model,
                _reason(one.why, first_byte, one.upstream.body.text, proxy_text(one.upstream)),
            )
            for one in route.candidates
            for first_byte in [timeouts_of(one.upstream, settings).first_byte]
        ],
        [(one.name, one.model) for one in route.rescues],
        [(skip.upstream, skip.text) for skip in route.skipped],
    )


def explain_text(reported: dict[str, Any], *, names_model: bool) -> str:
    """The same for a route that the API reported; without a requested model, names the one it chose."""
    first = f"without --model, for {reported['model']}:\n" if names_model else ""
    return (
        first
        + _rule_text(reported.get("rule", ""))
        + _text(
            [
                (
                    account_name(one["upstream"], one.get("key", "")),
                    one["model"],
                    _reason(one["why"], one.get("first_byte"), one.get("body", ""), one.get("proxy", "")),
                )
                for one in reported["candidates"]
            ],
            [
                (account_name(one["upstream"], one.get("key", "")), one["model"])
                for one in reported["rescues"]
            ],
            [(skip["upstream"], skip["text"]) for skip in reported["skipped"]],
            _held_text(reported),
        )
    )


def _held_text(reported: dict[str, Any]) -> list[str]:
    """What a new request is held for while all upstreams are cooling down, and how many are held now."""
    waiting = {(one["upstream"], one["model"]): _waiting(one, reported["at"]) for one in reported["held"]}
    held_for = [((one["upstream"], one["model"]), one["not_before"]) for one in reported["held_for"]]
    whens = {target: waiting.get(target) or _from(not_before) for target, not_before in held_for}
    lines = [f"held for: {name} -> {model}: {when}" for (name, model), when in (waiting | whens).items()]
    return [ALL_COOLING, *lines] if held_for else lines


def _from(epoch: float | None) -> str:
    return "tried at once" if epoch is None else f"tried from {datetime.fromtimestamp(epoch):%H:%M:%S} on"


def _waiting(one: dict[str, Any], now: float) -> str:
    count, next_try = one["requests"], one["next_try"]
    requests = plural(count, "request is held", "requests are held")
    return f"{requests}, " + (
        "an attempt is running" if next_try is None else f"next try in {max(0.0, next_try - now):.0f} s"
    )


def _reason(why: str, first_byte: float | None, body: str, proxy: str) -> str:
    """With the first-byte timeout if it is not the default, what is changed in the body, and the proxy; a daemon of an
    older version reports none of these."""
    is_usual = first_byte is None or first_byte == Timeouts().first_byte
    parts = [why, "" if first_byte is None or is_usual else first_byte_text(first_byte), body, proxy]
    return "; ".join(part for part in parts if part)


def _text(
    candidates: list[tuple[str, str, str]],
    rescues: list[tuple[str, str]],
    skipped: list[tuple[str, str]],
    held: list[str] | None = None,
) -> str:
    lines = [
        f"{place}. {name} -> {model or 'any model'} ({why})"
        for place, (name, model, why) in enumerate(candidates, start=1)
    ]
    lines += [f"rescue: {name} -> {model}" for name, model in rescues]
    lines += [f"skipped: {name}: {text}" for name, text in skipped]
    lines += held or []
    return "\n".join(lines) or "no upstream is configured"


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--client", choices=CLIENTS, default="messages", help="claude, codex, or the client's protocol"
    )
    parser.add_argument("--model", default="", help="the requested model")
    parser.add_argument(
        "--endpoint", choices=PASSED_ENDPOINTS, default="", help="of a chat client, instead of a conversation"
    )
    parser.add_argument("--session", default="", help="the conversation, for upstreams that take turns")
    for name, text in FACT_FLAGS.items():
        _add_fact(parser, name, f"for rules: {text}")
    parser.add_argument("--at", default="", help='local time such as "mon 09:00" (default: now)')


def _add_fact(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    flag, default = f"--{name.replace('_', '-')}", getattr(NO_FACTS, name)
    if isinstance(default, bool):
        parser.add_argument(flag, action="store_true", help=text)
    elif name == "program":
        parser.add_argument(flag, choices=("claude-code", "codex"), default=default, help=text)
    else:
        parser.add_argument(flag, type=type(default), default=default, help=text)


ACTION = Action(_explain_arguments, explain)
