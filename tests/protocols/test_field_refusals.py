"""Refusals in the words of public issue threads, in their own envelopes, and the first change that each leads to."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.passthrough import prepare as passthrough
from switchyard.protocols.refusals.limits import limits_in
from switchyard.protocols.request_summary import read_request_summary

REFUSALS: tuple[tuple[int, Any, Any], ...] = (
    (
        400,
        (
            "1 validation error for ChatCompletionRequest\nfunctions\n  Extra inputs are not "
            "permitted [type=extra_forbidden, input_value=[{'description': 'Get the...n'], "
            "'type': 'object'}}], input_type=list]\n    For further information visit "
            "https://errors.pydantic.dev/2.7/v/extra_forbidden"
        ),
        {"dropped_fields": ("functions",)},
    ),
    (
        400,
        (
            "2 validation errors for ChatCompletionRequest\ntool_choice\n  Extra inputs are "
            "not permitted [type=extra_forbidden, input_value='auto', input_type=str]\n    "
            "For further information visit https://errors.pydantic.dev/2.7/v/extra_forbidden\n"
            "tools\n  Extra inputs are not permitted [type=extra_forbidden, input_value=[{}], "
            "input_type=list]"
        ),
        {"forced_tool_choice": False},
    ),
    (
        400,
        (
            "[{'type': 'extra_forbidden', 'loc': ('body', 'tool_choice'), 'msg': 'Extra "
            "inputs are not permitted', 'input': 'auto'}, {'type': 'extra_forbidden', 'loc': "
            "('body', 'tools'), 'msg': 'Extra inputs are not permitted', 'input': [{'type': "
            "'function', 'function': {'name': 'get_weather'}}]}]"
        ),
        {"forced_tool_choice": False},
    ),
    (
        400,
        (
            "[{'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, Currently only "
            "named tools are supported.', 'input': {}}]"
        ),
        None,
    ),
    (
        400,
        ("Kwargs ['reasoning_effort'] are not supported by `MistralCommonTokenizer.apply_chat_template`."),
        {"reasoning_effort": "none"},
    ),
    (
        400,
        {
            "error": {
                "message": (
                    "Function tools with reasoning_effort are not supported for gpt-5.4 in "
                    "/v1/chat/completions. Please use /v1/responses instead."
                ),
                "type": "invalid_request_error",
                "param": "reasoning_effort",
                "code": None,
            }
        },
        {"refused_together": ("thinking+tools",)},
    ),
    (
        400,
        {
            "error": {
                "message": (
                    "Unsupported value: 'temperature' does not support 0 with this model. Only the "
                    "default (1) value is supported."
                ),
                "type": "invalid_request_error",
                "param": "temperature",
                "code": "unsupported_value",
            }
        },
        {"dropped_fields": ("temperature",)},
    ),
    (
        400,
        {
            "error": {
                "cause": (
                    '{\n "error": {\n "message": "Unsupported value: \'temperature\' does not support '
                    '0.1 with this model. Only the default (1) value is supported.",\n "type": '
                    '"invalid_request_error",\n "param": "temperature",\n "code": "unsupported_value"\n '
                    "}\n}"
                ),
                "code": 400,
                "message": "模型服务调用失败",
                "status": "FAILED_RESPONSE",
            },
            "requestId": "xxx",
            "result": None,
        },
        {"dropped_fields": ("temperature",)},
    ),
    (
        400,
        (
            "litellm.BadRequestError: OpenAIException - Unsupported value: 'temperature' "
            "does not support 0.2 with this model. Only the default (1) value is supported."
        ),
        {"dropped_fields": ("temperature",)},
    ),
    (400, {"detail": "Unsupported parameter: max_output_tokens"}, {"dropped_fields": ("max_output_tokens",)}),
    (
        400,
        {"error": {"message": "Unknown parameter: 'reasoning_effort'.", "code": "unknown_parameter"}},
        {"reasoning_effort": "none"},
    ),
    (
        400,
        (
            "[openai/gpt-5-mini] [400]: Unsupported value: 'temperature' does not support "
            "0.16 with this model. Only the default (1) (reset after 12s)"
        ),
        {"dropped_fields": ("temperature",)},
    ),
    (
        400,
        (
            "[openai/gpt-5.4] [400]: Unsupported parameter: 'max_tokens' is not supported "
            "with this model. Use 'max_completion_tokens' instead. (reset after 23s)"
        ),
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (400, {"detail": "Store must be set to false"}, {"store": False}),
    (400, {"detail": "Stream must be set to true"}, {"stream_only": True}),
    (400, {"detail": "Instructions are not valid"}, None),
    (
        500,
        (
            "thinking: Extra inputs are not permitted (Service: BedrockRuntime, Status Code: "
            "400, Request ID: 4784b6ca)"
        ),
        {"dropped_fields": ("thinking",)},
    ),
    (
        400,
        {
            "error": {
                "message": (
                    'litellm.BadRequestError: BedrockException - {"message":"The model returned the '
                    'following errors: guardrails: Extra inputs are not permitted"}. Received Model '
                    "Group=us.anthropic.claude-sonnet-4-20250514-v1:0\nAvailable Model Group "
                    "Fallbacks=None"
                ),
                "type": None,
                "param": None,
                "code": "400",
            }
        },
        None,
    ),
    (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": (
                    "litellm.BadRequestError: BedrockException - "
                    '{"message":"thinking.adaptive.block_binding: Extra inputs are not permitted"}. '
                    "Received Model Group=bedrock-fable\nAvailable Model Group Fallbacks=None"
                ),
            },
        },
        {"dropped_fields": ("thinking.adaptive.block_binding",)},
    ),
    (
        400,
        {
            "statusCode": "BadRequest",
            "response": {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "messages.3.content.0: Invalid `signature` in `thinking` block",
                },
            },
        },
        "strip",
    ),
    (
        400,
        (
            '"thinking.type.enabled" is not supported for this model. Use '
            '"thinking.type.adaptive" and "output_config.effort" to control thinking '
            "behavior."
        ),
        {"reasoning_effort": "adaptive", "thinking_budgets": False},
    ),
    (400, {"message": "invalid beta flag"}, {"refused_betas": ("*",)}),
    (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "temperature and top_p cannot both be specified for this model. Please use only one.",
            },
            "request_id": "req_1",
        },
        {"refused_together": ("top_p+temperature",)},
    ),
    (
        400,
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
        {"refused_together": ("top_p+temperature",)},
    ),
    (400, "`temperature` is deprecated for this model.", {"dropped_fields": ("temperature",)}),
    (
        400,
        (
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our "
            "documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thin"
            "king#max-tokens-and-context-window-size"
        ),
        None,
    ),
    (
        400,
        (
            "This model does not support assistant message prefill. The conversation must "
            "end with a user message."
        ),
        None,
    ),
    (
        400,
        (
            "Error from provider (DeepSeek): Invalid max_tokens value, the valid range of "
            "max_tokens is [1, 393216]"
        ),
        {"max_output_tokens": 393216},
    ),
    (
        400,
        (
            "Error from provider (Console Go): Upstream request failed: "
            "[invalid_request_error] Invalid max_tokens value, the valid range of max_tokens "
            "is [1, 393216]"
        ),
        {"max_output_tokens": 393216},
    ),
    (
        400,
        {
            "error": {
                "message": "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_request_error",
            }
        },
        {"max_output_tokens": 8192},
    ),
    (
        400,
        (
            'openai adapter status=400 body={"error":{"message":"Invalid max_tokens value, '
            'the valid range of max_tokens is [1, 8192]","type":"invalid_request_error","para'
            'm":null,"code":"invalid_request_error"}}'
        ),
        {"max_output_tokens": 8192},
    ),
    (500, {"code": 500, "message": "Unsupported param: tools", "type": "server_error"}, None),
    (
        500,
        {"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}},
        None,
    ),
    (400, {"error": "codellama:latest does not support tools"}, None),
    (
        400,
        {"error": "Invalid tool_choice type: 'object'. Supported string values: none, auto, required"},
        {"forced_tool_choice": False},
    ),
    (400, {"error": "'response_format.type' must be 'json_schema'"}, None),
    (400, {"error": "'response_format.type' must be 'json_schema' or 'text'"}, None),
    (
        400,
        {
            "error": {
                "message": (
                    "'messages.1' : for 'role:assistant' the following must be "
                    "satisfied[('messages.1' : property 'reasoning_content' is unsupported)]"
                ),
                "type": "invalid_request_error",
            }
        },
        {"dropped_fields": ("messages.*.reasoning_content",)},
    ),
    (
        400,
        {
            "error": {
                "message": "property 'reasoning' is unsupported",
                "type": "invalid_request_error",
                "param": "",
                "code": "",
            }
        },
        {"reasoning_effort": "none"},
    ),
    (
        400,
        {
            "message": (
                "messages.2.assistant.reasoning_content: property "
                "'messages.2.assistant.reasoning_content' is unsupported"
            ),
            "type": "invalid_request_error",
            "param": "validation_error",
            "code": "wrong_api_format",
        },
        {"dropped_fields": ("messages.*.assistant.reasoning_content",)},
    ),
    (
        422,
        {
            "object": "error",
            "message": {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "messages", 31, "assistant", "reasoning_content"],
                        "msg": "Extra inputs are not permitted",
                        "input": "\n",
                    }
                ]
            },
            "type": "invalid_request_error",
        },
        {"dropped_fields": ("messages.*.assistant.reasoning_content",)},
    ),
    (
        422,
        {
            "object": "error",
            "message": (
                '{"detail":[{"type":"extra_forbidden","loc":["body","frequency_penalty"],"msg":"E'
                'xtra inputs are not permitted","input":0.0,"url":"https://errors.pydantic.dev/2.'
                '5/v/extra_forbidden"}]}'
            ),
            "type": "internal_error_proxy",
            "param": None,
            "code": "1000",
        },
        {"dropped_fields": ("frequency_penalty",)},
    ),
    (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "messages", 5, "assistant", "reasoning_content"],
                    "msg": "Extra inputs are not permitted",
                    "input": "x",
                }
            ]
        },
        {"dropped_fields": ("messages.*.assistant.reasoning_content",)},
    ),
    (
        400,
        (
            'API Error: 400 {"error":{"message":"Error from '
            "provider(Groq,moonshotai/kimi-k2-instruct: 400): "
            '{\\"error\\":{\\"message\\":\\"property \'reasoning\' is '
            'unsupported\\",\\"type\\":\\"invalid_request_error\\"}}\\nError: ..."}}'
        ),
        {"reasoning_effort": "none"},
    ),
    (
        400,
        {
            "code": "InvalidParameter",
            "message": "parameter.enable_thinking must be set to false for non-streaming calls",
            "request_id": "x",
        },
        {"stream_only": True},
    ),
    (
        400,
        {
            "error": {
                "code": "invalid_parameter_error",
                "message": "enable thinking can not be support when `stream=False`.",
                "type": "invalid_request_error",
            },
            "request_id": "x",
        },
        {"stream_only": True},
    ),
    (
        400,
        {
            "error": {
                "code": "invalid_parameter_error",
                "param": None,
                "message": "parameter.enable_thinking必须设置为false才能进行非流式调用",
                "type": "invalid_request_error",
            }
        },
        {"stream_only": True},
    ),
    (
        400,
        ("This model only support stream mode, please enable the stream parameter to access the model."),
        {"stream_only": True},
    ),
    (
        400,
        (
            "<400> InternalError.Algo.InvalidParameter: The tool_choice parameter does not "
            "support being set to required or object in thinking mode"
        ),
        {"refused_together": ("thinking+forced_tool",)},
    ),
    (400, "Range of max_tokens should be [1, 8192]", {"max_output_tokens": 8192}),
    (
        400,
        (
            "<400> InternalError.Algo.InvalidParameter: 'messages' must contain the word "
            "'json' in some form, to use 'response_format' of type 'json_object'."
        ),
        None,
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": (
                        'Invalid JSON payload received. Unknown name "additionalProperties" at '
                        "'tools[0].function_declarations[8].parameters.properties[1].value.items': "
                        "Cannot find field."
                    ),
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        {"refused_keywords": ("additionalProperties",)},
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": (
                        'Invalid JSON payload received. Unknown name "$schema" at '
                        "'tools[0].function_declarations[0].parameters': Cannot find field.\nInvalid JSON "
                        'payload received. Unknown name "additionalProperties" at '
                        "'tools[0].function_declarations[0].parameters': Cannot find field.\nInvalid JSON "
                        'payload received. Unknown name "propertyNames" at '
                        "'tools[0].function_declarations[1].parameters.properties[1].value': Cannot find "
                        "field."
                    ),
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        {"refused_keywords": ("$schema",)},
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": (
                        'Invalid JSON payload received. Unknown name "const" at '
                        "'tools[0].function_declarations[5].parameters.properties[8].value.any_of[0]': "
                        "Cannot find field."
                    ),
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        {"refused_keywords": ("const",)},
    ),
    (
        400,
        (
            'Invalid JSON payload received. Unknown name "type" at '
            "'tools[0].function_declarations[93].parameters.properties[4].value': Proto "
            "field is not repeating, cannot start list."
        ),
        {"full_schemas": False},
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": (
                        "Function call is missing a thought_signature in functionCall parts. This is "
                        "required for tools to work correctly"
                    ),
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        None,
    ),
    (
        400,
        {
            "error": {
                "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
                "code": 400,
            }
        },
        {"dropped_fields": ("seed",)},
    ),
    (
        400,
        {
            "error": {
                "message": (
                    "thinking is enabled but reasoning_content is missing in assistant tool call "
                    "message at index 2"
                ),
                "type": "invalid_request_error",
            }
        },
        {"reasoning_history": "required"},
    ),
    (
        400,
        {
            "error": {
                "message": "tool_choice 'specified' is incompatible with thinking enabled",
                "type": "invalid_request_error",
            }
        },
        {"refused_together": ("thinking+forced_tool",)},
    ),
    (
        400,
        {
            "error": {
                "message": "invalid temperature: only 1 is allowed for this model",
                "type": "invalid_request_error",
            }
        },
        {"dropped_fields": ("temperature",)},
    ),
    (400, {"error": {"code": "1214", "message": "messages 参数非法。请检查文档。"}}, None),
    (
        400,
        {
            "error": {
                "message": "The reasoning_content in the thinking mode must be passed back to the API.",
                "type": "invalid_request_error",
            }
        },
        {"reasoning_history": "required"},
    ),
    (
        400,
        {
            "error": {
                "message": "deepseek-reasoner does not support this tool_choice",
                "type": "invalid_request_error",
            }
        },
        {"forced_tool_choice": False},
    ),
    (
        404,
        {
            "error": {
                "message": (
                    "No endpoints found that support tool use. To learn more about provider routing, "
                    "visit: https://openrouter.ai/docs/provider-routing"
                ),
                "code": 404,
            }
        },
        None,
    ),
    (
        404,
        {
            "error": {
                "message": "No endpoints found that support the provided 'tool_choice' value.",
                "code": 404,
            }
        },
        {"forced_tool_choice": False},
    ),
    (
        404,
        {"error": {"message": "No endpoints found that support image input", "code": 404}},
        {"images": False},
    ),
    (
        400,
        {
            "error": {
                "message": "Reasoning is mandatory for this endpoint and cannot be disabled.",
                "code": 400,
            }
        },
        {
            "efforts": (
                "minimal",
                "low",
                "medium",
                "high",
                "xhigh",
                "max",
            )
        },
    ),
)


@pytest.mark.parametrize(("status", "body", "expected"), REFUSALS)
def test_a_refusal_of_the_field_leads_to_its_change(status: int, body: Any, expected: Any) -> None:
    """None: nothing that is sent can be changed without changing what is meant."""
    raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    first = next(iter(limits_in(decode_error(status, raw), Capabilities(), 0)), None)
    learned = None if first is None else "strip" if first.strip_thinking else dict(first.capabilities)
    assert learned == expected


@pytest.mark.parametrize("path", ["messages.*.assistant.reasoning_content", "messages.*.reasoning_content"])
def test_a_path_may_name_the_role_of_its_message(path: str) -> None:
    """Validators put the kind of a message between its number and its member."""
    said = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    asked = {"role": "user", "content": "More", "reasoning_content": "kept only here"}
    body = msgspec.json.encode({"model": "m", "messages": [said, asked]})
    target = Target("m", "issuer", Capabilities(dropped_fields=(path,)))
    passed = passthrough.prepare("chat", body, read_request_summary("chat", body, {}), target)
    first, second = msgspec.json.decode(passed.body)["messages"]
    assert first == {"role": "assistant", "content": "Hi"}
    assert ("reasoning_content" in second) is ("assistant" in path)
    assert [loss.field for loss in passed.losses] == [path]
