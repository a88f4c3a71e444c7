"""The clients that differ only in their file: the keys of a set-up, and the file after undoing it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from switchyard import client_plans
from switchyard.client_plans import FILE_CLIENTS, Wanted
from switchyard.clients import json_edit
from switchyard.clients.file_client import Offer, key_of
from switchyard.clients.plan import Endpoint, Plan, apply
from switchyard.clients.texts import Refused
from switchyard.settings import Settings
from switchyard.settings_validation import parse
from tests.clients.corpus import COMMENTED_JSON, CONFIG_YAML, SETTINGS_JSON

ADDRESS = "http://localhost:5101"
BASE = "http://localhost:5101/openai/v1"
SETTINGS = parse(
    {
        "upstreams": [
            {
                "name": "a",
                "base_url": "https://a.example",
                "protocol": "chat",
                "models": ["qwen3", "glm-5"],
                "context_window": 65536,
            }
        ]
    }
).settings
NAMES = tuple(FILE_CLIENTS)
YAML = ("continue", "aider")


def continue_entry(name: str, model: str) -> dict[str, Any]:
    return {
        "name": name,
        "provider": "openai",
        "model": model,
        "apiBase": BASE,
        "apiKey": "switchyard",
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use"],
        "defaultCompletionOptions": {"contextLength": 65536, "maxTokens": 16384},
    }


EXPECTED: dict[str, dict[str, Any]] = {
    "opencode": {
        "provider": {
            "switchyard": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Switchyard",
                "options": {"baseURL": BASE, "apiKey": "switchyard"},
                "models": {
                    "qwen3": {"name": "qwen3", "limit": {"context": 65536, "output": 16384}},
                    "glm-5": {"name": "glm-5", "limit": {"context": 65536, "output": 16384}},
                },
            }
        },
        "model": "switchyard/qwen3",
    },
    "qwen": {
        "security": {"auth": {"selectedType": "openai", "baseUrl": BASE, "apiKey": "switchyard"}},
        "model": {"name": "qwen3", "generationConfig": {"contextWindowSize": 65536}},
    },
    "crush": {
        "providers": {
            "switchyard": {
                "name": "Switchyard",
                "type": "openai-compat",
                "base_url": BASE,
                "api_key": "switchyard",
                "models": [
                    {"id": "qwen3", "name": "qwen3", "context_window": 65536, "default_max_tokens": 16384},
                    {"id": "glm-5", "name": "glm-5", "context_window": 65536, "default_max_tokens": 16384},
                ],
            }
        },
        "models": {
            "large": {"provider": "switchyard", "model": "qwen3"},
            "small": {"provider": "switchyard", "model": "qwen3"},
        },
    },
    "cline": {
        "version": 1,
        "lastUsedProvider": "openai-compatible",
        "providers": {
            "openai-compatible": {
                "settings": {
                    "provider": "openai-compatible",
                    "baseUrl": BASE,
                    "apiKey": "switchyard",
                    "model": "qwen3",
                },
                "updatedAt": "1970-01-01T00:00:00.000Z",
                "tokenSource": "manual",
            }
        },
    },
    "zed": {
        "language_models": {
            "openai_compatible": {
                "Switchyard": {
                    "api_url": BASE,
                    "available_models": [
                        {"name": "qwen3", "max_tokens": 65536, "max_output_tokens": 16384},
                        {"name": "glm-5", "max_tokens": 65536, "max_output_tokens": 16384},
                    ],
                }
            }
        },
        "agent": {"default_model": {"provider": "Switchyard", "model": "qwen3"}},
    },
    "continue": {
        "name": "Main",
        "version": "1.0.0",
        "schema": "v1",
        "models": [continue_entry("Switchyard", "qwen3"), continue_entry("Switchyard glm-5", "glm-5")],
    },
    "aider": {
        "model": "openai/qwen3",
        "weak-model": "openai/qwen3",
        "openai-api-base": BASE,
        "openai-api-key": "switchyard",
    },
}


def plan(client: str, path: Path, settings: Settings = SETTINGS, **wanted: Any) -> Plan:
    return client_plans.plan(client, path, Wanted(ADDRESS, **wanted), settings, {})


def values(client: str, text: bytes | str) -> Any:
    return yaml.safe_load(text) if client in YAML else json.loads(text)


def text_of(client: str, document: Any) -> str:
    return yaml.safe_dump(document) if client in YAML else json.dumps(document, indent=4)


@pytest.mark.parametrize("client", NAMES)
def test_a_new_file_points_at_the_daemon(tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.json"
    apply(plan(client, path), "1")
    written = values(client, path.read_bytes())
    if client == "aider":
        listed = json.loads(Path(written.pop("model-metadata-file")).read_bytes())
        assert {name: model["max_input_tokens"] for name, model in listed.items()} == {
            "openai/qwen3": 65536,
            "openai/glm-5": 65536,
        }
    assert written == EXPECTED[client]
    assert client_plans.base_url_in(client, path) == BASE
    assert plan(client, path).is_empty


FILES = [
    (client, text)
    for client in NAMES
    for text in (CONFIG_YAML if client in YAML else (*SETTINGS_JSON, *COMMENTED_JSON))
    # `model` is an object in the file of Qwen Code
    if not (client == "qwen" and '"model":' in text)
]


@pytest.mark.parametrize(("client", "text"), FILES)
def test_set_up_and_undo_leave_the_file_byte_for_byte(tmp_path: Path, client: str, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode())
    apply(plan(client, path, key="123"), "1")
    assert client_plans.base_url_in(client, path) == BASE
    apply(client_plans.undo(client, path), "2")
    assert path.read_bytes() == text.encode()
    assert [one.name for one in tmp_path.iterdir() if "backup" not in one.name] == [path.name]


@pytest.mark.parametrize("client", NAMES)
def test_undoing_keeps_what_the_client_has_added_since(tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.json"
    apply(plan(client, path), "1")
    written = values(client, path.read_bytes()) | {"$version": 4}
    path.write_text(text_of(client, written))
    apply(client_plans.undo(client, path), "2")
    assert values(client, path.read_bytes()) == {"$version": 4}


@pytest.mark.parametrize("client", [name for name in NAMES if name != "zed"])
def test_a_key_is_written_for_the_owner_alone_and_not_shown(tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.json"
    planned = plan(client, path, key="secret-123")
    assert "secret-123" not in planned.diff() and BASE in planned.diff()
    apply(planned, "1")
    assert "secret-123" in path.read_text() and path.stat().st_mode & 0o77 == 0


PREVIOUS: dict[str, tuple[str, Endpoint]] = {
    "opencode": (
        '{"model": "r/x", "provider": {"r": {"npm": "@ai-sdk/anthropic", "options": '
        '{"baseURL": "https://r.example/v1", "apiKey": "sk-1"}}}}',
        Endpoint("https://r.example/v1", "messages", "sk-1"),
    ),
    "qwen": (
        '{"security": {"auth": {"selectedType": "openai", "baseUrl": "https://r.example/v1", "apiKey": "sk-1"}}}',
        Endpoint("https://r.example/v1", "chat", "sk-1"),
    ),
    "crush": (
        '{"models": {"large": {"provider": "r", "model": "x"}}, "providers": {"r": {"type": "anthropic", '
        '"base_url": "https://r.example", "api_key": "$KEY"}}}',
        Endpoint("https://r.example", "messages", "env:KEY"),
    ),
    "cline": (
        '{"lastUsedProvider": "openai-native", "providers": {"openai-native": {"settings": '
        '{"baseUrl": "https://r.example", "apiKey": "sk-1"}}}}',
        Endpoint("https://r.example", "responses", "sk-1"),
    ),
    "zed": (
        '{"agent": {"default_model": {"provider": "R", "model": "x"}}, "language_models": '
        '{"openai_compatible": {"R": {"api_url": "https://r.example/v1"}}}}',
        Endpoint("https://r.example/v1", "chat", ""),
    ),
    "continue": (
        "name: x\nversion: 0.0.1\nmodels:\n  - name: Mine\n    provider: anthropic\n    model: x\n"
        "    apiBase: https://r.example\n    apiKey: ${{ secrets.KEY }}\n",
        Endpoint("https://r.example", "messages", ""),
    ),
    "aider": (
        "openai-api-base: https://r.example/v1 # mine\nopenai-api-key: sk-1\nmodel: openai/x\n",
        Endpoint("https://r.example/v1", "chat", "sk-1"),
    ),
}


def test_the_address_of_one_of_zeds_own_providers_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        '{"agent": {"default_model": {"provider": "anthropic", "model": "x"}}, '
        '"language_models": {"anthropic": {"api_url": "https://r.example"}}}'
    )
    assert plan("zed", path).previous == Endpoint("https://r.example", "messages", "")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sk-1", "sk-1"),
        ("$KEY", "env:KEY"),
        ("${KEY}", "env:KEY"),
        ("{env:KEY}", "env:KEY"),
        ("$(pass show key)", ""),
        ("{file:~/key}", ""),
        ("", ""),
    ],
)
def test_a_variable_of_a_client_is_kept_by_its_name(text: str, key: str) -> None:
    assert key_of(text) == key


@pytest.mark.parametrize("client", NAMES)
def test_the_endpoint_that_is_replaced_is_found(tmp_path: Path, client: str) -> None:
    text, endpoint = PREVIOUS[client]
    path = tmp_path / "x.json"
    path.write_text(text)
    assert plan(client, path).previous == endpoint
    apply(plan(client, path), "1")
    assert plan(client, path).previous is None


def test_what_is_replaced_is_said_in_words_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(PREVIOUS["qwen"][0].replace("https://", "https://me:pass@"))
    assert plan("qwen", path).notes == (
        "security.auth.baseUrl is replaced (now https://r.example/v1); security.auth.apiKey is replaced. "
        "Undoing the set-up restores this.",
    )


@pytest.mark.parametrize("client", NAMES)
def test_what_an_earlier_set_up_has_written_is_not_said_to_be_replaced(tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.json"
    apply(plan(client, path), "1")
    changed = plan(client, path, model="glm-5", key="123")
    assert not changed.is_empty and not any("is replaced" in note for note in changed.notes)


@pytest.mark.parametrize("client", NAMES)
def test_without_any_model_the_set_up_asks_for_one(tmp_path: Path, client: str) -> None:
    empty = parse(
        {"upstreams": [{"name": "a", "base_url": "https://a.example", "protocol": "chat"}]}
    ).settings
    with pytest.raises(Refused, match="no upstream lists a model"):
        plan(client, tmp_path / "x.json", empty)
    assert not plan(client, tmp_path / "x.json", empty, model="m").is_empty


def test_the_model_of_an_earlier_set_up_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    apply(plan("opencode", path, model="glm-5"), "1")
    assert plan("opencode", path).is_empty
    assert json_edit.data(path.read_text())["model"] == "switchyard/glm-5"


def test_the_snippet_is_the_whole_file() -> None:
    for client in NAMES:
        assert values(client, client_plans.snippet(client, Wanted(ADDRESS), SETTINGS)) == EXPECTED[client]


def test_another_model_of_continue_is_its_default_and_the_users_own_entries_stay(tmp_path: Path) -> None:
    path, mine = tmp_path / "config.yaml", {"name": "Mine", "provider": "ollama", "model": "x"}
    path.write_text(yaml.safe_dump({"name": "a", "version": "2", "models": [mine]}))
    apply(plan("continue", path), "1")
    apply(plan("continue", path, model="glm-5"), "2")
    written = yaml.safe_load(path.read_text())
    assert (written["name"], written["version"], written["schema"]) == ("a", "2", "v1")
    assert [(one["name"], one["model"]) for one in written["models"]] == [
        ("Switchyard", "glm-5"),
        ("Switchyard qwen3", "qwen3"),
        ("Mine", "x"),
    ]
    assert plan("continue", path).is_empty


def test_an_older_configuration_of_continue_is_not_put_out_of_use(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Refused, match=r"config\.json"):
        plan("continue", tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("name: a\nversion: 1.0.0\n")
    assert not plan("continue", tmp_path / "config.yaml").is_empty


@pytest.mark.parametrize(
    ("client", "environment", "path"),
    [
        ("opencode", {}, ".config/opencode/opencode.json"),
        ("opencode", {"XDG_CONFIG_HOME": "{home}/x"}, "x/opencode/opencode.json"),
        ("opencode", {"OPENCODE_CONFIG": "{home}/o.json"}, "o.json"),
        ("qwen", {}, ".qwen/settings.json"),
        ("qwen", {"QWEN_HOME": "{home}/q"}, "q/settings.json"),
        ("crush", {}, ".config/crush/crush.json"),
        ("crush", {"CRUSH_GLOBAL_CONFIG": "{home}/c"}, "c/crush.json"),
        ("cline", {}, ".cline/data/settings/providers.json"),
        ("cline", {"CLINE_DIR": "{home}/c"}, "c/data/settings/providers.json"),
        ("cline", {"CLINE_DATA_DIR": "{home}/d"}, "d/settings/providers.json"),
        ("cline", {"CLINE_PROVIDER_SETTINGS_PATH": "{home}/p.json"}, "p.json"),
        ("zed", {}, ".config/zed/settings.json"),
        ("zed", {"APPDATA": "{home}/a"}, "a/Zed/settings.json"),
        ("continue", {}, ".continue/config.yaml"),
        ("continue", {"CONTINUE_GLOBAL_DIR": "{home}/c"}, "c/config.yaml"),
        ("aider", {}, ".aider.conf.yml"),
    ],
)
def test_the_file_is_where_the_client_looks(
    tmp_path: Path, client: str, environment: dict[str, str], path: str
) -> None:
    named = {name: value.replace("{home}", str(tmp_path)) for name, value in environment.items()}
    assert client_plans.path_of(client, named, tmp_path) == tmp_path / path


def test_the_commented_file_of_opencode_is_used_where_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / ".config" / "opencode" / "opencode.jsonc"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert client_plans.path_of("opencode", {}, tmp_path) == path


def test_a_file_lists_a_hundred_models_and_the_chosen_one() -> None:
    models = {f"model-{number}": number for number in range(1, 502)}
    windows = Offer("http://localhost:5101/openai/v1", "k", "model-500", models).windows
    assert list(windows) == ["model-500", *list(models)[:100]]
    assert windows["model-500"] == 500


def test_the_cost_of_a_plan_does_not_grow_with_the_square_of_its_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    for name in ("compose", "safe_load"):
        monkeypatch.setattr(yaml, name, _counted(getattr(yaml, name), parsed))
    models = [f"model-{number}" for number in range(100)]
    upstream = {"name": "u", "base_url": "http://localhost:9", "protocol": "chat", "models": models}
    settings = parse({"upstreams": [upstream]}).settings
    path = tmp_path / "config.yaml"
    path.write_text("name: Mine\nmodels:\n  - name: Own\n")
    for own in ("", "# changed\n"):
        path.write_text(path.read_text() + own)
        apply(client_plans.plan("continue", path, Wanted(ADDRESS), settings, {}), "20261121-120000")
    path.write_text(path.read_text() + "# changed again\n")
    whole = len(path.read_text())
    apply(client_plans.undo("continue", path), "20261121-120000")
    assert "Switchyard" not in path.read_text()
    assert sum(parsed) < 30 * whole


def _counted(read: Callable[..., Any], parsed: list[int]) -> Callable[..., Any]:
    def counting(text: str, **more: Any) -> Any:
        parsed.append(len(text))
        return read(text, **more)

    return counting
