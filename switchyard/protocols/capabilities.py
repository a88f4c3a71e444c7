"""What one upstream can take: the record that replaces `if vendor ==` in the codecs."""

from typing import Annotated, Literal

import msgspec


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Every flag answers "does this upstream take it?"; the defaults suit the vendor that owns the protocol."""

    max_tokens_field: Literal["either", "max_tokens", "max_completion_tokens"] = "either"
    """Chat: the only name that is understood for the limit of an answer"""
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """the longest answer it gives; asking for more is refused"""
    include_usage: bool = True
    tools: bool = True
    custom_tools: bool = False
    """freeform tools (`custom`) as such; otherwise they are lowered to functions"""
    responses_items: bool = True
    """the newer Responses items and tools: namespace, tool_search, additional_tools, compaction"""
    compaction: bool = False
    """compacts conversations itself; otherwise a summary is asked for"""
    forced_tool_choice: bool = True
    parallel_tool_calls: bool = True
    developer_role: bool = True
    mid_system: bool = True
    """system messages after the first user turn"""
    content_parts: bool = True
    """content as a list of parts; otherwise plain strings only"""
    images: bool = True
    image_urls: bool = True
    files: bool = True
    json_schema: bool = True
    reasoning_effort: Literal["effort", "budget", "adaptive", "template", "none"] = "effort"
    """how reasoning is asked for; "template" is `chat_template_kwargs.enable_thinking`"""
    thinking_budgets: bool = True
    """Messages: thinking of type "enabled" with a budget; newer models know only "adaptive" """
    efforts: tuple[str, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    thinking_switch: bool = False
    """Chat: `thinking.type` "disabled" turns thinking off, as no effort does"""
    continues_answer: bool = False
    """Chat: goes on with an answer that the request begins only when told so (`continue_final_message`)"""
    reasoning_history: Literal["none", "reasoning_content", "required"] = "none"
    """whether reasoning text goes back in the history of Chat requests; "required": a placeholder when lost"""
    signed_thinking: bool = True
    """thinking blocks need a signature of this upstream; otherwise unsigned ones are welcome"""
    error_results: bool = True
    """Messages: heeds `is_error` of a tool's result; otherwise the result says so itself"""
    stop: bool = True
    max_stops: int = 4
    top_k: bool = True
    sampling: bool = True
    """temperature and top_p"""
    max_temperature: float = 2.0
    openai_extras: bool = True
    """store, metadata, user, service_tier, prompt_cache_key, verbosity"""
    prompt_cache_key: bool = True
    cache_control: bool = True
    hosted_web_search: bool = True
    think_tags: bool = False
    think_open_prefilled: bool = False
    usage_excludes_cache: bool = False
    billing_line: bool = True
    """the attribution line of Claude Code at the head of the system prompt; elsewhere it ruins prefix caches"""
    context_management: bool = True
    streams: bool = True
    """can stream at all"""
    stream_only: bool = False
    refused_betas: tuple[str, ...] = ()
    """values of `anthropic-beta` that are not passed on; "*": none is"""
    dropped_fields: tuple[str, ...] = ()
    """top-level body fields learned to be refused: removed before sending"""
