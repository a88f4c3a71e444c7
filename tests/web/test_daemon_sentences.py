"""What the daemon itself says on the pages (failures, reasons, notices, warnings) is translated."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchyard.protocols.anthropic_messages.fields import FIELDS as MESSAGES_FIELDS
from switchyard.protocols.openai_chat.fields import FIELDS as CHAT_FIELDS
from switchyard.protocols.openai_responses.fields import FIELDS as RESPONSES_FIELDS

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "switchyard"
MODULES = """
    client_plans use_now
    importing/accounts importing/cc_switch importing/cc_switch_database importing/dotenv importing/imported
    importing/legacy importing/litellm importing/merging importing/recognition importing/router
    clients/claude_code clients/codex clients/edits clients/files clients/json_edit clients/plan clients/texts
    clients/continue_dev clients/toml_edit clients/yaml_edit clients/yaml_nodes clients/zed
    notifications/notifier notifications/sending
    relay/account_balances relay/asking relay/attempt relay/connection_test relay/credentials relay/decompress
    relay/failover relay/failures relay/final_error relay/hold relay/holding relay/keychain relay/prepare
    relay/proxies relay/reach relay/selection relay/vetting
    routing/families routing/fit routing/hold routing/lineup routing/quotas routing/rules routing/steps routing/uses
    store/activations store/budget_reach store/budgets store/files store/journal store/ledger store/price_files
    store/roll_up store/small_file store/token_stats
    web/actions_api web/answers web/client_setup web/history_api web/query_api web/rule_matches web/settings_api
""".split()
"""those whose sentences reach a page"""
GAP = re.compile(r"(\{\w*\})+")
READS_LIKE_WORDS = re.compile(r"[A-Za-z]{2}.* ")
FOR_PROGRAMS = re.compile(
    r"^`[\w{}]+` (must be|cannot be changed)|^, or null\.$|^Writes need|^The body must be"
    r"|^attachment;|^text/csv|^Bearer "
)
"""errors that only a program which uses the API makes, and headers"""
COMPOSED = {
    "{} and {} more",
    "{} for {} s",
    "{} is {}",
    "{} is replaced{}",
    "{} -m pip install keyring",
    "Account {}",
    "Provider {}",
    "model_rules: {} -> {}",
    "routes: {} -> {}",
    " ({}), the imported file has {}",
    "{}: left unchanged{}",
    "concurrent request",
}
"""of a table's words, a name or a command: the whole is in the list, or nothing of it is a word of the daemon"""
ELSEWHERE = {
    "Longer timeout for slow local models.",
    "No telemetry, no update checks, no error reports.",
    "List the daemon's models in /model; not with traffic disabled.",
    "Omit the changing first line of prompts, which defeats prompt caches.",
    "The model that the client requests; empty: keep the current one.",
}
"""the page has a text of its own for each option of a set-up"""
NOT_SHOWN = {
    "Anthropic Messages",
    "Claude Code",
    r"\1\2(not shown)\2",
    "journal writer",
    '{"value": ',
    "OpenAI Chat Completions",
    "OpenAI Responses",
    "Served by Switchyard",
    "This is a test notification.",
    '"{}" is not one of ',
    "1 held request continues",
    "{} held requests continue",
    "held when the daemon ended",
    'its client gets the error of "{}"',
    "expected an object",
    "it has more than {} MB",
    "it has no prices",
    "it is neither a price table nor LiteLLM's list of prices: {}",
}
"""names, the log, what commands print, and texts for the client's own file"""
SNIPPETS = re.compile(
    r"^export |^SELECT |^-- CC Switch|^You are a coding agent|^(model_provider|name|base_url|wire_api|http_headers) ="
)

LOSES = re.compile(r"\bLoss\(|\blose\(|^[A-Z_]+ = \"", re.M)
READ_ELSEWHERE = {"`why`", "`field.loss`", "`field.unknown`"}
"""where the reason of a loss is that of a caller of `lose`, or of the tables of fields"""


def translated() -> dict[str, str]:
    chinese = json.loads((ROOT / "static" / "i18n" / "zh.json").read_text(encoding="utf-8"))
    return {
        GAP.sub("{}", key.removeprefix("daemon.")): text
        for key, text in chinese.items()
        if key.startswith("daemon.") and text
    }


def sentences(path: Path) -> Iterator[str]:
    """The texts of a module that read like words, with {} for what is filled in; no docstrings, types or log."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed_over = {id(part) for node in ast.walk(tree) for part in _passed_over(node)}
    for node in ast.walk(tree):
        text = GAP.sub("{}", _text(node))
        if text and id(node) not in passed_over and READS_LIKE_WORDS.search(text):
            yield text


def _passed_over(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Expr(ast.Constant()):
            yield node.value
        case ast.JoinedStr(parts):
            yield from parts
        case ast.Call(function) if re.match(r"log\.|re\.|Task|Thread", ast.unparse(function)):
            yield from ast.walk(node)
        case ast.AnnAssign(annotation=part) | ast.arg(annotation=ast.expr() as part):
            yield from ast.walk(part)


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            return "".join(_text(part) if isinstance(part, ast.Constant) else "{}" for part in parts)
    return ""


def _is_said(text: str, known: dict[str, str]) -> bool:
    if text in known or text in COMPOSED | ELSEWHERE | NOT_SHOWN:
        return True
    if FOR_PROGRAMS.search(text) or SNIPPETS.search(text):
        return True
    is_fragment = text != text.strip() or text.endswith(".")
    return is_fragment and any(text.strip() in sentence for sentence in known)


def test_a_warning_of_the_settings_file_is_translated() -> None:
    known = translated()
    assert {"{}: unknown field, kept without effect{}", "; did you mean `{}`?"} <= known.keys()
    texts = set(sentences(SOURCE / "faults.py"))
    assert {text for text in texts if "effect" in text or "did you mean" in text} <= known.keys()


@pytest.mark.parametrize("module", MODULES)
def test_each_sentence_of_a_module_is_translated(module: str) -> None:
    known = translated()
    found = sorted(set(sentences(SOURCE / f"{module}.py")))
    assert [text for text in found if not _is_said(text, known)] == []


def losses() -> set[str]:
    """The reasons under "Dropped in conversion"; an expression in backticks where none can be read."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))]
    trees = [ast.parse(source) for source in sources if LOSES.search(source)]
    constants = {name: texts for tree in trees for name, texts in _assigned(tree).items() if name.isupper()}
    found = {
        GAP.sub("{}", text)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node.func) in ("Loss", "lose")
        for why in (*node.args[1:], *(one.value for one in node.keywords if one.arg == "why"))
        for text in _reasons(why, constants | _assigned(tree))
    }
    fields = [*MESSAGES_FIELDS, *CHAT_FIELDS, *RESPONSES_FIELDS]
    of_tables = {
        text for field in fields if not field.is_refused for text in (field.loss, field.unknown) if text
    }
    return (found | of_tables) - READ_ELSEWHERE


def _name(called: ast.expr) -> str:
    match called:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return ""


def _assigned(tree: ast.Module) -> dict[str, set[str]]:
    """The texts that each name of a module stands for, its functions for those that they return."""
    texts: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], value) if text := _text(value):
                texts.setdefault(name, set()).add(text)
            case ast.FunctionDef(name):
                returned = [
                    part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value
                ]
                texts[f"{name}()"] = {
                    text for value in returned for text in map(_text, _branches(value)) if text
                }
    for node in ast.walk(tree):
        match node:
            case ast.NamedExpr(ast.Name(name), ast.Call(function)):
                texts.setdefault(name, set()).update(texts.get(f"{_name(function)}()", ()))
    return texts


def _branches(value: ast.expr) -> list[ast.expr]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]


def _reasons(value: ast.expr, names: dict[str, set[str]]) -> Iterator[str]:
    for branch in _branches(value):
        yield from names.get(ast.unparse(branch)) or {_text(branch) or f"`{ast.unparse(branch)}`"}


def test_each_reason_of_a_loss_is_translated() -> None:
    found = losses()
    # a text, a filled one, one of a function, one of a table, one of an answer, one outside of the protocols
    assert found >= {
        "this upstream reads no images",
        "this upstream has no effort near {}",
        "no thinking while a tool call is forced",
        "nothing is stored",
        "no text followed them",
        "reduced to {}: the prompt leaves no more of the context window of {} tokens",
    }
    assert sorted(found - translated().keys()) == []
