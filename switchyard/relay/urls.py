"""The URL of a request, from any form of base URL that users enter."""

import re
from functools import lru_cache
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

from switchyard.protocols.names import PassedEndpoint, ProtocolName
from switchyard.settings import Upstream

ENDPOINTS: dict[ProtocolName, str] = {
    "messages": "/messages",
    "chat": "/chat/completions",
    "responses": "/responses",
}
VERSION = re.compile(r"/v\d+[a-z0-9]*\Z")
VERSION_ANYWHERE = re.compile(r"/v\d+[a-z0-9]*(/|\Z)")
"""Base URLs of Chat such as https://host/v1beta/openai have the version in the middle."""
API_VERSION = "api-version"
UNVERSIONED_ROOTS = re.compile(r"/openai\Z")
"""Base URLs of Responses such as https://host/openai need no version."""


def request_url(upstream: Upstream, model: str, suffix: str = "", client_query: str = "") -> str:
    """The final URL of a request; `suffix` is for neighbours such as "/count_tokens"."""
    azure_version = upstream.api_version if upstream.auth == "api-key" else ""
    return _request_url(
        upstream.base_url, upstream.protocol, upstream.api_version, azure_version, model, suffix, client_query
    )


@lru_cache(maxsize=256)
def _request_url(
    base_url: str,
    protocol: ProtocolName,
    api_version: str,
    azure_version: str,
    model: str,
    suffix: str,
    client_query: str,
) -> str:
    parts = urlsplit(base_url.strip())
    path = _endpoint(parts.path, protocol, azure_version, model) + suffix
    return urlunsplit((parts.scheme, parts.netloc, path, _query(parts.query, client_query, api_version), ""))


def passed_url(upstream: Upstream, model: str, endpoint: PassedEndpoint, client_query: str) -> str:
    """The URL of an endpoint beside that for conversations."""
    parts = urlsplit(request_url(upstream, model, "", client_query))
    path = parts.path.removesuffix(ENDPOINTS[upstream.protocol]) + f"/{endpoint}"
    return urlunsplit(parts._replace(path=path))


def demo_url(protocol: ProtocolName) -> str:
    """The URL of the embedded demo model."""
    return f"http://demo/v1{ENDPOINTS[protocol]}"


def sibling_urls(upstream: Upstream, model: str) -> tuple[str, ...]:
    """Other forms to try when the usual one answers 404."""
    parts = urlsplit(upstream.base_url.strip())
    endpoint = ENDPOINTS[upstream.protocol]
    base = parts.path.rstrip("/").removesuffix(endpoint)
    bare = VERSION.sub("", base)
    paths = dict.fromkeys(
        [
            f"{bare}/v1{endpoint}",
            f"{bare}{endpoint}",
            f"{bare}/api/v1{endpoint}",
            f"{bare}/openai/v1{endpoint}",
        ]
    )
    urls = [urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")) for path in paths]
    return tuple(url for url in urls if url != request_url(upstream, model))


def _endpoint(path: str, protocol: ProtocolName, azure_version: str, model: str) -> str:
    endpoint = ENDPOINTS[protocol]
    base = path.rstrip("/").removesuffix(endpoint)
    if azure_version:
        return _azure_path(base, endpoint, model, protocol)
    if VERSION.search(base) or (protocol == "responses" and UNVERSIONED_ROOTS.search(base)):
        return base + endpoint
    if protocol == "chat" and VERSION_ANYWHERE.search(base):
        return base + endpoint
    if path.rstrip("/").endswith(endpoint):
        return base + endpoint
    return f"{base}/v1{endpoint}"


def _azure_path(base: str, endpoint: str, model: str, protocol: ProtocolName) -> str:
    """https://learn.microsoft.com/azure/ai-services/openai/reference"""
    root = VERSION.sub("", base).removesuffix("/openai")
    if "/deployments/" in root:
        return root + endpoint
    if protocol == "responses":
        return f"{root}/openai{endpoint}"
    return f"{root}/openai/deployments/{quote(model, safe='')}{endpoint}"


def _query(base_query: str, client_query: str, api_version: str) -> str:
    """All parts unchanged; of those with the same name, the client's."""
    parts = client_query.split("&")
    if api_version:
        parts = [*_others(parts, API_VERSION), f"{API_VERSION}={quote(api_version, safe='')}"]
    names = {_name(part) for part in parts}
    return "&".join(part for part in [*_others(base_query.split("&"), *names), *parts] if part)


def _others(parts: list[str], *names: str) -> list[str]:
    return [part for part in parts if _name(part) not in names]


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
