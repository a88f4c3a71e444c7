"""Show an exchange as a curl command for its upstream, without the key."""

import shlex
from urllib.parse import urlsplit

import msgspec

from switchyard.exchange import Attempt, Exchange
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.model_name import rewrite_model_name
from switchyard.relay.capture import Captured
from switchyard.relay.headers import ANTHROPIC_VERSION, auth_style
from switchyard.relay.redaction import masked_url
from switchyard.relay.urls import ENDPOINTS
from switchyard.settings import Upstream

SAMPLES: dict[ProtocolName, dict[str, object]] = {
    "messages": {"max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]},
    "chat": {"messages": [{"role": "user", "content": "hello"}]},
    "responses": {"input": "hello"},
}

PASSED_SAMPLES: dict[str, dict[str, object]] = {
    "completions": {"prompt": "hello"},
    "embeddings": {"input": "hello"},
}


def curl_command(exchange: Exchange, upstream: Upstream | None, captured: Captured | None) -> str:
    """The last attempt; with a sample body if none was captured or it was converted. "" without an attempt."""
    if not exchange.attempts or exchange.attempts[-1].url == "demo:":
        return ""
    last = exchange.attempts[-1]
    headers = ["content-type: application/json"]
    if last.protocol == "messages":
        headers.append(f"anthropic-version: {ANTHROPIC_VERSION}")
    lines = [f"curl {shlex.quote(masked_url(last.url))}"]
    lines += [f"-H {shlex.quote(line)}" for line in headers]
    lines.append(f'-H "{_credential(upstream)}"')
    lines.append(f"-d {shlex.quote(_body(exchange, captured))}")
    return " \\\n  ".join(lines)


def _credential(upstream: Upstream | None) -> str:
    style = auth_style(upstream, "") if upstream is not None else "bearer"
    return "authorization: Bearer $KEY" if style == "bearer" else f"{style}: $KEY"


def _body(exchange: Exchange, captured: Captured | None) -> str:
    last = exchange.attempts[-1]
    request = captured.request if captured else None
    if request is not None and request.protocol == last.protocol:
        return rewrite_model_name(request.body, last.model).decode(errors="replace")
    return msgspec.json.encode({"model": last.model, **_sample(last)}).decode()


def _sample(last: Attempt) -> dict[str, object]:
    path = urlsplit(last.url).path
    if path.endswith(ENDPOINTS[last.protocol]):
        return SAMPLES[last.protocol]
    return PASSED_SAMPLES.get(path.rpartition("/")[2], SAMPLES[last.protocol])
