"""The requests that the vendors' own servers accept: these fields with these values, and nothing else."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bed.wire import Protocol

Rule = Any
"""A type; a set of values; a pattern; a predicate; `[rule]` for a list; the fields of an object, `name?` for an
optional one; or a tuple of alternatives."""


@dataclass(frozen=True)
class Kinds:
    """An object whose `type` determines its fields."""

    of: Mapping[str, Mapping[str, Rule]]
    default: str = ""


def check_shape(protocol: Protocol, body: object) -> None:
    """Raises AssertionError that names the position."""
    _check(body, SHAPES[protocol], "body")


def _check(value: Any, rule: Rule, place: str) -> None:
    match rule:
        case tuple():
            _check_any(value, rule, place)
        case Kinds():
            _check_kind(value, rule, place)
        case dict():
            _check_object(value, rule, place)
        case [inner]:
            assert isinstance(value, list), f"{place} is no list: {value!r}"
            for number, item in enumerate(value):
                _check(item, inner, f"{place}[{number}]")
        case _:
            assert _fits(value, rule), f"{place} is {str(value)[:200]!r}"


def _fits(value: Any, rule: Rule) -> bool:
    match rule:
        case type():
            return isinstance(value, rule) and (rule is bool or not isinstance(value, bool))
        case frozenset():
            return isinstance(value, str) and value in rule
        case re.Pattern():
            return isinstance(value, str) and rule.fullmatch(value) is not None
        case _:
            return bool(rule(value))


def _check_any(value: Any, rules: tuple[Rule, ...], place: str) -> None:
    faults = []
    for rule in rules:
        try:
            return _check(value, rule, place)
        except AssertionError as fault:
            faults.append(str(fault))
    # the error inside the matching alternative is more useful than the list of alternatives
    raise AssertionError(next((fault for fault in faults if not fault.startswith(f"{place} is ")), faults[0]))


def _check_kind(value: Any, kinds: Kinds, place: str) -> None:
    assert isinstance(value, dict), f"{place} is no object: {value!r}"
    kind = value.get("type", kinds.default)
    assert kind in kinds.of, f"{place}: unknown kind {kind!r}"
    rest = {name: member for name, member in value.items() if name != "type"}
    _check_object(rest, kinds.of[kind], f"{place} ({kind})")


def _check_object(value: Any, fields: Mapping[str, Rule], place: str) -> None:
    assert isinstance(value, dict), f"{place} is no object: {value!r}"
    known = {name.rstrip("?"): rule for name, rule in fields.items()}
    unknown = sorted(set(value) - set(known))
    assert not unknown, f"{place}: unknown fields {unknown}"
    missing = [name for name in fields if not name.endswith("?") and name not in value]
    assert not missing, f"{place}: missing {missing}"
    for name, member in value.items():
        _check(member, known[name], f"{place}.{name}")


# --- values -------------------------------------------------------------------


def one_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


def said(value: object) -> bool:
    """Text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def up_to(length: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and 0 < len(value) <= length


def within(least: float, most: float) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    )


def count(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False


def is_image_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    header, _, data = value.partition(",")
    inline = re.fullmatch(r"data:image/(png|jpeg|gif|webp);base64", header)
    return bool(inline and is_base64(data)) or value.startswith(("http://", "https://"))


def is_file_data(value: object) -> bool:
    if not isinstance(value, str):
        return False
    header, _, data = value.partition(",")
    return header == "data:application/pdf;base64" and is_base64(data)


def is_json(value: object) -> bool:
    try:
        json.loads(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def is_openai_strict(schema: object) -> bool:
    """Every object is closed and all its properties are required."""
    if isinstance(schema, list):
        return all(map(is_openai_strict, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        properties = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(
            properties
        ):
            return False
    return all(map(is_openai_strict, schema.values()))


def fits_if_strict(member: str) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, dict) and (not value.get("strict") or is_openai_strict(value.get(member)))
    )


NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
EFFORTS = one_of("none minimal low medium high xhigh max")
TOKEN = re.compile(r"[A-Za-z0-9+/=]+")
"""Opaque data of the vendors."""

# --- Messages -----------------------------------------------------------------

MARK = {"cache_control?": {"type": one_of("ephemeral"), "ttl?": one_of("5m 1h")}}
TEXT = {"text": said, "citations?": (list, lambda value: value is None), **MARK}
IMAGE = {
    "source": Kinds(
        {
            "base64": {
                "media_type": one_of("image/jpeg image/png image/gif image/webp"),
                "data": is_base64,
            },
            "url": {"url": said},
        }
    ),
    **MARK,
}
DOCUMENT = {
    "source": Kinds(
        {
            "base64": {"media_type": one_of("application/pdf"), "data": is_base64},
            "text": {"media_type": one_of("text/plain"), "data": said},
            "url": {"url": said},
            "content": {"content": (str, list)},
        }
    ),
    "title?": said,
    "context?": said,
    "citations?": {"enabled": bool},
    **MARK,
}
RESULT_PART = Kinds(
    {"text": TEXT, "image": IMAGE, "document": DOCUMENT, "tool_reference": {"tool_name": str}}
)
BLOCK = Kinds(
    {
        "text": TEXT,
        "image": IMAGE,
        "document": DOCUMENT,
        "thinking": {"thinking": str, "signature": TOKEN},
        "redacted_thinking": {"data": TOKEN},
        "tool_use": {"id": said, "name": NAME, "input": dict, "caller?": dict, **MARK},
        "tool_result": {
            "tool_use_id": said,
            "content?": (str, [RESULT_PART]),
            "is_error?": bool,
            **MARK,
        },
    }
)
CLIENT_TOOL = {
    "name": NAME,
    "description?": str,
    "input_schema": dict,
    "strict?": bool,
    "defer_loading?": bool,
    "eager_input_streaming?": bool,
    **MARK,
}
PARALLEL = {"disable_parallel_tool_use?": bool}
CONTENT = (said, [BLOCK])
EFFORT = one_of("low medium high xhigh max")
MESSAGES = {
    "model": said,
    "max_tokens": count(1),
    "messages": [
        (
            {"role": one_of("user assistant"), "content": CONTENT},
            # the effort of the turn, which newer versions of Claude Code send
            {"role": one_of("system"), "content": CONTENT, "output_config?": {"effort?": EFFORT}},
        )
    ],
    "system?": (said, [Kinds({"text": TEXT})]),
    "stream?": bool,
    "temperature?": within(0, 1),
    "top_p?": within(0, 1),
    "top_k?": count(0),
    "stop_sequences?": [said],
    "tools?": [
        Kinds(
            {
                "custom": CLIENT_TOOL,
                "web_search_20250305": {
                    "name": one_of("web_search"),
                    "max_uses?": count(1),
                    "allowed_domains?": [said],
                    "blocked_domains?": [said],
                    "user_location?": {
                        "type": one_of("approximate"),
                        **dict.fromkeys(("city?", "region?", "country?", "timezone?"), said),
                    },
                    **MARK,
                },
            },
            "custom",
        )
    ],
    "tool_choice?": Kinds(
        {"auto": PARALLEL, "any": PARALLEL, "tool": {"name": NAME, **PARALLEL}, "none": {}}
    ),
    "thinking?": Kinds(
        {
            "enabled": {"budget_tokens": count(1024), "display?": one_of("summarized omitted")},
            "adaptive": {"display?": one_of("summarized omitted")},
            "disabled": {},
        }
    ),
    "output_config?": {
        "effort?": EFFORT,
        "format?": {"type": one_of("json_schema"), "schema": dict},
    },
    "context_management?": {"edits": [dict]},
    "metadata?": {"user_id?": up_to(256)},
    "service_tier?": one_of("auto standard_only"),
}

# --- Chat ---------------------------------------------------------------------

CHAT_TEXT = {"text": said}
CHAT_PART = Kinds(
    {
        "text": CHAT_TEXT,
        "image_url": {"image_url": {"url": is_image_url, "detail?": one_of("auto low high")}},
        "file": {"file": {"filename": said, "file_data": is_file_data}},
    }
)
CHAT_TEXTS = (said, [Kinds({"text": CHAT_TEXT})])
CHAT_CALL = Kinds(
    {
        "function": {"id": up_to(64), "function": {"name": NAME, "arguments": is_json}},
        "custom": {"id": up_to(64), "custom": {"name": NAME, "input": str}},
    }
)
CHAT_MESSAGES: Mapping[str, Mapping[str, Rule]] = {
    "system": {"content": CHAT_TEXTS, "name?": said},
    "developer": {"content": CHAT_TEXTS, "name?": said},
    "user": {"content": (said, [CHAT_PART]), "name?": said},
    "assistant": {
        "content?": (
            said,
            [Kinds({"text": CHAT_TEXT, "refusal": {"refusal": str}})],
            lambda value: value is None,
        ),
        "refusal?": (str, lambda value: value is None),
        "tool_calls?": [CHAT_CALL],
        "name?": said,
    },
    "tool": {"tool_call_id": up_to(64), "content": (str, [Kinds({"text": CHAT_TEXT})])},
}


def check_chat_message(message: object) -> bool:
    assert isinstance(message, dict) and message.get("role") in CHAT_MESSAGES, f"message {message!r}"
    rest = {name: member for name, member in message.items() if name != "role"}
    _check_object(rest, CHAT_MESSAGES[message["role"]], f"a message of role {message['role']}")
    return True


GRAMMAR = {"syntax": one_of("lark regex"), "definition": said}
CHAT = {
    "model": said,
    "messages": [check_chat_message],
    "max_tokens?": count(1),
    "max_completion_tokens?": count(1),
    "stream?": bool,
    "stream_options?": {"include_usage?": bool, "include_obfuscation?": bool},
    "temperature?": within(0, 2),
    "top_p?": within(0, 1),
    "stop?": (str, [str]),
    "tools?": [
        Kinds(
            {
                "function": {
                    "function": lambda value: (
                        fits_if_strict("parameters")(value)
                        and set(value) <= {"name", "description", "parameters", "strict"}
                    )
                },
                "custom": {
                    "custom": {
                        "name": NAME,
                        "description?": str,
                        "format?": Kinds({"text": {}, "grammar": {"grammar": GRAMMAR}}),
                    }
                },
            }
        )
    ],
    "tool_choice?": (
        one_of("none auto required"),
        Kinds({"function": {"function": {"name": NAME}}, "custom": {"custom": {"name": NAME}}}),
    ),
    "parallel_tool_calls?": bool,
    "reasoning_effort?": EFFORTS,
    "response_format?": Kinds(
        {
            "text": {},
            "json_object": {},
            "json_schema": {
                "json_schema": lambda value: (
                    fits_if_strict("schema")(value)
                    and NAME.fullmatch(value["name"])
                    and set(value) <= {"name", "description", "schema", "strict"}
                )
            },
        }
    ),
    "seed?": int,
    "n?": lambda value: value == 1,
    "frequency_penalty?": within(-2, 2),
    "presence_penalty?": within(-2, 2),
    "logit_bias?": dict,
    "logprobs?": bool,
    "top_logprobs?": within(0, 20),
    "user?": str,
    "metadata?": dict,
    "store?": bool,
    "service_tier?": one_of("auto default flex scale priority fast"),
    "verbosity?": one_of("low medium high"),
    "prompt_cache_key?": up_to(64),
    "safety_identifier?": up_to(64),
    "modalities?": list,
    "prediction?": dict,
    "web_search_options?": dict,
}

# --- Responses ----------------------------------------------------------------

PART: dict[str, dict[str, Rule]] = {
    "input_text": {"text": said},
    "input_image": {"image_url": is_image_url, "detail?": one_of("auto low high original")},
    "input_file": {"filename?": said, "file_data?": is_file_data, "file_url?": said},
    "output_text": {"text": str, "annotations?": list, "logprobs?": list},
    "refusal": {"refusal": str},
}
OUTPUT = (str, [Kinds({name: PART[name] for name in ("input_text", "input_image", "input_file")})])
KNOWN_ITEM = {"id?": said, "status?": said}
OWN_TOOL: dict[str, dict[str, Rule]] = {
    "function": {
        "name": NAME,
        "description?": str,
        "parameters": dict,
        "strict": bool,
        "defer_loading?": bool,
        "output_schema?": dict,
    },
    "custom": {
        "name": NAME,
        "description?": str,
        "format?": Kinds({"text": {}, "grammar": GRAMMAR}),
        "defer_loading?": bool,
    },
}
TOOL = Kinds(
    {
        **OWN_TOOL,
        "namespace": {"name": NAME, "description": said, "tools": [Kinds(OWN_TOOL)]},
        "web_search": {
            "filters?": {"allowed_domains?": [said]},
            "user_location?": {
                "type": one_of("approximate"),
                **dict.fromkeys(("city?", "region?", "country?", "timezone?"), said),
            },
            "search_context_size?": one_of("low medium high"),
            "external_web_access?": bool,
            "search_content_types?": list,
        },
        "local_shell": {},
        "shell": {},
        "apply_patch": {},
        "tool_search": {"execution?": one_of("client server"), "description?": str, "parameters?": dict},
    }
)
SHELL_ACTION = {
    "commands": [str],
    "timeout_ms?": (int, lambda value: value is None),
    "max_output_length?": (int, lambda value: value is None),
}
ITEM = Kinds(
    {
        "message": {
            "role": one_of("user assistant system developer"),
            "content": (said, [Kinds(PART)]),
            "phase?": one_of("commentary final_answer"),
            "internal_chat_message_metadata_passthrough?": dict,
            **KNOWN_ITEM,
        },
        "reasoning": {
            "summary": [Kinds({"summary_text": {"text": str}})],
            "content?": (list, lambda value: value is None),
            "encrypted_content?": TOKEN,
            "internal_chat_message_metadata_passthrough?": dict,
            **KNOWN_ITEM,
        },
        "function_call": {
            "call_id": up_to(64),
            "name": NAME,
            "arguments": is_json,
            "namespace?": NAME,
            "internal_chat_message_metadata_passthrough?": dict,
            **KNOWN_ITEM,
        },
        "function_call_output": {"call_id": up_to(64), "output": OUTPUT, **KNOWN_ITEM},
        "custom_tool_call": {
            "call_id": up_to(64),
            "name": NAME,
            "input": str,
            "namespace?": NAME,
            "internal_chat_message_metadata_passthrough?": dict,
            **KNOWN_ITEM,
        },
        "custom_tool_call_output": {"call_id": up_to(64), "output": OUTPUT, "name?": str, **KNOWN_ITEM},
        "local_shell_call": {"call_id": up_to(64), "action": dict, **KNOWN_ITEM},
        "local_shell_call_output": {"id": said, "call_id?": up_to(64), "output": str, "status?": said},
        "shell_call": {"call_id": up_to(64), "action": SHELL_ACTION, **KNOWN_ITEM},
        "shell_call_output": {
            "call_id": up_to(64),
            "output": [dict],
            "max_output_length?": int,
            **KNOWN_ITEM,
        },
        "apply_patch_call": {"call_id": up_to(64), "operation": dict, **KNOWN_ITEM},
        "apply_patch_call_output": {
            "call_id": up_to(64),
            "status": one_of("completed failed"),
            "output?": str,
            "id?": said,
        },
        "tool_search_call": {
            "call_id?": up_to(64),
            "execution": one_of("client server"),
            "arguments": dict,
            **KNOWN_ITEM,
        },
        "tool_search_output": {
            "call_id?": up_to(64),
            "execution": one_of("client server"),
            "tools": [TOOL],
            **KNOWN_ITEM,
        },
        "web_search_call": {"action?": dict, **KNOWN_ITEM},
        "compaction": {"encrypted_content": TOKEN, "id?": said},
        "compaction_trigger": {},
        "additional_tools": {"role": one_of("developer"), "tools": [TOOL], "id?": said},
    },
    "message",
)
CHOSEN = {"name": NAME, "namespace?": NAME}
RESPONSES = {
    "model": said,
    "input": (said, [ITEM]),
    "instructions?": said,
    "stream?": bool,
    "stream_options?": {"include_obfuscation?": bool},
    "max_output_tokens?": count(16),
    "temperature?": within(0, 2),
    "top_p?": within(0, 1),
    "tools?": [TOOL],
    "tool_choice?": (
        one_of("none auto required"),
        Kinds(
            {
                "function": CHOSEN,
                "custom": CHOSEN,
                "allowed_tools": {"mode": one_of("auto required"), "tools": [dict]},
                "web_search": {},
                "local_shell": {},
                "shell": {},
                "apply_patch": {},
            }
        ),
    ),
    "parallel_tool_calls?": bool,
    "reasoning?": {
        "effort?": EFFORTS,
        "summary?": one_of("auto concise detailed"),
        "context?": one_of("auto current_turn all_turns"),
    },
    "text?": {
        "format?": Kinds(
            {
                "text": {},
                "json_object": {},
                "json_schema": {
                    "name": NAME,
                    "schema": dict,
                    "strict?": bool,
                    "description?": str,
                },
            }
        ),
        "verbosity?": one_of("low medium high"),
    },
    "include?": [
        one_of("reasoning.encrypted_content web_search_call.action.sources message.output_text.logprobs")
    ],
    "store?": bool,
    "metadata?": dict,
    "user?": str,
    "service_tier?": one_of("auto default flex scale priority fast ultrafast"),
    "truncation?": one_of("auto disabled"),
    "prompt_cache_key?": up_to(64),
    "safety_identifier?": up_to(64),
    "top_logprobs?": within(0, 20),
    "client_metadata?": dict,
    "max_tool_calls?": count(1),
}

SHAPES: Mapping[Protocol, Mapping[str, Rule]] = {"messages": MESSAGES, "chat": CHAT, "responses": RESPONSES}
