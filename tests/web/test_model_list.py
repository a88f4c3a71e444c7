"""The lists of models as each client reads them."""

import pytest

from switchyard.web.model_list import anthropic_list, codex_list, display_name, openai_list

MODELS = {"qwen3": 32_768, "claude-sonnet-4-5": 200_000}


def ids(query: dict[str, str]) -> list[tuple[str, str]]:
    return [(entry["id"], entry["display_name"]) for entry in anthropic_list(MODELS, query)["data"]]


def test_claude_code_gets_every_model_under_a_name_that_it_shows() -> None:
    assert ids({"limit": "1000"}) == [
        ("claude-switchyard-qwen3", "qwen3"),
        ("claude-sonnet-4-5", "Claude Sonnet 4.5"),
    ]


def test_other_programs_get_the_names_as_they_are() -> None:
    assert ids({}) == [("qwen3", "qwen3"), ("claude-sonnet-4-5", "Claude Sonnet 4.5")]
    assert [entry["id"] for entry in openai_list(MODELS)["data"]] == list(MODELS)
    assert [entry["slug"] for entry in codex_list(MODELS)["models"]] == list(MODELS)


def test_pages_follow_each_other() -> None:
    assert anthropic_list(MODELS, {"limit": "1"})["has_more"] is True
    assert ids({"limit": "1", "after_id": "qwen3"}) == [("claude-sonnet-4-5", "Claude Sonnet 4.5")]
    assert anthropic_list(MODELS, {"limit": "1", "after_id": "qwen3"})["has_more"] is False


@pytest.mark.parametrize("limit", ["²", "٣", "9" * 5000, "-1", "1e3", "", "0"])
def test_an_invalid_limit_is_no_internal_error(limit: str) -> None:
    assert len(ids({"limit": limit})) in (1, 2)


def test_each_shape_tells_the_window_where_it_is_known() -> None:
    models = {"known": 32_768, "unknown": 0}
    windows = [
        [entry.get(field) for entry in shape]
        for shape, field in (
            (anthropic_list(models, {})["data"], "context_window"),
            (anthropic_list(models, {})["data"], "max_input_tokens"),
            (openai_list(models)["data"], "context_window"),
            (codex_list(models)["models"], "context_window"),
        )
    ]
    assert windows == [[32_768, None], [32_768, None], [32_768, None], [32_768, 200_000]]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("claude-opus-4-5", "Claude Opus 4.5"),
        ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5"),
        ("claude-sonnet-5", "Claude Sonnet 5"),
        ("gpt-5.5", "GPT-5.5"),
        ("gpt-5.1-codex-max", "GPT-5.1 Codex Max"),
        ("gpt-4o-mini", "GPT-4o Mini"),
        ("gpt-oss-120b", "gpt-oss-120b"),
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B"),
    ],
)
def test_names_are_spelled_as_their_vendors_do_where_that_is_known(name: str, shown: str) -> None:
    assert display_name(name) == shown
