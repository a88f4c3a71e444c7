"""What the values of the settings give for a request."""

import pytest

from switchyard.settings import Upstream


@pytest.mark.parametrize(
    ("models", "deployment", "asked", "sent"),
    [
        ({}, "", "gpt-4", "gpt-4"),
        ([], "", "gpt-4", "gpt-4"),
        ({}, "dep", "gpt-4", "dep"),
        (["gpt-4"], "", "GPT-4", "GPT-4"),
        (["gpt-4"], "dep", "gpt-4", "dep"),
        (["gpt-4"], "", "gpt-4o", None),
        (["gpt-4*"], "", "gpt-4o", "gpt-4o"),
        ({"gpt-4": "qwen"}, "", "Gpt-4", "qwen"),
        ({"*": "any", "gpt-*": "glob", "gpt-4*": "longer", "gpt-4o": "exact"}, "", "gpt-4o", "exact"),
        ({"*": "any", "gpt-*": "glob", "gpt-4*": "longer"}, "", "gpt-4o", "longer"),
        ({"*": "any", "gpt-*": "glob"}, "", "claude", "any"),
        ({"claude-*-haiku*": "small"}, "", "claude-3-5-haiku-20241022", "small"),
        ({"claude-*-haiku*": "small"}, "", "claude-3-5-sonnet", None),
        ({"big*": "*"}, "", "big-1", "big-1"),
    ],
)
def test_an_upstream_has_its_own_name_for_a_model(
    models: dict[str, str] | list[str], deployment: str, asked: str, sent: str | None
) -> None:
    upstream = Upstream(name="a", base_url="https://a.example", models=models, model=deployment)
    assert upstream.model_for(asked) == sent
