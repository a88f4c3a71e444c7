"""Check the clients: their versions, their files, their environment."""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from switchyard import client_plans
from switchyard.clients import texts
from switchyard.clients.claude_code import window_variables
from switchyard.clients.codex import KNOWN_WINDOW, PROVIDER, knows
from switchyard.clients.file_client import chat_url
from switchyard.clients.plan import Plan, apply
from switchyard.doctor.finding import DoctorInputs, Finding
from switchyard.installation import own_command
from switchyard.protocols.facts import CLAUDE_CODE, CODEX, USUAL_CLIENTS
from switchyard.protocols.names import ProtocolName
from switchyard.routing.served import is_served, served_models, usable_window
from switchyard.store.files import PRIVATE_FILE, is_open, make_private, read_or_none

NOT_INSTALLED = "not installed"
VERSION_SECONDS = 15
VERSION = re.compile(r"\d+\.\d+\.\d+")
MEASURED: Mapping[str, frozenset[str]] = {
    "claude": frozenset({"2.1.197"}),
    "codex": frozenset({"0.169.0"}),
    "opencode": frozenset({"1.18.33"}),
    "qwen": frozenset({"0.24.4"}),
    "crush": frozenset(),
    "cline": frozenset({"3.0.65"}),
    "zed": frozenset(),
    "continue": frozenset({"1.5.47"}),
    "aider": frozenset({"0.86.2"}),
}
"""client versions that Switchyard has been tested with"""
AUTH_VARIABLES = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY")
PROXY_VARIABLES = {
    "claude": ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
    "codex": ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
}
"""the variables that make each client send requests for a local http address to a proxy"""
EXEMPTING = {"claude": ("no_proxy", "NO_PROXY"), "codex": ("NO_PROXY", "no_proxy")}
"""each client uses the first spelling that is set"""


class ClientFile(msgspec.Struct, frozen=True):
    """A client's configuration, decoded; `repair` sets it up again: only Switchyard's keys, with a backup."""

    client: str
    path: str
    config: dict[str, Any]
    repair: Callable[[], object]

    @property
    def title(self) -> str:
        return client_plans.TITLES[self.client]


Look = Callable[[ClientFile, DoctorInputs], list[Finding]]


def examine_claude(inputs: DoctorInputs) -> list[Finding]:
    return _examine("claude", inputs, _claude_findings)


def examine_codex(inputs: DoctorInputs) -> list[Finding]:
    return _examine("codex", inputs, _codex_findings)


def examine_others(inputs: DoctorInputs) -> list[Finding]:
    """The clients that differ only in their file; those that are not here are not mentioned."""
    found = (_examine(client, inputs, _file_findings) for client in client_plans.FILE_CLIENTS)
    return [finding for findings in found for finding in findings if finding.text != NOT_INSTALLED]


def _examine(client: str, inputs: DoctorInputs, look: Look) -> list[Finding]:
    title = client_plans.TITLES[client]
    version = find_version(client, inputs.environment)
    found = [version_finding(client, version)]
    path = client_plans.path_of(client, inputs.environment, inputs.home)
    try:
        content = read_or_none(path)
        if content is None and not version:
            return found
        text = texts.decode(content or b"").text
        config = client_plans.DIALECTS[client].data(text)
        plan = partial(_plan, client, path, inputs)
        plan()
    except texts.Refused as error:
        return [*found, Finding("fault", title, f"{path}: {error}", error.remedy)]
    except texts.Unparsable as error:
        return [*found, Finding("fault", title, f"{path}: {error}", "Correct the file by hand.")]
    except OSError as error:
        return [
            *found,
            Finding("fault", title, f"{path}: {error.strerror or error}", "Correct its permissions."),
        ]
    found += look(ClientFile(client, str(path), config, lambda: apply(plan(), inputs.stamp)), inputs)
    return found


def _plan(client: str, path: Path, inputs: DoctorInputs) -> Plan:
    """Computed again for each repair: an earlier one may have fixed this, too."""
    wanted = client_plans.Wanted(inputs.address)
    return client_plans.plan(client, path, wanted, inputs.settings, inputs.environment)


def find_version(client: str, environment: Mapping[str, str]) -> str:
    """The version of the installed client; "" if it is not installed."""
    program = shutil.which(client_plans.PROGRAMS[client], path=environment.get("PATH"))
    if program is None:
        return ""
    try:
        result = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    number = VERSION.search(result.stdout)
    return number[0] if number else "unknown"


def version_finding(client: str, version: str) -> Finding:
    title = client_plans.TITLES[client]
    measured = ", ".join(sorted(MEASURED[client])) or "none"
    if not version:
        return Finding("ok", title, NOT_INSTALLED)
    if version in MEASURED[client]:
        return Finding("ok", title, f"version {version}, tested")
    return Finding(
        "warning",
        title,
        f"version {version} has not been tested (tested: {measured})",
        f"Check its behaviour: {own_command('selftest')}"
        if client in PROXY_VARIABLES
        else "The tested clients are listed in docs/clients.md.",
    )


# --- Claude Code -----------------------------------------------------------------


def _claude_findings(file: ClientFile, inputs: DoctorInputs) -> list[Finding]:
    env = file.config.get("env")
    own = env if isinstance(env, dict) else {}
    effective = {**inputs.environment, **own}
    base = str(effective.get("ANTHROPIC_BASE_URL", ""))
    found = [_base_finding(file, base, f"{inputs.address}/api")]
    if not is_ours(base, inputs):
        return found
    found += _auth_findings(file, own, inputs.environment)
    found += _rights_findings(file, [own.get(name) for name in AUTH_VARIABLES], inputs)
    found += _model_findings(file, str(effective.get("ANTHROPIC_MODEL", "")), "messages", inputs)
    found += _window_findings(file, own, inputs)
    found += _proxy_findings(file, effective)
    return found


def is_ours(base: str, inputs: DoctorInputs) -> bool:
    """True for an address that leads to this daemon."""
    return client_plans.leads_to(base, inputs.address)


def _base_finding(file: ClientFile, base: str, wanted: str) -> Finding:
    setup = _setup(file)
    if base.rstrip("/") == wanted:
        return Finding("ok", file.title, f"uses {base}")
    if not base:
        return Finding("warning", file.title, "does not use Switchyard: no base URL is set", setup)
    return Finding("warning", file.title, f"uses {_without_login(base)} instead of {wanted}", setup)


def _auth_findings(file: ClientFile, own: Mapping[str, Any], environment: Mapping[str, str]) -> list[Finding]:
    places = [
        f"{name} in {where}"
        for where, source in ((file.path, own), ("the environment", environment))
        for name in AUTH_VARIABLES
        if source.get(name)
    ]
    names = {place.split()[0] for place in places}
    if not names:
        return [
            Finding(
                "fault",
                file.title,
                "has no token and will ask for a login",
                _setup(file),
                file.repair,
            )
        ]
    if len(names) == 1:
        return [Finding("ok", file.title, f"has one token ({places[0]})")]
    in_file = all(own.get(name) for name in AUTH_VARIABLES)
    fix = _setup(file) if in_file else "Unset the one in the environment (shell profile)."
    text = f"two tokens are set: {', '.join(places)}; Claude Code warns and may use the wrong one"
    return [Finding("fault", file.title, text, fix, file.repair if in_file else None)]


def _window_findings(file: ClientFile, own: Mapping[str, Any], inputs: DoctorInputs) -> list[Finding]:
    window = usable_window(inputs.settings, "messages", str(own.get("ANTHROPIC_MODEL", "")), CLAUDE_CODE)
    wanted = window_variables(window)
    missing = [name for name in wanted if not _is_at_most(own.get(name), wanted[name])]
    if not missing:
        return []
    text = f"may assume more than the {window} tokens that the upstreams take: {', '.join(missing)}"
    return [Finding("warning", file.title, text, _setup(file), file.repair)]


def _is_at_most(found: Any, most: str) -> bool:
    return str(found).isdecimal() and int(found) <= int(most)


# --- Codex -----------------------------------------------------------------------


def _codex_findings(file: ClientFile, inputs: DoctorInputs) -> list[Finding]:
    provider = str(file.config.get("model_provider", "openai"))
    tables = file.config.get("model_providers")
    named = tables.get(provider) if isinstance(tables, dict) else None
    table = named if isinstance(named, dict) else {}
    base = str(table.get("base_url", ""))
    found = [_base_finding(file, base, f"{inputs.address}/openai")]
    if not is_ours(base, inputs):
        return found
    headers = table.get("http_headers")
    found += _rights_findings(file, list(headers.values()) if isinstance(headers, dict) else [], inputs)
    if provider != PROVIDER:
        text = f'reaches this daemon as provider "{provider}"; sessions are listed by that id'
        fix = f'Keep "{provider}", or move to the permanent id: {_setup(file)}'
        found.append(Finding("warning", file.title, text, fix))
    if table.get("requires_openai_auth"):
        text = "requires_openai_auth sends your ChatGPT token to the daemon"
        safe = file.repair if provider == PROVIDER else None
        found.append(Finding("fault", file.title, text, _setup(file), safe))
    if table.get("wire_api", "responses") != "responses":
        text = f'wire_api = "{table["wire_api"]}" is refused by Codex'
        safe = file.repair if provider == PROVIDER else None
        found.append(Finding("fault", file.title, text, _setup(file), safe))
    found += _model_findings(file, str(file.config.get("model", "")), "responses", inputs)
    found += _codex_window_findings(file, inputs)
    found += _proxy_findings(file, inputs.environment)
    return found


def _codex_window_findings(file: ClientFile, inputs: DoctorInputs) -> list[Finding]:
    """A context window that is larger in Codex than at the upstreams."""
    model = str(file.config.get("model", ""))
    window = usable_window(inputs.settings, "responses", model, CODEX)
    counted = _codex_window(file.config, model)
    if not window or counted <= window:
        return []
    text = f"assumes a window of {counted} tokens for {model}; the upstreams take {window}"
    return [Finding("warning", file.title, text, _setup(file), file.repair)]


def _codex_window(config: Mapping[str, Any], model: str) -> int:
    """The window that Codex assumes for the model; 0 if unknown."""
    listed = _catalog_window(str(config.get("model_catalog_json", "")), model)
    known = listed or (KNOWN_WINDOW if knows(model) else 0)
    stated = config.get("model_context_window")
    return min(known, stated) if isinstance(stated, int) else known


def _catalog_window(path: str, model: str) -> int | None:
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            entries = msgspec.json.decode(file.read())["models"]
        return next((int(entry["context_window"]) for entry in entries if entry["slug"] == model), None)
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None


# --- the clients that differ only in their file -----------------------------------


def _file_findings(file: ClientFile, inputs: DoctorInputs) -> list[Finding]:
    client = client_plans.FILE_CLIENTS[file.client]
    endpoint = client.endpoint(file.config)
    base = endpoint.base_url if endpoint else ""
    found = [_base_finding(file, base, chat_url(inputs.address))]
    if not is_ours(base, inputs):
        return found
    found += _rights_findings(file, [endpoint.key] if endpoint else [], inputs)
    return found + _model_findings(file, client.model(file.config), "chat", inputs)


# --- both ------------------------------------------------------------------------


def _model_findings(
    file: ClientFile, model: str, protocol: ProtocolName, inputs: DoctorInputs
) -> list[Finding]:
    """Whether an upstream serves the model that the client is configured to request."""
    settings, client = inputs.settings, USUAL_CLIENTS[protocol]
    if not model or not settings.upstreams or is_served(settings, protocol, model, client):
        return []
    names = ", ".join(served_models(settings, protocol, client=client)) or "none"
    fix = f"Add {model} to `models` of an upstream, or: {_setup(file)} --model NAME"
    return [
        Finding("fault", file.title, f"requests {model}, which no upstream serves (served: {names})", fix)
    ]


def _rights_findings(file: ClientFile, shown: list[Any], inputs: DoctorInputs) -> list[Finding]:
    """A client key in a file that other users of this machine can read."""
    path = Path(file.path)
    if not is_open(path) or inputs.settings.client_keys.keys().isdisjoint(map(str, shown)):
        return []
    text = f"{path} holds a client key and can be read by other users of this machine"
    fix = f"chmod {PRIVATE_FILE:o} {path}"
    return [Finding("warning", file.title, text, fix, partial(make_private, path))]


def _proxy_findings(file: ClientFile, effective: Mapping[str, Any]) -> list[Finding]:
    """A proxy variable alone sends requests for the loopback address to that proxy."""
    setting = next((name for name in PROXY_VARIABLES[file.client] if effective.get(name)), "")
    if not setting:
        return []
    name = next((name for name in EXEMPTING[file.client] if effective.get(name)), "NO_PROXY")
    exempt = str(effective.get(name, "")).strip()
    if exempt == "*" or {"localhost", "127.0.0.1"} <= set(re.split(r"[,\s]+", exempt)):
        return [Finding("ok", file.title, f"{setting} is set, {name} excludes the daemon")]
    text = f"{setting} sends requests for the daemon to that proxy"
    if file.client == "claude":
        return [Finding("fault", file.title, text, _setup(file), file.repair)]
    return [Finding("fault", file.title, text, "Set NO_PROXY=localhost,127.0.0.1 in the shell profile.")]


def _setup(file: ClientFile) -> str:
    return own_command(f"setup {file.client}")


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)
