"""Every supported file is recognised, and others are refused with the list of supported kinds."""

from typing import Any

import pytest

from switchyard.default_settings import default_document
from switchyard.importing import UnknownFormat, recognise


@pytest.mark.parametrize(
    ("document", "origins"),
    [
        (default_document(), ("upstreams[0]",)),
        ({"api_configs": [{"name": "a", "base_url": "https://a.example"}]}, ("api_configs[0]",)),
        ({"Providers": [{"name": "a", "api_base_url": "https://a.example"}]}, ("Providers[0]",)),
        ([{"name": "a", "azureEndpoint": "https://a.example"}], ("accounts[0]",)),
        ({"name": "a", "apiUrl": "https://a.example"}, ("accounts[0]",)),
        (
            {"model_list": [{"model_name": "m", "litellm_params": {"model": "deepseek/m"}}]},
            ("model_list[0]",),
        ),
        (
            {
                "claude": {
                    "providers": {
                        "1": {"settingsConfig": {"env": {"ANTHROPIC_BASE_URL": "https://a.example"}}}
                    }
                }
            },
            ("claude: 1",),
        ),
    ],
)
def test_each_known_kind_is_recognised(document: Any, origins: tuple[str, ...]) -> None:
    assert recognise(document).origins == origins


@pytest.mark.parametrize("document", [{}, [], 5, None, {"name": "a"}])
def test_anything_else_is_refused_with_the_known_kinds(document: Any) -> None:
    with pytest.raises(UnknownFormat, match="codex_cc_switch"):
        recognise(document)
