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


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Every flag answers "does this upstream take it?"; the defaults suit the vendor that owns the protocol."""

    max_tokens_field: Annotated[
        Literal["either", "max_tokens", "max_completion_tokens"],
        Meta(
            description="Chat: the only field name that the upstream accepts for the limit of an answer.",
            examples=["max_tokens"],
        ),
    ] = "either"
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="The longest answer that the upstream gives; a request for more is reduced to it.",
            examples=[8192],
            extra_json_schema={"unit": "tokens"},
        ),
    ] = None
    include_usage: Annotated[
        bool, Meta(description="Chat: reports token usage in a stream (`stream_options.include_usage`).")
    ] = True
    tools: Annotated[
        bool, Meta(description="Supports tool calls; otherwise a request with tools is rejected.")
    ] = True
    custom_tools: Annotated[
        bool,
        Meta(description="Accepts freeform tools (`custom`) as they are; otherwise they become functions."),
    ] = False
    responses_items: Annotated[
        bool,
        Meta(
            description="Responses: accepts the newer items and tools (`namespace`, `tool_search`, "
            "`additional_tools`, compaction); otherwise they are converted to functions and messages."
        ),
    ] = True
    compaction: Annotated[
        bool,
        Meta(
            description="Responses: compacts conversations itself (`/responses/compact`); "
            "otherwise the model writes a summary."
        ),
    ] = False
    forced_tool_choice: Annotated[
        bool,
        Meta(
            description="Can be forced to call a tool (`tool_choice`); otherwise the choice is left to the model, "
            "with an instruction where the protocol allows one."
        ),
    ] = True
    parallel_tool_calls: Annotated[
        bool, Meta(description="Accepts the field `parallel_tool_calls`; otherwise it is left out.")
    ] = True
    developer_role: Annotated[
        bool,
        Meta(description="Accepts the role `developer`; otherwise such messages become `system` messages."),
    ] = True
    mid_system: Annotated[
        bool,
        Meta(
            description="Accepts system messages after the first user message; "
            "otherwise they become part of a user message."
        ),
    ] = True
    content_parts: Annotated[
        bool,
        Meta(description="Chat: accepts content as a list of parts; otherwise it gets plain strings only."),
    ] = True
    images: Annotated[
        bool, Meta(description="Reads images; otherwise a short text says that one was left out.")
    ] = True
    image_urls: Annotated[
        bool, Meta(description="Reads images by URL; otherwise only as base64 data within the request.")
    ] = True
    files: Annotated[
        bool, Meta(description="Reads documents such as PDF; otherwise only those that are plain text.")
    ] = True
    json_schema: Annotated[
        bool,
        Meta(
            description="Supports structured output by a JSON schema; otherwise the schema becomes an instruction."
        ),
    ] = True
    reasoning_effort: Annotated[
        Literal["effort", "budget", "adaptive", "template", "none"],
        Meta(
            description="How reasoning is controlled: by an effort, by a token budget, by adaptive thinking, by the "
            "chat template (`chat_template_kwargs.enable_thinking`), or not at all.",
            examples=["template"],
        ),
    ] = "effort"
    thinking_budgets: Annotated[
        bool,
        Meta(
            description="Messages: accepts thinking of type `enabled` with a budget; "
            "newer models accept only `adaptive`."
        ),
    ] = True
    effort_in_messages: Annotated[
        bool,
        Meta(
            description="Messages: accepts an effort in system messages (`output_config`); "
            "otherwise the last one becomes the effort of the request."
        ),
    ] = True
    efforts: Annotated[
        tuple[str, ...],
        Meta(
            description="The reasoning efforts that the upstream supports; any other is replaced by the nearest.",
            examples=[["low", "high"]],
        ),
    ] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    thinking_switch: Annotated[
        bool,
        Meta(
            description="Chat: reasoning is turned off by `thinking.type` `disabled` rather than by an effort."
        ),
    ] = False
    continues_answer: Annotated[
        bool,
        Meta(
            description="Chat: continues an answer that the request begins only if a field requests it "
            "(`continue_final_message`)."
        ),
    ] = False
    reasoning_history: Annotated[
        Literal["none", "reasoning_content", "required"],
        Meta(
            description="Chat: whether the reasoning of earlier turns is sent back; `required`: with a placeholder "
            "where it was lost.",
            examples=["reasoning_content"],
        ),
    ] = "none"
    signed_thinking: Annotated[
        bool,
        Meta(
            description="Messages: thinking blocks need a signature of this upstream; "
            "otherwise unsigned ones are accepted."
        ),
    ] = True
    error_results: Annotated[
        bool,
        Meta(
            description="Messages: the model sees `is_error` of a tool result; "
            "otherwise the text of the result says so."
        ),
    ] = True
    stop: Annotated[
        bool, Meta(description="Accepts stop sequences; otherwise Switchyard cuts converted answers at them.")
    ] = True
    max_stops: Annotated[
        int, Meta(description="Chat: the most stop sequences that one request may have.", examples=[16])
    ] = 4
    top_k: Annotated[bool, Meta(description="Accepts `top_k`; otherwise it is left out.")] = True
    sampling: Annotated[
        bool, Meta(description="Accepts `temperature` and `top_p`; otherwise they are left out.")
    ] = True
    max_temperature: Annotated[
        float,
        Meta(
            description="The highest `temperature`; a converted request gets no higher one.", examples=[1.0]
        ),
    ] = 2.0
    openai_extras: Annotated[
        bool,
        Meta(
            description="Accepts OpenAI's further fields: `store`, `metadata`, `user`, `service_tier`, "
            "`verbosity`; otherwise they are left out."
        ),
    ] = True
    prompt_cache_key: Annotated[
        bool, Meta(description="Accepts `prompt_cache_key`; otherwise it is left out.")
    ] = True
    cache_control: Annotated[
        bool, Meta(description="Messages: accepts `cache_control`; otherwise it is left out.")
    ] = True
    hosted_web_search: Annotated[
        bool, Meta(description="Runs web searches itself; otherwise that tool is left out.")
    ] = True
    think_tags: Annotated[
        bool,
        Meta(
            description="Chat: the model writes its reasoning into the text, between `<think>` and `</think>`."
        ),
    ] = False
    think_open_prefilled: Annotated[
        bool,
        Meta(
            description="With `think_tags`: the chat template already contains `<think>`, "
            "so that the answer begins with reasoning."
        ),
    ] = False
    usage_excludes_cache: Annotated[
        bool,
        Meta(
            description="Chat, Responses: the reported input tokens do not include those read from the cache."
        ),
    ] = False
    billing_line: Annotated[
        bool,
        Meta(
            description="Messages: gets the attribution line that begins Claude Code's system prompt; "
            "otherwise it is removed, because it makes the prompt caches of other servers useless."
        ),
    ] = True
    context_management: Annotated[
        bool, Meta(description="Messages: accepts `context_management`; otherwise it is left out.")
    ] = True
    streams: Annotated[bool, Meta(description="Can stream its answers.")] = True
    stream_only: Annotated[
        bool,
        Meta(description="Can only stream; Switchyard builds an answer without streaming from the stream."),
    ] = False
    refused_betas: Annotated[
        tuple[str, ...],
        Meta(
            description='Messages: values of `anthropic-beta` that are not passed on; `["*"]`: none is.',
            examples=[["*"]],
        ),
    ] = ()
    dropped_fields: Annotated[
        tuple[str, ...],
        Meta(
            description="Fields that the upstream rejects: they are removed from the request. A dot leads into a "
            "field, `*` stands for every entry of a list, and `**` for any place.",
            examples=[["metadata", "text.verbosity", "**.cache_control.ttl"]],
        ),
    ] = ()
    refused_together: Annotated[
        tuple[Pair, ...],
        Meta(
            description="Pairs that the upstream rejects in one request: the first of the two is left out.",
            examples=[["thinking+forced_tool"]],
        ),
    ] = ()
    bounds: Annotated[
        tuple[Annotated[str, Meta(pattern=BOUND)], ...],
        Meta(
            description="The lowest and highest values of fields; any other is replaced by the nearest.",
            examples=[["top_p>=0.01", "top_p<=0.99"]],
        ),
    ] = ()
    full_schemas: Annotated[
        bool,
        Meta(
            description="Accepts any JSON schema for tools; otherwise references lose what stands beside them, "
            "`type` moves into the branches of unions, and every property has a type."
        ),
    ] = True
    refused_keywords: Annotated[
        tuple[str, ...],
        Meta(
            description="Keywords that the upstream rejects in the schemas of tools: `$ref` is resolved, `oneOf` "
            "becomes `anyOf`, `allOf` is merged, any other is removed.",
            examples=[["format"]],
        ),
    ] = ()
    consecutive_roles: Annotated[
        bool,
        Meta(description="Accepts several messages of one role in a row; otherwise they become one."),
    ] = True
    json_object: Annotated[
        bool,
        Meta(
            description="Chat: without `json_schema`, `json_object` is requested along with the instruction."
        ),
    ] = False
    store: Annotated[
        bool, Meta(description="Accepts any value of `store`; otherwise it is set to `false`.")
    ] = True
