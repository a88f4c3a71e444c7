"""Blank the secrets that an upstream repeats when it refuses them."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from switchyard.exchange import Failure
from switchyard.relay.credentials import KeyMissing, resolve_key
from switchyard.settings import Upstream

SHORTEST_SECRET = 6
"""Local servers take any key: a single letter is no secret, and would be found in every text."""
BLANK = "[key]"
CREDENTIALS = ("authorization", "x-api-key")


def secrets_of(upstream: Upstream, client_headers: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """What this upstream is shown and nobody else may see; the longest first."""
    try:
        found = {resolve_key(upstream.key), *upstream.headers.values()}
    except KeyMissing:
        found = set(upstream.headers.values())
    if upstream.key == "client":
        found |= {value.rpartition(" ")[2] for name, value in client_headers if name in CREDENTIALS}
    return tuple(sorted((one for one in found if len(one) >= SHORTEST_SECRET), key=len, reverse=True))


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
