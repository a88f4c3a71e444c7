"""The behaviour of the tested client versions, as a table to compare other versions with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from switchyard.selftest.recorder import ReceivedRequest

MARK = "switchyard-4711"
"""the output of the tool in the tool loop"""


class Session(msgspec.Struct, frozen=True):
    """The result of one run: the client's output and all its requests."""

    output: str = ""
    received: Sequence[ReceivedRequest] = ()

    @property
    def posts(self) -> list[ReceivedRequest]:
        return [one for one in self.received if one.method == "POST" and one.path.endswith(MODEL_PATHS)]

    @property
    def turn(self) -> Mapping[str, Any]:
        """The body of the request with the tools; later requests and side tasks look similar."""
        return max(
            (one.body for one in self.posts), key=lambda body: len(msgspec.json.encode(body)), default={}
        )


MODEL_PATHS = ("/messages", "/responses")


class Runs(msgspec.Struct, frozen=True):
    """A tool loop and a failing request through the daemon, and the same failure directly from the demo model."""

    loop: Session
    failing: Session
    bare: Session


class Behaviour(msgspec.Struct, frozen=True):
    text: str
    measured: str
    observe: Callable[[Runs], str]


class Comparison(msgspec.Struct, frozen=True):
    text: str
    measured: str
    found: str

    @property
    def is_same(self) -> bool:
        return self.measured == self.found


def compare(client: str, runs: Runs) -> list[Comparison]:
    """Every behaviour of the client with the expected value."""
    return [Comparison(one.text, one.measured, one.observe(runs)) for one in BEHAVIOURS[client]]


def _yes(observe: Callable[[Runs], object]) -> Callable[[Runs], str]:
    return lambda runs: "yes" if observe(runs) else "no"


def _header(name: str) -> Callable[[Runs], str]:
    return _yes(lambda runs: any(name in one.headers for one in runs.loop.posts))


def _looped(runs: Runs) -> bool:
    """The final text repeats the output of the tool; the clients add text of their own around it."""
    _, answered, rest = runs.loop.output.rpartition("The tool returned:")
    return bool(answered) and MARK in rest


def _count(runs: Callable[[Runs], Session]) -> Callable[[Runs], str]:
    return lambda all_runs: str(len(runs(all_runs).posts))


def _system_in_messages(runs: Runs) -> bool:
    return any(message.get("role") == "system" for message in runs.loop.turn.get("messages", ()))


def _billing_line(runs: Runs) -> bool:
    system = runs.loop.turn.get("system")
    first = system[0] if isinstance(system, list) and system else {}
    return str(first.get("text", "")).startswith("x-anthropic-billing-header")


def _session_in_metadata(runs: Runs) -> bool:
    user = runs.loop.turn.get("metadata", {}).get("user_id", "")
    try:
        return "session_id" in msgspec.json.decode(str(user))
    except (msgspec.DecodeError, TypeError):
        return False


def _thinking(runs: Runs) -> str:
    return str(runs.loop.turn.get("thinking", {}).get("type", "none"))


def _apply_patch(runs: Runs) -> str:
    tools = runs.loop.turn.get("tools", ())
    return next((str(tool.get("type")) for tool in tools if tool.get("name") == "apply_patch"), "none")


def _first_role(runs: Runs) -> str:
    items = runs.loop.turn.get("input") or [{}]
    return str(items[0].get("role", "none"))


BEHAVIOURS: dict[str, tuple[Behaviour, ...]] = {
    "claude": (
        Behaviour("a tool loop finishes", "yes", _yes(_looped)),
        Behaviour(
            "probes the base URL with HEAD",
            "yes",
            _yes(lambda runs: any(one.method == "HEAD" for one in runs.loop.received)),
        ),
        Behaviour(
            "requests /api/v1/messages?beta=true",
            "yes",
            _yes(
                lambda runs: any(
                    one.path == "/api/v1/messages" and one.query.get("beta") == "true"
                    for one in runs.loop.posts
                )
            ),
        ),
        Behaviour("sends x-claude-code-session-id", "yes", _header("x-claude-code-session-id")),
        Behaviour("sends the session in metadata.user_id, as JSON", "yes", _yes(_session_in_metadata)),
        Behaviour("puts system messages between the others", "yes", _yes(_system_in_messages)),
        Behaviour("starts the system prompt with a billing line", "yes", _yes(_billing_line)),
        Behaviour("requests thinking", "adaptive", _thinking),
        Behaviour("requests when the daemon gives up on a 500", "1", _count(lambda runs: runs.failing)),
        Behaviour("requests on a bare 529", "3", _count(lambda runs: runs.bare)),
    ),
    "codex": (
        Behaviour("a tool loop finishes", "yes", _yes(_looped)),
        Behaviour(
            "requests /openai/responses",
            "yes",
            _yes(lambda runs: any(one.path == "/openai/responses" for one in runs.loop.posts)),
        ),
        Behaviour("sends session-id", "yes", _header("session-id")),
        Behaviour("sends prompt_cache_key", "yes", _yes(lambda runs: "prompt_cache_key" in runs.loop.turn)),
        Behaviour("sends instructions", "no", _yes(lambda runs: "instructions" in runs.loop.turn)),
        Behaviour("role of the first input item", "developer", _first_role),
        Behaviour("kind of the tool apply_patch", "custom", _apply_patch),
        Behaviour("requests when the daemon gives up on a 500", "1", _count(lambda runs: runs.failing)),
        Behaviour("requests on a bare 500", "30", _count(lambda runs: runs.bare)),
    ),
}
