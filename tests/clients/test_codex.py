"""Set-up of Codex in its own configuration, and undo."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from switchyard.clients import codex, toml_edit
from switchyard.clients.codex import CatalogModel
from switchyard.clients.plan import Plan
from switchyard.clients.texts import Refused, Unparsable
from tests.clients.corpus import CONFIG_TOML

ADDRESS = "http://localhost:5101"


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text.encode())
    return path


def config_of(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_bytes().decode("utf-8-sig"))


def test_a_new_file_points_at_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / ".codex" / "config.toml"
    codex.apply(codex.plan(path, ADDRESS, model="gpt-5.5"), "now")
    assert path.read_text() == (
        'model_provider = "switchyard"\n'
        'model = "gpt-5.5"\n'
        "\n"
        "[model_providers.switchyard]\n"
        'name = "Switchyard"\n'
        'base_url = "http://localhost:5101/openai"\n'
        'wire_api = "responses"\n'
    )


def test_the_users_model_stays_unless_one_is_given(tmp_path: Path) -> None:
    path = written(tmp_path, 'model = "mine"\n')
    codex.apply(codex.plan(path, ADDRESS), "1")
    assert config_of(path)["model"] == "mine"


def test_a_key_is_written_only_into_the_header_of_switchyard(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    codex.apply(codex.plan(path, ADDRESS, "123"), "1")
    assert config_of(path)["model_providers"]["switchyard"]["http_headers"] == {"x-api-key": "123"}


@pytest.mark.parametrize(
    "setting", ["requires_openai_auth = true", 'env_key = "KEY"', 'experimental_bearer_token = "t"']
)
def test_no_other_credential_can_reach_the_daemon(tmp_path: Path, setting: str) -> None:
    path = written(tmp_path, f'[model_providers.switchyard]\nname = "x"\n{setting}\n')
    codex.apply(codex.plan(path, ADDRESS), "1")
    assert config_of(path)["model_providers"]["switchyard"] == {
        "name": "Switchyard",
        "base_url": "http://localhost:5101/openai",
        "wire_api": "responses",
    }


@pytest.mark.parametrize("text", CONFIG_TOML)
def test_set_up_and_undo_leave_the_file_byte_for_byte(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)

    def plan() -> Plan:
        return codex.plan(path, ADDRESS, "123", model="qwen", models=[CatalogModel("qwen", 32768)])

    codex.apply(plan(), "1")
    assert plan().is_empty
    assert config_of(path)["model_provider"] == "switchyard"
    codex.apply(codex.undo(path), "2")
    assert path.read_bytes() == text.encode()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "config.toml",
        "config.toml.backup-1",
        "config.toml.backup-2",
    ]


def test_undoing_keeps_what_the_user_has_added_since(tmp_path: Path) -> None:
    path = written(tmp_path, 'model = "mine" # best\n\n[tui]\nx = 1\n')
    codex.apply(codex.plan(path, ADDRESS, model="qwen"), "1")
    path.write_text(path.read_text().replace("x = 1", "x = 2") + '\n[mcp_servers.new]\ncommand = "y"\n')
    codex.apply(codex.undo(path), "2")
    assert path.read_text() == 'model = "mine" # best\n\n[tui]\nx = 2\n\n[mcp_servers.new]\ncommand = "y"\n'


def test_the_table_is_removed_whole_since_codex_refuses_a_part_of_one(tmp_path: Path) -> None:
    path = written(tmp_path, "x = 1\n")
    codex.apply(codex.plan(path, ADDRESS), "1")
    path.write_text(path.read_text() + "request_max_retries = 1\n")
    plan = codex.undo(path)
    codex.apply(plan, "2")
    assert path.read_text() == "x = 1\n"
    assert (
        plan.notes[0] == "[model_providers.switchyard] is removed completely, including: request_max_retries"
    )


def test_the_catalog_names_every_model_with_its_window(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    models = [CatalogModel("qwen", 32768), CatalogModel("blind", images=False, reasoning=False)]
    codex.apply(codex.plan(path, ADDRESS, models=models), "1")
    catalog = msgspec.json.decode(Path(config_of(path)["model_catalog_json"]).read_bytes())
    fields = ("slug", "context_window", "input_modalities", "default_reasoning_level", "priority")
    assert [tuple(entry[field] for field in fields) for entry in catalog["models"]] == [
        ("qwen", 32768, ["text", "image"], "medium", 1),
        ("blind", 128_000, ["text"], None, 2),
    ]


@pytest.mark.parametrize(
    ("text", "window", "written_window"),
    [
        ("", 65536, 65536),
        ("", 0, None),
        ("model_context_window = 900000\n", 65536, 65536),
        ("model_context_window = 30000\n", 65536, 30000),
    ],
)
def test_the_window_behind_a_model_that_codex_knows_is_written(
    tmp_path: Path, text: str, window: int, written_window: int | None
) -> None:
    path = written(tmp_path, text)
    codex.apply(codex.plan(path, ADDRESS, model="gpt-5.5", context_window=window), "1")
    assert config_of(path).get("model_context_window") == written_window
    codex.apply(codex.plan(path, ADDRESS, model="gpt-5.5", context_window=window and window * 2), "2")
    assert config_of(path).get("model_context_window") == (
        written_window * 2 if written_window == 65536 else written_window
    )
    codex.apply(codex.undo(path), "3")
    assert path.read_text() == text


def test_the_catalog_is_there_whenever_the_configuration_names_it(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    for models, order in (([CatalogModel("qwen")], -1), ([], 1)):
        plan = codex.plan(path, ADDRESS, models=models)
        names = [change.path.name for change in plan.changes if change.is_shown]
        assert names == ["config.toml", "switchyard-models.json"][::order]
        codex.apply(plan, "1")


def test_an_unneeded_catalog_is_removed(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    codex.apply(codex.plan(path, ADDRESS, models=[CatalogModel("qwen")]), "1")
    codex.apply(codex.plan(path, ADDRESS), "2")
    assert "model_catalog_json" not in config_of(path)
    assert not (tmp_path / "switchyard-models.json").exists()


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = \n", "line 1, column 5"), ("[t\n", "line 1, column 3"), ("a = 1\na = 2\n", "line 2")],
)
def test_a_file_that_cannot_be_read_is_refused_and_left_unchanged(
    tmp_path: Path, text: str, place: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(Unparsable, match=place):
        codex.plan(path, ADDRESS)
    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("table", ["", '[profiles.work]\nmodel_provider = "openai"\n'])
def test_a_profile_line_that_codex_refuses_is_refused_with_the_remedy(tmp_path: Path, table: str) -> None:
    path = written(tmp_path, f'profile = "work"\n{table}')
    with pytest.raises(Refused, match=r'Codex does not start with the line profile = "work"') as caught:
        codex.plan(path, ADDRESS)
    assert "move the settings of [profiles.work] to work.config.toml" in caught.value.remedy
    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]


def test_a_folder_with_a_windows_name_is_written_so_that_it_reads_back() -> None:
    assert tomllib.loads(f"x = {toml_edit.render('C:' + chr(92) + 'Users')}") == {"x": "C:\\Users"}


def test_the_file_is_where_the_client_looks(tmp_path: Path) -> None:
    assert codex.config_path({}, tmp_path) == tmp_path / ".codex" / "config.toml"
    assert codex.config_path({"CODEX_HOME": "/x"}, tmp_path) == Path("/x/config.toml")
