"""Point Claude Code at the daemon through its settings.json, and undo that."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from switchyard.clients import files, json_edit, texts
from switchyard.clients.edits import Record, value_at
from switchyard.clients.endpoints import claude_endpoint_in
from switchyard.clients.plan import Plan, apply, read_record
from switchyard.store.files import read_or_none

__all__ = [
    "KNOBS",
    "MODEL",
    "TIMEOUT",
    "apply",
    "base_url_in",
    "chosen",
    "plan",
    "settings_path",
    "undo",
    "window_variables",
]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANY_KEY = "switchyard"
"""sent if the daemon needs no token: without one Claude Code asks for a login"""
LARGEST_WINDOW = 1_000_000
"""the window that Claude Code assumes for its newest models"""
SMALLEST_WINDOW = 100_000
"""a smaller CLAUDE_CODE_AUTO_COMPACT_WINDOW counts as this"""
ANSWER_RESERVE = 20_000
"""what Claude Code subtracts from a window before it applies the percentage"""
NO_PROXY = "NO_PROXY"
NO_PROXY_LOWER = "no_proxy"
"""takes precedence over the other in Claude Code, so both must list the loopback addresses if it is set"""
MODEL = "ANTHROPIC_MODEL"
TIMEOUT = "API_TIMEOUT_MS"
"""how long Claude Code waits for a whole response (unset: 300 s) and for the start of a stream (unset: 600 s)"""
TIMEOUT_MARGIN_SECONDS = 60
QUIET = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"
DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"
KNOBS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        TIMEOUT: ("3000000", "Longer timeout for slow local models."),
        QUIET: (
            "1",
            "No telemetry, no update checks, no error reports.",
        ),
        DISCOVERY: (
            "1",
            "List the daemon's models in /model; not with traffic disabled.",
        ),
        "CLAUDE_CODE_ATTRIBUTION_HEADER": (
            "0",
            "Omit the changing first line of prompts, which defeats prompt caches.",
        ),
    }
)
"""useful variables: value and purpose"""


def settings_path(environment: Mapping[str, str], home: Path) -> Path:
    """The file from which Claude Code reads the user's settings."""
    folder = environment.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else home / ".claude") / "settings.json"


def base_url_in(path: Path) -> str:
    """The base URL in the user's settings; "" if there is none. Raises Unparsable."""
    data = json_edit.data(texts.decode(read_or_none(path) or b"").text)
    found = value_at(data, ("env", "ANTHROPIC_BASE_URL"))
    return found if isinstance(found, str) else ""


def chosen(path: Path) -> dict[str, str]:
    """The useful variables and the model that an earlier set-up of this file was given."""
    record = read_record(path)
    found = {}
    for touched in record.keys if record else ():
        name, value = touched.path[-1], _text_of(touched.after or "null")
        if value and (name == MODEL or name in KNOBS) and not _is_automatic(name, value):
            found[name] = value
    return found


def _is_automatic(name: str, value: str) -> bool:
    """True for a timeout that follows the upstreams and was not given by the user."""
    return name == TIMEOUT and value != KNOBS[TIMEOUT][0]


def plan(
    path: Path,
    address: str,
    key: str = "",
    *,
    knobs: Mapping[str, str] | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    context_window: int = 0,
    wait_seconds: float = 0,
    has_modes: bool = True,
) -> Plan:
    """What a set-up would change. `environment` is that of the user's shell; `context_window` the longest prompt that
    it can count on, 0 if unknown; `wait_seconds` how long the daemon may search for an answer, 0 if Claude Code's own
    timeout is enough; without `has_modes` no file
    here can be kept from other users. Raises Unparsable or Refused."""
    found = files.read(json_edit, path)
    _refuse_ignored(found.decoded.text)
    env = found.data.get("env", {})
    if not isinstance(env, dict):
        raise texts.Unparsable('"env" is not an object')
    timeout = _timeout(found.record, env, environment, wait_seconds)
    wanted: dict[str, str | None] = {
        "ANTHROPIC_BASE_URL": f"{address.rstrip('/')}/api",
        "ANTHROPIC_AUTH_TOKEN": key or ANY_KEY,
        "ANTHROPIC_API_KEY": None,
        **_no_proxy(found.record, env, environment),
        **timeout,
        **(knobs or {}),
        **window_variables(context_window),
    }
    edits: dict[texts.Path, str | None] = {("env", name): value for name, value in wanted.items()}
    planned = files.plan_edits(json_edit, path, found, edits, private=bool(key) and has_modes)
    notes = (
        *_notes(found.data, environment),
        *_knob_notes(wanted),
        *planned.notes,
        *((TIMEOUT_NOTE,) if timeout else ()),
    )
    return Plan(planned.changes, notes, claude_endpoint_in(found.data))


TIMEOUT_NOTE = f"{TIMEOUT} is set so that Claude Code waits as long as the slowest upstream may take."


def window_variables(context_window: int) -> dict[str, str]:
    """The variables that make Claude Code compact in time; empty if its assumption fits or the window is unknown."""
    if not 0 < context_window < LARGEST_WINDOW:
        return {}
    counted = max(context_window, SMALLEST_WINDOW)
    found = {
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": str(context_window),
        # for names that do not begin with claude-
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(counted),
    }
    if context_window < counted:
        # three quarters of the window, so that the next tool result and a response still fit
        percent = 75 * context_window // (counted - ANSWER_RESERVE)
        found["CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"] = str(max(1, percent))
    return found


def _refuse_ignored(text: str) -> None:
    """Raises Refused for a file that Claude Code would ignore as a whole, whatever is written into it."""
    place = json_edit.not_strict(text) if text.strip() else None
    if place is not None:
        raise texts.Refused(
            "Claude Code ignores the whole file, because it has a comment or a trailing comma "
            f"(line {place[0]}, column {place[1]})",
            "Remove these, then run the set-up again.",
        )


def undo(path: Path) -> Plan:
    """What removing Switchyard's keys would change; other edits of the file stay. Raises Unparsable."""
    return files.plan_undo(json_edit, path)


def _no_proxy(
    record: Record | None, env: Mapping[str, object], environment: Mapping[str, str]
) -> dict[str, str]:
    """The user's own proxy exceptions plus the loopback addresses."""
    upper, lower = (
        _own(record, env, name) or environment.get(name, "") for name in (NO_PROXY, NO_PROXY_LOWER)
    )
    found = {NO_PROXY: _with_loopback(upper or lower)}
    return found | {NO_PROXY_LOWER: _with_loopback(lower)} if lower else found


def _timeout(
    record: Record | None, env: Mapping[str, object], environment: Mapping[str, str], wait_seconds: float
) -> dict[str, str]:
    """Long enough for the daemon, unless the user's own value is."""
    own = _own(record, env, TIMEOUT) or environment.get(TIMEOUT, "")
    wanted = math.ceil(wait_seconds + TIMEOUT_MARGIN_SECONDS) * 1000
    is_enough = not wait_seconds or (own.isdecimal() and int(own) >= wanted)
    return {} if is_enough else {TIMEOUT: str(wanted)}


def _own(record: Record | None, env: Mapping[str, object], name: str) -> str:
    """The user's own value, before the set-up changed it."""
    found = env.get(name)
    for touched in record.keys if record else ():
        if touched.path == ("env", name) and touched.after == json_edit.render(found):
            return _text_of(touched.before or "null")
    return found if isinstance(found, str) else ""


def _text_of(value: str) -> str:
    """The string of a JSON text; "" for anything else."""
    found = value_at(json_edit.data('{"value": ' + value + "}"), ("value",))
    return found if isinstance(found, str) else ""


def _with_loopback(no_proxy: str) -> str:
    if no_proxy.strip() == "*":
        # means every host only if it is the only entry
        return no_proxy
    hosts = [host.strip() for host in no_proxy.split(",") if host.strip()]
    return ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])


def _knob_notes(wanted: Mapping[str, str | None]) -> tuple[str, ...]:
    if QUIET in wanted and DISCOVERY in wanted:
        return (f"{QUIET} also turns off model discovery: use only one of the two.",)
    return ()


def _notes(data: Mapping[str, object], environment: Mapping[str, str]) -> tuple[str, ...]:
    notes = []
    if environment.get("ANTHROPIC_API_KEY"):
        notes.append(
            "ANTHROPIC_API_KEY is set in the environment: Claude Code sends it beside the token written here, and "
            "warns. Unset it (shell profile)."
        )
    if "apiKeyHelper" in data:
        notes.append(
            "apiKeyHelper is set: its key is sent to the daemon too. Remove it if the daemon refuses it."
        )
    env = data.get("env")
    if isinstance(env, dict):
        for name in ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"):
            if env.get(name):
                notes.append(f"{name} is set: Claude Code then ignores the base URL.")
    return tuple(notes)
