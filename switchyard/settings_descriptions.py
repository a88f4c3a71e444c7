"""Describe each field of the settings file for users, with an example."""

from typing import Any

import msgspec


class About(msgspec.Struct, frozen=True):
    """The description of one field: what it does, an example, and the unit of its numbers.

    The example of a capability that is a flag is the opposite of its default.
    """

    text: str
    example: Any = None
    unit: str = ""


MONEY = "money per million tokens"
FIELDS: dict[str, dict[str, About]] = {
    "Settings": {
        "upstreams": About(
            "Where requests may go, in the order in which they are tried.",
            [{"name": "local", "base_url": "http://localhost:8000/v1", "protocol": "chat"}],
        ),
        "model_rules": About(
            "Renames models before an upstream is chosen; the first rule that matches applies.",
            [{"from": "claude-3-5-haiku-*", "to": "claude-sonnet-4-5-20250929"}],
        ),
        "routes": About(
            "Which upstreams certain requests go to first; the first rule that matches applies.",
            [{"when": {"tokens_over": 60000}, "model": "gemini-3-pro"}],
        ),
        "failover": About("What happens when an upstream fails.", {"hold_seconds": 600}),
        "timeouts": About("Timeouts for all upstreams that do not set their own.", {"idle": 600}),
        "client_keys": About(
            "Key -> name of the client that may use it. Empty: programs on this machine may send any key.",
            {"123": "my laptop"},
        ),
        "prices": About(
            "Model name or pattern -> money per million tokens. All other prices come from the built-in table.",
            {"qwen3*": {"input": 0.5, "output": 2}},
        ),
        "budget": About("Cost limits for all upstreams together.", {"day_soft": 10}),
        "notify": About("Where you are told what happens.", {"url": "https://ntfy.sh/topic-of-my-own"}),
        "allowed_hosts": About(
            "Additional host names that clients may use for the daemon, besides localhost.", ["devbox.lan"]
        ),
        "allowed_origins": About(
            "Web pages and browser extensions that may call the models, by their exact origin. "
            "They never reach the dashboard or its API.",
            ["https://app.example", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"],
        ),
        "max_body_megabytes": About("The largest request body, after decompression.", 128, "megabytes"),
        "warm_connections": About(
            "Keep one connection to the upstream of a conversation open for 15 minutes after its last answer, so that "
            "the next request need not open one. Not for local models and entries with max_concurrency 1.",
            False,
        ),
    },
    "Upstream": {
        "name": About("Unique; identifies the upstream in logs, statistics and the API.", "local"),
        "base_url": About(
            'http(s) address, with or without /v1, or the full endpoint; "demo:" is the embedded demo model. '
            "A name and password in it are sent if there is no `key`.",
            "http://localhost:8000/v1",
        ),
        "key": About(
            'The key itself; "env:NAME" reads an environment variable, "keyring:NAME" the system keychain; '
            '"" for servers without one; "client" passes the client\'s own key on.',
            "env:MY_KEY",
        ),
        "keys": About(
            "Instead of key: several keys of one service, in any of these forms. Each is an account of its own for "
            "limits, cooldowns and conversations, and when one is refused, the next one answers.",
            ["env:FIRST_KEY", "env:SECOND_KEY"],
        ),
        "protocol": About(
            "The protocol of the upstream: Anthropic Messages, OpenAI Chat Completions or OpenAI Responses. "
            "Required unless it is the demo.",
            "chat",
        ),
        "clients": About(
            "The client protocols that it serves; requests in another protocol are converted. With all three and "
            "without models, they come here after the upstreams that speak the client's protocol.",
            ["messages", "chat"],
        ),
        "role": About(
            "primary; backup: only when no primary can answer; rescue: only for failures whose action is rescue.",
            "backup",
        ),
        "enabled": About("false: never used.", False),
        "weekdays": About("The days on which it may be used, local time.", ["mon", "tue"]),
        "hours": About(
            "When it may be used, local time; may cross midnight, and the hours after it belong to the next weekday. "
            "Empty: always.",
            "08:00-23:30",
        ),
        "priority": About(
            "A larger number is tried first. Absent: the order of the list, as 50. "
            "New conversations are spread over upstreams with the same number.",
            80,
        ),
        "weight": About(
            "The share of new conversations among upstreams with the same priority: "
            "one with 2 gets twice as many as one with 1.",
            2,
        ),
        "models": About(
            "Empty: every model. A list: only these. A map: the client's name -> the upstream's. "
            "Names or patterns such as claude-*-haiku*.",
            {"claude-*": "qwen3-32b"},
        ),
        "model": About("The name under which all models are sent (deployment name).", "qwen3-32b"),
        "auth": About(
            "How the key is sent. auto: x-api-key to Anthropic, Bearer elsewhere; api-key is for Azure.",
            "bearer",
        ),
        "api_version": About(
            "Azure's api-version; with api-key, the Azure form of the URL is used.", "2025-04-01-preview"
        ),
        "headers": About("Additional headers of each request.", {"x-team": "research"}),
        "user_agent": About("Sent instead of the client's own. Empty: the client's own.", "my-agent/1.0"),
        "proxy": About(
            "http://, https:// or socks5:// with host and port; direct: none, whatever the environment names.",
            "socks5://127.0.0.1:1080",
        ),
        "tls": About(
            "Certificates of this upstream, where those that the system trusts are not enough.",
            {"ca": "~/company-ca.pem"},
        ),
        "timeouts": About("Timeouts for this upstream only.", {"first_byte": 600}),
        "max_concurrency": About("Maximum number of concurrent requests; 0: no limit.", 4, "requests"),
        "requests_per_minute": About("Maximum number of requests per minute; 0: no limit.", 60, "requests"),
        "activation": About(
            "Sends one tiny request at a local time, to start a quota window.", {"at": "08:00"}
        ),
        "context_window": About(
            "Maximum length of a request and its answer together; 0: unknown. "
            "A prompt that does not fit goes to another upstream.",
            131072,
            "tokens",
        ),
        "server": About(
            "The server software behind the address: selects the capability preset, and known local servers get "
            "longer for the first byte. auto looks at the address and learns.",
            "vllm",
        ),
        "local": About(
            "Local models have no price and get longer timeouts. `auto`: known local servers (`server`, or the port of "
            "Ollama or LM Studio in a private network). A relay on your own machine is not local.",
            True,
        ),
        "capabilities": About(
            "What it supports, where that differs from the preset of its server.", {"images": False}
        ),
        "body": About(
            "Members of the request body to set or remove, for example for the routing of OpenRouter.",
            {"set": {"provider": {"sort": "price"}}, "remove": ["service_tier"]},
        ),
        "price_multiplier": About("Multiplies the prices of the price table, for resellers.", 0.3),
        "budget": About(
            "Cost limits for this upstream; at a hard limit it is no longer used.", {"day_hard": 5}
        ),
        "leave_at_percent": About(
            "New conversations go to other upstreams once this much of a quota window that its answers report is used; "
            "running conversations stay. 0: not before the limit.",
            85,
            "percent",
        ),
        "balance": About(
            "true: the remaining credit is asked of the service itself, at most every 10 minutes. "
            "The key goes only to the host of base_url.",
            True,
        ),
        "trust": About(
            "low: tool calls that the request does not offer never reach the client, and the arguments of all other "
            "calls are examined. normal: such calls are only marked.",
            "low",
        ),
        "on_suspicion": About(
            "Needs trust low. mark: a call that looks like an attack is marked. hold: it waits until you release or "
            "refuse it in the dashboard.",
            "hold",
        ),
        "note": About("Free text for you.", "ends in March"),
    },
    "TimeoutOverrides": {
        "connect": About("Until the connection is established. Unset: 10.", 5, "seconds"),
        "first_byte": About(
            "Until the answer begins. Unset: 120, and 600 for known local servers (see server).",
            300,
            "seconds",
        ),
        "idle": About("Between two parts of an answer. Unset: 300.", 600, "seconds"),
    },
    "Activation": {
        "at": About("Local time of day.", "08:00"),
        "advance_minutes": About(
            "Moves the time by this much after each success; 0: not at all.", 1, "minutes"
        ),
    },
    "BodyChanges": {
        "set": About(
            "Name -> value. A value replaces that of the client as a whole. "
            "model, messages, input and stream cannot be set.",
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        "remove": About("Names of members that are not sent.", ["service_tier"]),
    },
    "Tls": {
        "ca": About("A file (PEM) with certificate authorities to trust as well.", "~/company-ca.pem"),
        "cert": About("A file (PEM) with the certificate to present.", "~/client.pem"),
        "key": About("Its private key (PEM), if `cert` does not hold it.", "~/client-key.pem"),
        "verify": About("false: every certificate is accepted, so others may read the requests.", False),
    },
    "Budget": {
        "day_soft": About("Warns when a day has cost this much; 0: never.", 10, "money"),
        "day_hard": About("No more requests on a day that has cost this much; 0: no limit.", 20, "money"),
        "month_soft": About("Warns when a month has cost this much; 0: never.", 100, "money"),
        "month_hard": About(
            "No more requests in a month that has cost this much; 0: no limit.", 200, "money"
        ),
    },
    "Notify": {
        "url": About(
            "Gets a POST with JSON: a topic of ntfy, an incoming webhook of Slack, or any other webhook. Empty: none.",
            "https://ntfy.sh/topic-of-my-own",
        ),
        "command": About(
            "A program and its arguments, started without a shell. The event comes as JSON on standard input and in "
            "SWITCHYARD_EVENT, SWITCHYARD_UPSTREAM and SWITCHYARD_TEXT. It can be set in this file only.",
            ["notify-send", "Switchyard", "look at the dashboard"],
        ),
        "on": About(
            "What is reported: a request that another upstream has answered, the start of a cooldown, held requests, "
            "an upstream that answers again, a budget that is reached, a quota that is nearly used up.",
            ["held", "budget"],
        ),
    },
    "ModelRule": {
        "from": About("The model that the client requests, or a pattern.", "claude-3-5-haiku-*"),
        "to": About("The name that is used instead.", "claude-sonnet-4-5-20250929"),
        "clients": About("The clients whose requests the rule applies to.", ["chat"]),
        "protocols": About("The upstream protocols that the rule applies to.", ["messages"]),
    },
    "RouteRule": {
        "name": About("Shown in the details of a request instead of the rule's number.", "sub-agents"),
        "when": About("The requests that the rule applies to. Empty: every request.", {"subagent": True}),
        "upstreams": About("The upstreams that are tried first, in this order.", ["local"]),
        "only": About("true: no other upstream gets these requests.", True),
        "model": About(
            "The model that is requested of `upstreams` instead; of every upstream if the rule names none.",
            "qwen3-coder",
        ),
        "effort": About("The reasoning effort for `upstreams`, instead of the client's.", "low"),
        "max_tokens": About(
            "The longest answer of `upstreams`, instead of the client's limit.", 8000, "tokens"
        ),
    },
    "Condition": {
        "client": About("claude-code, codex, or a pattern of the user agent.", ["codex", "opencode/*"]),
        "protocol": About("The client's protocol.", "chat"),
        "model": About("The requested model.", "claude-*-haiku*"),
        "subagent": About("Sub-agents of Claude Code and Codex.", True),
        "background": About("Titles of conversations, and requests for a single token.", True),
        "compaction": About("The client has its conversation summarized.", True),
        "thinking": About("Thinking is on, or left to the model.", True),
        "effort": About("The reasoning effort that the client sets.", ["high", "max"]),
        "web_search": About("Web search is the only tool, as when Claude Code searches.", True),
        "images": About("The conversation has images.", True),
        "tokens_over": About("The prompt has more tokens than this, by estimate.", 60000, "tokens"),
        "tokens_under": About("The prompt has fewer tokens than this, by estimate.", 4000, "tokens"),
        "project": About(
            "The working directory of Claude Code or Codex; ~ is a home folder, * also matches slashes.",
            "~/company/*",
        ),
        "client_key": About("The name of the client's key in client_keys.", "my laptop"),
        "weekdays": About("Local days.", ["sat", "sun"]),
        "hours": About(
            "Local time; may cross midnight, and the hours after it belong to the next weekday.",
            "22:00-06:00",
        ),
    },
    "Failover": {
        "error_threshold": About("The number of consecutive failures that start a cooldown.", 5, "failures"),
        "cooldown_start_seconds": About(
            "The first cooldown; each consecutive one is twice as long, up to cooldown_seconds.",
            30,
            "seconds",
        ),
        "cooldown_seconds": About(
            "The longest cooldown after consecutive failures, and the cooldown after a bad key or exhausted credit.",
            300,
            "seconds",
        ),
        "max_cooldown_seconds": About(
            "The longest cooldown that an upstream may request. The reset of a quota may be up to 7 days away.",
            3600,
            "seconds",
        ),
        "hold_seconds": About(
            "How long a request is held and tried again while all upstreams fail and a failure is temporary; "
            "0: not at all.",
            600,
            "seconds",
        ),
        "on_status": About(
            "Status -> action: switch to the next upstream, retry the same one, try the rescue upstreams, "
            "or return the error.",
            {"429": "switch", "5xx": "rescue"},
        ),
        "on_error": About("Network error -> action, as for a status.", {"idle_timeout": "retry"}),
        "on_text": About(
            "Actions by the text of the error message. The first rule that matches applies, before on_status.",
            [{"match": "insufficient balance", "action": "switch"}],
        ),
        "total_seconds": About(
            "Time budget for finding an upstream that answers. Unset: 600, more if first_byte is over "
            "120 or hold_seconds over 480.",
            900,
            "seconds",
        ),
        "keep_alive_seconds": About(
            "After this long without data, the client gets a keep-alive.", 10, "seconds"
        ),
        "queue_seconds": About(
            "How long a request may wait for a free slot at a full upstream.", 60, "seconds"
        ),
        "session_hours": About("How long a conversation keeps its upstream; 0: not at all.", 8, "hours"),
        "return_to_primary_minutes": About(
            "How long a switched conversation stays with its new upstream after the original one has recovered.",
            10,
            "minutes",
        ),
    },
    "TextRule": {
        "match": About("Text that the error message contains, regardless of case.", "insufficient balance"),
        "action": About("As for a status.", "switch"),
    },
    "Price": {
        "input": About("Fresh input tokens.", 3, MONEY),
        "output": About("Output tokens, reasoning included.", 15, MONEY),
        "cache_read": About("Input tokens read from the cache.", 0.3, MONEY),
        "cache_write_5m": About("Input tokens written to the cache for five minutes.", 3.75, MONEY),
        "cache_write_1h": About("Input tokens written to the cache for an hour.", 6, MONEY),
        "long_context_over": About(
            "Above this many input tokens, the long prices apply to the whole request; 0: no such tier.",
            200000,
            "tokens",
        ),
        "long_input": About("Fresh input tokens of a long request.", 6, MONEY),
        "long_output": About("Output tokens of a long request.", 22.5, MONEY),
        "long_cache_read": About("Input tokens of a long request, read from the cache.", 0.6, MONEY),
        "tiers": About(
            "Multiplies these prices by the service tier in the answer (`priority`, `flex`, `batch`, `fast`). "
            "A tier that is not named has the factor 1.",
            {"priority": 2, "flex": 0.5},
        ),
        "fees": About("What each web search that the upstream runs costs.", {"web_search": 0.01}, "money"),
    },
    "Capabilities": {
        "max_tokens_field": About(
            "Chat: the only field name that the upstream accepts for the limit of an answer.", "max_tokens"
        ),
        "max_output_tokens": About(
            "The longest answer that the upstream gives; a request for more is reduced to it.", 8192, "tokens"
        ),
        "include_usage": About("Chat: reports token usage in a stream (`stream_options.include_usage`)."),
        "tools": About("Supports tool calls; otherwise a request with tools is rejected."),
        "custom_tools": About(
            "Accepts freeform tools (`custom`) as they are; otherwise they become functions."
        ),
        "responses_items": About(
            "Responses: accepts the newer items and tools (`namespace`, `tool_search`, "
            "`additional_tools`, compaction); otherwise they are converted to functions and messages."
        ),
        "compaction": About(
            "Responses: compacts conversations itself (`/responses/compact`); otherwise the model writes a summary."
        ),
        "forced_tool_choice": About(
            "Can be forced to call a tool (`tool_choice`); otherwise the choice is left to the model, "
            "with an instruction where the protocol allows one."
        ),
        "parallel_tool_calls": About("Accepts the field `parallel_tool_calls`; otherwise it is left out."),
        "developer_role": About(
            "Accepts the role `developer`; otherwise such messages become `system` messages."
        ),
        "mid_system": About(
            "Accepts system messages after the first user message; otherwise they become part of a user message."
        ),
        "content_parts": About(
            "Chat: accepts content as a list of parts; otherwise it gets plain strings only."
        ),
        "images": About("Reads images; otherwise a short text says that one was left out."),
        "image_urls": About("Reads images by URL; otherwise only as base64 data within the request."),
        "files": About("Reads documents such as PDF; otherwise only those that are plain text."),
        "json_schema": About(
            "Supports structured output by a JSON schema; otherwise the schema becomes an instruction."
        ),
        "reasoning_effort": About(
            "How reasoning is controlled: by an effort, by a token budget, by adaptive thinking, by the "
            "chat template (`chat_template_kwargs.enable_thinking`), or not at all.",
            "template",
        ),
        "thinking_budgets": About(
            "Messages: accepts thinking of type `enabled` with a budget; newer models accept only `adaptive`."
        ),
        "effort_in_messages": About(
            "Messages: accepts an effort in system messages (`output_config`). Responses: accepts items "
            "`configuration_update`. Otherwise the last one becomes the effort of the request."
        ),
        "efforts": About(
            "The reasoning efforts that the upstream supports; any other is replaced by the nearest.",
            ["low", "high"],
        ),
        "thinking_switch": About(
            "Chat: reasoning is turned off by `thinking.type` `disabled` rather than by an effort."
        ),
        "continues_answer": About(
            "Chat: continues an answer that the request begins only if a field requests it "
            "(`continue_final_message`)."
        ),
        "reasoning_history": About(
            "Chat: whether the reasoning of earlier turns is sent back; `required`: with a placeholder "
            "where it was lost.",
            "reasoning_content",
        ),
        "signed_thinking": About(
            "Messages: thinking blocks need a signature of this upstream; otherwise unsigned ones are accepted."
        ),
        "error_results": About(
            "Messages: the model sees `is_error` of a tool result; otherwise the text of the result says so."
        ),
        "stop": About("Accepts stop sequences; otherwise Switchyard cuts converted answers at them."),
        "max_stops": About("Chat: the most stop sequences that one request may have.", 16),
        "top_k": About("Accepts `top_k`; otherwise it is left out."),
        "sampling": About("Accepts `temperature` and `top_p`; otherwise they are left out."),
        "max_temperature": About("The highest `temperature`; a converted request gets no higher one.", 1.0),
        "openai_extras": About(
            "Accepts OpenAI's further fields: `store`, `metadata`, `user`, `service_tier`, `verbosity`; "
            "otherwise they are left out."
        ),
        "prompt_cache_key": About("Accepts `prompt_cache_key`; otherwise it is left out."),
        "cache_control": About("Messages: accepts `cache_control`; otherwise it is left out."),
        "hosted_web_search": About("Runs web searches itself; otherwise that tool is left out."),
        "think_tags": About(
            "Chat: the model writes its reasoning into the text, between `<think>` and `</think>`."
        ),
        "think_open_prefilled": About(
            "With `think_tags`: the chat template already contains `<think>`, so that the answer begins with reasoning."
        ),
        "usage_excludes_cache": About(
            "Chat, Responses: the reported input tokens do not include those read from the cache."
        ),
        "billing_line": About(
            "Messages: gets the attribution line that begins Claude Code's system prompt; otherwise it is "
            "removed, because it makes the prompt caches of other servers useless."
        ),
        "context_management": About("Messages: accepts `context_management`; otherwise it is left out."),
        "streams": About("Can stream its answers."),
        "stream_only": About(
            "Can only stream; Switchyard builds an answer without streaming from the stream."
        ),
        "refused_betas": About(
            'Messages: values of `anthropic-beta` that are not passed on; `["*"]`: none is.', ["*"]
        ),
        "dropped_fields": About(
            "Fields that the upstream rejects: they are removed from the request. A dot leads into a "
            "field, `*` stands for every entry of a list, and `**` for any place.",
            ["metadata", "text.verbosity", "**.cache_control.ttl"],
        ),
        "refused_together": About(
            "Pairs that the upstream rejects in one request: the first of the two is left out.",
            ["thinking+forced_tool"],
        ),
        "bounds": About(
            "The lowest and highest values of fields; any other is replaced by the nearest.",
            ["top_p>=0.01", "top_p<=0.99"],
        ),
        "full_schemas": About(
            "Accepts any JSON schema for tools; otherwise references lose what stands beside them, `type` "
            "moves into the branches of unions, and every property has a type."
        ),
        "refused_keywords": About(
            "Keywords that the upstream rejects in the schemas of tools: `$ref` is resolved, `oneOf` "
            "becomes `anyOf`, `allOf` is merged, any other is removed.",
            ["format"],
        ),
        "consecutive_roles": About(
            "Accepts several messages of one role in a row; otherwise they become one."
        ),
        "json_object": About(
            "Chat: without `json_schema`, `json_object` is requested along with the instruction."
        ),
        "store": About("Accepts any value of `store`; otherwise it is set to `false`."),
    },
}
