"""The lists of models as each client reads them."""

import pytest

from switchyard.web.model_list import anthropic_list, codex_list, openai_list

MODELS = {"qwen3": 32_768, "claude-sonnet-4-5": 200_000}


def ids(query: dict[str, str]) -> list[tuple[str, str]]:
    return [(entry["id"], entry["display_name"]) for entry in anthropic_list(MODELS, query)["data"]]


def test_claude_code_gets_every_model_under_a_name_that_it_shows() -> None:
    assert ids({"limit": "1000"}) == [
        ("claude-switchyard-qwen3", "qwen3"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
    ]


def test_other_programs_get_the_names_as_they_are() -> None:
    assert ids({}) == [("qwen3", "qwen3"), ("claude-sonnet-4-5", "claude-sonnet-4-5")]
    assert [entry["id"] for entry in openai_list(MODELS)["data"]] == list(MODELS)
    assert [entry["slug"] for entry in codex_list(MODELS)["models"]] == list(MODELS)


def test_pages_follow_each_other() -> None:
    assert anthropic_list(MODELS, {"limit": "1"})["has_more"] is True
    assert ids({"limit": "1", "after_id": "qwen3"}) == [("claude-sonnet-4-5", "claude-sonnet-4-5")]
    assert anthropic_list(MODELS, {"limit": "1", "after_id": "qwen3"})["has_more"] is False


@pytest.mark.parametrize("limit", ["²", "٣", "9" * 5000, "-1", "1e3", "", "0"])
def test_an_invalid_limit_is_no_internal_error(limit: str) -> None:
    assert len(ids({"limit": limit})) in (1, 2)
