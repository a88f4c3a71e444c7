"""Fetch the names of the models that an upstream lists, which costs no tokens."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import msgspec

from switchyard.protocols.presets import VENDORS
from switchyard.relay.credentials import KeyMissing, fetch_key
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.headers import upstream_headers
from switchyard.relay.upstream import Call
from switchyard.relay.urls import ENDPOINTS, request_url
from switchyard.settings import Upstream
from switchyard.timeouts import timeouts_of

MAX_BYTES = 4 * 1024 * 1024
PATIENCE_SECONDS = 20.0
PATHS = ("/v1/models", "/models")
DEMO_MODELS = ("demo",)


class NoList(Exception):
    """The upstream lists no models; the message says why."""


class _Named(msgspec.Struct):
    id: str


class _Listed(msgspec.Struct):
    data: list[_Named]


async def fetch_model_names(dependencies: Dependencies, upstream: Upstream) -> tuple[str, ...]:
    """The names in the order of the upstream. Raises NoList."""
    if upstream.is_demo:
        return DEMO_MODELS
    account = upstream.accounts[0]
    try:
        key = await fetch_key(account, [])
    except KeyMissing as missing:
        raise NoList(str(missing)) from None
    problem = ""
    for url in list_urls(upstream):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await _names_at(dependencies, account, key, url)
        except NoList as refused:
            problem = problem or str(refused)
        except TimeoutError:
            raise NoList(f"sent nothing for {PATIENCE_SECONDS:g} s") from None
        except AttemptFailed as failed:
            raise NoList(failed.failure.message) from None
    raise NoList(problem)


def list_urls(upstream: Upstream) -> Iterator[str]:
    """Where the list may be: beside the endpoint, where this service has it, and where most have it."""
    parts = urlsplit(request_url(upstream, upstream.model or "MODEL"))
    own = [
        vendor.models_path
        for vendor in VENDORS
        if vendor.models_path and any(urlsplit(url).hostname == parts.hostname for url in vendor.urls)
    ]
    beside = f"{parts.path.removesuffix(ENDPOINTS[upstream.protocol])}/models"
    for path in dict.fromkeys([*own, beside, *PATHS]):
        yield urlunsplit(parts._replace(path=path))


async def _names_at(dependencies: Dependencies, upstream: Upstream, key: str, url: str) -> tuple[str, ...]:
    """Raises NoList, AttemptFailed."""
    headers = upstream_headers(upstream, key, [], same_protocol=False, stream=False)
    seconds = timeouts_of(upstream, dependencies.settings()).connect
    call = Call(
        url, headers, b"", seconds, upstream.proxy, upstream.tls, upstream=upstream.name, method="GET"
    )
    reply = await dependencies.wire.send(call)
    try:
        body = await reply.read_up_to(MAX_BYTES)
    finally:
        await reply.close()
    if reply.status != 200:
        raise NoList(f"answered {reply.status} to the question for its list of models")
    try:
        listed = msgspec.json.decode(body, type=_Listed)
    except msgspec.MsgspecError:
        raise NoList("answered something else than a list of models") from None
    return tuple(dict.fromkeys(one.id for one in listed.data))
