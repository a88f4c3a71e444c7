"""Which headers are passed on: to the upstream, and back to the client."""

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes, urlsplit

from switchyard import VERSION
from switchyard.protocols.neutral import Loss
from switchyard.settings import Upstream

Headers = list[tuple[str, str]]
Fields = tuple[tuple[str, str], ...]

OUR_USER_AGENT = f"switchyard/{VERSION}"
ANTHROPIC_VERSION = "2023-06-01"
BETAS = "anthropic-beta"
CREDENTIALS = ("authorization", "x-api-key", "api-key")
"""the headers in which clients send their keys"""
WORKSPACE = "chatgpt-account-id"
"""the workspace that pays for a request with the ChatGPT login of Codex"""
SCHEMES = frozenset({"", "bearer", "basic"})

NEVER_FORWARDED = frozenset(
    """
    host content-length content-type content-encoding transfer-encoding connection keep-alive te trailer
    upgrade expect accept accept-encoding proxy-authorization proxy-authenticate proxy-connection
    authorization x-api-key api-key x-goog-api-key chatgpt-account-id cookie cookie2 origin referer
    forwarded via x-real-ip x-client-ip true-client-ip cf-connecting-ip range if-none-match if-modified-since
    """.split()
)
"""Hop-by-hop, credentials and traces of the client's machine."""
NEVER_PREFIXES = ("x-forwarded-", "sec-", "proxy-", "x-switchyard-", "cf-", "access-control-")

GIVEN_BACK = frozenset(
    """
    request-id x-request-id x-oai-request-id retry-after retry-after-ms x-should-retry x-reasoning-included
    """.split()
)
"""Codex adds its own estimate of earlier reasoning to the reported tokens unless it gets the last one."""
HINTS = frozenset({"retry-after", "retry-after-ms", "x-should-retry"})
"""a final error states its own"""
GIVEN_BACK_PREFIXES = ("anthropic-", "openai-", "x-ratelimit-", "x-codex-", "x-openai-")
MODEL_HEADERS = frozenset({"openai-model", "x-openai-model"})
"""Codex warns of a flagged account if they name another model than the one that it requested."""
MAX_GIVEN_BACK = 8 * 1024
"""clients refuse an answer with more than 16 KB of headers"""
MAX_DROPPED_CHARS = 1000
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def upstream_headers(
    upstream: Upstream,
    key: str,
    client_headers: Headers,
    *,
    same_protocol: bool,
    stream: bool,
    refused_betas: tuple[str, ...] = (),
) -> Headers:
    """What the upstream gets: the client's own headers if both use the same protocol, else only our own.

    The upstream's `headers` in the settings take precedence.
    """
    headers: dict[str, str] = {}
    if same_protocol:
        for name, value in client_headers:
            if not is_private(name):
                headers[name] = f"{headers[name]},{value}" if name in headers else value
        _drop_betas(headers, refused_betas)
    else:
        agent = next((value for name, value in client_headers if name == "user-agent"), "")
        headers["user-agent"] = agent or OUR_USER_AGENT
    headers.setdefault("user-agent", OUR_USER_AGENT)
    headers["content-type"] = "application/json"
    headers["accept"] = "text/event-stream" if stream else "application/json"
    headers["accept-encoding"] = "identity"
    if upstream.protocol == "messages":
        headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
    if upstream.user_agent:
        headers["user-agent"] = upstream.user_agent
    headers.update(_credentials(upstream, key, client_headers))
    for name, value in upstream.headers.items():
        headers[name.lower()] = value
    return list(headers.items())


def _drop_betas(headers: dict[str, str], refused: tuple[str, ...]) -> None:
    betas = headers.get(BETAS)
    if betas is None or not refused:
        return
    kept = [beta for beta in betas.split(",") if "*" not in refused and beta.strip() not in refused]
    if kept:
        headers[BETAS] = ",".join(kept)
    else:
        del headers[BETAS]


@lru_cache(128)
def is_private(name: str) -> bool:
    """True for headers that must not leave this machine."""
    return name in NEVER_FORWARDED or name.startswith(NEVER_PREFIXES)


def _credentials(upstream: Upstream, key: str, client_headers: Headers) -> dict[str, str]:
    if upstream.key == "client":
        return _own_login(client_headers)
    if not key:
        return basic_login(upstream.base_url)
    style = auth_style(upstream, key)
    return {"authorization": f"Bearer {key}"} if style == "bearer" else {style: key}


@lru_cache(1024)
def basic_login(base_url: str) -> dict[str, str]:
    """For the name and password in an address, as curl and httpx send them."""
    login = urlsplit(base_url).netloc.rpartition("@")[0]
    return {"authorization": f"Basic {b64encode(unquote_to_bytes(login)).decode()}"} if login else {}


def _own_login(client_headers: Headers) -> dict[str, str]:
    """The client's key, with the workspace that it belongs to."""
    own = own_credentials(client_headers)
    if "authorization" in own:
        own |= {name: value for name, value in client_headers if name == WORKSPACE}
    return own


def own_credentials(client_headers: Headers) -> dict[str, str]:
    """The key that the client sends for the upstream; its headers hold no local client key any more."""
    sent = [(name, value.strip()) for name, value in client_headers if name in CREDENTIALS]
    return {name: value for name, value in sent if value.lower() not in SCHEMES}


def auth_style(upstream: Upstream, key: str) -> str:
    if upstream.auth != "auto":
        return upstream.auth
    return "x-api-key" if _is_official(upstream.base_url) or key.startswith("sk-ant-") else "bearer"


@lru_cache(1024)
def _is_official(base_url: str) -> bool:
    return urlsplit(base_url).hostname == "api.anthropic.com"


def given_back(upstream_headers: Iterable[tuple[str, str]]) -> Headers:
    """The upstream's headers that a client may see: request ids and rate limits, nothing that a browser acts on."""
    given: Headers = []
    limit = MAX_GIVEN_BACK
    for name, value in upstream_headers:
        if _may_be_given_back(name) and not CONTROL.search(value):
            limit -= len(name) + len(value)
            if limit < 0:
                break
            given.append((name.lower(), value))
    return given


def given_back_with_error(upstream_headers: Iterable[tuple[str, str]]) -> Fields:
    """As `given_back`, without what tells the client when to try again."""
    return tuple([(name, value) for name, value in given_back(upstream_headers) if name not in HINTS])


def with_model_name(headers: Fields, sent: str, requested: str) -> Headers:
    """The headers with the requested model in place of the one that was sent to the upstream, as in the body."""
    return [
        (name, requested if name in MODEL_HEADERS and value.lower() == sent.lower() else value)
        for name, value in headers
    ]


@lru_cache(256)
def _may_be_given_back(name: str) -> bool:
    is_of_use = name.lower() in GIVEN_BACK or name.lower().startswith(GIVEN_BACK_PREFIXES)
    return is_of_use and TOKEN.fullmatch(name) is not None


@lru_cache(64)
def answer_headers(upstream: str, attempts: int) -> Fields:
    """What every answer carries: the upstream that it comes from, if any, and how many attempts there were."""
    count = ("x-switchyard-attempts", str(attempts))
    return (("x-switchyard-upstream", _header_safe(upstream)), count) if upstream else (count,)


def dropped_header(losses: tuple[Loss, ...]) -> tuple[str, str]:
    """The fields of the request that the upstream did not get."""
    fields = ",".join(dict.fromkeys(loss.field for loss in losses))
    return "x-switchyard-dropped", _header_safe(fields)[:MAX_DROPPED_CHARS]


@lru_cache(64)
def _header_safe(text: str) -> str:
    """Header values are plain ASCII: anything else is percent-encoded."""
    return quote(text, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
