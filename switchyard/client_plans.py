"""Decide what the settings of each client must contain; `clients` edits the files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from switchyard.clients import (
    aider,
    claude_code,
    cline,
    codex,
    continue_dev,
    crush,
    json_edit,
    opencode,
    qwen_code,
    toml_edit,
    zed,
)
from switchyard.clients.edits import Dialect
from switchyard.clients.endpoints import claude_endpoint, codex_endpoint
from switchyard.clients.file_client import ANY_KEY, FileClient, Offer, chat_url
from switchyard.clients.plan import Endpoint, Plan
from switchyard.clients.texts import NeedsModel
from switchyard.protocols.facts import CLAUDE_CODE, CODEX
from switchyard.routing.served import served_models, upstreams_for, usable_window
from switchyard.settings import Settings
from switchyard.settings_validation import is_http_url
from switchyard.timeouts import search_seconds, timeouts_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEMO_MODEL = "demo"
"""requested while only the demo upstream answers, which takes any name"""
CLAUDE_WAIT_SECONDS = 540
"""Claude Code gives up after 600 s; this is how long it waits for a first byte, with a margin"""
FILE_CLIENTS: Mapping[str, FileClient] = MappingProxyType(
    {
        "opencode": opencode.CLIENT,
        "qwen": qwen_code.CLIENT,
        "crush": crush.CLIENT,
        "cline": cline.CLIENT,
        "zed": zed.CLIENT,
        "continue": continue_dev.CLIENT,
        "aider": aider.CLIENT,
    }
)
"""the clients that differ only in their file; the key is the argument of `setup`"""
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "claude": "Claude Code",
        "codex": "Codex",
        **{name: client.title for name, client in FILE_CLIENTS.items()},
    }
)
PROGRAMS: Mapping[str, str] = MappingProxyType(
    {"claude": "claude", "codex": "codex", **{name: client.program for name, client in FILE_CLIENTS.items()}}
)
DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "claude": json_edit,
        "codex": toml_edit,
        **{name: client.dialect for name, client in FILE_CLIENTS.items()},
    }
)
OWN_ENDPOINTS: Mapping[str, Callable[[Path], Endpoint | None]] = MappingProxyType(
    {
        "claude": claude_endpoint,
        "codex": codex_endpoint,
        **{name: client.own_endpoint for name, client in FILE_CLIENTS.items()},
    }
)
"""how the endpoint that a client uses without Switchyard is read"""


class Wanted(msgspec.Struct, frozen=True):
    """`address` of the daemon; `key` "" for the first one in the settings; `model` "" to keep the user's own."""

    address: str
    key: str = ""
    model: str = ""
    knobs: Sequence[str] = ()
    """names of `claude_code.KNOBS` to set in addition to those that an earlier set-up has set"""
    no_longer: Sequence[str] = ()
    """those that an earlier set-up has set and that are removed"""
    folder: PurePath | None = None
    """that of the file as its client names it, where the client runs on the other side of WSL"""

    @property
    def is_private(self) -> bool:
        """The file gets a real key, and its modes mean something here."""
        return bool(self.key) and self.folder is None


def path_of(client: str, environment: Mapping[str, str], home: Path) -> Path:
    """The file from which the client reads the user's settings; `client` is a key of TITLES."""
    match client:
        case "claude":
            return claude_code.settings_path(environment, home)
        case "codex":
            return codex.config_path(environment, home)
        case other:
            return FILE_CLIENTS[other].path(environment, home)


def plan(client: str, path: Path, wanted: Wanted, settings: Settings, environment: Mapping[str, str]) -> Plan:
    """What a set-up would change. Raises Unparsable or OSError."""
    key = wanted.key or next(iter(settings.client_keys), "")
    planned = _planned(client, path, msgspec.structs.replace(wanted, key=key), settings, environment)
    previous = planned.previous
    if previous is None or not _is_foreign(previous, wanted.address, settings):
        return msgspec.structs.replace(planned, previous=None)
    return planned


def _planned(
    client: str, path: Path, wanted: Wanted, settings: Settings, environment: Mapping[str, str]
) -> Plan:
    match client:
        case "claude":
            return _plan_claude(path, wanted, wanted.key, settings, environment)
        case "codex":
            return _plan_codex(path, wanted, wanted.key, settings)
        case other:
            return _plan_file(FILE_CLIENTS[other], path, wanted, settings)


def _is_foreign(endpoint: Endpoint, address: str, settings: Settings) -> bool:
    """True for an http(s) address that is neither the daemon's nor that of an upstream."""
    known = {upstream.base_url.rstrip("/") for upstream in settings.upstreams}
    return _is_elsewhere(endpoint.base_url, address) and endpoint.base_url.rstrip("/") not in known


def _is_elsewhere(url: str, address: str) -> bool:
    """True for an http(s) address other than the daemon's; a client may also fill in a variable."""
    return is_http_url(url) and not leads_to(url, address)


def _plan_file(client: FileClient, path: Path, wanted: Wanted, settings: Settings) -> Plan:
    data = client.read(path)
    current = client.endpoint(data)
    own = client.model(data) if current and leads_to(current.base_url, wanted.address) else ""
    offer = _offer(wanted, own, settings)
    if not offer.model:
        raise NeedsModel(
            f"no upstream lists a model that {client.title} could request",
            "List models in an upstream, or name one with --model.",
        )
    plan = client.plan(path, offer, wanted.folder or path.parent, private=wanted.is_private)
    return msgspec.structs.replace(plan, previous=current)


def _offer(wanted: Wanted, own: str, settings: Settings) -> Offer:
    """What the daemon offers to clients of Chat Completions."""
    served = served_models(settings, "chat")
    demo = DEMO_MODEL if any(one.is_demo for one in upstreams_for(settings, "chat")) else ""
    model = wanted.model or own or next(iter(served), demo)
    return Offer(chat_url(wanted.address), wanted.key or ANY_KEY, model, served)


def snippet(client: str, wanted: Wanted, settings: Settings) -> str:
    """What to paste into an empty file of a client of FILE_CLIENTS."""
    offer = _offer(wanted, "", settings)
    return FILE_CLIENTS[client].snippet(msgspec.structs.replace(offer, model=offer.model or "MODEL"))


def base_url_in(client: str, path: Path) -> str:
    """The base URL that the client's file selects; "" if there is none. Raises Unparsable or OSError."""
    match client:
        case "claude":
            return claude_code.base_url_in(path)
        case "codex":
            return codex.base_url_in(path)
        case other:
            endpoint = FILE_CLIENTS[other].endpoint(FILE_CLIENTS[other].read(path))
            return endpoint.base_url if endpoint else ""


def undo(client: str, path: Path) -> Plan:
    """What undoing a set-up would change. Raises Unparsable or OSError."""
    match client:
        case "claude":
            return claude_code.undo(path)
        case "codex":
            return codex.undo(path)
        case other:
            return FILE_CLIENTS[other].undo(path)


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
        has_modes=wanted.folder is None,
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
    models: list[codex.CatalogModel] = []
    window = 0
    if not model or codex.knows(model):
        window = usable_window(settings, "responses", model, CODEX)
    else:
        names = {model: served.get(model, 0), **served}
        models = [codex.CatalogModel(name, size) for name, size in names.items()]
    return codex.plan(
        path,
        wanted.address,
        key,
        model=model,
        models=models,
        context_window=window,
        folder=wanted.folder,
        has_modes=wanted.folder is None,
    )


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
        base = base_url_in(client, self.path(client))
        return leads_to(base, self.address) if base else None

    def snippet(self, client: str, key: str) -> str:
        """What to paste by hand; "" for clients whose snippet needs no models."""
        wanted = Wanted(self.address, key)
        return snippet(client, wanted, self.settings()) if client in FILE_CLIENTS else ""

    def endpoint(self, client: str) -> Endpoint | None:
        """Where the client sends its requests without Switchyard; None if its file does not say. Raises Unparsable or
        OSError."""
        found = OWN_ENDPOINTS[client](self.path(client))
        return found if found is not None and _is_elsewhere(found.base_url, self.address) else None

    def undo(self, client: str) -> Plan:
        """What undoing it would change. Raises Unparsable or OSError."""
        return undo(client, self.path(client))


def _usual_model(served: Mapping[str, int]) -> str:
    """A model for which Codex has instructions, if one is served."""
    return next(filter(codex.knows, served), next(iter(served), ""))
