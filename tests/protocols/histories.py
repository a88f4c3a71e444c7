"""Random conversations of agents in all three protocols, with all that makes a message depend on others."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from switchyard.protocols import carrier
from switchyard.protocols.names import ProtocolName

Item = dict[str, Any] | str
TEXTS = ("Fix the test.", "", "  \n", 'é "quoted" \\ 中文 😀\n', "a\u2028b", "x" * 700, "Done.")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SIGNED = carrier.pack("thinking", "issuer", {"signature": "sig", "text": "hm"})
REASONED = carrier.pack("reasoning", "issuer", {"type": "reasoning", "id": "rs_1", "summary": []})
TOOLS = ("read", "apply_patch", "gone.tool")
EFFORT = {"output_config": {"effort": "low"}}


class Agent:
    """Writes what an agent adds to its conversation; one of `oddity` messages in a hundred is unusual."""

    def __init__(self, random: Random, oddity: int) -> None:
        self.random = random
        self.oddity = oddity
        self.count = 0

    def is_odd(self) -> bool:
        return self.random.random() * 100 < self.oddity

    def text(self) -> str:
        return self.random.choice(TEXTS) if self.is_odd() else f"step {self.random.randrange(10**6)} é\n"

    def id(self) -> str:
        if self.is_odd():
            return self.random.choice(("call_1", "functions.bash:0", "x" * 80))
        self.count += 1
        return f"call_{self.random.randrange(10**12)}"

    def turn(self, write: "Write") -> list[Item]:
        """A word of the user, or calls and their results, or only the beginning of an answer."""
        if self.random.random() < 0.3:
            return write(self, "user", [])
        if self.is_odd():
            return write(self, "assistant", [])
        calls = [(self.id(), self.random.choice(TOOLS)) for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
        answered = [call for call in calls if not self.is_odd()]
        if self.is_odd():
            answered.reverse()
        return write(self, "assistant", calls) + write(self, "results", answered)


Calls = list[tuple[str, str]]
Write = Callable[[Agent, str, Calls], list[Item]]


def in_messages(agent: Agent, kind: str, calls: Calls) -> list[Item]:
    random = agent.random
    text = {"type": "text", "text": agent.text()}
    if kind == "user":
        odd: list[Item] = [
            {"role": "system", "content": agent.text()},
            {"role": "system", "content": "now", "clear_at": "next_user_message"},
            {"role": "system", "content": agent.text(), **EFFORT},
            {"role": "assistant", "content": [{"type": "compaction", "content": "It was short."}, text]},
            {"role": "system", "content": [{"type": "tool_removal", "tool": {"name": "read"}}]},
            {"role": "assistant", "content": [{"type": "odd"}, text], "usage": {}},
            {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": PIXEL}}]},
            {"role": "user", "content": [document(agent)], "extra": 1},
            {"role": "user", "content": [{"type": "odd"}]},
        ]
        weights = (8, 8, 8, 3, 5, 8, 8, 8, 0.1)
        more = random.choices(odd, weights)[:1] if agent.is_odd() else []
        return [*more, {"role": "user", "content": [text] if random.random() < 0.5 else agent.text()}]
    if kind == "assistant":
        thoughts = [
            {"type": "thinking", "thinking": agent.text(), "signature": SIGNED},
            {"type": "redacted_thinking", "data": "abc"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            {"type": "server_tool_use", "id": "s", "name": "code", "input": {}},
        ]
        before = random.choices(thoughts, (8, 1, 1, 1))[: random.randrange(2)]
        uses = [
            {"type": "tool_use", "id": id, "name": name, "input": {"n": 1.0, "b": agent.text()}}
            for id, name in calls
        ]
        return [{"role": "assistant", "content": [*before, text, *uses]}]
    results: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": id,
            "content": [text, document(agent)] if agent.is_odd() else agent.text(),
        }
        for id, _ in calls
    ]
    if results and agent.is_odd():
        results[-1]["is_error"] = True
    more = [text] if agent.is_odd() else []
    return [{"role": "user", "content": [*more, *results] or "go on"}]


def document(agent: Agent) -> dict[str, Any]:
    cited = {"citations": {"enabled": True}} if agent.is_odd() else {}
    return {"type": "document", "title": "t", "source": {"type": "text", "data": agent.text()}, **cited}


def in_chat(agent: Agent, kind: str, calls: Calls) -> list[Item]:
    random = agent.random
    if kind == "user":
        named = {"name": "Bo"} if agent.is_odd() else {}
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        parts = [{"type": "text", "text": agent.text()}, *([picture] if agent.is_odd() else [])]
        more: list[Item] = [{"role": "developer", "content": agent.text()}] if agent.is_odd() else []
        return [*more, {"role": "user", "content": parts if agent.is_odd() else agent.text(), **named}]
    if kind == "assistant":
        if agent.is_odd():
            return [
                {"role": "assistant", "content": None, "function_call": {"name": "read", "arguments": "{}"}}
            ]
        thought = {"reasoning_content": agent.text()} if random.random() < 0.3 else {}
        return [
            {
                "role": "assistant",
                "content": agent.text(),
                "tool_calls": [chat_call(agent, *call) for call in calls],
                **thought,
            }
        ]
    return [{"role": "tool", "tool_call_id": id, "content": agent.text()} for id, _ in calls]


def chat_call(agent: Agent, id: str, name: str) -> dict[str, Any]:
    if name == "apply_patch":
        return {"id": id, "type": "custom", "custom": {"name": name, "input": agent.text()}}
    arguments = "{broken" if agent.is_odd() else json.dumps({"b": agent.text()})
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def in_responses(agent: Agent, kind: str, calls: Calls) -> list[Item]:
    random = agent.random
    if kind == "user":
        odd: list[Item] = [
            {"role": "developer", "content": agent.text()},
            agent.text(),
            {"type": "web_search_call", "id": "ws", "action": {"query": "q"}},
            {"type": "additional_tools", "tools": [{"type": "function", "name": "more"}]},
            {"type": "compaction", "encrypted_content": carrier.pack("summary", "", {"text": "short"})},
            {"type": "odd_item"},
            {"type": "input_text", "text": agent.text()},
        ]
        more = [random.choice(odd)] if agent.is_odd() else []
        typed = {"type": "message"} if random.random() < 0.7 else {}
        return [*more, {**typed, "role": "user", "content": [{"type": "input_text", "text": agent.text()}]}]
    if kind == "assistant":
        encrypted = random.choice((REASONED, "gAAAAforeign", SIGNED, ""))
        thought: list[Item] = [{"type": "reasoning", "summary": [], "encrypted_content": encrypted}]
        said: list[Item] = [{"type": "message", "role": "assistant", "content": agent.text()}]
        return [*thought[: random.randrange(2)], *said, *(responses_call(agent, *call) for call in calls)]
    kinds = {"apply_patch": "custom_tool_call_output", "gone.tool": "function_call_output"}
    return [
        {"type": kinds.get(name, "function_call_output"), "call_id": id, "output": agent.text()}
        if not agent.is_odd()
        else {
            "type": "function_call_output",
            "call_id": id,
            "output": [{"type": "input_text", "text": agent.text()}],
        }
        for id, name in calls
    ]


def responses_call(agent: Agent, id: str, name: str) -> dict[str, Any]:
    if name == "apply_patch":
        return {"type": "custom_tool_call", "call_id": id, "name": name, "input": agent.text()}
    if agent.is_odd():
        action = {"type": "exec", "command": ["ls", agent.text()]}
        return {"type": "local_shell_call", "call_id": id, "action": action}
    return {
        "type": "function_call",
        "call_id": id,
        "name": name,
        "arguments": json.dumps({"b": agent.text()}),
    }


WRITE: dict[ProtocolName, Write] = {"messages": in_messages, "chat": in_chat, "responses": in_responses}
HISTORY: dict[ProtocolName, str] = {"messages": "messages", "chat": "messages", "responses": "input"}
DECLARED: dict[ProtocolName, list[dict[str, Any]]] = {
    "messages": [{"name": "read", "input_schema": {"type": "object"}}],
    "chat": [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}],
    "responses": [{"type": "function", "name": "read"}, {"type": "custom", "name": "apply_patch"}],
}


def body_of(client: ProtocolName, history: list[Item], *, spaced: bool = False, **members: object) -> bytes:
    """A request with this history; `spaced`: as Python writes it, with blanks."""
    limit = {"max_tokens": 1000} if client == "messages" else {}
    body = {
        "model": "m",
        **limit,
        HISTORY[client]: history,
        "tools": DECLARED[client],
        "stream": True,
        **members,
    }
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(body, separators=separators, ensure_ascii=spaced).encode("utf-8", "replace")
