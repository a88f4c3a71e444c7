"""Token counts in the words of each protocol."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.neutral import Usage
from switchyard.protocols.usage import (
    anthropic_usage,
    chat_usage,
    responses_usage,
    service_tier,
    usage_of_anthropic,
    usage_of_openai,
    usage_of_response,
)

OPENAI: list[tuple[dict[str, Any], Usage]] = [
    ({}, Usage()),
    ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}, Usage(input=10, output=2)),
    (
        {
            "prompt_tokens": 1050,
            "completion_tokens": 20,
            "total_tokens": 1070,
            "prompt_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
        Usage(input=100, cache_read=900, cache_write_5m=50, output=20, reasoning=5),
    ),
    (
        {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 110,
        },
        Usage(input=60, cache_read=40, output=10, reasoning=4),
    ),
    ({"prompt_tokens": None, "completion_tokens": "7", "prompt_tokens_details": None}, Usage(output=7)),
    ({"prompt_tokens": -5, "completion_tokens": True, "total_tokens": "x"}, Usage()),
    ({"prompt_tokens": 3.0, "completion_tokens": float("nan")}, Usage(input=3)),
    (
        {"prompt_tokens": 100, "completion_tokens": 1, "prompt_cache_hit_tokens": 64},
        Usage(input=36, cache_read=64, output=1),
    ),
    ({"prompt_tokens": 100, "completion_tokens": 1, "cached_tokens": 64}, Usage(36, 64, output=1)),
    (
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 0},
            "cache_read_input_tokens": 90,
            "cache_creation_input_tokens": 5,
        },
        Usage(input=10, cache_read=90, cache_write_5m=5, output=1),
    ),
    (
        {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 125,
            "completion_tokens_details": {"reasoning_tokens": 15},
        },
        Usage(input=100, output=25, reasoning=15),
    ),
    ({"prompt_tokens": 100, "total_tokens": 125}, Usage(input=100, output=25)),
    # the total proves that the prompt includes what was read and written, so that both are the same tokens
    (
        {
            "prompt_tokens": 2168,
            "completion_tokens": 100,
            "total_tokens": 2268,
            "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161},
        },
        Usage(input=7, cache_read=2161, output=100),
    ),
    (
        {
            "input_tokens": 1000,
            "output_tokens": 50,
            "total_tokens": 1050,
            "cache_read_input_tokens": 200,
            "cache_creation_input_tokens": 900,
        },
        Usage(input=100, cache_write_5m=900, output=50),
    ),
    (
        {
            "prompt_tokens": 1000,
            "completion_tokens": 50,
            "total_tokens": 1080,
            "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        Usage(input=100, cache_read=600, cache_write_5m=300, output=80, reasoning=30),
    ),
    # the total proves that it does not
    (
        {
            "prompt_tokens": 3000,
            "completion_tokens": 100,
            "total_tokens": 5100,
            "prompt_tokens_details": {"cached_tokens": 2000},
        },
        Usage(input=3000, cache_read=2000, output=100),
    ),
    # neither proven: what exceeds the prompt cannot be part of it
    (
        {
            "prompt_tokens": 2168,
            "completion_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161},
        },
        Usage(input=2168, cache_read=2161, cache_write_5m=2161, output=100),
    ),
    (
        {
            "prompt_tokens": 7,
            "completion_tokens": 100,
            "total_tokens": 107,
            "prompt_tokens_details": {"cached_tokens": 2161},
        },
        Usage(input=7, cache_read=2161, output=100),
    ),
    (
        {"timings": {"prompt_n": 30, "cache_n": 70, "predicted_n": 5}},
        Usage(input=30, cache_read=70, output=5),
    ),
    (
        {"prompt_tokens": 100, "completion_tokens": 5, "timings": {"prompt_n": 30, "cache_n": 70}},
        Usage(input=30, cache_read=70, output=5),
    ),
    (
        {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}},
        Usage(output=5, reasoning=5),
    ),
]


@pytest.mark.parametrize(("raw", "usage"), OPENAI)
def test_a_usage_in_openai_words_is_read(raw: dict[str, Any], usage: Usage) -> None:
    assert usage_of_openai(raw) == usage


def test_a_prompt_without_its_cached_tokens_is_taken_as_it_is() -> None:
    raw = {"prompt_tokens": 100, "completion_tokens": 1, "cached_tokens": 40}
    assert usage_of_openai(raw, excludes_cache=True) == Usage(input=100, cache_read=40, output=1)


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({}, Usage()),
        (
            {
                "input_tokens": 100,
                "cache_read_input_tokens": 900,
                "cache_creation_input_tokens": 50,
                "output_tokens": 20,
                "output_tokens_details": {"thinking_tokens": 7},
            },
            Usage(input=100, cache_read=900, cache_write_5m=50, output=20, reasoning=7),
        ),
        (
            {
                "input_tokens": 1,
                "cache_creation_input_tokens": 50,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
                "output_tokens": 2,
            },
            Usage(input=1, cache_write_5m=20, cache_write_1h=30, output=2),
        ),
        ({"input_tokens": None, "cache_creation": None, "output_tokens": 2}, Usage(output=2)),
    ],
)
def test_a_usage_in_anthropic_words_is_read(raw: dict[str, Any], usage: Usage) -> None:
    assert usage_of_anthropic(raw) == usage


def test_one_usage_in_all_words() -> None:
    usage = Usage(input=100, cache_read=900, cache_write_5m=50, output=20, reasoning=5)
    assert anthropic_usage(usage) == {
        "input_tokens": 100,
        "cache_creation_input_tokens": 50,
        "cache_read_input_tokens": 900,
        "output_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 0},
        "output_tokens_details": {"thinking_tokens": 5},
    }
    assert chat_usage(usage) == {
        "prompt_tokens": 1050,
        "completion_tokens": 20,
        "total_tokens": 1070,
        "prompt_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 50},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert responses_usage(usage) == {
        "input_tokens": 1050,
        "input_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 50},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 1070,
    }


counts = st.integers(0, 10**9)


@given(
    st.builds(
        Usage, input=counts, cache_read=counts, cache_write_5m=counts, output=counts, reasoning=st.just(0)
    )
)
def test_every_usage_survives_every_protocol(usage: Usage) -> None:
    assert usage_of_anthropic(anthropic_usage(usage)) == usage
    assert usage_of_openai(chat_usage(usage)) == usage
    assert usage_of_openai(responses_usage(usage)) == usage


@pytest.mark.parametrize("count", ["9" * 5000, 10**400, 1e308, 2**70, -5, 1e999, float("nan"), [1], "²"])
def test_a_count_that_no_request_can_have_counts_nothing(count: object) -> None:
    assert usage_of_anthropic({"input_tokens": count, "output_tokens": 3}) == Usage(output=3)
    assert usage_of_openai({"prompt_tokens": 5, "completion_tokens": count}) == Usage(input=5)


# --- the tier and the searches -----------------------------------------------------

TIERS: list[tuple[object, str]] = [
    ("priority", "priority"),
    ("flex", "flex"),
    (" Batch ", "batch"),
    ("scale", "scale"),
    ("default", ""),
    ("auto", ""),
    ("standard", ""),
    ("on_demand", ""),
    ("", ""),
    (None, ""),
    (1, ""),
    ({"tier": "flex"}, ""),
    ("x" * 41, ""),
]


@pytest.mark.parametrize(("reported", "tier"), TIERS)
def test_the_standard_tier_has_no_name_whatever_it_is_called(reported: object, tier: str) -> None:
    assert service_tier(reported) == tier
    assert usage_of_openai({"prompt_tokens": 1}, tier=reported).tier == tier
    assert usage_of_anthropic({"input_tokens": 1, "service_tier": reported}).tier == tier


def test_fast_answers_of_claude_are_a_tier() -> None:
    assert usage_of_anthropic({"speed": "fast", "service_tier": "standard"}).tier == "fast"
    assert usage_of_anthropic({"speed": "standard", "service_tier": "batch"}).tier == "batch"
    assert usage_of_anthropic({"speed": "standard"}).tier == ""


def search(**action: object) -> dict[str, Any]:
    return {"type": "web_search_call", **({"action": action} if action else {})}


SEARCHES: list[tuple[Usage | None, int]] = [
    (usage_of_anthropic({"server_tool_use": {"web_search_requests": 3}}), 3),
    (usage_of_anthropic({"server_tool_use": {"web_fetch_requests": 3}}), 0),
    (usage_of_anthropic({"server_tool_use": None}), 0),
    (usage_of_openai({"prompt_tokens": 1, "server_tool_use": {"web_search_requests": 2}}), 2),
    (usage_of_response({"usage": {}, "output": [search(), {"type": "message"}, search()]}), 2),
    (usage_of_response({"usage": {}, "output": [search(type="search"), search(type="open_page")]}), 1),
    (usage_of_response({"usage": {}, "output": [search(type="find_in_page"), None, "x"]}), 0),
    (usage_of_response({"usage": {}, "output": None}), 0),
]


@pytest.mark.parametrize(("usage", "searches"), SEARCHES)
def test_the_searches_that_cost_a_fee_are_counted(usage: Usage | None, searches: int) -> None:
    assert usage is not None and usage.searches == searches


def test_a_response_names_its_tier_beside_the_usage() -> None:
    usage = usage_of_response({"usage": {"input_tokens": 5}, "service_tier": "flex"})
    assert usage == Usage(input=5, tier="flex")
    assert usage_of_response({"usage": None, "service_tier": "flex"}) is None


def test_the_last_report_of_a_stream_keeps_what_an_earlier_one_named() -> None:
    start = usage_of_anthropic({"input_tokens": 9, "speed": "fast"})
    end = usage_of_anthropic({"output_tokens": 4, "server_tool_use": {"web_search_requests": 1}})
    assert start.merged(end) == Usage(input=9, output=4, tier="fast", searches=1)
