"""Recognise which program a file belongs to."""

from typing import Any

from switchyard.importing.accounts import from_accounts, is_accounts
from switchyard.importing.imported import Imported, UnknownFormat
from switchyard.importing.legacy import from_legacy, is_legacy
from switchyard.importing.router import from_router, is_router
from switchyard.settings import parse


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
    if is_accounts(document):
        return from_accounts(document)
    raise UnknownFormat(
        "The file is none of these: settings of Switchyard, all_configs.json of codex_cc_switch, "
        "accounts of the relay service (Azure OpenAI or CCR), config.json of claude-code-router."
    )
