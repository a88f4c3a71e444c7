"""What is learned from the refusals of real servers: their words as a table."""

from typing import Any

import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.protocols.refusals import LearnedLimit, learned_from

STRIP = "strip thinking"

Case = tuple[str, dict[str, Any] | str]

OPENAI: tuple[Case, ...] = (
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
        "supported.",
        {"sampling": False},
    ),
    (
        "Unrecognized request argument supplied: max_completion_tokens",
        {"max_tokens_field": "max_tokens"},
    ),
    ("Unsupported parameter: 'top_p' is not supported with this model.", {"sampling": False}),
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
    ("Conversation roles must alternate user/assistant/user/assistant/...", {"mid_system": False}),
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
    ("messages.1.output_config: Extra inputs are not permitted", {"effort_in_messages": False}),
    ("messages.14.output_config.effort: Extra inputs are not permitted", {"effort_in_messages": False}),
    (
        "[{'type': 'extra_forbidden', 'loc': ('body', 'messages', 1, 'system', 'output_config'), "
        "'msg': 'Extra inputs are not permitted'}]",
        {"effort_in_messages": False},
    ),
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
        {"sampling": False},
    ),
    ("`temperature` is deprecated for this model.", {"sampling": False}),
    ("service_tier: Extra inputs are not permitted", {"dropped_fields": ("service_tier",)}),
    ("invalid beta flag", {"refused_betas": ("*",)}),
    (
        "Unexpected value(s) `effort-2025-11-24`, `new-1` for the `anthropic-beta` header. Please consult our "
        "documentation",
        {"refused_betas": ("effort-2025-11-24", "new-1")},
    ),
)
TABLE: tuple[tuple[ProtocolName, Case], ...] = (
    *(("chat", case) for case in (*OPENAI, *VLLM, *LLAMA_CPP, *OLLAMA, *DEEPSEEK)),
    *(("messages", case) for case in ANTHROPIC),
)


def refusal(message: str, status: int = 400, **more: Any) -> WireError:
    return WireError(ErrorType.INVALID_REQUEST, message, status, **more)


def capabilities_in(learned: LearnedLimit | None) -> object:
    if learned is None:
        return None
    return STRIP if learned.strip_thinking else dict(learned.capabilities)


@pytest.mark.parametrize(
    ("protocol", "case"), TABLE, ids=lambda value: str(value[0])[:60] if isinstance(value, tuple) else value
)
def test_what_the_server_lacks_is_learned_from_its_refusal(protocol: ProtocolName, case: Case) -> None:
    known = Capabilities(reasoning_effort="budget") if "adaptive" in str(case[1]) else Capabilities()
    assert capabilities_in(learned_from(refusal(case[0]), known)) == case[1]


BODIES: tuple[tuple[ProtocolName, int, bytes, object], ...] = (
    (
        "chat",
        400,
        b'{"error":{"message":"Unsupported parameter: \'max_tokens\' is not supported with this model. Use '
        b'\'max_completion_tokens\' instead.","type":"invalid_request_error","param":"max_tokens",'
        b'"code":"unsupported_parameter"}}',
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (
        "chat",
        400,
        b"{\"object\":\"error\",\"message\":\"[{'type': 'extra_forbidden', 'loc': ('body', 'store'), 'msg': "
        b'\'Extra inputs are not permitted\', \'input\': False}]","type":"BadRequestError","param":null,"code":400}',
        {"dropped_fields": ("store",)},
    ),
    (
        "chat",
        422,
        b'{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra inputs are not permitted",'
        b'"input":"x"}]}',
        {"dropped_fields": ("user",)},
    ),
    (
        "chat",
        500,
        b'{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may '
        b'need to provide the mmproj","type":"server_error"}}',
        {"images": False},
    ),
    ("chat", 400, b'{"error":"\\"qwen2.5:7b\\" does not support thinking"}', {"reasoning_effort": "none"}),
    (
        "messages",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0: Invalid '
        b'`signature` in `thinking` block"},"request_id":"req_1"}',
        STRIP,
    ),
    (
        "responses",
        400,
        b'{"error":{"message":"The encrypted content could not be verified.","type":"invalid_request_error",'
        b'"param":null,"code":"invalid_encrypted_content"}}',
        STRIP,
    ),
)


@pytest.mark.parametrize(("protocol", "status", "body", "expected"), BODIES)
def test_a_refusal_is_understood_in_its_own_envelope(
    protocol: ProtocolName, status: int, body: bytes, expected: object
) -> None:
    assert (
        capabilities_in(learned_from(CODECS[protocol].decode_error(status, body), Capabilities())) == expected
    )


def test_the_most_a_model_answers_is_remembered() -> None:
    error = refusal("max_tokens is too large", param="max_tokens", limit=8192)
    learned = LearnedLimit("it gives at most 8192 tokens", {"max_output_tokens": 8192})
    assert learned_from(error, Capabilities()) == learned
    assert learned_from(error, Capabilities(max_output_tokens=9000)) == learned
    assert learned_from(error, Capabilities(max_output_tokens=8192)) is None


@pytest.mark.parametrize(
    ("message", "prompt", "estimate", "room"),
    [
        ("12000 input tokens", 12000, 13000, 20768),
        ("at least 769 input tokens", 769, 13000, 19768),
        ("at least 769 input tokens", 769, 40000, 31999),
        ("32768 input tokens", 32768, 0, None),
    ],
)
def test_what_one_prompt_leaves_for_the_answer_holds_for_it_alone(
    message: str, prompt: int, estimate: int, room: int | None
) -> None:
    error = refusal(message, param="max_tokens", tokens=prompt, limit=32768)
    learned = learned_from(error, Capabilities(), estimate)

    assert (learned and (learned.capabilities, learned.for_now)) == (
        room and ({"max_output_tokens": room}, True)
    )


NOTHING = (
    refusal("max_tokens must be at least 1, got -1000.", param="max_tokens"),
    refusal("messages: at least one message is required"),
    refusal("messages: field required"),
    refusal("tools.0.custom.defer_loading: Extra inputs are not permitted"),
    refusal('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    refusal("registry.ollama.ai/library/gemma:2b does not support tools"),
    refusal(
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png']."
    ),
    refusal("messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 7 bytes > 5 bytes"),
    refusal("Invalid schema for response_format 'answer': 'additionalProperties' is required to be supplied"),
    refusal("Invalid schema for function 'custom': In context=(), 'x' is not valid"),
    refusal("Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead."),
    refusal("Your credit balance is too low to access the API."),
    refusal("temperature is not supported", status=401),
    refusal("Rate limit reached for images: not supported", status=429),
    WireError(
        ErrorType.CONTEXT_OVERFLOW, "prompt is too long: 9 tokens > 8 maximum; image not supported", 400
    ),
    WireError(ErrorType.MODEL_NOT_FOUND, "The model `x` does not support the developer role", 404),
    refusal("Unknown parameter: 'messages'."),
    refusal("no idea what you mean"),
)


@pytest.mark.parametrize("error", NOTHING, ids=lambda error: error.message[:50])
def test_nothing_is_learned_from_any_other_refusal(error: WireError) -> None:
    assert learned_from(error, Capabilities()) is None


def test_nothing_is_learned_from_a_word_far_away() -> None:
    quoted = "x" * 3000
    assert learned_from(refusal(f"Invalid body: {{'content': '{quoted} an image'}}"), Capabilities()) is None


def test_what_is_known_is_not_learned_again() -> None:
    error = refusal("Unsupported parameter: 'stop' is not supported with this model.")
    learned = learned_from(error, Capabilities(stop=False))
    assert capabilities_in(learned) == {"dropped_fields": ("stop",)}
    assert learned_from(error, Capabilities(stop=False, dropped_fields=("stop",))) is None


def test_refused_fields_add_up() -> None:
    known = Capabilities(dropped_fields=("store",))
    learned = learned_from(refusal("Unknown parameter: 'user'."), known)
    assert capabilities_in(learned) == {"dropped_fields": ("store", "user")}


def test_refused_betas_add_up() -> None:
    error = refusal("Unexpected value(s) `b-2` for the `anthropic-beta` header.")
    assert capabilities_in(learned_from(error, Capabilities(refused_betas=("a-1",)))) == {
        "refused_betas": ("a-1", "b-2")
    }
    assert learned_from(error, Capabilities(refused_betas=("b-2",))) is None


def test_a_learned_limit_has_its_reason() -> None:
    learned = learned_from(refusal("Unknown parameter: 'user'."), Capabilities())
    assert learned is not None and learned.why == "it does not know user"
