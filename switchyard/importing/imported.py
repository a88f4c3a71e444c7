"""The result of an import, and the parsing helpers that all foreign formats share."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from switchyard.settings_validation import PROXY

Json = dict[str, Any]

TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", ""})
HOST_AND_PORT = re.compile(r"(?:[^\s/@]+@)?[^\s/@:]+:\d+\Z")
BETWEEN_KEYS = re.compile(r"[,;\r\n]")
ENVIRONMENT_REFERENCE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?\Z")


class UnknownFormat(ValueError):
    """The file has none of the known formats; the message lists them."""


class Imported(msgspec.Struct, frozen=True):
    """A Switchyard document made from a foreign one; `origins` is the source of each upstream."""

    document: Json
    notes: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


def first(source: Mapping[str, Any], *names: str, default: Any = None) -> Any:
    """The first value among these spellings that exists and is not null."""
    for name in names:
        if source.get(name) is not None:
            return source[name]
    return default


def is_true(value: Any, default: bool = True) -> bool:
    """Booleans as people and hash stores write them: true, 1, "1", "yes"."""
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in TRUE_WORDS else False if word in FALSE_WORDS else default
    if isinstance(value, bool | int | float):
        return bool(value)
    return default


def number(value: Any) -> float | None:
    """A number, also if written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < 1e15 else None


def tidy(value: float) -> int | float:
    """60 instead of 60.0."""
    return int(value) if value == int(value) else round(value, 3)


def text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def keys_in(source: Mapping[str, Any], *names: str) -> list[str]:
    """The keys of an entry: a text, several in one text (a line or a comma between them), or a list."""
    values = [source.get(name) for name in names]
    listed = [one for value in values for one in (value if isinstance(value, list) else [value])]
    parts = [part.strip() for one in listed for part in BETWEEN_KEYS.split(text(one))]
    return list(dict.fromkeys(part for part in parts if part))


def key_fields(keys: list[str]) -> Json:
    """The field of an upstream that holds them."""
    return {"keys": keys} if len(keys) > 1 else {"key": "".join(keys)}


def is_sendable(key: str) -> bool:
    """True if a header can carry it; placeholders such as "在此填写" cannot."""
    return key.isascii() and key.isprintable()


def environment_key(key: str) -> str:
    """`$NAME` and `${NAME}` as `env:NAME`."""
    found = ENVIRONMENT_REFERENCE.match(key)
    return f"env:{found[1]}" if found else key


def proxy_of(value: Any) -> str | None:
    """The URL of a proxy; "" if there is none, None if its type is not supported."""
    url = _proxy_url(value)
    if HOST_AND_PORT.match(url):
        url = f"http://{url}"
    return url if not url or PROXY.match(url) else None


def _proxy_url(value: Any) -> str:
    """From a URL or from an object of its parts."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, dict):
        return ""
    host, port = text(first(value, "host", "hostname", "server")), text(first(value, "port"))
    if not host:
        return text(first(value, "url"))
    kind = text(first(value, "type", "protocol", default="http")).lower().rstrip(":/")
    user, password = text(first(value, "username", "user")), text(first(value, "password"))
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{kind}://{login}{host}" + (f":{port}" if port else "")


def entries(value: Any) -> Iterator[tuple[str, Json]]:
    """The objects of a list with their index, or of a map with their key, which also serves as the name."""
    if isinstance(value, list):
        for index, entry in enumerate(value):
            if isinstance(entry, dict):
                yield str(index), entry
    elif isinstance(value, dict):
        for key, entry in value.items():
            if isinstance(entry, dict):
                yield key, {"name": key, **entry}


def left_out(name: str, value: Any) -> Iterator[str]:
    """A note for everything that `entries` skips."""
    places: Iterable[tuple[object, Any]] = ()
    if isinstance(value, list):
        places = enumerate(value)
    elif isinstance(value, dict):
        places = value.items()
    elif value is not None:
        yield f"{name}: skipped, it is not a list"
    for place, entry in places:
        if not isinstance(entry, dict):
            yield f"{name}[{place}]: skipped, it is not an object"


class Names:
    """Gives each upstream a unique name: "key", "key (2)", "key (3)"."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        name = wanted
        while name in self._taken:
            number = self._next.get(wanted, 2)
            self._next[wanted] = number + 1
            name = f"{wanted} ({number})"
        self._taken.add(name)
        return name


def base_name(name: str) -> str:
    """The name without the suffix added by `Names`."""
    return re.sub(r" \(\d+\)\Z", "", name)
