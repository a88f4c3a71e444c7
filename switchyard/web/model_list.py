"""The models that clients can request, in the three formats that clients read."""

import re
from typing import Any

from switchyard.protocols.names import CLAUDE_ALIAS

DEFAULT_WINDOW = 200_000
"""for Codex, which needs a number"""
CREATED = 1_735_689_600
CREATED_AT = "2025-01-01T00:00:00Z"
DEFAULT_LIMIT = 20
MAX_LIMIT = 1000
NUMBER = re.compile(r"[0-9]{1,9}")
CLAUDE_NAME = re.compile(
    r"claude-(?P<line>[a-z]+)-(?P<major>\d{1,2})(?:-(?P<minor>\d{1,2}))?(?:-\d{8}|-latest)?"
)
GPT_NAME = re.compile(
    r"gpt-(?P<version>\d[\d.]*o?)(?P<words>(?:-(?:mini|nano|pro|codex|turbo|max|chat|latest))*)"
)
SHOWN_BY_CLAUDE_CODE = ("claude", "anthropic")


def anthropic_list(models: dict[str, int], query: dict[str, str]) -> dict[str, Any]:
    """https://docs.anthropic.com/en/api/models-list"""
    entries = [anthropic_model(name, window) for name, window in models.items()]
    after, before = query.get("after_id"), query.get("before_id")
    names = list(models)
    start = names.index(after) + 1 if after in names else 0
    end = names.index(before) if before in names else len(names)
    limit = query.get("limit", "")
    count = max(1, min(int(limit), MAX_LIMIT)) if NUMBER.fullmatch(limit) else DEFAULT_LIMIT
    page = entries[start:end][:count]
    if limit == str(MAX_LIMIT):
        # Claude Code sends this; it shows only names that begin like those of Anthropic
        page = [{**entry, "id": _shown_id(entry["id"])} for entry in page]
    return {
        "data": page,
        "has_more": start + count < end,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _shown_id(name: str) -> str:
    return name if name.lower().startswith(SHOWN_BY_CLAUDE_CODE) else CLAUDE_ALIAS + name


def anthropic_model(name: str, window: int) -> dict[str, Any]:
    """A window of 0 is unknown: nothing is said about it."""
    limits = {"max_input_tokens": window, "max_tokens": min(window, 64_000), "context_window": window}
    model = {"type": "model", "id": name, "display_name": display_name(name), "created_at": CREATED_AT}
    return model | (limits if window else {})


def openai_list(models: dict[str, int]) -> dict[str, Any]:
    return {"object": "list", "data": [openai_model(name, window) for name, window in models.items()]}


def openai_model(name: str, window: int) -> dict[str, Any]:
    model = {"id": name, "object": "model", "created": CREATED, "owned_by": "switchyard"}
    model["display_name"] = display_name(name)
    return model | ({"context_window": window} if window else {})


def codex_list(models: dict[str, int]) -> dict[str, Any]:
    """The list that Codex reads with `client_version`: entries of its own catalogue format."""
    return {
        "models": [codex_model(name, window, place) for place, (name, window) in enumerate(models.items())]
    }


def codex_model(name: str, window: int, place: int) -> dict[str, Any]:
    efforts = [{"effort": effort, "description": effort} for effort in ("low", "medium", "high")]
    return {
        "slug": name,
        "display_name": display_name(name),
        "description": f"{name} through Switchyard",
        "default_reasoning_level": "medium",
        "supported_reasoning_levels": efforts,
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": True,
        "priority": place,
        "base_instructions": "You are a coding agent. Use the tools to read, change and run code.",
        "supports_reasoning_summaries": True,
        "support_verbosity": False,
        "apply_patch_tool_type": "freeform",
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "supports_parallel_tool_calls": True,
        "context_window": window or DEFAULT_WINDOW,
        "experimental_supported_tools": [],
    }


def display_name(name: str) -> str:
    """The vendor's own spelling where it is known: Claude Opus 4.5, GPT-5.5 Codex; otherwise the name as it is."""
    if found := CLAUDE_NAME.fullmatch(name):
        version = f"{found['major']}.{found['minor']}" if found["minor"] else found["major"]
        return f"Claude {found['line'].capitalize()} {version}"
    if found := GPT_NAME.fullmatch(name):
        words = (found["words"] or "").replace("-", " ").title()
        return f"GPT-{found['version']}{words}"
    return name
