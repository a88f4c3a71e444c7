"""Refusals as real servers word them, and the first change that each must lead to; and those that must lead to none."""

from typing import Any

STRIP = "strip thinking"
BUDGET = {"reasoning_effort": "budget"}
NO_EFFORT = {"reasoning_effort": "none"}
NO_SCHEMA = {"json_schema": False}
OBJECT_ONLY = {"json_schema": False, "json_object": True}
NO_IMAGES = {"images": False}
STRINGS = {"content_parts": False}
STREAM = {"stream_only": True}
ALTERNATE = {"mid_system": False, "consecutive_roles": False}
SYSTEM_FIRST = {"mid_system": False}
UNFORCED = {"forced_tool_choice": False}
PLAIN_SCHEMAS = {"full_schemas": False}
NO_THINKING_WHEN_FORCED = {"refused_together": ("thinking+forced_tool",)}
SAMPLING_OR_THINKING = {"refused_together": ("sampling+thinking",)}
SOME_EFFORT = {"efforts": ("minimal", "low", "medium", "high", "xhigh", "max")}
LOW_TO_HIGH = {"efforts": ("low", "medium", "high")}

Case = tuple[str, dict[str, Any] | str]


def without(*paths: str) -> dict[str, Any]:
    return {"dropped_fields": paths}


def keywords(*names: str) -> dict[str, Any]:
    return {"refused_keywords": names}


def bounds(*bounds: str) -> dict[str, Any]:
    return {"bounds": bounds}


OPENAI: tuple[Case, ...] = (
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
        "supported.",
        without("temperature"),
    ),
    (
        "Unrecognized request argument supplied: max_completion_tokens",
        {"max_tokens_field": "max_tokens"},
    ),
    ("Unsupported parameter: 'top_p' is not supported with this model.", without("top_p")),
    ("Unsupported parameter: 'stop' is not supported with this model.", {"stop": False}),
    (
        "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
        {"parallel_tool_calls": False},
    ),
    ("Unrecognized request argument supplied: reasoning_effort", {"reasoning_effort": "none"}),
    (
        "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: "
        "'low', 'medium', and 'high'.",
        {"efforts": ("low", "medium", "high")},
    ),
    (
        "Unsupported value: 'reasoning.effort' does not support 'max' with this model. Supported values are: "
        "'none', 'low', 'medium', 'high', and 'xhigh'.",
        {"efforts": ("none", "low", "medium", "high", "xhigh")},
    ),
    (
        "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
        {"developer_role": False},
    ),
    ("Unrecognized request argument supplied: stream_options", {"include_usage": False}),
    (
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        {"json_schema": False},
    ),
    ("Unknown parameter: 'prompt_cache_key'.", {"dropped_fields": ("prompt_cache_key",)}),
    ("Unrecognized request argument supplied: verbosity", {"dropped_fields": ("verbosity",)}),
    ("Unsupported parameter: safety_identifier", {"dropped_fields": ("safety_identifier",)}),
    ("No endpoints found that support image input", {"images": False}),
    ("Invalid content type. image_url is only supported by certain models.", {"images": False}),
    (
        "The encrypted content gAAAAABo could not be verified. Reason: Encrypted content could not be decrypted "
        "or parsed.",
        STRIP,
    ),
    ("Item 'rs_1' of type 'reasoning' was provided without its required following item.", STRIP),
    (
        "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'.",
        STRIP,
    ),
    (
        "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false. Try again with "
        "`store` set to true, or remove this item from your input.",
        STRIP,
    ),
    (
        "Invalid value: 'namespace'. Supported values are: 'function', 'web_search', 'custom'.",
        {"responses_items": False, "custom_tools": False},
    ),
    (
        "Invalid value: 'configuration_update'. Supported values are: 'message', 'reasoning', 'function_call'.",
        {"effort_in_messages": False},
    ),
    (
        "Items of type 'configuration_update' are not supported with this model.",
        {"effort_in_messages": False},
    ),
)
VLLM: tuple[Case, ...] = (
    (
        "[{'type': 'extra_forbidden', 'loc': ('body', 'reasoning_effort'), 'msg': 'Extra inputs are not "
        "permitted', 'input': 'high'}]",
        {"reasoning_effort": "none"},
    ),
    (
        "[{'type': 'extra_forbidden', 'loc': ('body', 'prompt_cache_key'), 'msg': 'Extra inputs are not "
        "permitted', 'input': 's'}]",
        {"dropped_fields": ("prompt_cache_key",)},
    ),
    (
        "1 validation error:\n  {'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra "
        "inputs are not permitted', 'input': {'include_usage': True}}",
        {"include_usage": False},
    ),
    ("System message must be at the beginning.", {"mid_system": False}),
    ("Conversation roles must alternate user/assistant/user/assistant/...", ALTERNATE),
    ("Qwen2.5-7B is not a multimodal model", {"images": False}),
    ("At most 0 image(s) may be provided in one prompt.", {"images": False}),
    ("Unexpected role: developer", {"developer_role": False}),
)
LLAMA_CPP: tuple[Case, ...] = (
    (
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        {"images": False},
    ),
    ("Jinja Exception: System message must be at the beginning.", {"mid_system": False}),
    ("Unsupported param: top_k", {"top_k": False}),
    ("Unsupported param: logit_bias", {"dropped_fields": ("logit_bias",)}),
)
OLLAMA: tuple[Case, ...] = (
    ('"qwen2.5:7b" does not support thinking', {"reasoning_effort": "none"}),
    ('think value "high" is not supported for this model', {"reasoning_effort": "none"}),
    ('json: unknown field "metadata"', {"dropped_fields": ("metadata",)}),
    ("this model does not support image input", {"images": False}),
)
DEEPSEEK: tuple[Case, ...] = (
    (
        "The reasoning_content in the thinking mode must be passed back to the API.",
        {"reasoning_history": "required"},
    ),
    (
        "Missing `reasoning_content` field in the assistant message at message index 2",
        {"reasoning_history": "required"},
    ),
    (
        "Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant "
        "`developer`, expected one of `system`, `user`, `assistant`, `tool`",
        {"developer_role": False},
    ),
    (
        "Failed to deserialize the JSON body into the target type: messages[1]: unknown variant `image_url`, "
        "expected `text`",
        {"images": False},
    ),
    ("This response_format type is unavailable now", {"json_schema": False}),
)
ANTHROPIC: tuple[Case, ...] = (
    ("messages.1.content.0: Invalid `signature` in `thinking` block", STRIP),
    (
        "messages.3.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
        "`thinking` is enabled, a final `assistant` message must start with a thinking block",
        STRIP,
    ),
    (
        "messages.1.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot "
        "be modified. These blocks must remain as they were in the original response.",
        STRIP,
    ),
    ("adaptive thinking is not supported on this model", {"reasoning_effort": "budget"}),
    (
        "thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags: 'disabled', "
        "'enabled'",
        {"reasoning_effort": "budget"},
    ),
    (
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.',
        {"reasoning_effort": "adaptive", "thinking_budgets": False},
    ),
    ("This model does not support the effort parameter.", {"reasoning_effort": "budget"}),
    ("output_config: Extra inputs are not permitted", {"reasoning_effort": "budget"}),
    ("context_management: Extra inputs are not permitted", {"context_management": False}),
    ("messages.0.content.0.cache_control: Extra inputs are not permitted", {"cache_control": False}),
    ("messages.1.role: Input should be 'user' or 'assistant'", {"mid_system": False}),
    (
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not '
        '"system" as an input message role.',
        {"mid_system": False},
    ),
    (
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        {"refused_together": ("top_p+temperature",)},
    ),
    ("`temperature` is deprecated for this model.", without("temperature")),
    ("service_tier: Extra inputs are not permitted", {"dropped_fields": ("service_tier",)}),
    ("invalid beta flag", {"refused_betas": ("*",)}),
    (
        "Unexpected value(s) `effort-2025-11-24`, `new-1` for the `anthropic-beta` header. Please consult our "
        "documentation",
        {"refused_betas": ("effort-2025-11-24", "new-1")},
    ),
)
MORE_OF_OPENAI: tuple[Case, ...] = (
    ("Unsupported parameter: 'text.verbosity' is not supported with this model.", without("text.verbosity")),
    (
        "Unsupported value: 'text.verbosity' does not support 'low' with this model. Supported values "
        "are: 'medium'.",
        without("text.verbosity"),
    ),
    (
        "Unsupported parameter: 'reasoning.summary' is not supported with this model.",
        without("reasoning.summary"),
    ),
    (
        "Unsupported parameter: 'prompt_cache_retention' is not supported with this model.",
        without("prompt_cache_retention"),
    ),
    ("Invalid 'input[1].id': 'item_a4c1'. Expected an ID that begins with 'rs'.", without("input.*.id")),
    (
        "Invalid 'messages[2].name': string does not match pattern. Expected a string that matches the "
        "pattern '^[^\\s<|>]+$'.",
        without("messages.*.name"),
    ),
    (
        "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, but got 80 instead.",
        without("prompt_cache_key"),
    ),
    (
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 5 instead.",
        bounds("max_output_tokens>=16"),
    ),
    (
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 1, but got 1.5 instead.",
        {"max_temperature": 1.0},
    ),
    (
        "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 5, but got 20 instead.",
        bounds("top_logprobs<=5"),
    ),
    (
        "Function tools with reasoning_effort are not supported for gpt-6 in /v1/chat/completions. Please "
        "use /v1/responses instead.",
        {"refused_together": ("thinking+tools",)},
    ),
    (
        "Unsupported parameter: 'temperature' is not supported with reasoning_effort other than 'none'.",
        SAMPLING_OR_THINKING,
    ),
    ("Unknown parameter: 'messages[1].reasoning_content'.", without("messages.*.reasoning_content")),
    ("Unknown parameter: 'input[3].namespace_hint'.", without("input.*.namespace_hint")),
    ("Unknown parameter: 'tools[0].function.cache'.", without("tools.*.function.cache")),
    ("Unrecognized request arguments supplied: top_k, min_p", without("top_k", "min_p")),
    ("Store must be set to false", {"store": False}),
    ("Stream must be set to true", STREAM),
    (
        "Invalid schema for function 'look': In context=('properties', 'x'), 'oneOf' is not permitted.",
        keywords("oneOf"),
    ),
    (
        "Invalid schema for function 'look': schema must be a JSON Schema of 'type: \"object\"', got "
        "'type: \"None\"'.",
        PLAIN_SCHEMAS,
    ),
    (
        "Invalid schema for function 'look': schema must have type 'object' and not have "
        "'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.",
        PLAIN_SCHEMAS,
    ),
)
AZURE: tuple[Case, ...] = (
    ("Unrecognized request argument supplied: parallel_tool_calls", {"parallel_tool_calls": False}),
    (
        "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later",
        NO_SCHEMA,
    ),
    (
        "Unsupported parameter: 'prompt_cache_key' is not supported with this model.",
        without("prompt_cache_key"),
    ),
    ("The requested parameter 'service_tier' is not supported for this deployment.", without("service_tier")),
)
MORE_OF_ANTHROPIC: tuple[Case, ...] = (
    ("messages.1.output_config: Extra inputs are not permitted", {"effort_in_messages": False}),
    ("messages.14.output_config.effort: Extra inputs are not permitted", {"effort_in_messages": False}),
    (
        "[{'type': 'extra_forbidden', 'loc': ('body', 'messages', 1, 'system', 'output_config'), "
        "'msg': 'Extra inputs are not permitted'}]",
        {"effort_in_messages": False},
    ),
    ("system.0.cache_control.ttl: Extra inputs are not permitted", without("**.cache_control.ttl")),
    (
        "messages.0.content.0.text.cache_control.scope: Extra inputs are not permitted",
        without("**.cache_control.scope"),
    ),
    ("thinking.adaptive.display: Extra inputs are not permitted", without("thinking.adaptive.display")),
    ("output_config.effort: Extra inputs are not permitted", without("output_config.effort")),
    ("output_config.format: Extra inputs are not permitted", NO_SCHEMA),
    ("tools.0.custom.strict: Extra inputs are not permitted", without("tools.*.custom.strict")),
    ("tools.0.custom.defer_loading: Extra inputs are not permitted", without("tools.*.custom.defer_loading")),
    ("metadata.user_id: String should have at most 256 characters", without("metadata.user_id")),
    ("output_config.effort: Input should be 'low', 'medium' or 'high'", LOW_TO_HIGH),
    ("Thinking may not be enabled when tool_choice forces tool use.", NO_THINKING_WHEN_FORCED),
    (
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
        SAMPLING_OR_THINKING,
    ),
    (
        "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
        SAMPLING_OR_THINKING,
    ),
    ("`top_k` must be unset when thinking is enabled.", SAMPLING_OR_THINKING),
    ("temperature: range: 0..1", {"max_temperature": 1.0}),
    (
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        bounds("thinking.budget_tokens>=1024"),
    ),
    (
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
        PLAIN_SCHEMAS,
    ),
    ("tools.2.custom.input_schema.type: Field required", PLAIN_SCHEMAS),
    ("Thought signature is not valid", STRIP),
    ("messages.1.content.0.thinking.signature: Field required", STRIP),
    ("context_management.edits: Extra inputs are not permitted", without("context_management.edits")),
    ("speed: Extra inputs are not permitted", without("speed")),
    ("fresh_field: Extra inputs are not permitted", without("fresh_field")),
)
BEDROCK_AND_VERTEX: tuple[Case, ...] = (
    (
        "tools.0.custom.eager_input_streaming: Extra inputs are not permitted",
        without("tools.*.custom.eager_input_streaming"),
    ),
    ("#: extraneous key [container] is not permitted", without("container")),
    (
        "The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use.",
        NO_THINKING_WHEN_FORCED,
    ),
    (
        "The model returned the following errors: `temperature` and `top_p` cannot both be specified for "
        "this model. Please use only one.",
        {"refused_together": ("top_p+temperature",)},
    ),
    (
        "cache_control.ephemeral.scope: Extra inputs are not permitted",
        without("**.cache_control.ephemeral.scope"),
    ),
)
MORE_OF_VLLM: tuple[Case, ...] = (
    ("effort must be one of: low medium high", LOW_TO_HIGH),
    (
        "1 validation error for ChatCompletionRequest\nreasoning_effort\n  Input should be 'low', "
        "'medium' or 'high' [type=literal_error, input_value='max', input_type=str]",
        LOW_TO_HIGH,
    ),
    (
        "2 validation errors for ChatCompletionRequest\nparallel_tool_calls\n  Extra inputs are not "
        "permitted [type=extra_forbidden, input_value=True, input_type=bool]",
        {"parallel_tool_calls": False},
    ),
    ("top_p must be in (0, 1], got 0.0.", bounds("top_p>=0.01", "top_p<=1")),
    (
        "temperature must be non-negative, got -1.0.; presence_penalty must be in [-2, 2], got 3.0.",
        bounds("presence_penalty>=-2", "presence_penalty<=2"),
    ),
    ("top_k must be 0 (disable), or at least 1, got -2.", bounds("top_k>=1")),
    (
        "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
        ALTERNATE,
    ),
    ("Only user and assistant roles are supported! Conversation roles must alternate.", ALTERNATE),
    ('can only concatenate str (not "list") to str', STRINGS),
    (
        "[{'type': 'string_type', 'loc': ('body', 'messages', 0, 'ChatCompletionUserMessageParam', "
        "'content', 'str'), 'msg': 'Input should be a valid string', 'input': [{'type': 'text'}]}]",
        STRINGS,
    ),
    ('tool_choice "required" is not supported by this model\'s tool parser', UNFORCED),
    (
        "[{'type': 'value_error', 'loc': ('body', 'tool_choice'), 'msg': 'Value error, Only \"auto\" is "
        "supported', 'input': 'required'}]",
        UNFORCED,
    ),
    ("The provided JSON schema contains features not supported by xgrammar.", PLAIN_SCHEMAS),
)
MORE_OF_LLAMA_CPP: tuple[Case, ...] = (
    ("Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/...", ALTERNATE),
    ('JSON schema conversion failed: Unrecognized schema: {"not":{}}', keywords("not")),
    ("Cannot use tools with stream", without()),
    ("unsupported content[].type", STRINGS),
    ("Unsupported param: n_probs", without("n_probs")),
    ("Streaming is not supported for this model", {"streams": False}),
    ("Missing 'content' must be a string", STRINGS),
)
MORE_OF_OLLAMA: tuple[Case, ...] = (
    ("json: cannot unmarshal array into Go struct field Message.messages.content of type string", STRINGS),
    ('invalid think value: "ultra" (must be "high", "medium", "low", true, or false)', LOW_TO_HIGH),
    ("this model is not a vision model and cannot process images", NO_IMAGES),
)
MORE_OF_DEEPSEEK: tuple[Case, ...] = (
    ("Thinking mode does not support this tool_choice", NO_THINKING_WHEN_FORCED),
    ("deepseek-reasoner does not support this tool_choice", UNFORCED),
    ("response_format.type: unknown variant `json_schema`, expected `text` or `json_object`", OBJECT_ONLY),
    (
        "Failed to deserialize the JSON body into the target type: messages[1].content: invalid type: "
        "sequence, expected a string at line 1 column 88",
        STRINGS,
    ),
    (
        "Failed to deserialize the JSON body into the target type: reasoning_effort: unknown variant "
        "`xhigh`, expected one of `low`, `medium`, `high`, `max`",
        {"efforts": ("low", "medium", "high", "max")},
    ),
    ("Invalid temperature value, the valid range of temperature is [0, 2.0]", without()),
    ("Invalid top_p value, the valid range of top_p is (0, 1.0]", bounds("top_p>=0.01", "top_p<=1")),
    ("The last message must be a user message, consecutive assistant messages are not supported", ALTERNATE),
    ("Does not support multiple user messages in a row: roles must alternate", ALTERNATE),
)
MOONSHOT: tuple[Case, ...] = (
    (
        "tools.0.function.parameters is not a valid moonshot flavored json schema, details: <At path "
        "'properties.x': when using $ref, type should be defined in the referenced schema>",
        PLAIN_SCHEMAS,
    ),
    (
        "Invalid request: tools.function.parameters is not a valid moonshot flavored json schema, "
        "details: <At path 'root': when using anyOf, type should be defined in anyOf items>",
        PLAIN_SCHEMAS,
    ),
    ("tool_choice 'specified' is incompatible with thinking enabled", NO_THINKING_WHEN_FORCED),
    (
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 3",
        {"reasoning_history": "required"},
    ),
    ("Invalid request: temperature must be at most 1", {"max_temperature": 1.0}),
    ("tool_choice 'required' is not supported", UNFORCED),
    ("invalid temperature: only 1 is allowed for this model", without("temperature")),
)
ZHIPU: tuple[Case, ...] = (
    ("tool_choice 目前只支持 auto", UNFORCED),
    ("temperature 参数非法，取值范围是 [0.0, 1.0]", {"max_temperature": 1.0}),
    ("不支持参数 parallel_tool_calls", {"parallel_tool_calls": False}),
    ("未知参数: prompt_cache_key", without("prompt_cache_key")),
    ("该接口不支持图片", NO_IMAGES),
    ("messages 参数非法，消息内容必须为字符串", STRINGS),
)
QWEN: tuple[Case, ...] = (
    ("parameter.enable_thinking must be set to false for non-streaming calls", STREAM),
    (
        "<400> InternalError.Algo.InvalidParameter: The tool_choice parameter does not support being set "
        "to required or object in thinking mode",
        NO_THINKING_WHEN_FORCED,
    ),
    ("This model only support stream mode, please enable the stream parameter to access the model.", STREAM),
    ("enable thinking can not be support when `stream=False`.", STREAM),
    (
        "<400> InternalError.Algo.InvalidParameter: Range of top_p should be (0.0, 1.0]",
        bounds("top_p>=0.01", "top_p<=1"),
    ),
    (
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        without(),
    ),
    ("Role must be in [user, assistant, system]: 'developer' is not one of them", {"developer_role": False}),
    (
        "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [16, 8192]",
        bounds("max_tokens>=16", "max_tokens<=8192"),
    ),
    (
        "json mode response is not supported when enable_thinking is true",
        {"refused_together": ("json_schema+thinking",)},
    ),
)
MINIMAX: tuple[Case, ...] = (
    ("invalid params, unknown field `thinking`", NO_EFFORT),
    ("invalid params, role 'developer' is not supported", {"developer_role": False}),
    ("invalid params, temperature should be in (0.0, 1.0]", bounds("temperature>=0.01", "temperature<=1")),
    ("invalid params, tool_choice is not supported", UNFORCED),
)
GROQ: tuple[Case, ...] = (
    ("property 'store' is unsupported", without("store")),
    ("property 'messages[1].reasoning' is unsupported", without("messages.*.reasoning")),
    (
        "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
        "'reasoning_content' is unsupported)]",
        without("messages.*.reasoning_content"),
    ),
    ("json mode cannot be combined with tool/function calling", {"refused_together": ("json_schema+tools",)}),
    ("response_format `json_schema` is not supported with this model", NO_SCHEMA),
    ("`reasoning_effort` must be one of `none` or `default`", {"efforts": ("none",)}),
    ("'messages.0.content' : value must be a string", STRINGS),
)
OPENROUTER: tuple[Case, ...] = (
    ("No endpoints found that support the provided 'tool_choice' value.", UNFORCED),
    ("No endpoints found that support input images", NO_IMAGES),
    ("Unrecognized key(s) in object: 'prompt_cache_key'", without("prompt_cache_key")),
    ("Reasoning is mandatory for this endpoint and cannot be disabled.", SOME_EFFORT),
)
GOOGLE: tuple[Case, ...] = (
    ('Invalid JSON payload received. Unknown name "store": Cannot find field.', without("store")),
    (
        'Invalid JSON payload received. Unknown name "$ref" at '
        "'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field.",
        keywords("$ref"),
    ),
    (
        'Invalid JSON payload received. Unknown name "exclusiveMinimum" at '
        "'tools[0].function_declarations[0].parameters': Cannot find field.",
        keywords("exclusiveMinimum"),
    ),
    (
        'Invalid JSON payload received. Unknown name "prompt_cache_key": Cannot find field.',
        without("prompt_cache_key"),
    ),
    (
        "* GenerateContentRequest.tools[0].function_declarations[2].parameters.properties[when].format: "
        "only 'enum' and 'date-time' are supported for STRING type",
        keywords("format"),
    ),
    (
        "Function calling with a response mime type: 'application/json' is unsupported",
        {"refused_together": ("json_schema+tools",)},
    ),
)
TGI: tuple[Case, ...] = (
    ("Input validation error: `temperature` must be strictly positive", bounds("temperature>=0.01")),
    ("Input validation error: `top_p` must be > 0.0 and < 1.0", bounds("top_p>=0.01", "top_p<=0.99")),
    (
        "Template error: invalid operation: Conversation roles must alternate user/assistant/user/assistant",
        ALTERNATE,
    ),
    (
        "Failed to deserialize the JSON body into the target type: tool_choice: unknown variant `required`",
        UNFORCED,
    ),
    (
        "Failed to deserialize the JSON body into the target type: unknown field `metadata`, expected one "
        "of `model`, `messages`",
        without("metadata"),
    ),
)
FASTCHAT: tuple[Case, ...] = (
    ("1.5 is greater than the maximum of 1 - 'temperature'", {"max_temperature": 1.0}),
    ("0 is less than the minimum of 1 - 'top_k'", bounds("top_k>=1")),
    ("create_chat_completion() got an unexpected keyword argument 'tools_format'", without("tools_format")),
    (
        "1 validation error for ChatCompletionRequest\nmessages -> 0 -> content\n  str type expected "
        "(type=type_error.str)",
        STRINGS,
    ),
)
LITELLM: tuple[Case, ...] = (
    (
        "litellm.UnsupportedParamsError: groq does not support parameters: ['parallel_tool_calls', "
        "'user'], for model=x. To drop these, set `litellm.drop_params=True`",
        without("parallel_tool_calls", "user"),
    ),
    (
        "litellm.UnsupportedParamsError: ollama does not support parameters: ['logit_bias'], for model=x.",
        without("logit_bias"),
    ),
    (
        "litellm.BadRequestError: AnthropicException - "
        '{"type":"error",'
        '"error":{"type":"invalid_request_error","message":"messages.1.output_config: '
        'Extra inputs are not permitted"}}',
        {"effort_in_messages": False},
    ),
    (
        "litellm.BadRequestError: OpenAIException - Unsupported parameter: 'safety_identifier' is not "
        "supported with this model.",
        without("safety_identifier"),
    ),
    (
        "Error code: 400 - {'error': {'message': \"Unknown parameter: 'client_metadata'.\", 'type': "
        "'invalid_request_error'}}",
        without("client_metadata"),
    ),
)
NEW_API: tuple[Case, ...] = (
    ("Unknown parameter: 'store'. (request id: 20261127)", without("store")),
    (
        "status_code=400, thinking.adaptive.display: Extra inputs are not permitted (request id: 2026)",
        without("thinking.adaptive.display"),
    ),
    (
        'Error from provider (x,y: 400): {"error":{"message":"Unsupported parameter: \'user\'"}}',
        without("user"),
    ),
    ('json: unknown field "safety_identifier"', without("safety_identifier")),
)
SERVERS: dict[str, tuple[Case, ...]] = {
    "openai": (*OPENAI, *MORE_OF_OPENAI),
    "azure": AZURE,
    "anthropic": (*ANTHROPIC, *MORE_OF_ANTHROPIC),
    "bedrock": BEDROCK_AND_VERTEX,
    "vllm": (*VLLM, *MORE_OF_VLLM),
    "llama.cpp": (*LLAMA_CPP, *MORE_OF_LLAMA_CPP),
    "ollama": (*OLLAMA, *MORE_OF_OLLAMA),
    "deepseek": (*DEEPSEEK, *MORE_OF_DEEPSEEK),
    "moonshot": MOONSHOT,
    "zhipu": ZHIPU,
    "qwen": QWEN,
    "minimax": MINIMAX,
    "groq": GROQ,
    "openrouter": OPENROUTER,
    "google": GOOGLE,
    "tgi": TGI,
    "fastchat": FASTCHAT,
    "litellm": LITELLM,
    "new-api": NEW_API,
}
NOTHING: tuple[str, ...] = (
    "max_tokens must be at least 1, got -1000.",
    "messages: at least one message is required",
    "messages: field required",
    '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    "registry.ollama.ai/library/gemma:2b does not support tools",
    "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png'].",
    "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 7 bytes > 5 bytes",
    "Invalid schema for response_format 'answer': 'additionalProperties' is required to be supplied",
    "Invalid schema for function 'custom': In context=(), 'x' is not valid",
    "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
    "Your credit balance is too low to access the API.",
    "Unknown parameter: 'messages'.",
    "no idea what you mean",
    # what the user wrote
    "the prompt contains 'temperature is not supported'",
    "Content filter: the request contains \"Unsupported parameter: 'top_p'\"",
    "The response was blocked by the content policy: 'images are not supported here'",
    "Your message was flagged: Unknown parameter: 'store'",
    "Input text says: Stream must be set to true",
    'Could not parse the document "thinking is not supported with tool_choice"',
    "Bad request near `role developer is not supported by us`",
    "Invalid body: {'content': 'Unsupported parameter: temperature'",
    "The user asks why 'reasoning_effort' is unknown",
    "提示词包含违规内容：不支持图片",
    "Prompt violates the usage policy: cache_control: Extra inputs are not permitted",
    # names that the request gave
    "Tool 'temperature' is not supported",
    "Unknown tool: get_temperature",
    "Tool get_temperature is not available in this session",
    "Function 'stop' is unknown",
    "Unknown function: top_p",
    "The model `x-thinking` is not supported on this plan",
    "x-thinking is not supported in your region",
    "Deployment 'developer' is not available",
    "model vendor/deep-thinking is not supported",
    "get_temperature does not support an empty city",
    "No tool named 'cache_control' is allowed here",
    "agent 'reasoning' is unknown",
    # trouble of the server itself
    "Unknown error while streaming",
    "Unexpected end of stream",
    "The reasoning service is temporarily unavailable",
    "Unknown error in the thinking engine",
    "Unexpected stop of the worker",
    "I think this is not supported",
    "Unexpected internal error: tool_choice processing",
    # nothing to be done about it
    "Invalid value: 'x'. Supported values are: 'a' and 'b'.",
    "tool_use ids were found without tool_result blocks immediately after: toolu_1",
    "messages.2: all messages must have non-empty content except for the optional final assistant message",
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
    "Function call is missing a thought_signature in functionCall parts.",
    "messages.1.content.0.text: Field required",
    "tools.0.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    "Invalid base64 data in image_url",
    "This endpoint requires a paid plan",
)
