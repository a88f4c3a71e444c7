"""Change what an upstream has refused, in a body of any protocol, whether it was converted or passed through."""

from collections.abc import Callable, Mapping
from typing import Any

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.content import JSON_SCHEMA_SENTENCE, OMITTED_IMAGE
from switchyard.protocols.late_pattern import late
from switchyard.protocols.repair.rows import (
    Body,
    Cap,
    Change,
    Drop,
    Fix,
    Row,
    drop,
    field,
    joined_content,
    merged,
    put,
    put_list,
    rewrite,
    same,
    text_part,
    with_field,
)
from switchyard.protocols.tools.choice import must_call
from switchyard.protocols.tools.dialect import in_dialect
from switchyard.protocols.wire import Json, entries, fields, json_text, text

ANY_ENTRY = "*"
ANY_PLACE = "**"
HISTORIES = ("messages", "input")
SAMPLING = ("temperature", "top_p", "top_k")
JOINED_ROLES = ("user", "assistant", "system", "developer")
PART_TEXTS = {"image_url": OMITTED_IMAGE, "input_image": OMITTED_IMAGE}
TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})


# --- paths ----------------------------------------------------------------------


class DropPaths(Row, frozen=True, kw_only=True):
    """Fields at any depth."""

    looks_at: tuple[str, ...] = ("dropped_fields",)

    def change(self, body: Body, target: Target) -> None:
        for path in target.capabilities.dropped_fields:
            drop_path(body, path)


def drop_path(body: Body, path: str) -> None:
    """Remove the field, and the object that held it if nothing else is left there."""
    first, *rest = path.split(".")
    if first == ANY_PLACE:
        for name in tuple(body):
            _put_changed(body, name, _without_anywhere(body[name], tuple(rest)))
    elif not rest:
        drop(body, (first,))
    elif first in body:
        _put_changed(body, first, _without(body[first], tuple(rest)))


def has_path(body: Mapping[str, Any], path: str) -> bool:
    """True if `drop_path` would change the body."""
    first, *rest = path.split(".")
    if first == ANY_PLACE:
        return any(_without_anywhere(value, tuple(rest)) is not value for value in body.values())
    if first not in body:
        return False
    return not rest or _without(body[first], tuple(rest)) is not body[first]


def _put_changed(body: Body, name: str, value: Any) -> None:
    if value is not body[name]:
        put(body, name, value)


def _without(value: Any, path: tuple[str, ...]) -> Any:
    """The very same value where the path leads nowhere."""
    if isinstance(value, list):
        inner = path[1:] if path[0] == ANY_ENTRY else path
        new = [_without(one, inner) if inner else one for one in value]
        return value if same(value, new) else new
    if not isinstance(value, dict):
        return value
    name, *rest = path
    if name not in value:
        # validators put the name of the kind into the path: `tools.0.custom.strict`, `messages.2.assistant.name`
        is_kind = bool(rest) and name in (value.get("type", "custom"), value.get("role"))
        return _without(value, tuple(rest)) if is_kind else value
    new_value = _without(value[name], tuple(rest)) if rest else None
    if rest and new_value is value[name]:
        return value
    return with_field(value, name, new_value or None)


def _without_anywhere(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        new = [_without_anywhere(one, path) for one in value]
        return value if same(value, new) else new
    if not isinstance(value, dict):
        return value
    left = _without(value, path)
    changed = {name: _without_anywhere(inner, path) for name, inner in left.items()}
    return left if all(changed[name] is inner for name, inner in left.items()) else changed


def rewrites_history(known: Capabilities) -> bool:
    """True if a row may change more of a conversation than its first message."""
    roots = {path.partition(".")[0] for path in known.dropped_fields}
    return not (known.consecutive_roles and known.content_parts and roots.isdisjoint((*HISTORIES, ANY_PLACE)))


# --- pairs ----------------------------------------------------------------------


def _drop_first_of_pairs(body: Body, target: Target) -> None:
    for pair in target.capabilities.refused_together:
        first, _, second = pair.partition("+")
        if IS_SET[first](body) and IS_SET[second](body):
            LEAVE_OUT[first](body, target)


def thinks(body: Body) -> bool:
    """True if the body turns thinking on, in whatever form."""
    reasoning = body.get("reasoning")
    return (
        field(body.get("thinking"), "type") in ("enabled", "adaptive", "auto")
        or body.get("reasoning_effort") not in (None, "none")
        or field(reasoning, "effort") not in (None, "none")
        or field(reasoning, "enabled") is True
        or body.get("enable_thinking") is True
        or field(body.get("chat_template_kwargs"), "enable_thinking") is True
    )


def turn_thinking_off(body: Body, target: Target) -> None:
    """In the forms that the body itself uses."""
    if field(body.get("thinking"), "type") is not None:
        body["thinking"] = {"type": "disabled"}
        drop_thinking_edits(body)
    if body.get("reasoning_effort") is not None:
        put(body, "reasoning_effort", "none" if "none" in target.capabilities.efforts else None)
    if isinstance(reasoning := body.get("reasoning"), dict):
        put(body, "reasoning", with_field(with_field(reasoning, "effort", None), "enabled", None))
    if "enable_thinking" in body:
        body["enable_thinking"] = False
    options = fields(body.get("chat_template_kwargs"))
    if options.get("enable_thinking") is not None:
        body["chat_template_kwargs"] = {**options, "enable_thinking": False}


def drop_thinking_edits(body: Body) -> None:
    """The edits of the context that are an error where there is no thinking."""
    management = body.get("context_management")
    edits = field(management, "edits")
    if isinstance(edits, list):
        kept = [edit for edit in edits if not str(field(edit, "type")).startswith("clear_thinking")]
        if len(kept) < len(edits) or not edits:
            put(body, "context_management", with_field(management, "edits", kept) if kept else None)


def _forces_a_call(body: Body) -> bool:
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        return choice.get("type") not in ("auto", "none") and choice.get("mode") != "auto"
    return choice in ("required", "any")


def _relax_choice(body: Body, _target: Target) -> None:
    """The choice is left to the model, with an instruction."""
    choice = body.get("tool_choice")
    if not _forces_a_call(body):
        return
    name = field(choice, "name") or field(field(choice, "function"), "name")
    _instruct(body, must_call(text(name)))
    if field(choice, "type") in ("any", "tool"):
        body["tool_choice"] = {**with_field(choice, "name", None), "type": "auto"}
    else:
        body["tool_choice"] = "auto"


def _format_of(body: Body) -> Any:
    """The schema of the answer that the body asks for."""
    chat = field(field(body.get("response_format"), "json_schema"), "schema")
    responses = field(field(body.get("text"), "format"), "schema")
    return chat or responses or field(field(body.get("output_config"), "format"), "schema")


def _describe_format(body: Body, _target: Target) -> None:
    _instruct(body, JSON_SCHEMA_SENTENCE.format(schema=json_text(_format_of(body))))
    drop(body, ("response_format",))
    for member in ("text", "output_config"):
        if field(body.get(member), "format") is not None:
            put(body, member, with_field(body[member], "format", None))


def _instruct(body: Body, words: str) -> None:
    if "input" in body:
        body["instructions"] = _appended(body.get("instructions"), words)
    elif "system" in body or field(body.get("tool_choice"), "type") in ("auto", "any", "tool"):
        body["system"] = _appended(body.get("system"), words)
    else:
        first, *rest = entries(body.get("messages")) or [None]
        if field(first, "role") == "system":
            body["messages"] = [{**first, "content": _appended(first.get("content"), words)}, *rest]
        else:
            body["messages"] = [{"role": "system", "content": words}, *entries(body.get("messages"))]


def _appended(prompt: Any, words: str) -> Any:
    if isinstance(prompt, list):
        return [*prompt, text_part(words)]
    return f"{prompt}\n\n{words}" if isinstance(prompt, str) and prompt else words


IS_SET: Mapping[str, Callable[[Body], bool]] = {
    "thinking": thinks,
    "forced_tool": _forces_a_call,
    "tools": lambda body: bool(body.get("tools")),
    "sampling": lambda body: any(name in body for name in SAMPLING),
    "temperature": lambda body: "temperature" in body,
    "top_p": lambda body: "top_p" in body,
    "json_schema": lambda body: _format_of(body) is not None,
}
LEAVE_OUT: Mapping[str, Callable[[Body, Target], None]] = {
    "thinking": turn_thinking_off,
    "forced_tool": _relax_choice,
    "sampling": lambda body, _: drop(body, SAMPLING),
    "top_p": lambda body, _: drop(body, ("top_p",)),
    "json_schema": _describe_format,
}


# --- values ---------------------------------------------------------------------

BOUND = late(r"([a-z_.]+)(<=|>=)(-?\d+(?:\.\d+)?)")


def _keep_within_bounds(body: Body, target: Target) -> None:
    for bound in target.capabilities.bounds:
        if found := BOUND.fullmatch(bound):
            name, _, inner = found[1].partition(".")
            _keep_within(body, name, inner, found[2], float(found[3]))


def _keep_within(body: Body, name: str, inner: str, side: str, limit: float) -> None:
    value = field(body.get(name), inner) if inner else body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    kept = min(value, limit) if side == "<=" else max(value, limit)
    if kept != value:
        kept = int(kept) if float(kept).is_integer() and isinstance(value, int) else kept
        body[name] = {**body[name], inner: kept} if inner else kept


# --- the conversation -----------------------------------------------------------


def _join_roles(body: Body, _target: Target) -> None:
    """Neighbouring messages of one role as one; calls and their results stay as they are."""
    messages = entries(body.get("messages"))
    put_list(body, "messages", messages, merged(messages, _joins, joined_content))


def _joins(first: Any, second: Any) -> bool:
    role = field(first, "role")
    calls = field(first, "tool_calls") or field(second, "tool_calls")
    return role in JOINED_ROLES and role == field(second, "role") and not calls


def _flat(message: Any) -> Any:
    """A list of parts becomes a plain string, with a note for what is no text."""
    content = field(message, "content")
    if not isinstance(content, list) or not all(_text_of(part) for part in content):
        return message
    return {**message, "content": "\n\n".join(map(_text_of, content))}


def _text_of(part: object) -> str:
    """ "" for a part that must stay what it is."""
    kind = str(field(part, "type"))
    words = field(part, "refusal" if kind == "refusal" else "text")
    return (words if isinstance(words, str) else "") if kind in TEXT_PARTS else PART_TEXTS.get(kind, "")


# --- schemas --------------------------------------------------------------------


def _write_schemas(body: Body, target: Target) -> None:
    rewrite(body, "tools", lambda tool: _tool(tool, target.capabilities))


def _tool(tool: Any, known: Capabilities) -> Any:
    if not isinstance(tool, dict):
        return tool
    changed: Json = {}
    for name in ("parameters", "input_schema"):
        if isinstance(schema := tool.get(name), dict):
            written = in_dialect(schema, full=known.full_schemas, without=known.refused_keywords)
            changed |= {name: written} if written != schema else {}
    if isinstance(function := tool.get("function"), dict):
        changed |= {"function": _tool(function, known)}
    if isinstance(inner := tool.get("tools"), list):
        changed |= {"tools": [_tool(one, known) for one in inner]}
    kept = {name: value for name, value in changed.items() if value is not tool[name]}
    return {**tool, **kept} if kept else tool


REFUSED: tuple[Row, ...] = (
    DropPaths(),
    Change(by=_drop_first_of_pairs, looks_at=("refused_together",)),
    Change(by=_relax_choice, looks_at=("forced_tool_choice",)),
    Drop(members=("temperature", "top_p"), looks_at=("sampling",)),
    Drop(members=("parallel_tool_calls",), looks_at=("parallel_tool_calls",)),
    Cap(members=("temperature",), looks_at=("max_temperature",)),
    Change(by=_keep_within_bounds, looks_at=("bounds",)),
    Fix(member="store", to=False, looks_at=("store",)),
    Fix(member="stream", to=True, looks_at=("stream_only",)),
    Drop(members=("stream", "stream_options"), looks_at=("streams",)),
    Change(by=_join_roles, looks_at=("consecutive_roles",)),
    Change(by=lambda body, _: rewrite(body, "messages", _flat), looks_at=("content_parts",)),
    Change(by=_write_schemas, looks_at=("full_schemas", "refused_keywords")),
)
