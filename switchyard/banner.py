"""The text shown at start: where to point the clients, which upstreams would answer, and why not the others."""

from typing import TYPE_CHECKING

from switchyard import VERSION
from switchyard.installation import own_command
from switchyard.protocols.facts import USUAL_CLIENTS
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.relay.clocks import local_moment
from switchyard.routing.route import Ask, Route, choose_route
from switchyard.routing.rules import find_rule
from switchyard.routing.uses import Uses, until_text

if TYPE_CHECKING:
    from switchyard.application import Application

BOLD, DIM, RESET = "\033[1m", "\033[2m", "\033[0m"
TITLES: dict[ProtocolName, str] = {
    "messages": "Claude Code (messages)",
    "chat": "SDKs (chat)",
    "responses": "Codex (responses)",
}


def banner(application: "Application", url: str, token: str, *, colour: bool) -> str:
    bold, dim, reset = (BOLD, DIM, RESET) if colour else ("", "", "")
    settings_file = application.settings_file
    lines = [
        f"{bold}Switchyard {VERSION}{reset}",
        f"  Claude Code  ANTHROPIC_BASE_URL={url}/api",
        f'  Codex        base_url = "{url}/openai"',
        f"  SDKs         {url}/v1",
        f"  Dashboard    {url}/" + (f"?token={token}" if token else ""),
        f"  Settings     {settings_file.path}",
        f"  Data folder  {application.folder}",
    ]
    lines += _use_lines(application.uses())
    for warning in settings_file.warnings:
        lines.append(f"  {dim}note: {warning}{reset}")
    for protocol in PROTOCOLS:
        route = _route(application, protocol)
        lines.append(f"{bold}{TITLES[protocol]}{reset}")
        lines += _route_lines(route, dim, reset)
    return "\n".join(lines)


def _route(application: "Application", protocol: ProtocolName) -> Route:
    settings, now = application.settings_file.settings, local_moment()
    home = application.dependencies.home
    ruled = find_rule(settings.routes, protocol, "", USUAL_CLIENTS[protocol], now.wall, home)
    return choose_route(settings, application.state(), Ask(protocol, "", ruled=ruled), now)


def _use_lines(uses: Uses) -> list[str]:
    """What the user has chosen before this start."""
    wall, clients = (
        local_moment().wall,
        {use: [one for one in uses if uses[one] == use] for use in uses.values()},
    )
    lines = [
        f'  Use now      "{use.upstream}" first for {", ".join(names)}, {until_text(use.until, wall)}'
        for use, names in clients.items()
    ]
    return [*lines, f"               undo: {own_command('use')} --auto"] if lines else []


def _route_lines(route: Route, dim: str, reset: str) -> list[str]:
    lines = [
        f"  {place}. {candidate.name} ({candidate.why})"
        for place, candidate in enumerate(route.candidates, start=1)
    ]
    lines += [f"  rescue: {candidate.name}" for candidate in route.rescues]
    lines += [f"  {dim}-  {skip.upstream}: {skip.text}{reset}" for skip in route.skipped]
    return lines or ["  no upstream; add one in the dashboard"]
