"""Measure each client that `setup` knows: set-up, a streamed turn with a tool call, undoing; over every protocol."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from scripts.check import OTHER_CLIENTS, REAL_CLIENTS
from switchyard.client_plans import PROGRAMS, TITLES, path_of
from tests.bed.clients import BIN, CLIENT_SECONDS, ROOT, run
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import Answer, ScriptedUpstream, agent, say
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply

OTHER_BIN = Path(
    os.environ.get("SWITCHYARD_OTHER_CLIENTS", ROOT / ".cache" / "other-clients" / "node_modules" / ".bin")
)
AIDER = ROOT / ".cache" / "aider"
BY_HAND = MappingProxyType({"aider": ("aider-chat", "0.86.2")})
"""package and version of those that are too large for each check"""
MODEL = "qwen3"
MADE = "made.txt"
COMMAND = f"echo tool-$((40+2)) | tee {MADE}"
RESULT = "tool-42"
ANSWER = "The tool has been seen."


@dataclass(frozen=True)
class HeadlessClient:
    """A client that runs without a terminal: its arguments before the prompt, its shell tool, its own protocol.

    Without a `tool` it edits files by the text of the answer, which makes the file, too.
    """

    arguments: Sequence[str]
    tool: str
    input: Mapping[str, object]
    protocol: str
    model: str = MODEL
    seed: str = "{}\n"
    """the user's file before the set-up"""
    environment: Mapping[str, str] = field(default_factory=dict)
    checked_over: Sequence[Protocol] = PROTOCOLS
    """the upstreams of each check; scripts/client_table.py runs it over all"""


CLIENTS: Mapping[str, HeadlessClient] = MappingProxyType(
    {
        "claude": HeadlessClient(
            ("--allowedTools", "Bash", "-p"),
            "Bash",
            {"command": COMMAND},
            "Messages",
            "",
            '{\n  "includeCoAuthoredBy": false\n}\n',
        ),
        "codex": HeadlessClient(
            ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
            "exec_command",
            {"cmd": COMMAND},
            "Responses",
            "gpt-5.5",
            '# mine\nmodel = "gpt-5.5"\n',
        ),
        "opencode": HeadlessClient(
            ("run",),
            "bash",
            {"command": COMMAND, "description": "a test"},
            "Chat",
            seed='{\n  // mine\n  "autoupdate": false, "share": "disabled",\n}\n',
        ),
        "qwen": HeadlessClient(
            ("--yolo", "-p"),
            "run_shell_command",
            {"command": COMMAND, "is_background": False},
            "Chat",
            seed='{\n  "privacy": { "usageStatisticsEnabled": false } // mine\n}\n',
        ),
        "cline": HeadlessClient(
            (),
            "run_commands",
            {"commands": [COMMAND]},
            "Chat",
            seed='{"version": 1}',
            # otherwise it leaves a process behind that outlives the run
            environment={"CLINE_SESSION_BACKEND_MODE": "local"},
        ),
        "continue": HeadlessClient(
            ("--auto", "-p"),
            "Bash",
            {"command": COMMAND},
            "Chat",
            seed="# mine\nname: Mine\nversion: 0.0.1\nmodels:\n  - name: Mine\n    provider: ollama\n    model: x\n",
            environment={"CONTINUE_TELEMETRY_ENABLED": "0"},
            checked_over=("messages",),
        ),
        "aider": HeadlessClient(
            ("--no-git", "--yes-always", "--no-show-release-notes", "--file", MADE, "--message"),
            "",
            {},
            "Chat",
            seed="# mine\ncheck-update: false\nanalytics-disable: true\n",
            checked_over=(),
        ),
    }
)
WITHOUT_A_TEST = MappingProxyType(
    {
        "crush": "its npm package downloads its program from GitHub; keys from its schema, not run",
        "zed": "an editor: does not run without a screen; keys from its documentation, not run",
    }
)


@dataclass(frozen=True)
class Measured:
    """What one client did over one upstream."""

    client: str
    upstream: Protocol
    version: str
    set_up: bool
    streamed: bool
    tool_call: bool
    undone: bool
    output: str

    @property
    def is_complete(self) -> bool:
        return self.set_up and self.streamed and self.tool_call and self.undone


def measure(name: str, protocol: Protocol, folder: Path) -> Measured:
    """Set the client up twice: undone at once, the file is the same; undone after a run, our keys are gone."""
    client = CLIENTS[name]
    with (
        ScriptedUpstream(_answers(client)) as server,
        Daemon(
            folder,
            settings(
                upstream("u", server.url, protocol, models={MODEL: MODEL, "*": MODEL}, context_window=262144)
            ),
        ) as daemon,
    ):
        path = path_of(name, {}, daemon.home)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(client.seed)
        set_up = _setup(daemon, name, client) and _undo(daemon, name)
        exact = path.read_text() == client.seed
        set_up = set_up and _setup(daemon, name, client)
        output = _run(name, client, daemon.home)
        requests = [request for request in server.requests if request.body]
        undone = exact and _undo(daemon, name) and f":{daemon.port}" not in _text(path)
        return Measured(
            name,
            protocol,
            pinned(name),
            set_up,
            any(request.wants_stream for request in requests) and ANSWER in output,
            # not its output in the next request: on a busy machine Qwen Code sometimes loses it
            RESULT in _text(daemon.home / "work" / MADE),
            undone,
            output,
        )


def _answers(client: HeadlessClient) -> Answer:
    if not client.tool:
        return say(f"I write it.\n\n{MADE}\n```\n{RESULT}\n```\n\n{ANSWER}\n")
    return agent(Reply("I look.", calls=(Call(client.tool, dict(client.input)),)), Reply(ANSWER))


def pinned(name: str) -> str:
    return (REAL_CLIENTS | OTHER_CLIENTS | BY_HAND)[PROGRAMS[name]][1]


def program_of(name: str) -> str:
    program = PROGRAMS[name]
    if name in BY_HAND:
        return str(AIDER / "bin" / program)
    return str((BIN if program in REAL_CLIENTS else OTHER_BIN) / program)


def title_of(name: str) -> str:
    return TITLES[name]


def _setup(daemon: Daemon, name: str, client: HeadlessClient) -> bool:
    model = ("--model", client.model) if client.model else ()
    return daemon.command("setup", name, "--yes", *model)[0] == 0


def _undo(daemon: Daemon, name: str) -> bool:
    return daemon.command("setup", name, "--undo", "--yes")[0] == 0


def _run(name: str, client: HeadlessClient, home: Path) -> str:
    command = [program_of(name), *client.arguments, "Call the tool, then say what you have seen."]
    done = run(command, home, dict(client.environment), CLIENT_SECONDS)
    return done.output + done.errors


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
