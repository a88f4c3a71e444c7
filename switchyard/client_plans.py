"""Decide what the settings of Claude Code or Codex must contain; `clients` edits the files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from switchyard.clients import claude_code, codex
from switchyard.clients.plan import Plan
from switchyard.protocols.facts import CLAUDE_CODE, CODEX
from switchyard.routing.served import served_models, upstreams_for, usable_window
from switchyard.settings import Settings, search_seconds, timeouts_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CLAUDE_WAIT_SECONDS = 540
"""Claude Code gives up after 600 s; this is how long it waits for a first byte, with a margin"""
TITLES = {"claude": "Claude Code", "codex": "Codex"}


class Wanted(msgspec.Struct, frozen=True):
    """`address` of the daemon; `key` "" for the first one in the settings; `model` "" to keep the user's own."""

    address: str
    key: str = ""
    model: str = ""
    knobs: Sequence[str] = ()
    """names of `claude_code.KNOBS` to set in addition to those that an earlier set-up has set"""
    no_longer: Sequence[str] = ()
    """those that an earlier set-up has set and that are removed"""


def path_of(client: str, environment: Mapping[str, str], home: Path) -> Path:
    """The file from which the client reads the user's settings; `client` is a key of TITLES."""
    look = claude_code.settings_path if client == "claude" else codex.config_path
    return look(environment, home)


def plan(client: str, path: Path, wanted: Wanted, settings: Settings, environment: Mapping[str, str]) -> Plan:
    """What a set-up would change. Raises Unparsable or OSError."""
    key = wanted.key or next(iter(settings.client_keys), "")
    if client == "claude":
        return _plan_claude(path, wanted, key, settings, environment)
    return _plan_codex(path, wanted, key, settings)


def undo(client: str, path: Path) -> Plan:
    """What undoing a set-up would change. Raises Unparsable or OSError."""
    return claude_code.undo(path) if client == "claude" else codex.undo(path)


def leads_to(base: str, address: str) -> bool:
    """True for a base URL that leads to the daemon at this address; loopback has several names."""
    try:
        parts, wanted = urlsplit(base), urlsplit(address)
        hosts = {wanted.hostname, *(LOOPBACK if wanted.hostname in LOOPBACK else ())}
        return parts.hostname in hosts and parts.port == wanted.port
    except ValueError:
        return False


def _plan_claude(
    path: Path, wanted: Wanted, key: str, settings: Settings, environment: Mapping[str, str]
) -> Plan:
    earlier = claude_code.chosen(path)
    knobs = {name: value for name, value in earlier.items() if name not in wanted.no_longer}
    knobs |= {name: claude_code.KNOBS[name][0] for name in wanted.knobs}
    if wanted.model:
        knobs[claude_code.MODEL] = wanted.model
    return claude_code.plan(
        path,
        wanted.address,
        key,
        knobs=knobs,
        environment=environment,
        context_window=usable_window(settings, "messages", knobs.get(claude_code.MODEL, ""), CLAUDE_CODE),
        wait_seconds=_claude_waits(settings),
    )


def _claude_waits(settings: Settings) -> float:
    """How long the daemon may search for an answer; 0 if Claude Code's default timeout is enough."""
    serving = upstreams_for(settings, "messages")
    total = search_seconds(serving, settings)
    longest = max((timeouts_of(upstream, settings).first_byte for upstream in serving), default=0.0)
    return total if min(longest, total) > CLAUDE_WAIT_SECONDS else 0.0


def _plan_codex(path: Path, wanted: Wanted, key: str, settings: Settings) -> Plan:
    served = served_models(settings, "responses", client=CODEX)
    model = wanted.model or codex.model_in(path) or _usual_model(served)
    if not model or codex.knows(model):
        window = usable_window(settings, "responses", model, CODEX)
        return codex.plan(path, wanted.address, key, model=model, context_window=window)
    names = {model: served.get(model, 0), **served}
    models = [codex.CatalogModel(name, window) for name, window in names.items()]
    return codex.plan(path, wanted.address, key, model=model, models=models)


class ClientFiles(msgspec.Struct, frozen=True):
    """The set-up of one user's clients for one daemon, as the dashboard offers it."""

    settings: Callable[[], Settings]
    address: str
    environment: Mapping[str, str]
    home: Path
    titles: Mapping[str, str] = msgspec.field(default_factory=lambda: TITLES)

    def path(self, client: str) -> Path:
        return path_of(client, self.environment, self.home)

    def plan(self, client: str, model: str, knobs: Mapping[str, bool]) -> Plan:
        """What a set-up would change; knobs that are not named stay as they are. Raises Unparsable or OSError."""
        chosen = [name for name, is_on in knobs.items() if is_on]
        others = [name for name, is_on in knobs.items() if not is_on]
        wanted = Wanted(self.address, model=model, knobs=chosen, no_longer=others)
        return plan(client, self.path(client), wanted, self.settings(), self.environment)

    def leads_here(self, client: str) -> bool | None:
        """True if the file points the client here; None if it names no address. Raises Unparsable or OSError."""
        path = self.path(client)
        base = claude_code.base_url_in(path) if client == "claude" else codex.base_url_in(path)
        return leads_to(base, self.address) if base else None

    def undo(self, client: str) -> Plan:
        """What undoing it would change. Raises Unparsable or OSError."""
        return undo(client, self.path(client))


def _usual_model(served: Mapping[str, int]) -> str:
    """A model for which Codex has instructions, if one is served."""
    return next(filter(codex.knows, served), next(iter(served), ""))
