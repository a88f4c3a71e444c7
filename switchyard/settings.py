"""What the user wishes: the settings file as frozen values, with every fault named by its JSON path."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.names import PROTOCOLS, ProtocolName

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Role = Literal["primary", "backup", "rescue"]
Action = Literal["switch", "retry", "rescue", "return"]
Auth = Literal["auto", "bearer", "x-api-key", "api-key"]
ServerKind = Literal[
    "auto", "anthropic", "openai", "azure", "vllm", "llama.cpp", "ollama", "lmstudio", "tgi", "fastchat", "deepseek"
]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
DollarsPerMillion = Annotated[float, Meta(ge=0)]

DEMO_URL = "demo:"
SECRET_FIELDS = frozenset({"key", "headers", "proxy", "client_keys"})
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


# --- the values ---------------------------------------------------------------


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on silence, in seconds; there is none on the length of an answer."""

    connect: Seconds = 10
    first_byte: Seconds = 120
    idle: Seconds = 300


class TimeoutOverrides(msgspec.Struct, frozen=True, kw_only=True):
    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """One tiny request at a local time, to start a quota window."""

    at: str
    advance_minutes: Annotated[int, Meta(ge=0, le=1439)] = 0


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the file: where to send requests, with which key, and when."""

    name: Annotated[str, Meta(min_length=1, max_length=300)]
    base_url: str
    key: str = ""
    protocol: ProtocolName = "messages"
    clients: tuple[ProtocolName, ...] = PROTOCOLS
    role: Role = "primary"
    enabled: bool = True
    weekdays: tuple[Weekday, ...] = WEEKDAYS
    hours: str = ""
    priority: Annotated[int, Meta(ge=1, le=100)] | None = None
    models: dict[str, str] | list[str] = {}
    model: str = ""
    auth: Auth = "auto"
    api_version: str = ""
    headers: dict[str, str] = {}
    user_agent: str = ""
    proxy: str = ""
    timeouts: TimeoutOverrides = TimeoutOverrides()
    max_concurrency: Annotated[int, Meta(ge=0, le=100_000)] = 0
    requests_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    activation: Activation | None = None
    context_window: Count = 0
    server: ServerKind = "auto"
    capabilities: dict[str, Any] = {}
    price_multiplier: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    budget: "Budget | None" = None
    note: str = ""

    @property
    def is_demo(self) -> bool:
        return self.base_url == DEMO_URL

    def model_for(self, model: str) -> str | None:
        """The name this upstream knows the model by; None if it does not serve it."""
        return _served_as(self.models, self.model, model)


class ModelRule(msgspec.Struct, frozen=True, kw_only=True):
    """Renames a model before an upstream is chosen; applies to all clients unless some are named."""

    source: str = msgspec.field(name="from")
    to: Annotated[str, Meta(min_length=1)]
    clients: tuple[ProtocolName, ...] = PROTOCOLS


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    error_threshold: Annotated[int, Meta(ge=1, le=1000)] = 3
    cooldown_seconds: Annotated[float, Meta(ge=0, le=86400)] = 600
    max_cooldown_seconds: Seconds = 1800
    on_status: dict[str, Action] = {}
    on_error: dict[str, Action] = {}
    total_seconds: Seconds = 600
    """time budget for finding an upstream that answers"""
    keep_alive_seconds: Seconds = 15
    queue_seconds: Annotated[float, Meta(ge=0, le=3600)] = 30
    """how long a request may wait for a free place at a full upstream"""
    session_hours: Annotated[float, Meta(ge=0, le=168)] = 5
    """how long a conversation keeps its upstream; 0 turns it off"""
    return_to_primary_minutes: Annotated[float, Meta(ge=0, le=10080)] = 30
    """a conversation that moved to another upstream may stay there for so long after its own has recovered"""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Money limits in the currency of the price table; 0 means none."""

    day_soft: Annotated[float, Meta(ge=0)] = 0
    day_hard: Annotated[float, Meta(ge=0)] = 0
    month_soft: Annotated[float, Meta(ge=0)] = 0
    month_hard: Annotated[float, Meta(ge=0)] = 0


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Money per million tokens. Cache prices default to multiples of the input price as vendors publish them."""

    input: DollarsPerMillion
    output: DollarsPerMillion
    cache_read: DollarsPerMillion | None = None
    cache_write_5m: DollarsPerMillion | None = None
    cache_write_1h: DollarsPerMillion | None = None
    long_context_over: Count = 0
    """input tokens above which the long prices hold for the whole request; 0: no such tier"""
    long_input: DollarsPerMillion | None = None
    long_output: DollarsPerMillion | None = None
    long_cache_read: DollarsPerMillion | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    upstreams: tuple[Upstream, ...] = ()
    model_rules: tuple[ModelRule, ...] = ()
    failover: Failover = Failover()
    timeouts: Timeouts = Timeouts()
    client_keys: dict[str, str] = {}
    prices: dict[str, Price] = {}
    budget: Budget = Budget()
    allowed_hosts: tuple[str, ...] = ()
    max_body_megabytes: Annotated[int, Meta(ge=1, le=1024)] = 64

    def upstream(self, name: str) -> Upstream | None:
        return next((upstream for upstream in self.upstreams if upstream.name == name), None)


def timeouts_of(upstream: Upstream, settings: Settings) -> Timeouts:
    """The limits that hold for this upstream."""
    own, common = upstream.timeouts, settings.timeouts
    return Timeouts(
        connect=own.connect or common.connect,
        first_byte=own.first_byte or common.first_byte,
        idle=own.idle or common.idle,
    )


def minutes_of(clock: str) -> int:
    """Minutes since midnight of "HH:MM". Raises ValueError."""
    found = CLOCK.match(clock.strip())
    if found is None:
        raise ValueError(f'"{clock}" is not a time of day like 08:30')
    return int(found[1]) * 60 + int(found[2])


def hours_span(hours: str) -> tuple[int, int] | None:
    """Start and end in minutes since midnight; None means always. The end may lie before the start (midnight)."""
    if not hours.strip():
        return None
    start, dash, end = hours.partition("-")
    if not dash:
        raise ValueError(f'"{hours}" is not a span like 08:00-23:30')
    last = 1440 if end.strip() == "24:00" else minutes_of(end)
    return minutes_of(start), last


def _served_as(models: dict[str, str] | list[str], deployment: str, model: str) -> str | None:
    from switchyard.protocols.names import matches, specificity

    if not models:
        return deployment or model
    fitting = [pattern for pattern in models if matches(pattern, model)]
    if not fitting:
        return None
    best = max(fitting, key=specificity)
    if isinstance(models, dict):
        return models[best] or deployment or model
    return deployment or model


# --- faults -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where (`$.upstreams[0].priority`), what was expected, what was found."""

    path: str
    expected: str
    found: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = f"{self.path} (line {self.line}, column {self.column})" if self.line else self.path
        return f"{where}: expected {self.expected}" + (f", found {self.found}" if self.found else "")


class SettingsError(Exception):
    """The file cannot be used; `faults` holds every reason."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Parsed:
    settings: Settings
    warnings: tuple[str, ...]


# --- reading ------------------------------------------------------------------


def decode_document(content: bytes) -> dict[str, Any]:
    """The JSON object of a settings file. Raises SettingsError with line and column."""
    text = content.removeprefix(b"\xef\xbb\xbf")
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError((_syntax_fault(text, str(error)),)) from None
    except (UnicodeDecodeError, RecursionError):
        raise SettingsError((Fault("$", "UTF-8 JSON of sane depth", "something else"),)) from None
    if not isinstance(document, dict):
        raise SettingsError((Fault("$", "a JSON object", _shown(document, "")),))
    return document


def parse(document: dict[str, Any]) -> Parsed:
    """The settings that a document states. Raises SettingsError with all its faults."""
    faults: list[Fault] = []
    warnings: list[str] = []
    _check_struct(Settings, document, "$", faults, warnings)
    if not faults:
        _check_meaning(document, faults)
    if faults:
        raise SettingsError(tuple(faults))
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError((_value_fault(str(error), document, "$"),)) from None
    return Parsed(settings, tuple(warnings))


def _syntax_fault(text: bytes, message: str) -> Fault:
    found = re.search(r"byte (\d+)", message)
    offset = min(int(found[1]), len(text)) if found else len(text)
    before = text[:offset]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    what = message.removeprefix("JSON is malformed: ").split(" (byte")[0]
    return Fault("$", "valid JSON", what, line, column)


LISTS_OF_STRUCTS: dict[str, type[msgspec.Struct]] = {"upstreams": Upstream, "model_rules": ModelRule}
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "failover": Failover,
    "timeouts": Timeouts,
    "budget": Budget,
    "activation": Activation,
}


def _check_struct(
    kind: type[msgspec.Struct], raw: Any, path: str, faults: list[Fault], warnings: list[str]
) -> None:
    """Collects the faults of each field on its own, so that one does not hide the next."""
    if not isinstance(raw, dict):
        faults.append(Fault(path, "an object", _shown(raw, path)))
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in raw:
        if name not in fields and not name.startswith("$"):
            close = get_close_matches(name, fields, 1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            warnings.append(f"{path}.{name}: unknown field, kept without effect{hint}")
    for name, field in fields.items():
        place = f"{path}.{name}"
        if name not in raw:
            if field.required:
                faults.append(Fault(place, "a value", "nothing"))
        elif name in LISTS_OF_STRUCTS and isinstance(raw[name], list):
            for index, entry in enumerate(raw[name]):
                _check_struct(LISTS_OF_STRUCTS[name], entry, f"{place}[{index}]", faults, warnings)
        elif name in STRUCTS and isinstance(raw[name], dict):
            nested = TimeoutOverrides if kind is Upstream and name == "timeouts" else STRUCTS[name]
            _check_struct(nested, raw[name], place, faults, warnings)
        else:
            try:
                msgspec.convert(raw[name], field.type)
            except msgspec.ValidationError as error:
                faults.append(_value_fault(str(error), raw[name], place))


def _value_fault(message: str, raw: Any, base: str) -> Fault:
    text, _, place = message.partition(" - at `")
    path = base + place.rstrip("`").removeprefix("$")
    expected, got, found = text.partition(", got ")
    expected = expected.removeprefix("Expected ").replace("`", "")
    choices = _choices(base, message)
    if choices:
        expected = "one of " + ", ".join(choices)
    shown = _shown(_at(raw, place), path) if not got or choices else found.strip("`")
    if got and not choices:
        shown = f"{found.strip('`')}" + (f" {_shown(_at(raw, place), path)}" if found.strip("`") != "null" else "")
    return Fault(path, expected, shown)


def _choices(path: str, message: str) -> tuple[str, ...]:
    """The allowed words of the field a message like "Invalid enum value 'x'" speaks of."""
    if "Invalid enum value" not in message:
        return ()
    name = re.sub(r"\[.*", "", path.rsplit(".", 1)[-1])
    known: dict[str, tuple[str, ...]] = {
        "protocol": PROTOCOLS,
        "clients": PROTOCOLS,
        "role": ("primary", "backup", "rescue"),
        "weekdays": WEEKDAYS,
        "auth": ("auto", "bearer", "x-api-key", "api-key"),
        "on_status": ("switch", "retry", "rescue", "return"),
        "on_error": ("switch", "retry", "rescue", "return"),
        "server": ("auto", *_SERVER_KINDS),
    }
    return known.get(name, ())


_SERVER_KINDS = ("anthropic", "openai", "azure", "vllm", "llama.cpp", "ollama", "lmstudio", "tgi", "fastchat", "deepseek")


def _at(raw: Any, place: str) -> Any:
    """The value that a msgspec path such as `$[0]` or `$.connect` points at; the whole where it cannot tell."""
    for index, name in re.findall(r"\[(\d+)\]|\.([\w-]+)", place):
        try:
            raw = raw[int(index)] if index else raw[name]
        except (KeyError, IndexError, TypeError):
            return raw
    return raw


def _shown(value: Any, path: str) -> str:
    """The value for a message: short, and never a secret."""
    if any(part.split("[")[0] in SECRET_FIELDS for part in path.split(".")):
        return "(not shown)"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


# --- meaning ------------------------------------------------------------------


def _check_meaning(document: dict[str, Any], faults: list[Fault]) -> None:
    """What types cannot say: unique names, readable times, addresses that can be called."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(document.get("upstreams", ())):
        path = f"$.upstreams[{index}]"
        name = entry["name"]
        if name in seen:
            faults.append(Fault(f"{path}.name", "a unique name", f'"{name}" again, as in upstreams[{seen[name]}]'))
        seen.setdefault(name, index)
        _check_upstream(entry, path, faults)
    for index, rule in enumerate(document.get("model_rules", ())):
        if not rule["from"]:
            faults.append(Fault(f"$.model_rules[{index}].from", "a model name or glob", '""'))
    for status in document.get("failover", {}).get("on_status", ()):
        if status != "default" and not re.fullmatch(r"[1-5](\d\d|xx)", status):
            faults.append(Fault("$.failover.on_status", 'statuses such as "429", "5xx" or "default"', f'"{status}"'))
    errors = document.get("failover", {}).get("on_error", ())
    for kind in errors:
        if kind not in ERROR_KINDS:
            faults.append(Fault("$.failover.on_error", "one of " + ", ".join(ERROR_KINDS), f'"{kind}"'))


ERROR_KINDS = (
    "connect",
    "connect_timeout",
    "read",
    "first_byte_timeout",
    "idle_timeout",
    "protocol",
    "default",
)


def _check_upstream(entry: dict[str, Any], path: str, faults: list[Fault]) -> None:
    base_url = entry["base_url"]
    if base_url != DEMO_URL:
        if not _is_http_url(base_url):
            faults.append(Fault(f"{path}.base_url", "an http:// or https:// address", _shown(base_url, "")))
        if "protocol" not in entry:
            faults.append(Fault(f"{path}.protocol", "one of " + ", ".join(PROTOCOLS), "nothing"))
    for field, check in (("hours", hours_span), ("activation", _activation_time)):
        try:
            if entry.get(field):
                check(entry[field])
        except ValueError as error:
            where = f"{path}.{field}" + (".at" if field == "activation" else "")
            faults.append(Fault(where, "local time", str(error)))
    for name, value in entry.get("headers", {}).items():
        if not HEADER_NAME.match(name) or any(sign in value for sign in "\r\n\0"):
            faults.append(Fault(f"{path}.headers", "header names and one-line values", f'"{name}"'))
    key = entry.get("key", "")
    if any(ord(sign) < 33 or ord(sign) == 127 for sign in key) and not key.startswith("keyring:"):
        faults.append(Fault(f"{path}.key", "a key without spaces or line breaks", "(not shown)"))
    proxy = entry.get("proxy", "")
    if proxy and not re.match(r"(https?|socks5h?)://[^/\s]+", proxy):
        faults.append(Fault(f"{path}.proxy", "http://, https:// or socks5://host:port", "(not shown)"))
    try:
        msgspec.convert(entry.get("capabilities", {}), Capabilities)
    except msgspec.ValidationError as error:
        faults.append(_value_fault(str(error), entry["capabilities"], f"{path}.capabilities"))
    for name in entry.get("capabilities", {}):
        if name not in Capabilities.__struct_fields__:
            faults.append(Fault(f"{path}.capabilities", "the name of a capability", f'"{name}"'))


def _activation_time(activation: dict[str, Any]) -> int:
    return minutes_of(activation["at"])


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors."""
    schema = msgspec.json.schema(Settings)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Switchyard settings"
    return schema
