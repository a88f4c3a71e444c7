"""Decide the demo model's response from the prompt alone: a text, tool calls or an error."""

import re
from collections.abc import Callable

# msgspec cannot report where a JSON value ends inside a longer text
from json import JSONDecoder

import msgspec
from msgspec.structs import replace

from switchyard.demo.outages import Outage
from switchyard.demo.prompt import Offered, Prompt
from switchyard.protocols.neutral import ToolCall, Usage

ECHO_LENGTH = 400
MAX_DELAY_SECONDS = 3600
CHARACTERS_PER_TOKEN = 4
CACHE_STEP = 1024

CALL = re.compile(r"demo:\s*call\s+(\S+)\s*")
FAIL = re.compile(r"demo:\s*fail\s+([45]\d\d)\b")
SLOW = re.compile(r"demo:\s*slow\s+(\d+(?:\.\d+)?)")
CUT = re.compile(r"demo:\s*cut\b")

GREETING = (
    "This is Switchyard's demo model: your client reaches the daemon, but no real model answers.\n"
    "To get real answers, add an upstream in the dashboard ({dashboard}) or in {file}."
)


class Failing(msgspec.Struct, frozen=True):
    """A permanent failure repeats for every request."""

    status: int
    message: str
    passes: bool = False


class Reply(msgspec.Struct, frozen=True):
    """`failing` instead of a response; `cut` ends the response after some content."""

    id: str
    model: str
    text: str
    usage: Usage
    calls: tuple[ToolCall, ...] = ()
    failing: Failing | None = None
    delay_seconds: float = 0
    cut: bool = False


def reply_to(
    prompt: Prompt,
    *,
    body_length: int,
    new_id: Callable[[], str],
    greeting: str,
    outage: Outage | None = None,
) -> Reply:
    """`outage`: the outage that the prompt requests, in its current state."""
    calls = () if prompt.results else _calls(prompt, new_id)
    text = _text(prompt, calls, greeting if outage is None else _end_of(outage))
    slow = SLOW.search(prompt.text)
    return Reply(
        id=new_id(),
        model=prompt.model,
        text=text,
        usage=_usage(prompt, body_length, text + "".join(call.arguments for call in calls)),
        calls=calls,
        failing=_failing(prompt, outage),
        delay_seconds=min(float(slow[1]), MAX_DELAY_SECONDS) if slow else 0,
        cut=CUT.search(prompt.text) is not None,
    )


def _failing(prompt: Prompt, outage: Outage | None) -> Failing | None:
    if outage is not None and outage.is_on:
        message = f"The demo model simulates an outage of {outage.seconds:g} s, as requested."
        return Failing(outage.status, message, passes=True)
    fail = FAIL.search(prompt.text)
    if fail is None:
        return None
    return Failing(int(fail[1]), f"The demo model fails with status {fail[1]}, as requested.")


def _end_of(outage: Outage) -> str:
    requests = "request" if outage.failures == 1 else "requests"
    return (
        f"The demo model simulated an outage of {outage.seconds:g} s: {outage.failures} {requests} failed with status "
        f"{outage.status}. This one is answered {outage.age:.1f} s after the first."
    )


def count_tokens(body_length: int) -> int:
    return max(1, body_length // CHARACTERS_PER_TOKEN)


def _calls(prompt: Prompt, new_id: Callable[[], str]) -> tuple[ToolCall, ...]:
    """One call for each command of the prompt; several are parallel calls."""
    calls = (_call(found, prompt, new_id) for found in CALL.finditer(prompt.text))
    return tuple(call for call in calls if call is not None)


def _call(found: re.Match[str], prompt: Prompt, new_id: Callable[[], str]) -> ToolCall | None:
    try:
        arguments, _ = JSONDecoder().raw_decode(prompt.text, found.end())
    except (ValueError, RecursionError):
        return None
    name = found[1]
    tool = prompt.tools.get(name, Offered())
    call = ToolCall(new_id(), name, msgspec.json.encode(arguments).decode(), tool.kind, tool.namespace)
    return replace(call, arguments=_free_form(arguments)) if tool.kind == "custom" else call


def _free_form(arguments: object) -> str:
    """The raw input of a custom tool: a JSON string, or the `input` of an object."""
    match arguments:
        case str():
            return arguments
        case {"input": str(text)}:
            return text
    return msgspec.json.encode(arguments).decode()


def _text(prompt: Prompt, calls: tuple[ToolCall, ...], greeting: str) -> str:
    if prompt.results:
        return f"The tool returned: {_shortened(' | '.join(prompt.results))}"
    if calls:
        return f"Calling {', '.join(call.name for call in calls)} as requested."
    lines = [greeting]
    if CALL.search(prompt.text):
        lines.append("To call a tool, write: demo: call <tool> <JSON arguments>")
    if prompt.text:
        lines.append(f"You wrote: {_shortened(prompt.text)}")
    return "\n\n".join(lines)


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= ECHO_LENGTH else text[:ECHO_LENGTH] + "..."


def _usage(prompt: Prompt, body_length: int, written: str) -> Usage:
    """A later turn reads the conversation so far from a cache, as real models do."""
    read = count_tokens(body_length)
    cached = read // CACHE_STEP * CACHE_STEP if prompt.follows_a_reply else 0
    return Usage(input=read - cached, cache_read=cached, output=max(1, len(written) // CHARACTERS_PER_TOKEN))
