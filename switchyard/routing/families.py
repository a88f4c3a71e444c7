"""Decide whose model a name is, and at which official addresses it is unlikely to be served."""

from functools import lru_cache
from urllib.parse import urlsplit

from switchyard.protocols.names import PROTOCOLS, matches
from switchyard.protocols.presets import KNOWN_ADDRESSES
from switchyard.settings import Upstream

NO_FAMILY = ""
FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (NO_FAMILY, ("gpt-oss*",)),  # open weights: many vendors serve them
    ("claude", ("claude-*",)),
    ("gpt", ("gpt-*", "chatgpt-*", "codex-*", "o1", "o1-*", "o3", "o3-*", "o4", "o4-*")),
    ("gemini", ("gemini-*",)),
    ("deepseek", ("deepseek-*",)),
    ("qwen", ("qwen*", "qwq*", "qvq*")),
    ("glm", ("glm-*", "chatglm*")),
    ("kimi", ("kimi*", "moonshot*")),
    ("grok", ("grok-*",)),
    (
        "mistral",
        ("*mistral*", "*mixtral*", "ministral*", "magistral*", "codestral*", "devstral*", "pixtral*"),
    ),
    ("minimax", ("minimax*", "abab*")),
)
"""Patterns of model names; the first that matches decides."""

OFFICIAL_HOSTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("api.anthropic.com", ("claude",)),
    ("api.openai.com", ("gpt",)),
    ("chatgpt.com", ("gpt",)),
    ("generativelanguage.googleapis.com", ("gemini",)),
    ("api.deepseek.com", ("deepseek",)),
    ("dashscope.aliyuncs.com", ("qwen", "deepseek", "glm", "kimi", "minimax")),
    ("dashscope-intl.aliyuncs.com", ("qwen", "deepseek", "glm", "kimi", "minimax")),
    ("open.bigmodel.cn", ("glm",)),
    ("api.z.ai", ("glm",)),
    ("api.moonshot.cn", ("kimi",)),
    ("api.moonshot.ai", ("kimi",)),
    ("api.kimi.com", ("kimi",)),
    ("api.x.ai", ("grok",)),
    ("api.mistral.ai", ("mistral",)),
    ("codestral.mistral.ai", ("mistral",)),
    ("api.minimax.io", ("minimax",)),
    ("api.minimaxi.com", ("minimax",)),
)
"""The vendors' own hosts, with their subdomains.

Resellers, relays and clouds (Azure, Bedrock, Vertex) are never listed: they serve models of many vendors, or under
names of the user's own.
"""


@lru_cache(maxsize=1024)
def family_of(model: str) -> str:
    """The family of a model name, with or without a vendor's path before it; "" if it is unknown."""
    name = model.rpartition("/")[2]
    return next((family for family, patterns in FAMILIES if _is_one(name, patterns)), NO_FAMILY)


@lru_cache(maxsize=KNOWN_ADDRESSES)
def official_families(base_url: str) -> tuple[str, ...]:
    """The model families of a vendor's own host; () for any other address."""
    host = _host(base_url)
    return next((families for name, families in OFFICIAL_HOSTS if f".{host}".endswith(f".{name}")), ())


def states_use(upstream: Upstream) -> bool:
    """The entry says for which models or clients it is. All three clients, as the default, say nothing."""
    return bool(upstream.models or upstream.model) or set(upstream.clients) != set(PROTOCOLS)


def official_host(upstream: Upstream) -> str:
    """The vendor's own host of an entry that leaves it to Switchyard what is sent there; else ""."""
    return (
        _host(upstream.base_url) if official_families(upstream.base_url) and not states_use(upstream) else ""
    )


def unlikely_reason(upstream: Upstream, model: str) -> str:
    """Why this upstream probably does not serve this model; "" if it may."""
    family, families = family_of(model), official_families(upstream.base_url)
    if not family or not families or family in families or states_use(upstream):
        return ""
    if family == "claude" and upstream.protocol == "messages":
        return ""  # vendors offer this protocol for Claude Code, and map its model names to their own
    return f"{_host(upstream.base_url)} serves {families[0]} models and probably not {model}; if it does, {REMEDY}"


REMEDY = "set `models` or `clients`"


def _is_one(name: str, patterns: tuple[str, ...]) -> bool:
    return any(matches(pattern, name) for pattern in patterns)


def _host(base_url: str) -> str:
    return (urlsplit(base_url).hostname or "").lower()
