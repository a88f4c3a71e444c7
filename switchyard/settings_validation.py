"""Validate the document of the settings file; every error is reported with its JSON path."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from switchyard.faults import (
    HIDDEN,
    Finding,
    Inspection,
    Meaning,
    Places,
    SettingsError,
    child,
    described,
    nearest,
    nowhere,
    shown,
)
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.names import LONG_CONTEXT_SUFFIX, ProtocolName, account_name, is_glob
from switchyard.settings import (
    DEMO_URL,
    DIRECT,
    SECRET_FIELDS,
    Activation,
    BodyChanges,
    Condition,
    ModelRule,
    Notify,
    RouteRule,
    Settings,
    TextRule,
    Upstream,
)
from switchyard.times_of_day import hours_span, minutes_of

RESERVED_MEMBERS = ("model", "messages", "input", "stream")
"""members of a request body that only the client and Switchyard set"""
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
HEADER_VALUE = re.compile("[\t -~\x80-\xff]*")
SENDABLE = "a value in one line, in characters that a header can carry"
PROXY = re.compile(r"(https?|socks5h?)://[^/\s]+/?\Z")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._-]+(:\d+)?\Z|[a-z][a-z0-9+.-]*://\[[0-9a-f:]+\](:\d+)?\Z")
HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]*)?|\[[0-9A-Fa-f:.]+\](:[0-9]*)?")
FILE_PATH = re.compile(r"[~/]|\\\\|[A-Za-z]:[\\/]")


class Parsed(msgspec.Struct, frozen=True):
    """Settings, and the parts of the file that have no effect."""

    settings: Settings
    warnings: tuple[str, ...]


def parse(document: dict[str, Any], places: Places = nowhere) -> Parsed:
    """The settings of a document. Raises SettingsError with all its errors and unknown fields."""
    inspection = Inspection(MEANINGS, SECRET_FIELDS, places)
    inspection.struct(Settings, document, "$")
    if isinstance(document, dict):
        inspection.note("$.routes", _unknown_upstreams(document))
    if inspection.faults:
        raise SettingsError(tuple(inspection.faults), tuple(inspection.warnings))
    settings = msgspec.convert(document, Settings)
    unmatched = [
        f"{inspection.where(path)}: no request matches, as [1m] is taken off the names that clients send"
        for path, pattern in _patterns(settings)
        if pattern.lower().endswith(LONG_CONTEXT_SUFFIX)
    ]
    for index, host in enumerate(settings.allowed_hosts):
        if not allowed_host(host):
            where = inspection.where(f"$.allowed_hosts[{index}]")
            unmatched.append(f"{where}: no request matches, as it is not a host name such as devbox.lan")
    return Parsed(settings, (*inspection.warnings, *unmatched))


def _patterns(settings: Settings) -> Iterator[tuple[str, str]]:
    """The path of each pattern for models that clients request, and the pattern."""
    for index, upstream in enumerate(settings.upstreams):
        is_list = isinstance(upstream.models, list)
        for number, name in enumerate(upstream.models):
            path = f"$.upstreams[{index}].models"
            yield f"{path}[{number}]" if is_list else child(path, name, quoted=True), name
    for index, rule in enumerate(settings.model_rules):
        yield f"$.model_rules[{index}].from", rule.source
    for index, route in enumerate(settings.routes):
        path, wanted = f"$.routes[{index}].when.model", route.when.model
        if isinstance(wanted, str):
            yield path, wanted
        else:
            yield from ((f"{path}[{number}]", name) for number, name in enumerate(wanted))


# --- checks beyond types ----------------------------------------------------


def _upstream_list(upstreams: list[Any]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    of_keys = {name: index for index, entry in enumerate(upstreams) for name in _accounts_of(entry)}
    for index, entry in enumerate(upstreams):
        if not isinstance(entry, dict):
            continue
        name = entry.get("name")
        if isinstance(name, str) and name in of_keys:
            yield f"[{index}].name", "another name", f"{shown(name)}, a key of $.upstreams[{of_keys[name]}]"
        yield from _within(f"[{index}]", _key_or_keys(entry))
        if isinstance(name, str) and seen.setdefault(name, index) != index:
            yield f"[{index}].name", "a name of its own", f"{shown(name)}, as $.upstreams[{seen[name]}] has"
        if "protocol" not in entry and entry.get("base_url", DEMO_URL) != DEMO_URL:
            yield f"[{index}].protocol", described(ProtocolName), "nothing"
        if entry.get("on_suspicion", "mark") != "mark" and entry.get("trust") != "low":
            yield f"[{index}].on_suspicion", '"mark", unless `trust` is "low"', shown(entry["on_suspicion"])


def _within(path: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    return ((path + inside, expected, found) for inside, expected, found in findings)


def _accounts_of(entry: Any) -> list[str]:
    """The names of the accounts of an entry with several keys."""
    keys = entry.get("keys") if isinstance(entry, dict) else None
    count = len(keys) if isinstance(keys, list) else 0
    return [account_name(str(entry.get("name")), f"key {number}") for number in range(1, count + 1)]


def _key_or_keys(entry: dict[str, Any]) -> Iterator[Finding]:
    if "keys" in entry and entry.get("key"):
        yield ".key", "nothing, as `keys` is set", HIDDEN
    if entry.get("keys") and entry.get("base_url") == DEMO_URL:
        yield ".keys", "nothing, as the demo model needs no key", HIDDEN


def _key_list(keys: list[Any]) -> Iterator[Finding]:
    if not keys:
        yield "", "at least one key; an entry without one has no `keys`", "none"
    for index, key in enumerate(keys):
        if not isinstance(key, str):
            continue
        yield from _within(f"[{index}]", _credential(key))
        if key in ("", "client"):
            yield f"[{index}]", "a key, env:NAME or keyring:NAME", shown(key)
        elif key in keys[:index]:
            yield f"[{index}]", "another key", f"the same as [{keys.index(key)}]"


def _name(name: str) -> Iterator[Finding]:
    if not name.strip() or not name.isprintable():
        yield "", "a name in one line", shown(name)


def _address(url: str) -> Iterator[Finding]:
    if url != DEMO_URL and not is_http_url(url):
        yield "", "an http:// or https:// address", HIDDEN if "@" in url or "?" in url else shown(url)


def _notified_address(url: str) -> Iterator[Finding]:
    if url and not is_http_url(url):
        yield "", "an http:// or https:// address", HIDDEN


def _command_line(command: list[Any]) -> Iterator[Finding]:
    if command and command[0] == "":
        yield "[0]", "the program to start", "nothing"
    for index, argument in enumerate(command):
        if isinstance(argument, str) and "\0" in argument:
            yield f"[{index}]", "an argument without NUL characters", HIDDEN


def _credential(key: str) -> Iterator[Finding]:
    # entries of the keychain may have any name, but a key itself is sent in a header
    sendable = key.isascii() or key.startswith("keyring:")
    if not (sendable and key.isprintable() and key == key.strip()):
        yield "", "a key in one line, in plain ASCII, without spaces around it", HIDDEN
    if key in ("env:", "keyring:"):
        yield "", f"a name behind {key}", shown(key)


def _proxy_address(proxy: str) -> Iterator[Finding]:
    if proxy not in ("", DIRECT) and not is_proxy_url(proxy):
        yield "", "http://, https:// or socks5:// with host and port, or direct", HIDDEN


def is_proxy_url(url: str) -> bool:
    return bool(PROXY.match(url)) and _has_address(url)


def _tls_files(tls: dict[str, Any]) -> Iterator[Finding]:
    for name in ("ca", "cert", "key"):
        path = tls.get(name)
        if isinstance(path, str) and path and not FILE_PATH.match(path):
            yield child("", name), "an absolute path, or one that begins with ~", shown(path)
    if tls.get("key") and not tls.get("cert"):
        yield ".cert", "the certificate that belongs to the key", "none"


def _header_lines(headers: dict[str, Any]) -> Iterator[Finding]:
    for name, value in headers.items():
        if not HEADER_NAME.match(name):
            yield child("", name, quoted=True), "the name of a header", shown(name)
        elif isinstance(value, str) and not HEADER_VALUE.fullmatch(value):
            yield child("", name, quoted=True), SENDABLE, HIDDEN


def _agent_name(agent: str) -> Iterator[Finding]:
    if not HEADER_VALUE.fullmatch(agent):
        yield "", SENDABLE, shown(agent)


def _span_of_hours(hours: str) -> Iterator[Finding]:
    try:
        hours_span(hours)
    except ValueError:
        yield "", "local times such as 08:00-23:30", shown(hours)


def _time_of_day(at: str) -> Iterator[Finding]:
    try:
        minutes_of(at)
    except ValueError:
        yield "", "a local time such as 08:30", shown(at)


def _known_capabilities(capabilities: dict[str, Any]) -> Iterator[Finding]:
    inspection = Inspection({}, frozenset())
    inspection.struct(Capabilities, capabilities, "")
    for fault in inspection.faults:
        yield fault.path, fault.expected, fault.found
    known = set(Capabilities.__struct_fields__)
    for name in [name for name in capabilities if name not in known]:
        yield (
            child("", name),
            "the name of a capability",
            shown(name) + nearest(name, known - capabilities.keys()),
        )


def _body_members(members: dict[str, Any]) -> Iterator[Finding]:
    for name in members:
        if name in RESERVED_MEMBERS or not name:
            yield child("", name), _OTHER_MEMBER, "a value"


def _removed_members(names: list[Any]) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name in RESERVED_MEMBERS:
            yield f"[{index}]", _OTHER_MEMBER, shown(name)


_OTHER_MEMBER = "another member than " + ", ".join(RESERVED_MEMBERS)


def _client_key_list(keys: dict[str, Any]) -> Iterator[Finding]:
    for key in keys:
        if not key.strip() or key != key.strip():
            yield child("", HIDDEN, quoted=True), "a key that is not empty, without spaces around it", HIDDEN


def _rule_list(rules: list[Any]) -> Iterator[Finding]:
    for index, rule in enumerate(rules):
        given = rule if isinstance(rule, dict) else {}
        if given.get("only") is True and not given.get("upstreams"):
            yield f"[{index}].upstreams", "at least one upstream, as `only` is set", "none"


def _unknown_upstreams(document: dict[str, Any]) -> Iterator[Finding]:
    """The names in rules that no upstream has."""
    named = [entry.get("name") for entry in _objects(document.get("upstreams"))]
    known = {name for name in named if isinstance(name, str)}
    for index, rule in enumerate(document["routes"] if isinstance(document.get("routes"), list) else []):
        upstreams = rule.get("upstreams") if isinstance(rule, dict) else None
        for place, name in enumerate(upstreams if isinstance(upstreams, list) else []):
            if isinstance(name, str) and name not in known:
                where = f"[{index}].upstreams[{place}]"
                yield where, "the name of an upstream", shown(name) + nearest(name, known)


def _objects(entries: Any) -> list[dict[str, Any]]:
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _tokens_apart(condition: dict[str, Any]) -> Iterator[Finding]:
    over, under = condition.get("tokens_over"), condition.get("tokens_under")
    if isinstance(over, int) and isinstance(under, int) and under <= over + 1:
        yield ".tokens_under", f"more than tokens_over and one ({over + 1})", shown(under)


def _name_in_rule(name: str) -> Iterator[Finding]:
    if not name.isprintable():
        yield "", "a name in one line", shown(name)


def _model_in_rule(model: str) -> Iterator[Finding]:
    if "," in model or is_glob(model):
        yield "", "the name of a model; `upstreams` selects the upstream", shown(model)


def _exact_origins(origins: list[Any]) -> Iterator[Finding]:
    for index, origin in enumerate(origins):
        if isinstance(origin, str) and not ORIGIN.match(origin):
            yield (
                f"[{index}]",
                "an exact origin such as https://app.example:8443, in lower case",
                shown(origin),
            )


def _text_to_match(text: str) -> Iterator[Finding]:
    if not text.strip():
        yield "", "text that is not empty", shown(text)


def _model_pattern(pattern: str) -> Iterator[Finding]:
    if not pattern.strip():
        yield "", "a model name or a pattern such as gpt-4*", shown(pattern)


MEANINGS: dict[tuple[type, str], Meaning] = {
    (Settings, "upstreams"): _upstream_list,
    (Settings, "client_keys"): _client_key_list,
    (Settings, "routes"): _rule_list,
    (Settings, "allowed_origins"): _exact_origins,
    (Notify, "url"): _notified_address,
    (Notify, "command"): _command_line,
    (RouteRule, "name"): _name_in_rule,
    (RouteRule, "model"): _model_in_rule,
    (RouteRule, "when"): _tokens_apart,
    (Condition, "hours"): _span_of_hours,
    (Upstream, "name"): _name,
    (Upstream, "base_url"): _address,
    (Upstream, "key"): _credential,
    (Upstream, "keys"): _key_list,
    (Upstream, "proxy"): _proxy_address,
    (Upstream, "tls"): _tls_files,
    (Upstream, "headers"): _header_lines,
    (Upstream, "user_agent"): _agent_name,
    (Upstream, "hours"): _span_of_hours,
    (Upstream, "capabilities"): _known_capabilities,
    (BodyChanges, "set"): _body_members,
    (BodyChanges, "remove"): _removed_members,
    (Activation, "at"): _time_of_day,
    (ModelRule, "from"): _model_pattern,
    (TextRule, "match"): _text_to_match,
}


def is_http_url(url: str) -> bool:
    """True for an address that an upstream may have."""
    return _has_address(url) and urlsplit(url).scheme in ("http", "https") and " " not in url


def _has_address(url: str) -> bool:
    """A host, and a port that can be one."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@lru_cache(64)
def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case; "" if it is invalid."""
    if not HOST.fullmatch(host):
        return ""
    try:
        parts = urlsplit(f"//{host}")
        name = (parts.hostname or "").rstrip(".")
        _ = parts.port
    except ValueError:
        return ""
    return name


def allowed_host(entry: str) -> str:
    """The name that an entry of `allowed_hosts` stands for; "" if no Host header can have it."""
    host = entry.strip()
    is_bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    return host_name(f"[{host}]" if is_bare_ipv6 else host)
