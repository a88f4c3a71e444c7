"""The documents are true: snippets work, commands exist, links have a target, both languages agree."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from switchyard.bootstrap import dependencies
from switchyard.cli import build_parser
from switchyard.commands import COMMANDS
from switchyard.settings_validation import parse
from switchyard.web.gateway import Gateway

ROOT = Path(__file__).resolve().parent.parent
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GUIDES = sorted(path for path in ROOT.glob("docs/guides/*.md") if not path.name.endswith(".zh-CN.md"))
SNIPPET = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"python app\.py(?: [^`\n]*)?")
YAML_LINE = re.compile(r" *(- )?([\w]+:( \S.*)?|\w+)\Z")
OWN_PATHS = ("/statusline", "/metrics", "/health", "/api/")
SERVERS = ("vllm", "ollama", "lm-studio", "llama-cpp", "fastchat", "tgi")


@dataclass(frozen=True)
class Snippet:
    document: str
    kind: str
    text: str


def snippets() -> list[Snippet]:
    return [
        Snippet(str(path.relative_to(ROOT)), f"{kind} {more}".strip(), text)
        for path in DOCUMENTS
        for kind, more, text in SNIPPET.findall(path.read_text())
    ]


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_one_of_ours(words: list[str]) -> bool:
    return words[:2] == ["python", "app.py"]


def check_settings(text: str) -> None:
    assert not parse(json.loads(text)).warnings


def check_entry(text: str) -> None:
    assert not parse({"upstreams": [json.loads(text)]}).warnings


def check_shell(text: str) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if is_one_of_ours(words):
            build_parser().parse_args(words[2:])
        for word in words:
            if word.startswith("http://localhost:5101"):
                check_own_path(urlsplit(word).path)


def check_tmux(text: str) -> None:
    for line in text.splitlines():
        command, flag, option, _ = shlex.split(line)
        assert (command, flag, option.startswith("status-right")) == ("set", "-g", True)
    for address in re.findall(r"http://localhost:5101\S*(?=\))", text):
        check_own_path(urlsplit(address).path)


def check_own_path(path: str) -> None:
    bases = ("", "/", "/v1", "/openai")
    assert path in bases or path.startswith(OWN_PATHS) or Gateway.owns("POST", path), path


def check_yaml(text: str) -> None:
    assert [line for line in text.splitlines() if not YAML_LINE.match(line)] == []


CHECKS: dict[str, Callable[[str], object]] = {
    "json settings": check_settings,
    "json entry": check_entry,
    "json claude": json.loads,
    "toml codex": tomllib.loads,
    "yaml": check_yaml,
    "python": ast.parse,
    "sh": check_shell,
    "console": check_shell,
    "tmux": check_tmux,
}


@pytest.mark.parametrize("snippet", snippets(), ids=lambda one: f"{one.document}-{one.kind}")
def test_every_snippet_works(snippet: Snippet) -> None:
    CHECKS[snippet.kind](snippet.text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=names)
def test_every_command_in_a_text_exists(path: Path) -> None:
    for found in COMMAND.findall(SNIPPET.sub("", path.read_text())):
        words = shlex.split(found.replace("claude|codex", "claude"))[2:]
        assert not words or words[0].startswith("--") or words[0] in COMMANDS, found
        build_parser().parse_args(words)


@pytest.mark.parametrize("path", DOCUMENTS, ids=names)
def test_every_link_leads_somewhere(path: Path) -> None:
    own = [target for target in LINK.findall(path.read_text()) if not urlsplit(target).scheme]
    assert [target for target in own if not (path.parent / target.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("path", [*GUIDES, READMES[0]], ids=names)
def test_both_languages_have_the_same_snippets(path: Path) -> None:
    chinese = path.with_name(f"{path.stem}.zh-CN.md")
    assert SNIPPET.findall(chinese.read_text()) == SNIPPET.findall(path.read_text())


@pytest.mark.parametrize("server", SERVERS)
def test_a_guide_to_a_server_shows_the_three_forms_of_models_and_how_to_see_it_work(server: str) -> None:
    text = (ROOT / "docs" / "guides" / f"{server}.md").read_text()
    entries = [json.loads(body) for kind, more, body in SNIPPET.findall(text) if more == "entry"]
    assert [type(entry["models"]).__name__ for entry in entries] == ["dict", "list", "dict"]
    assert (entries[2]["models"], bool(entries[2]["model"])) == ({}, True)
    assert f'python app.py test "{entries[0]["name"]}"' in text


@pytest.mark.parametrize("path", READMES, ids=names)
def test_the_readme_has_exactly_two_set_up_commands(path: Path) -> None:
    commands = [text for kind, _, text in SNIPPET.findall(path.read_text()) if kind == "sh"]
    assert commands == ["python app.py\n", "python scripts/check.py\n"]
    assert (ROOT / "scripts" / "check.py").exists()


@pytest.mark.parametrize("path", READMES, ids=names)
def test_the_readme_names_every_module_and_every_command(path: Path) -> None:
    text = path.read_text()
    folders = [each.name for each in (ROOT / "switchyard").iterdir() if (each / "__init__.py").exists()]
    assert sorted(re.findall(r"`switchyard/(\w+)/`", text)) == sorted(folders)
    assert [name for name in COMMANDS if f"`python app.py {name}" not in text] == []


@pytest.mark.parametrize("path", READMES, ids=names)
def test_the_readme_draws_the_layout_of_the_protocols(path: Path) -> None:
    folder = ROOT / "switchyard" / "protocols"
    drawn = path.read_text().partition("    protocols/\n")[2].partition("\n\n")[0].splitlines()
    named = [line.split()[0] for line in drawn if re.fullmatch(r" {6}\S+ +\S.*", line)]
    folders = [f"{each.parent.name}/" for each in folder.glob("*/__init__.py")]
    files = [each.name for each in folder.glob("*.py") if each.name != "__init__.py"]
    assert len(named) == len(drawn)
    assert sorted(named) == sorted(folders + files)


@pytest.mark.parametrize("path", READMES, ids=names)
def test_each_codec_has_the_files_that_the_readme_names(path: Path) -> None:
    drawn = re.search(r"anthropic_messages/ +.*?[:：](.*)", path.read_text())
    assert drawn is not None
    named = re.split(r", |、", drawn[1].strip())
    for codec in ("anthropic_messages", "openai_chat", "openai_responses"):
        folder = ROOT / "switchyard" / "protocols" / codec
        assert [name for name in named if not (folder / f"{name}.py").exists()] == []


@pytest.mark.parametrize("path", READMES, ids=names)
def test_the_modules_that_the_readme_names_exist(path: Path) -> None:
    modules = re.findall(r"`(\w+\.py)`", path.read_text())
    assert [module for module in modules if not (ROOT / "switchyard" / module).exists()] == []


@pytest.mark.parametrize("path", READMES, ids=names)
def test_the_readme_gives_a_reason_for_every_package(path: Path) -> None:
    text = path.read_text()
    demanded = dependencies(ROOT / "pyproject.toml")
    packages = [re.split(r"[\[<>=~; ]", one)[0] for one in demanded]
    assert [package for package in packages if package not in text.split("##")[-1]] == []
