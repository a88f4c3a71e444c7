"""Read and write token counts, which each protocol adds up differently.

Anthropic's `input_tokens` excludes what was read from and written to a cache; OpenAI's counts include it.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from switchyard.protocols.neutral import Usage

Raw = Mapping[str, Any]
STANDARD_TIERS = frozenset({"standard", "default", "auto", "standard_only", "on_demand"})
SUMS = frozenset({"prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens"})
"""counts that say nothing of caches and reasoning"""
FAST = "fast"
MAX_TIER = 40
MOST_TOKENS = 10**10
"""a larger count is nonsense, and would spoil all sums"""


def usage_of_openai(raw: Raw, *, excludes_cache: bool = False, tier: object = None) -> Usage:
    """The usage of Chat (`prompt_tokens`) or Responses (`input_tokens`), in all the spellings met.

    llama.cpp's `timings`, reported beside the usage, may be passed in under that key; `tier` is the answer's
    `service_tier`.
    """
    prompt = _first(raw, "prompt_tokens", "input_tokens")
    completion = _first(raw, "completion_tokens", "output_tokens")
    cache_read = cache_write_5m = cache_write_1h = reasoning = 0
    if not raw.keys() <= SUMS:
        cache_read, written, reasoning = _details_of_openai(raw)
        cache_write_5m, cache_write_1h = _cache_writes(raw, written)

    timings = raw.get("timings")
    if timings and isinstance(timings, dict):
        cache_read = cache_read or _first(timings, "cache_n")
        prompt = prompt or cache_read + _first(timings, "prompt_n")
        completion = completion or _first(timings, "predicted_n")

    total = _first(raw, "total_tokens")
    written = cache_write_5m + cache_write_1h
    if _counts_twice(prompt, cache_read, written) and total == prompt + completion and not excludes_cache:
        # the total proves that the prompt includes both
        cache_read, cache_write_5m, cache_write_1h = (
            (cache_read, 0, 0) if cache_read >= written else (0, cache_write_5m, cache_write_1h)
        )
    cached = cache_read + cache_write_5m + cache_write_1h
    if not completion or completion + reasoning == total - prompt:
        # some count reasoning beside the completion; the total knows
        completion = max(completion, total - prompt) if prompt else completion
    elif completion + cached == total - prompt:
        excludes_cache = True
    return Usage(
        input=prompt if excludes_cache or cached > prompt else prompt - cached,
        cache_read=cache_read,
        cache_write_5m=cache_write_5m,
        cache_write_1h=cache_write_1h,
        output=completion,
        reasoning=min(reasoning, completion),
        tier=service_tier(tier) if tier else "",
        searches=_searches(raw) if "server_tool_use" in raw else 0,
    )


def _details_of_openai(raw: Raw) -> tuple[int, int, int]:
    """The tokens read from a cache, written to it, and spent on reasoning."""
    read, wrote = (
        _part(raw, "prompt_tokens_details", "input_tokens_details"),
        _part(raw, "completion_tokens_details", "output_tokens_details"),
    )
    return (
        _first(read, "cached_tokens")
        or _first(raw, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens"),
        _first(read, "cache_write_tokens", "cache_creation_tokens")
        or _first(raw, "cache_creation_input_tokens", "cache_write_tokens"),
        _first(wrote, "reasoning_tokens") or _first(raw, "reasoning_tokens"),
    )


def usage_of_response(response: Raw, *, excludes_cache: bool = False) -> Usage | None:
    """The usage of a whole object of the Responses API, whose output has the web searches."""
    raw = response.get("usage")
    if not isinstance(raw, dict):
        return None
    usage = usage_of_openai(raw, excludes_cache=excludes_cache, tier=response.get("service_tier"))
    output = response.get("output")
    searches = sum(1 for item in output if _is_search(item)) if isinstance(output, list) else 0
    return replace(usage, searches=max(searches, usage.searches)) if searches else usage


def _is_search(item: object) -> bool:
    """True for a search; opening a page and finding text in it are further calls, without a fee."""
    if not isinstance(item, dict) or item.get("type") != "web_search_call":
        return False
    return bool(_part(item, "action").get("type", "search") == "search")


def service_tier(reported: object) -> str:
    """The tier that an answer names; "" for the standard one, in all the words for it."""
    tier = reported.strip().lower() if isinstance(reported, str) else ""
    return "" if tier in STANDARD_TIERS or len(tier) > MAX_TIER else tier


def _searches(raw: Raw) -> int:
    """Web searches that the upstream ran, as Anthropic reports them, and OpenRouter likewise."""
    return _first(_part(raw, "server_tool_use"), "web_search_requests")


def _counts_twice(prompt: int, cache_read: int, written: int) -> bool:
    """True if the prompt holds each, but not both: some report the tokens read as written, too."""
    return max(cache_read, written) <= prompt < cache_read + written


def usage_of_anthropic(raw: Raw) -> Usage:
    cache_write_5m, cache_write_1h = _cache_writes(raw, _count(raw.get("cache_creation_input_tokens")))
    output, details, tier = (
        _count(raw.get("output_tokens")),
        raw.get("output_tokens_details"),
        raw.get("service_tier"),
    )
    return Usage(
        input=_count(raw.get("input_tokens")),
        cache_read=_count(raw.get("cache_read_input_tokens")),
        cache_write_5m=cache_write_5m,
        cache_write_1h=cache_write_1h,
        output=output,
        reasoning=min(_first(_part(raw, "output_tokens_details"), "thinking_tokens"), output)
        if details
        else 0,
        tier=FAST if raw.get("speed") == FAST else service_tier(tier) if tier else "",
        searches=_searches(raw) if raw.get("server_tool_use") else 0,
    )


def anthropic_usage(usage: Usage) -> dict[str, Any]:
    """All four basic counts: Claude Code stumbles over a missing one."""
    reported: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.cache_write:
        reported["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        reported["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return reported


def chat_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def responses_usage(usage: Usage) -> dict[str, Any]:
    """With both details: Codex cannot read a usage without them."""
    return {
        "input_tokens": usage.total_input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _cache_writes(raw: Raw, reported: int) -> tuple[int, int]:
    """Tokens written for five minutes and for an hour; those of unknown term count as five minutes."""
    terms = raw.get("cache_creation")
    if not terms or not isinstance(terms, dict):
        return reported, 0
    one_hour = _first(terms, "ephemeral_1h_input_tokens")
    written = max(reported, one_hour + _first(terms, "ephemeral_5m_input_tokens"))
    return written - one_hour, one_hour


def _part(raw: Raw, *names: str) -> Raw:
    for name in names:
        part = raw.get(name)
        if isinstance(part, dict):
            return part
    return {}


def _first(raw: Raw, *names: str) -> int:
    """The first of the counts that is reported and not zero."""
    if not raw:
        return 0
    for name in names:
        if count := _count(raw.get(name)):
            return count
    return 0


def _count(value: object) -> int:
    if value is None:
        return 0
    if type(value) is int:
        return value if 0 <= value <= MOST_TOKENS else 0
    match value:
        case bool():
            return 0
        case int() | float():
            return int(value) if 0 <= value <= MOST_TOKENS else 0
        case str() if len(value) < 20 and value.strip().isascii() and value.strip().isdigit():
            return _count(int(value))
    return 0
