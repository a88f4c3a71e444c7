"""Keep the local client keys on this machine: remove them from requests before an upstream gets them."""

import re
from base64 import b64decode
from collections.abc import Iterable
from functools import lru_cache
from json import dumps
from typing import Any
from urllib.parse import quote, unquote_plus

import msgspec
from msgspec.structs import replace

from switchyard.relay.headers import Headers
from switchyard.relay.values import ClientRequest

LONG_KEY_CHARS = 16
"""A key of this length is found inside any text. A shorter one counts only as a word: "123" is part of many."""
INSTEAD = "[client key]"
IDENTIFYING = tuple(
    """
    user user_id safety_identifier prompt_cache_key
    key api_key apikey apiKey token auth_token access_token authorization password
    """.split()
)
"""top-level members of a body in which some clients send their key"""
METADATA = "metadata"
MAX_VALUE_BYTES = 16 * 1024

_Members = msgspec.defstruct(
    "_Members", [(name, msgspec.Raw, msgspec.Raw(b"null")) for name in (*IDENTIFYING, METADATA)]
)
_decode_members = msgspec.json.Decoder(_Members).decode
_decode_all_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def without_local_keys(request: ClientRequest, keys: Iterable[str]) -> ClientRequest:
    """For a request that was read earlier: a text in it may have become a client key since."""
    local = local_keys(tuple(keys))
    return replace(
        request,
        body=local.out_of_body(request.body),
        headers=local.out_of_headers(request.headers),
        query=local.out_of_query(request.query),
    )


@lru_cache(8)
def local_keys(keys: tuple[str, ...]) -> "LocalKeys":
    """The remover for these `client_keys`."""
    return LocalKeys(keys)


class LocalKeys:
    """Removes client keys from headers, query and body. Without keys everything is returned unchanged."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        long = sorted((key for key in keys if len(key) >= LONG_KEY_CHARS), key=len, reverse=True)
        short = [key for key in keys if len(key) < LONG_KEY_CHARS]
        self._pattern = _pattern(long, short) if keys else None
        self._long = tuple(dict.fromkeys(spelled for key in long for spelled in _spellings(key)))
        self._short = frozenset(short)
        self._quoted = {
            spelled for key in short for spelled in (dumps(key).encode(), msgspec.json.encode(key))
        }

    def out_of_headers(self, headers: Headers) -> Headers:
        """Without the headers whose value holds a key."""
        if self._pattern is None:
            return headers
        return [(name, value) for name, value in headers if not self._is_in(value)]

    def out_of_query(self, query: str) -> str:
        """Without the parameters that hold a key."""
        if self._pattern is None or not query:
            return query
        return "&".join(pair for pair in query.split("&") if not self._pattern.search(unquote_plus(pair)))

    def out_of_body(self, body: bytes) -> bytes:
        """With long keys replaced everywhere, short ones where they are a whole member that identifies the client."""
        for spelled in self._long:
            body = body.replace(spelled, INSTEAD.encode())
        if any(quoted in body for quoted in self._quoted):
            return self._without_short_keys(body)
        return body

    def _is_in(self, value: str) -> bool:
        assert self._pattern is not None
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "basic" and self._pattern.search(_decoded_basic(token)):
            return True
        return self._pattern.search(value) is not None

    def _without_short_keys(self, body: bytes) -> bytes:
        try:
            members = _decode_members(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return body  # the request is refused when it is decoded
        changed = {}
        for name in (*IDENTIFYING, METADATA):
            value = _value(getattr(members, name))
            if (replaced := self._replaced(value)) != value:
                changed[name] = msgspec.Raw(msgspec.json.encode(replaced))
        return msgspec.json.encode(_decode_all_members(body) | changed) if changed else body

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: self._replaced(inner) if isinstance(inner, str) else inner
                for name, inner in value.items()
            }
        return INSTEAD if isinstance(value, str) and value in self._short else value


def _pattern(long: list[str], short: list[str]) -> re.Pattern[str]:
    anywhere = [re.escape(spelled) for key in long for spelled in _in_headers(key)]
    words = "|".join(re.escape(spelled) for key in short for spelled in _in_headers(key))
    return re.compile("|".join([*anywhere, *([rf"(?<![\w.-])(?:{words})(?![\w.-])"] if words else [])]))


def _in_headers(key: str) -> set[str]:
    """The key as a header or a decoded parameter may spell it; ASGI headers are decoded as Latin-1."""
    return {key, key.encode().decode("latin-1"), quote(key, safe="")}


def _spellings(key: str) -> set[bytes]:
    """The key as JSON may spell it, also in JSON that is itself the text of a member."""
    found = {key}
    for _ in range(2):
        found |= {dumps(one, ensure_ascii=ascii)[1:-1] for one in found for ascii in (True, False)}
        found |= {one.replace("/", r"\/") for one in found}  # some encoders escape slashes
    return {spelled.encode() for spelled in found}


def _decoded_basic(token: str) -> str:
    try:
        return b64decode(f"{token.strip()}==").decode(errors="replace")
    except ValueError:
        return ""


def _value(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw) if len(raw) <= MAX_VALUE_BYTES else None
