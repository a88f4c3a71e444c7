"""Blank the secrets that an upstream repeats when it refuses them."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import msgspec

from switchyard.exchange import Failure
from switchyard.relay.credentials import KeyMissing, resolve_key
from switchyard.settings import Upstream

SHORTEST_SECRET = 6
"""Local servers take any key: a single letter is no secret, and would be found in every text."""
BLANK = "[key]"
SECRET_NAME = re.compile(r"(?i)key|token|secret|sig|password")
CREDENTIALS = ("authorization", "x-api-key")


def secrets_of(upstream: Upstream, client_headers: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """What this upstream is shown and nobody else may see; the longest first."""
    found = {*upstream.headers.values(), *_secrets_in(upstream.base_url), *_secrets_in(upstream.proxy)}
    with suppress(KeyMissing):
        found.add(resolve_key(upstream.key))
    if upstream.key == "client":
        found |= {value.rpartition(" ")[2] for name, value in client_headers if name in CREDENTIALS}
    return tuple(sorted((one for one in found if len(one) >= SHORTEST_SECRET), key=len, reverse=True))


def _secrets_in(url: str) -> set[str]:
    """The password and the values of what is named like a key, as they stand there and decoded."""
    parts = urlsplit(url)
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    told = [pair.partition("=") for pair in parts.query.split("&")]
    found = [password, *(value for name, _, value in told if SECRET_NAME.search(name))]
    return {spelled for one in found for spelled in (one, unquote(one))}


def redacted_text(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, BLANK)
    return text


def redacted(failure: Failure, secrets: tuple[str, ...]) -> Failure:
    """The same failure for logs, journals and clients."""
    error, body = failure.error, failure.body
    for secret in secrets:
        for spelled in {secret.encode(), msgspec.json.encode(secret)[1:-1]}:
            body = body.replace(spelled, BLANK.encode())
    error = replace(
        error,
        message=redacted_text(error.message, secrets),
        code=redacted_text(error.code, secrets),
        param=redacted_text(error.param, secrets),
    )
    return replace(failure, error=error, body=body)
