"""Recognise which program a file belongs to."""

from typing import Any

from switchyard.importing.accounts import from_accounts, is_accounts
from switchyard.importing.cc_switch import (
    EXPORT,
    SQLITE,
    from_cc_switch,
    is_cc_switch,
)
from switchyard.importing.cc_switch_database import from_database, from_export
from switchyard.importing.dotenv import from_dotenv, is_dotenv
from switchyard.importing.imported import Imported, UnknownFormat
from switchyard.importing.legacy import from_legacy, is_legacy
from switchyard.importing.litellm import from_litellm, is_litellm
from switchyard.importing.router import from_router, is_router
from switchyard.settings_validation import parse


def recognise(document: Any) -> Imported:
    """Decode a file of any known format, including Switchyard's own. Raises UnknownFormat or SettingsError."""
    if isinstance(document, dict) and isinstance(document.get("upstreams"), list):
        parse(document)
        return Imported(
            document, (), tuple(f"upstreams[{index}]" for index in range(len(document["upstreams"])))
        )
    if is_legacy(document):
        return from_legacy(document)
    if is_router(document):
        return from_router(document)
    if is_litellm(document):
        return from_litellm(document)
    if is_cc_switch(document):
        return from_cc_switch(document)
    if is_accounts(document):
        return from_accounts(document)
    raise UnknownFormat(
        "The file is none of these: settings of Switchyard, all_configs.json of codex_cc_switch, "
        "accounts of the relay service (Azure OpenAI or CCR), config.json of claude-code-router, "
        "cc-switch.db, SQL export or config.json of cc-switch, config.yaml of LiteLLM, .env with keys."
    )


def recognise_other(content: bytes) -> Imported | None:
    """Decode a file that is not JSON; None if it may be. Raises UnknownFormat or SettingsError."""
    if content.startswith(SQLITE):
        return _from_sql(content)
    text = content.decode(errors="replace").removeprefix("\ufeff")
    start = text.lstrip()
    if start.startswith(EXPORT):
        return _from_sql(start)
    if start.startswith(("{", "[", "//", "/*")):
        return None
    if "model_list:" in text:
        return recognise(_yaml(text))
    return from_dotenv(text) if is_dotenv(text) else None


def _from_sql(source: bytes | str) -> Imported:
    """A database or an export. Raises UnknownFormat."""
    try:
        return from_database(source) if isinstance(source, bytes) else from_export(source)
    except ImportError:
        raise UnknownFormat(
            "This Python has no SQLite; use another one, or import an older config.json."
        ) from None


def _yaml(text: str) -> Any:
    """Raises UnknownFormat with the position of the error."""
    import yaml  # type: ignore[import-untyped] # loaded when it is needed: each start of the daemon imports this module

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UnknownFormat(
            f"The file is not valid YAML: {place}{getattr(error, 'problem', error)}"
        ) from None
