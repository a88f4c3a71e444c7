"""The reference page is the generated one, and names every field, flag and environment variable."""

import argparse
import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.settings_reference import COMMAND_EXAMPLES, PAGE, SECTIONS, page
from switchyard.cli import build_parser
from switchyard.commands import COMMANDS
from switchyard.doctor.clients import AUTH_VARIABLES, EXEMPTING, PROXY_VARIABLES
from switchyard.faults import names_in
from switchyard.protocols.capabilities import Capabilities
from switchyard.settings import Settings

ROOT = PAGE.parent.parent
CELL = re.compile(r"(?<!\\)\|")


def test_the_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/settings_reference.py"


def sections(heading: str = "") -> dict[str, str]:
    """The sections by their titles; with `heading`, those of this depth."""
    parts = re.split(r"^(#{2,3}) (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found: dict[str, str] = {}
    for depth, title, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if heading in ("", depth):
            found.setdefault(title, text)
    return found


def rows(section: str) -> dict[str, list[str]]:
    """The cells of each row of a section's table by the names in its first one."""
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in CELL.split(line)[1:-1]]
        for name in re.findall(r"`([^`]+)`", cells[0]) if cells else ():
            found[name] = cells[1:]
    return found


# --- fields -------------------------------------------------------------------


def test_every_field_of_the_file_has_a_row() -> None:
    listed = {name for _, title, _ in SECTIONS for name in rows(sections()[title])}
    assert names_in(Settings) - listed == set()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section[1])
def test_every_field_stands_in_the_section_of_its_object(
    section: tuple[type[msgspec.Struct], str, str],
) -> None:
    kind, title, _ = section
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    assert list(rows(sections()[title])) == names


def test_every_capability_is_described() -> None:
    listed = rows(sections()["capabilities"])
    assert list(listed) == list(Capabilities.__struct_fields__)
    assert [name for name, cells in listed.items() if not cells[-1]] == []


def test_every_field_states_value_default_example_and_meaning() -> None:
    for title in (*(title for _, title, _ in SECTIONS), "capabilities"):
        for name, (value, _, default, example, meaning) in rows(sections()[title]).items():
            assert value and default and example and meaning, (title, name)


def test_a_preset_is_shown_with_the_default() -> None:
    default = rows(sections()["capabilities"])["thinking_switch"][2]
    assert default == "`false`; `true` (chat: deepseek)"


# --- flags --------------------------------------------------------------------


def flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            yield from action.option_strings or [str(action.metavar or action.dest)]


def own_flags(command: str) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False)
    COMMANDS[command].add_arguments(parser)
    return list(flags(parser))


def test_every_flag_of_the_daemon_has_a_row() -> None:
    assert sorted(rows(sections()["Command line"])) == sorted(flags(build_parser()))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_command_has_a_row_with_its_meaning(command: str) -> None:
    listed = rows(sections("###")[command])
    assert list(listed) == own_flags(command)
    assert [name for name, cells in listed.items() if not all(cells)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_command_is_in_an_example_that_works(command: str) -> None:
    examples = [shlex.split(example) for example in COMMAND_EXAMPLES[command]]
    for example in examples:
        assert build_parser().parse_args(example).command == command
    used = {word for example in examples for word in example}
    assert [flag for flag in own_flags(command) if flag.startswith("--") and flag not in used] == []


# --- environment --------------------------------------------------------------

ENVIRONMENT = re.compile(r"(?:.*\.)?_?(?:environ|environment)\Z")
NAMED_BY_USERS = {
    "switchyard/relay/credentials.py",
    "switchyard/doctor/upstreams.py",
    "switchyard/cli.py",
}
"""where the name comes from the settings, or from the table of flags that the page is made of"""


def reads(tree: ast.AST) -> Iterator[ast.expr]:
    """The name of each variable that is looked up in an environment."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Attribute(owner, "get" | "setdefault"), [name, *_]):
                pass
            case ast.Call(ast.Attribute(owner, "getenv"), [name, *_]):
                yield name
                continue
            case ast.Subscript(owner, name):
                pass
            case ast.Compare(name, [ast.In() | ast.NotIn()], [owner]):
                pass
            case _:
                continue
        if ENVIRONMENT.match(ast.unparse(owner)):
            yield name


def reads_by_function(path: Path) -> Iterator[tuple[ast.AST, ast.expr]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = [(function, name) for function in functions for name in reads(function)]
    assert {name for _, name in found} == set(reads(tree)), (
        f"{path} reads the environment when it is imported"
    )
    yield from found


def values(name: ast.expr, tree: ast.AST, module: dict[str, Any]) -> list[str]:
    """The strings that this expression may be: a constant, or the variable of a loop over constants."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.comprehension | ast.For)]
    over = [loop.iter for loop in loops if ast.unparse(loop.target) == ast.unparse(name)]
    try:
        if over:
            return [one for each in over for one in eval(ast.unparse(each), module)]
        return [eval(ast.unparse(name), module)]
    except NameError:
        return []


def test_every_variable_that_the_source_reads_has_a_row() -> None:
    listed = {name.upper() for name in rows(sections()["Environment variables"])}
    seen: set[str] = set()
    for path in sorted([ROOT / "app.py", *(ROOT / "switchyard").rglob("*.py")]):
        place = path.relative_to(ROOT)
        for function, name in reads_by_function(path):
            module = vars(importlib.import_module(".".join(place.with_suffix("").parts)))
            found = values(name, function, module)
            assert found or place.as_posix() in NAMED_BY_USERS, f"{place}:{name.lineno} {ast.unparse(name)}"
            seen.update(found)
    assert {"SWITCHYARD_PYTHON", "CODEX_HOME", "NO_PROXY", "COMSPEC"} <= seen
    assert sorted(name for name in seen if name.upper() not in listed) == []


@pytest.mark.parametrize("names", [*PROXY_VARIABLES.values(), *EXEMPTING.values(), AUTH_VARIABLES])
def test_every_variable_that_the_doctor_examines_has_a_row(names: tuple[str, ...]) -> None:
    listed = rows(sections()["Environment variables"])
    assert [name for name in names if name.upper() not in listed] == []


def test_the_proxies_that_the_standard_library_reads_have_a_row() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "switchyard").rglob("*.py")]
    assert any("getproxies" in source for source in sources)
    listed = rows(sections()["Environment variables"])
    assert {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"} <= listed.keys()


@pytest.mark.parametrize("name", ["compose.yaml", "Dockerfile"])
def test_every_variable_of_the_container_has_a_row(name: str) -> None:
    used = re.findall(r"\b(SWITCHYARD_[A-Z_]+)\b", (ROOT / name).read_text(encoding="utf-8"))
    assert set(used) <= rows(sections()["Environment variables"]).keys()


def test_the_readers_of_an_environment_are_found() -> None:
    source = 'os.getenv("A"); os.environ["B"]; "C" in environment; self.environment.get("D"); other.get("E")'
    assert [ast.unparse(name) for name in reads(ast.parse(source))] == ["'A'", "'B'", "'C'", "'D'"]
