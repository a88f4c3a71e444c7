"""The settings file as frozen values; every error is reported with its JSON path.

`FIELDS` in schema.py describes each field for users.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from switchyard.faults import (
    HIDDEN,
    Finding,
    Inspection,
    Meaning,
    Places,
    child,
    described,
    nearest,
    nowhere,
    shown,
)
from switchyard.faults import Fault as Fault
from switchyard.faults import SettingsError as SettingsError
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.names import PROTOCOLS, ProtocolName, account_name, is_glob, matches, specificity
from switchyard.protocols.neutral import Effort
from switchyard.protocols.presets import is_local_server

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Role = Literal["primary", "backup", "rescue"]
Action = Literal["switch", "retry", "rescue", "return"]
Trust = Literal["normal", "low"]
OnSuspicion = Literal["mark", "hold"]
EventKind = Literal["switch", "cooldown", "held", "recovered", "budget", "quota"]
EVENT_KINDS: tuple[EventKind, ...] = ("switch", "cooldown", "held", "recovered", "budget", "quota")
Auth = Literal["auto", "bearer", "x-api-key", "api-key"]
ServerKind = Literal[
    "auto",
    "anthropic",
    "openai",
    "azure",
    "vllm",
    "llama.cpp",
    "ollama",
    "lmstudio",
    "sglang",
    "tgi",
    "fastchat",
    "deepseek",
]
ERROR_KINDS = (
    "connect",
    "connect_timeout",
    "read",
    "first_byte_timeout",
    "idle_timeout",
    "protocol",
    "default",
)
StatusKey = Annotated[
    str,
    Meta(pattern=r"^([1-5](\d\d|xx)|default)$", title='a status such as "429" or "5xx", or "default"'),
]
ErrorKey = Annotated[
    str,
    Meta(
        pattern=f"^({'|'.join(ERROR_KINDS)})$",
        title="one of " + ", ".join(f'"{k}"' for k in ERROR_KINDS),
    ),
]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=86400)]
"""0 turns it off"""
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Pattern = Annotated[str, Meta(min_length=1, title="a text in which * matches anything")]
"""not by `pattern`: in a union with a list, msgspec 0.22 crashes on it"""
Patterns = Pattern | tuple[Pattern, ...]
DollarsPerMillion = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Factor = Annotated[float, Meta(ge=0, le=1000)]
Fee = Annotated[float, Meta(ge=0, le=1000)]
HostedTool = Literal["web_search"]

DEMO_URL = "demo:"
CLAUDE_SONNET = "claude-sonnet-4-5-20250929"
RESERVED_MEMBERS = ("model", "messages", "input", "stream")
"""members of a request body that only the client and Switchyard set"""
SECRET_FIELDS = frozenset({"key", "keys", "headers", "base_url", "proxy", "client_keys", "url", "command"})
SECRET_NAME = re.compile(r"(?i)key|token|secret|sig|passw|pwd|auth|credential")
"""error messages then name parameters of URLs without showing their values"""
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
HEADER_VALUE = re.compile("[\t -~\x80-\xff]*")
SENDABLE = "a value in one line, in characters that a header can carry"
PROXY = re.compile(r"(https?|socks5h?)://[^/\s]+/?\Z")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._-]+(:\d+)?\Z|[a-z][a-z0-9+.-]*://\[[0-9a-f:]+\](:\d+)?\Z")
FILE_PATH = re.compile(r"[~/]|\\\\|[A-Za-z]:[\\/]")
DIRECT = "direct"
"""the `proxy` of an entry that uses none, whatever the environment names"""


# --- the values ---------------------------------------------------------------


LOCAL_FIRST_BYTE_SECONDS = 600.0
"""local models take minutes to read long prompts, and have to be loaded first"""
SEARCH_SECONDS = 600.0


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The effective timeouts of an upstream, in seconds; the length of a response is not limited."""

    connect: float = 10
    first_byte: float = 120
    idle: float = 300


class TimeoutOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """The timeouts that the file sets, for all upstreams or for one."""

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """One tiny request at a local time, to start a quota window."""

    at: str
    advance_minutes: Annotated[int, Meta(ge=0, le=1439)] = 0


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Money limits in the currency of the price table; 0 means none."""

    day_soft: Annotated[float, Meta(ge=0)] = 0
    day_hard: Annotated[float, Meta(ge=0)] = 0
    month_soft: Annotated[float, Meta(ge=0)] = 0
    month_hard: Annotated[float, Meta(ge=0)] = 0


class BodyChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Members of the request body that are set or removed at the end, whatever the client sends."""

    members: dict[str, Any] = msgspec.field(name="set", default={})
    remove: tuple[Annotated[str, Meta(min_length=1)], ...] = ()

    @property
    def text(self) -> str:
        """The names, without values; "" if nothing is changed."""
        if not (self.members or self.remove):
            return ""
        parts = {"sets": ", ".join(self.members), "removes": ", ".join(self.remove)}
        return "; ".join(f"{verb} {names}" for verb, names in parts.items() if names)


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """PEM files for the connection to an upstream: what is trusted beside the usual, and what is presented."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


class Upstream(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One entry of the file: where to send requests, with which key, and when."""

    name: Annotated[str, Meta(min_length=1, max_length=300)]
    base_url: str
    key: str = ""
    keys: tuple[str, ...] = ()
    protocol: ProtocolName = "messages"
    clients: tuple[ProtocolName, ...] = PROTOCOLS
    role: Role = "primary"
    enabled: bool = True
    weekdays: tuple[Weekday, ...] = WEEKDAYS
    hours: str = ""
    weight: Annotated[int, Meta(ge=1, le=100)] = 1
    priority: Annotated[int, Meta(ge=1, le=100)] | None = None
    models: dict[str, str] | list[str] = {}
    model: str = ""
    auth: Auth = "auto"
    api_version: str = ""
    headers: dict[str, str] = {}
    user_agent: str = ""
    proxy: str = ""
    tls: Tls = Tls()
    timeouts: TimeoutOverrides = TimeoutOverrides()
    max_concurrency: Annotated[int, Meta(ge=0, le=100_000)] = 0
    requests_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    activation: Activation | None = None
    context_window: Count = 0
    server: ServerKind = "auto"
    local: bool | Literal["auto"] = "auto"
    capabilities: dict[str, Any] = {}
    body: BodyChanges = BodyChanges()
    price_multiplier: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    budget: Budget | None = None
    leave_at_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    balance: bool = False
    trust: Trust = "normal"
    on_suspicion: OnSuspicion = "mark"
    note: str = ""

    @cached_property
    def accounts(self) -> tuple["Upstream", ...]:
        """The entry once for each of its keys, with limits, cooldowns and conversations of its own each."""
        if self.key or not self.keys:
            return (self,)
        return tuple(msgspec.structs.replace(self, key=key) for key in self.keys)

    @cached_property
    def account(self) -> str:
        """What identifies an account: the name, with its key if the entry has several."""
        return account_name(self.name, self.key_label) if self.keys else self.name

    @cached_property
    def siblings(self) -> tuple[str, ...]:
        """The names of all accounts of its entry."""
        return (
            tuple(one.account for one in msgspec.structs.replace(self, key="").accounts)
            if self.keys
            else (self.name,)
        )

    @cached_property
    def key_label(self) -> str:
        """Which of the keys of its entry an account has; "" if the entry has only one, and for the entry itself."""
        return f"key {self.keys.index(self.key) + 1}" if self.key in self.keys else ""

    @cached_property
    def is_demo(self) -> bool:
        return self.base_url == DEMO_URL

    @cached_property
    def is_local(self) -> bool:
        """A model server of one's own: without a price, and slow with long prompts."""
        return is_local_server(self.server, self.base_url) if self.local == "auto" else self.local

    def model_for(self, model: str) -> str | None:
        """The upstream's name for the model; None if it does not serve it."""
        return _served_as(self.models, self.model, model)


class ModelRule(msgspec.Struct, frozen=True, kw_only=True):
    """Renames a model before an upstream is chosen; applies to all clients unless some are named."""

    source: str = msgspec.field(name="from")
    to: Annotated[str, Meta(min_length=1)]
    clients: tuple[ProtocolName, ...] = PROTOCOLS
    protocols: tuple[ProtocolName, ...] = PROTOCOLS


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What a request must be like for a rule; what is not set does not matter."""

    client: Patterns = ()
    protocol: ProtocolName | tuple[ProtocolName, ...] = ()
    model: Patterns = ()
    subagent: bool | None = None
    background: bool | None = None
    compaction: bool | None = None
    thinking: bool | None = None
    effort: Effort | tuple[Effort, ...] = ()
    web_search: bool | None = None
    images: bool | None = None
    tokens_over: Count | None = None
    tokens_under: Count | None = None
    project: Patterns = ()
    client_key: Patterns = ()
    weekdays: tuple[Weekday, ...] = ()
    hours: str = ""


class RouteRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which upstreams the requests that match go to first, and what is changed for them."""

    name: Annotated[str, Meta(max_length=100)] = ""
    when: Condition = Condition()
    upstreams: tuple[str, ...] = ()
    only: bool = False
    model: Annotated[str, Meta(max_length=300)] = ""
    effort: Effort | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None


class TextRule(msgspec.Struct, frozen=True, kw_only=True):
    """The action for an error whose message contains a text; case does not matter."""

    match: Annotated[str, Meta(min_length=1)]
    action: Action


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    error_threshold: Annotated[int, Meta(ge=1, le=1000)] = 3
    cooldown_start_seconds: SecondsOrNone = 15
    cooldown_seconds: SecondsOrNone = 600
    max_cooldown_seconds: Seconds = 1800
    on_status: dict[StatusKey, Action] = {}
    on_error: dict[ErrorKey, Action] = {}
    on_text: tuple[TextRule, ...] = ()
    total_seconds: Seconds | None = None
    hold_seconds: SecondsOrNone = 300
    keep_alive_seconds: Seconds = 15
    queue_seconds: Annotated[float, Meta(ge=0, le=3600)] = 30
    session_hours: Annotated[float, Meta(ge=0, le=168)] = 5
    return_to_primary_minutes: Annotated[float, Meta(ge=0, le=10080)] = 30

    @property
    def session_seconds(self) -> float:
        """How long the upstream of an idle conversation is remembered."""
        return self.session_hours * 3600


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money per million tokens. Cache prices default to multiples of the input price, as published.

    `tiers` multiplies them by the service tier of the answer; `fees` is money per call of a hosted tool.
    """

    input: DollarsPerMillion
    output: DollarsPerMillion
    cache_read: DollarsPerMillion | None = None
    cache_write_5m: DollarsPerMillion | None = None
    cache_write_1h: DollarsPerMillion | None = None
    long_context_over: Count = 0
    long_input: DollarsPerMillion | None = None
    long_output: DollarsPerMillion | None = None
    long_cache_read: DollarsPerMillion | None = None
    tiers: dict[str, Factor] = {}
    fees: dict[HostedTool, Fee] = {}


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Where events are reported: by POST to an address, or to a command, which no shell interprets."""

    url: str = ""
    command: tuple[str, ...] = ()
    on: tuple[EventKind, ...] = EVENT_KINDS


class Settings(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    upstreams: tuple[Upstream, ...] = ()
    model_rules: tuple[ModelRule, ...] = ()
    routes: tuple[RouteRule, ...] = ()
    failover: Failover = Failover()
    timeouts: TimeoutOverrides = TimeoutOverrides()
    client_keys: dict[str, str] = {}
    prices: dict[str, Price] = {}
    budget: Budget = Budget()
    notify: Notify = Notify()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_body_megabytes: Annotated[int, Meta(ge=1, le=1024)] = 64
    warm_connections: bool = True

    def upstream(self, name: str) -> Upstream | None:
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Upstream]:
        return {upstream.name: upstream for upstream in reversed(self.upstreams)}

    @cached_property
    def accounts(self) -> tuple[Upstream, ...]:
        """All accounts, in the order of the file."""
        return tuple(account for upstream in self.upstreams for account in upstream.accounts)

    def account(self, name: str) -> Upstream | None:
        """The account of this name."""
        return self.upstream(name) or self._by_account.get(name)

    @cached_property
    def _by_account(self) -> dict[str, Upstream]:
        return {one.account: one for one in reversed(self.accounts)}


def accounts_of(settings: Settings, name: str) -> tuple[str, ...]:
    """The names of the accounts of an entry."""
    entry = settings.upstream(name)
    return () if entry is None else entry.siblings


def timeouts_of(upstream: Upstream, settings: Settings) -> Timeouts:
    """The effective timeouts of this upstream: its own, else those of the file, else the defaults."""
    own, common, default = upstream.timeouts, settings.timeouts, default_timeouts(upstream)
    return Timeouts(
        connect=own.connect or common.connect or default.connect,
        first_byte=own.first_byte or common.first_byte or default.first_byte,
        idle=own.idle or common.idle or default.idle,
    )


def default_timeouts(upstream: Upstream) -> Timeouts:
    """The timeouts if the file sets none."""
    if upstream.is_local:
        return Timeouts(first_byte=LOCAL_FIRST_BYTE_SECONDS)
    return Timeouts()


def search_seconds(upstreams: Iterable[Upstream], settings: Settings) -> float:
    """The time budget for finding one of these upstreams that answers.

    By default: the longest first-byte timeout, plus time for other upstreams and for the hold.
    """
    rules = settings.failover
    if rules.total_seconds is not None:
        return rules.total_seconds
    longest = max((timeouts_of(upstream, settings).first_byte for upstream in upstreams), default=0.0)
    others = max(SEARCH_SECONDS - Timeouts().first_byte, rules.hold_seconds)
    return max(SEARCH_SECONDS, longest + others)


def minutes_of(clock: str) -> int:
    """Minutes since midnight of "HH:MM". Raises ValueError."""
    found = CLOCK.match(clock.strip())
    if found is None:
        raise ValueError(f'"{clock}" is not a time of day like 08:30')
    return int(found[1]) * 60 + int(found[2])


def hours_span(hours: str) -> tuple[int, int] | None:
    """Start and end in minutes since midnight; None means always. Across midnight the end is smaller."""
    if not hours.strip():
        return None
    start, dash, end = hours.partition("-")
    if not dash:
        raise ValueError(f'"{hours}" is not a span like 08:00-23:30')
    last = 1440 if end.strip() == "24:00" else minutes_of(end)
    return minutes_of(start), last


def _served_as(models: dict[str, str] | list[str], deployment: str, model: str) -> str | None:
    if not models:
        return deployment or model
    fitting = [pattern for pattern in models if matches(pattern, model)]
    if not fitting:
        return None
    if isinstance(models, list):
        return deployment or model
    sent = models[max(fitting, key=specificity)]
    return model if sent == "*" else sent or deployment or model


# --- the default ----------------------------------------------------------------

CHAT_MODEL_RULES: tuple[dict[str, Any], ...] = tuple(
    {"from": name, "to": CLAUDE_SONNET, "clients": ["chat"], "protocols": ["messages"]}
    for name in ("gpt-4", "gpt-4-turbo*", "gpt-3.5-turbo*")
)
"""the names that programs for the OpenAI API send by default, for upstreams that serve only Claude"""


def default_document() -> dict[str, Any]:
    """The document of a first start: the demo model, to be replaced."""
    return {
        "$schema": "./all_configs.schema.json",
        "upstreams": [
            {
                "name": "demo",
                "base_url": DEMO_URL,
                "key": "",
                "clients": list(PROTOCOLS),
                "enabled": True,
                "note": "Answers until you add an upstream of your own.",
            }
        ],
        "model_rules": [dict(rule) for rule in CHAT_MODEL_RULES],
        "client_keys": {},
        "prices": {},
    }


# --- decoding ------------------------------------------------------------------


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
    warnings = tuple(inspection.warnings)
    if inspection.faults:
        raise SettingsError(tuple(inspection.faults), warnings)
    return Parsed(msgspec.convert(document, Settings), warnings)


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
