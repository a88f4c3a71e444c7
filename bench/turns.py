"""Measure the CPU time that the turns of a long conversation cost between two protocols.

    python bench/turns.py            a conversation of 1 MB and one of 8 MB, about a minute
    python bench/turns.py --quick    1 MB only

An agent's conversation is converted as the daemon does it, up to the bytes for the upstream: without any memory, as a
first turn that is remembered, and as the turns after it, each with one more call and its result. The runs alternate in
one process, so that their ratios hold on a busy machine.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from switchyard.memory import tune_allocator  # noqa: E402
from switchyard.protocols.codecs import CODECS  # noqa: E402
from switchyard.protocols.message_memory import MessageMemory  # noqa: E402
from switchyard.protocols.names import PROTOCOLS, ProtocolName  # noqa: E402
from switchyard.protocols.request_summary import read_request_summary  # noqa: E402
from switchyard.relay.prepare import Preparation, target_for  # noqa: E402
from switchyard.relay.values import ClientRequest  # noqa: E402
from switchyard.routing.lineup import Candidate  # noqa: E402
from switchyard.settings import Upstream  # noqa: E402

MEGABYTE = 1_000_000
LATER_TURNS = 4
ROUNDS = 5
WORDS = (
    "the file function value return class self error test path line config request stream cache build".split()
)
TOOLS = ("Read", "Edit", "Bash", "Grep", "Write")

Json = dict[str, Any]
Step = tuple[str, str, str, Json, str]
"""id of a call, what is said before it, the tool, its arguments and its result"""


def conversation(size: int) -> list[Step]:
    """Calls with results of 2 to 20 KB, as much as makes this size."""
    random, steps, written = Random(7), list[Step](), 0
    while written < size:
        name = random.choice(TOOLS)
        arguments = {"file_path": f"/src/mod_{len(steps)}.py", "description": prose(random, 60)}
        if name in ("Edit", "Write"):
            arguments["content"] = code(random, random.randint(500, 4000))
        said, result = prose(random, random.randint(100, 600)), code(random, random.randint(2_000, 20_000))
        steps.append((f"toolu_{random.getrandbits(96):024x}", said, name, arguments, result))
        written += len(said) + len(json.dumps(arguments)) + len(result) + 200
    return steps


def prose(random: Random, size: int) -> str:
    return " ".join(random.choice(WORDS) for _ in range(size // 6 + 1))


def code(random: Random, size: int) -> str:
    lines = size // 110 + 1
    return "".join(
        f'{number:6d}\t    def {random.choice(WORDS)}(self, value: "int") -> str:  # {prose(random, 40)}\n'
        f'\t\treturn "\\n".join(f"{{value}}")\n'
        for number in range(lines)
    )


def in_messages(steps: list[Step]) -> Json:
    messages: list[Json] = [{"role": "user", "content": "Fix the test."}]
    for id, said, name, arguments, result in steps:
        use = {"type": "tool_use", "id": id, "name": name, "input": arguments}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": said}, use]})
        messages.append(
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": result}]}
        )
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in TOOLS]
    return {"model": "m", "max_tokens": 9000, "stream": True, "tools": tools, "messages": messages}


def in_chat(steps: list[Step]) -> Json:
    messages: list[Json] = [{"role": "user", "content": "Fix the test."}]
    for id, said, name, arguments, result in steps:
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": id, "type": "function", "function": function}
        messages.append({"role": "assistant", "content": said, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": id, "content": result})
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in TOOLS
    ]
    return {"model": "m", "stream": True, "tools": tools, "messages": messages}


def in_responses(steps: list[Step]) -> Json:
    items: list[Json] = [{"role": "user", "content": "Fix the test."}]
    for id, said, name, arguments, result in steps:
        items.append(
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]}
        )
        call = {"type": "function_call", "call_id": id, "name": name, "arguments": json.dumps(arguments)}
        items += [call, {"type": "function_call_output", "call_id": id, "output": result}]
    tools = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in TOOLS]
    return {"model": "m", "stream": True, "store": False, "tools": tools, "input": items}


WRITE: dict[ProtocolName, Callable[[list[Step]], Json]] = {
    "messages": in_messages,
    "chat": in_chat,
    "responses": in_responses,
}


def converted(
    client: ProtocolName, upstream: ProtocolName, body: bytes, memory: MessageMemory | None
) -> bytes:
    chosen = Candidate(
        upstream=Upstream(name="up", base_url="https://up.example/v1", protocol=upstream),
        model="m",
        why="primary",
    )
    request = ClientRequest(client, body, read_request_summary(client, body, {}, memory), [])
    preparation = Preparation(request, CODECS, memory=memory)
    return preparation.prepare(chosen, target_for(chosen, upstream, {})).body


def measured(client: ProtocolName, upstream: ProtocolName, bodies: list[bytes]) -> tuple[float, float, float]:
    """Milliseconds without memory, of the first turn and of a later one."""
    without, first, later = list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        memory = MessageMemory()
        for number, body in enumerate(bodies):
            took, expected = timed(partial(converted, client, upstream, body, None))
            without.append(took)
            took, got = timed(partial(converted, client, upstream, body, memory))
            (later if number else first).append(took)
            assert got == expected, "the memory has changed the bytes"
        gc.collect()
    return statistics.median(without), statistics.median(first), statistics.median(later)


def timed(convert: Callable[[], bytes]) -> tuple[float, bytes]:
    begun = time.thread_time()
    body = convert()
    return 1000 * (time.thread_time() - begun), body


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    sizes = (1,) if parser.parse_args().quick else (1, 8)
    tune_allocator()
    print("| size | client | upstream | without memory, ms | first turn, ms | later turns, ms |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        steps = conversation(size * MEGABYTE)
        for client in PROTOCOLS:
            turns = [steps[: len(steps) - left] for left in range(LATER_TURNS, -1, -1)]
            bodies = [json.dumps(WRITE[client](turn), separators=(",", ":")).encode() for turn in turns]
            for upstream in PROTOCOLS:
                if upstream != client:
                    figures = " | ".join(f"{figure:.1f}" for figure in measured(client, upstream, bodies))
                    print(f"| {size} MB | {client} | {upstream} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
