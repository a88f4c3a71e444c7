"""Redact the secrets that an upstream repeats when it refuses them, and those in an address."""

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from itertools import takewhile
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Failure
from switchyard.relay.credentials import KEYRING, KeyMissing, resolve_key
from switchyard.relay.headers import CREDENTIALS, Fields, basic_login
from switchyard.settings import Upstream

SHORTEST_SECRET = 6
"""Local servers accept any key: a single letter is no secret, and would be found in every text."""
LONGEST_BEGINNING = 12
"""Many keys begin alike: `sk-ant-api03-` is no secret."""
BLANK = "[key]"
MASK = "***"
ESCAPED = rb"\u00"
JSON_ESCAPE = re.compile(rb"\\(?:u00([2-7][0-9a-fA-F])|.)", re.DOTALL)
"""of any sign; the group: the number of one that is plain ASCII"""
PERCENT_ESCAPE = re.compile("%..")
SECRET_NAME = re.compile(r"(?i)key|token|secret|sig|passw|pwd|auth|credential")
"""names of parameters whose values are not shown"""
NEEDS_ESCAPE = b'"\\\x7f'
BRACKETS = re.compile(rb"[\[\]]")
FAMILY_BYTES = 3
"""of the beginning that makes keys a family, such as `sk-`"""
FAMILY = 8
"""keys of one family from which on one pass over a text is faster than one for each of them"""


def secrets_of(
    upstream: Upstream, client_headers: Iterable[tuple[str, str]] = (), key: str | None = None
) -> tuple[str, ...]:
    """The secrets that only this upstream may see, all its keys among them; the longest first.

    Without the `key` that was sent to it this looks it up, which may take a while.
    """
    sent = [*upstream.headers.values()]
    named = upstream.keys or (upstream.key,)
    if key is not None:
        sent.append(key)
        named = tuple([one for one in upstream.keys if not one.startswith(KEYRING)])
    for one in named:
        with suppress(KeyMissing):
            sent.append(resolve_key(one))
    if not any(named):
        sent += [value.rpartition(" ")[2] for value in basic_login(upstream.base_url).values()]
    if upstream.key == "client":
        sent += [value.rpartition(" ")[2] for name, value in client_headers if name in CREDENTIALS]
    return _secrets_among(upstream.base_url, upstream.proxy, *sent)


@lru_cache(128)
def _secrets_among(base_url: str, proxy: str, *sent: str) -> tuple[str, ...]:
    return worth_hiding({*sent, *_secrets_in(base_url), *_secrets_in(proxy)})


def worth_hiding(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({one for one in found if len(one) >= SHORTEST_SECRET}, key=len, reverse=True))


@lru_cache(1024)
def _secrets_in(url: str) -> frozenset[str]:
    """The password and the values of parameters that are named like a key, as they are and decoded."""
    parts = urlsplit(url)
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    found = [password if colon else user, *(value for name, _, value in pairs if SECRET_NAME.search(name))]
    return frozenset(spelled for one in found for spelled in (one, unquote(one)))


def masked_url(url: str) -> str:
    """The address without passwords and keys."""
    address, mark, query = url.partition("?")
    scheme, slashes, location = address.partition("//")
    network, slash, path = location.partition("/")
    user, at, host = network.rpartition("@")
    if at:
        name, colon, _ = user.partition(":")
        network = f"{name}:{MASK}@{host}" if colon else f"{MASK}@{host}"
    return f"{scheme}{slashes}{network}{slash}{path}{mark}{'&'.join(map(_masked_pair, query.split('&')))}"


def hidden_path(url: str) -> str:
    """The address of a webhook, whose path is the secret: only its host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{MASK}" if parts.netloc else MASK


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals and SECRET_NAME.search(name) else pair


def redacted_text(text: str, secrets: Iterable[str]) -> str:
    if not text:
        return text
    for begin, spellings in _beginnings(tuple(secrets)):
        while (at := text.find(begin)) >= 0:
            # spellings may begin alike: the one that goes on longest is what the text holds
            end = max(_end_of(one, text, at) for one in spellings)
            text = text[:at] + BLANK + text[end:]
    return text


def _end_of(spelled: str, text: str, at: int) -> int:
    """Up to where the text agrees with the spelling from `at` on."""
    agreeing = takewhile(
        lambda pair: pair[0] == pair[1], zip(spelled, text[at : at + len(spelled)], strict=False)
    )
    return at + sum(1 for _ in agreeing)


@lru_cache(128)
def _beginnings(secrets: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each with the spellings of its secret. Texts are shortened, and that may cut a secret in the middle."""
    return tuple(
        [
            (spelled[: max(LONGEST_BEGINNING, len(spelled) // 2)], spellings)
            for spellings in map(_in_texts, secrets)
            for spelled in spellings
        ]
    )


def redacted_bytes(content: bytes, secrets: Iterable[str]) -> bytes:
    """As `redacted_text`, for what may be JSON."""
    sought = _sought(tuple(secrets))
    if ESCAPED in content:
        # some encoders write `+` and others of a key as an escape
        plain = JSON_ESCAPE.sub(_plain, content)
        if any(spelled in plain for spelled in sought.probable_in(plain)):
            content = plain
    for spelled in sought.probable_in(content):
        content = content.replace(spelled, BLANK.encode())
    return content


class _Sought(msgspec.Struct, frozen=True):
    """What to redact, in order. Hundreds of keys of one vendor begin alike: each family is looked for in one pass."""

    spellings: tuple[bytes, ...]
    alone: frozenset[bytes]
    families: tuple[re.Pattern[bytes], ...]

    def probable_in(self, content: bytes) -> list[bytes]:
        """Those that may be in the content, or appear in it when others are replaced."""
        found: set[bytes] = set()
        for pattern in self.families:
            match = pattern.search(content)
            while match is not None:
                found.add(match[0])
                match = pattern.search(content, match.start() + 1)
        # the pattern finds the longest one at a place: others may be its beginning
        beginnings = tuple(found)
        return [
            spelled
            for spelled in self.spellings
            if spelled in self.alone or any(one.startswith(spelled) for one in beginnings)
        ]


@lru_cache(8)
def _sought(secrets: tuple[str, ...]) -> _Sought:
    spellings = tuple(spelled for secret in secrets for spelled in _spellings(secret))
    families: dict[bytes, list[bytes]] = {}
    for spelled in spellings:
        # one with a bracket may appear beside or around a `[key]`
        if not BRACKETS.search(spelled):
            families.setdefault(spelled[:FAMILY_BYTES], []).append(spelled)
    large = [sorted(family, key=len, reverse=True) for family in families.values() if len(family) >= FAMILY]
    return _Sought(
        spellings,
        frozenset(spellings).difference(*large),
        tuple(re.compile(b"|".join(map(re.escape, family))) for family in large),
    )


def _spellings(secret: str) -> set[bytes]:
    in_json = msgspec.json.encode(secret)[1:-1]
    # some encoders escape slashes in JSON
    return {*(spelled.encode() for spelled in _in_texts(secret)), in_json, in_json.replace(b"/", rb"\/")}


def _in_texts(secret: str) -> tuple[str, ...]:
    """The secret as it is, and as addresses may spell it."""
    encoded = [quote(secret, safe) for safe in ("", "/")]
    lower = [PERCENT_ESCAPE.sub(lambda escape: escape[0].lower(), one) for one in encoded]
    return tuple(dict.fromkeys((secret, *encoded, *lower)))


def _plain(escape: re.Match[bytes]) -> bytes:
    sign = bytes([int(escape[1], 16)]) if escape[1] else b""
    return sign if sign and sign not in NEEDS_ESCAPE else escape[0]


def redacted(failure: Failure, secrets: tuple[str, ...]) -> Failure:
    """The same failure for logs, journals and clients."""
    error = replace(
        failure.error,
        message=redacted_text(failure.error.message, secrets),
        code=redacted_text(failure.error.code, secrets),
        param=redacted_text(failure.error.param, secrets),
    )
    return replace(
        failure,
        error=error,
        body=redacted_bytes(failure.body, secrets),
        headers=redacted_headers(failure.headers, secrets),
    )


def redacted_headers(headers: Iterable[tuple[str, str]], secrets: tuple[str, ...]) -> Fields:
    """All of them are searched at once: hardly any upstream repeats a key in one."""
    fields = tuple(headers)
    values = "\n".join([value for _, value in fields])
    if redacted_text(values, secrets) == values:
        return fields
    return tuple([(name, redacted_text(value, secrets)) for name, value in fields])
