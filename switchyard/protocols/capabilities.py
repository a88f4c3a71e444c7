"""What one upstream can take: the record that replaces `if vendor ==` in the codecs."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Pair = Literal[
    "thinking+forced_tool",
    "forced_tool+thinking",
    "thinking+tools",
    "sampling+thinking",
    "top_p+temperature",
    "json_schema+tools",
    "json_schema+thinking",
]
BOUND = r"^[a-z_.]+(?:<=|>=)-?\d+(?:\.\d+)?$"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """Every flag answers "does this upstream take it?"; the defaults suit the vendor that owns the protocol.

    `switchyard/settings_descriptions.py` describes each.
    """

    max_tokens_field: Literal["either", "max_tokens", "max_completion_tokens"] = "either"
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    include_usage: bool = True
    tools: bool = True
    custom_tools: bool = False
    responses_items: bool = True
    compaction: bool = False
    forced_tool_choice: bool = True
    parallel_tool_calls: bool = True
    developer_role: bool = True
    mid_system: bool = True
    content_parts: bool = True
    images: bool = True
    image_urls: bool = True
    files: bool = True
    json_schema: bool = True
    reasoning_effort: Literal["effort", "budget", "adaptive", "template", "none"] = "effort"
    thinking_budgets: bool = True
    effort_in_messages: bool = True
    efforts: tuple[str, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    thinking_switch: bool = False
    continues_answer: bool = False
    reasoning_history: Literal["none", "reasoning_content", "required"] = "none"
    signed_thinking: bool = True
    error_results: bool = True
    stop: bool = True
    max_stops: int = 4
    top_k: bool = True
    sampling: bool = True
    max_temperature: float = 2.0
    openai_extras: bool = True
    prompt_cache_key: bool = True
    cache_control: bool = True
    hosted_web_search: bool = True
    think_tags: bool = False
    think_open_prefilled: bool = False
    usage_excludes_cache: bool = False
    billing_line: bool = True
    context_management: bool = True
    streams: bool = True
    stream_only: bool = False
    refused_betas: tuple[str, ...] = ()
    dropped_fields: tuple[str, ...] = ()
    refused_together: tuple[Pair, ...] = ()
    bounds: tuple[Annotated[str, Meta(pattern=BOUND)], ...] = ()
    full_schemas: bool = True
    refused_keywords: tuple[str, ...] = ()
    consecutive_roles: bool = True
    json_object: bool = False
    store: bool = True
