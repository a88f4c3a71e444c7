"""The shapes of Chat replies on the wire, read leniently: what imitators of the protocol send counts too.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.errors.decode import decode_embedded_error
from switchyard.protocols.neutral import StopReason, WireError
from switchyard.protocols.usage import usage_of_openai
from switchyard.protocols.walk import BROKEN_OFF
from switchyard.protocols.wire import entries, fields, text


class Delta(msgspec.Struct, gc=False):
    """A `delta` of a stream or the `message` of a whole reply. Reasoning stands under one of five names."""

    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    thinking: Any = None
    reasoning_text: Any = None
    reasoning_details: Any = None
    thinking_blocks: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    annotations: Any = None
    audio: Any = None
    images: Any = None


class Choice(msgspec.Struct, gc=False):
    index: Any = 0
    delta: Delta | None = None
    message: Delta | None = None
    text: Any = None
    finish_reason: Any = None
    stop_reason: Any = None
    """vLLM: the stop sequence that matched, as text, or the number of a token."""
    usage: Any = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    timings: Any = None
    service_tier: Any = None
    system_fingerprint: Any = None
    x_groq: Any = None
    error: Any = None
    citations: Any = None
    search_results: Any = None


DELTA_FIELDS = Delta.__struct_fields__
KIND_OF_FIELD: Mapping[str, Literal["text", "thinking"]] = {
    "content": "text",
    "reasoning": "thinking",
    "reasoning_content": "thinking",
    "thinking": "thinking",
    "reasoning_text": "thinking",
}

read_chunk = msgspec.json.Decoder(Chunk).decode

DONE = frozenset({b"[DONE]", b'"[DONE]"', b"[done]"})
NO_CHOICES = "the upstream's reply has no choices"

FINISH_REASONS: Mapping[StopReason, str] = {
    StopReason.END_TURN: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.MAX_TOKENS: "length",
    StopReason.CONTEXT_WINDOW: "length",
    StopReason.REFUSAL: "content_filter",
    StopReason.PAUSE: "stop",
    StopReason.COMPACTION: "stop",
}


def finish_reason(reason: StopReason, *, refused: bool) -> str:
    """`refused`: the refusal is given in words, which OpenAI calls a regular stop."""
    return "stop" if refused and reason is StopReason.REFUSAL else FINISH_REASONS[reason]


def broken_off(choice: Choice | None) -> WireError:
    """The error of a choice whose `finish_reason` means that the upstream failed."""
    reported = decode_embedded_error({"error": choice.error}) if choice is not None and choice.error else None
    return reported or BROKEN_OFF


def first_choice(chunk: Chunk) -> Choice | None:
    """The choice that counts: a whole reply may number its only one differently."""
    choices = chunk.choices or []
    for choice in choices:
        if choice.index in (0, None):
            return choice
    return choices[0] if len(choices) == 1 and choices[0].delta is None else None


def kind_of_delta(chunk: Chunk, content: str) -> Literal["text", "thinking"] | None:
    """Of a chunk that brings this content and nothing else."""
    choice = first_choice(chunk)
    if choice is None or choice.delta is None or choice.finish_reason:
        return None
    bare = Choice(choice.index, choice.delta, finish_reason=choice.finish_reason)
    names = {"service_tier": chunk.service_tier, "system_fingerprint": chunk.system_fingerprint}
    if chunk != Chunk(chunk.id, chunk.model, [bare], **names):
        return None
    found = [(name, value) for name in DELTA_FIELDS if (value := getattr(choice.delta, name))]
    if len(found) != 1 or found[0][1] != content:
        return None
    return KIND_OF_FIELD.get(found[0][0])


def usage_in(chunk: Chunk, choice: Choice | None, *, excludes_cache: bool = False) -> neutral.Usage | None:
    """The usage: in the chunk, in the choice (Kimi), in `x_groq` or in llama.cpp's timings."""
    raw = chunk.usage
    if not raw and choice is not None:
        raw = choice.usage
    if not raw and isinstance(chunk.x_groq, dict):
        raw = chunk.x_groq.get("usage")
    reported = raw if isinstance(raw, dict) else {}
    if isinstance(chunk.timings, dict):
        reported = {**reported, "timings": chunk.timings}
    if not reported:
        return None
    return usage_of_openai(reported, excludes_cache=excludes_cache, tier=chunk.service_tier)


def reasoning_of(delta: Delta) -> str:
    """The reasoning text. Many relays send the same under two names: the first that is not empty counts."""
    named = delta.reasoning or delta.reasoning_content or delta.thinking or delta.reasoning_text
    if isinstance(named, str):
        return named
    if isinstance(named, dict):
        return text(named.get("text") or named.get("content"))
    details = delta.reasoning_details or delta.thinking_blocks
    return "".join(_detail_texts(details)) if details else ""


def parts_of(content: object) -> Iterator[tuple[str, str]]:
    """("text" or "thinking", its text) for content in parts, as Mistral sends it."""
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, dict):
            if part.get("type") in ("thinking", "reasoning"):
                yield "thinking", _thinking_text(part)
            elif part.get("type") == "refusal":
                yield "refusal", text(part.get("refusal"))
            elif words := text(part.get("text")):
                yield "text", words
            elif (kind := text(part.get("type"))) not in ("", "text", "output_text"):
                yield kind, ""


def citations_in(annotations: object) -> Iterator[neutral.Citation]:
    """Without a URL where the source is none on the web."""
    for annotation in map(fields, entries(annotations)):
        source = fields(annotation.get("url_citation"))
        yield neutral.Citation(*(text(source.get(name)) for name in ("url", "title", "content")))


def sources_of(chunk: Chunk) -> Iterator[neutral.Citation]:
    """The sources of the whole answer, which some services list beside its choices."""
    results = [fields(result) for result in entries(chunk.search_results)]
    titles = {text(result.get("url")): text(result.get("title")) for result in results}
    urls = [url for url in entries(chunk.citations) if isinstance(url, str)]
    for url in filter(None, dict.fromkeys([*urls, *titles])):
        yield neutral.Citation(url, titles.get(url, ""))


def _detail_texts(details: object) -> Iterator[str]:
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield text(detail.get("text")) or text(detail.get("summary")) or text(detail.get("thinking"))


def _thinking_text(part: Mapping[str, Any]) -> str:
    named = (part.get(name) for name in ("thinking", "text", "reasoning", "summary"))
    thinking = next(filter(None, named), None)
    if isinstance(thinking, list):
        return "".join(words for _, words in parts_of(thinking))
    return text(thinking)
