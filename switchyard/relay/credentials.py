"""Where a key comes from: the file itself, the environment, or the system keychain."""

import asyncio
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping

from switchyard.relay.headers import CREDENTIALS, Headers, own_credentials
from switchyard.relay.keychain import SERVICE, KeychainRefused, look_up
from switchyard.settings import Upstream

ENV = "env:"
KEYRING = "keyring:"
KEYCHAIN_SECONDS = 20
NO_CLIENT_KEY = (
    'it passes the client\'s own key on (`"key": "client"`), and this request has none beside the local client key; '
    "send one as Bearer or x-api-key, or give the entry a key of its own"
)


class KeyMissing(Exception):
    """The key that the settings name is not available; the message tells the user what to do."""


class NoClientKey(KeyMissing):
    """The entry passes the client's own key on, and this request has none: other requests may have one."""


def resolve_key(key: str, environment: Mapping[str, str] = os.environ) -> str:
    """The literal key. "client" and "" give "". Raises KeyMissing."""
    if key == "client":
        return ""
    if key.startswith(ENV):
        name = key.removeprefix(ENV)
        if not environment.get(name):
            raise KeyMissing(
                f"environment variable {name} is not set; set it and restart, or enter the key itself"
            )
        return _sendable(environment[name], f"environment variable {name}")
    if key.startswith(KEYRING):
        return _from_keyring(key.removeprefix(KEYRING))
    return key


def unset_variables(
    accounts: Iterable[Upstream], environment: Mapping[str, str]
) -> Iterator[tuple[Upstream, str]]:
    """The accounts whose keys are in variables that are not set, and their names."""
    for one in accounts:
        name = one.key.removeprefix(ENV)
        if one.key.startswith(ENV) and not environment.get(name):
            yield one, name


async def fetch_key(upstream: Upstream, client_headers: Headers) -> str:
    """The key of the entry, "" where the client's own is passed on or none is needed. Raises KeyMissing."""
    key = key_at_hand(upstream, client_headers)
    return await key_in_keychain(upstream) if key is None else key


def key_at_hand(upstream: Upstream, client_headers: Headers) -> str | None:
    """As `fetch_key`; None if it is in the keychain. Raises KeyMissing."""
    key = upstream.key
    if key == "client" and not upstream.is_demo and not _has_client_key(upstream, client_headers):
        raise NoClientKey(NO_CLIENT_KEY)
    return None if key.startswith(KEYRING) else resolve_key(key)


async def key_in_keychain(upstream: Upstream) -> str:
    """Other requests are not delayed: a locked keychain asks its user first. Raises KeyMissing."""
    try:
        async with asyncio.timeout(KEYCHAIN_SECONDS):
            return await asyncio.to_thread(resolve_key, upstream.key)
    except TimeoutError:
        raise KeyMissing(
            f"the system keychain did not answer for {KEYCHAIN_SECONDS} s; is it locked?"
        ) from None


def _has_client_key(upstream: Upstream, client_headers: Headers) -> bool:
    own = any(name.lower() in CREDENTIALS for name in upstream.headers)
    return own or bool(own_credentials(client_headers))


def _from_keyring(name: str) -> str:
    try:
        found = look_up(name)
    except KeychainRefused as refused:
        raise KeyMissing(str(refused)) from None
    if not found:
        raise KeyMissing(
            f"the system keychain has no entry {name}; add it with: keyring set {SERVICE} {shlex.quote(name)}"
        )
    return _sendable(found, f"the entry {name} of the system keychain")


def _sendable(key: str, source: str) -> str:
    """The key, if it fits into a header. Raises KeyMissing."""
    stripped = key.strip()
    if not (stripped.isascii() and stripped.isprintable()):
        raise KeyMissing(f"{source} holds no key in one line, in plain ASCII")
    return stripped
