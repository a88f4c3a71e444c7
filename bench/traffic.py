"""The address of a measured program, and the requests to it."""

import json
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from random import randrange
from typing import Any
from urllib.parse import urlsplit

MODEL = "fake-model"
SESSION = "user_0123_account__session_11111111-2222-4333-8444-555555555555"
PATH = "/v1/messages"
MARK = "00mark00"
"""in each message of a conversation, for `fresh`"""
_numbers = count(randrange(90_000_000))
"""other than those of programs that load the same daemon"""
PROSE = "I'll read the file, then edit it and run the tests to see that nothing else broke. " * 6
CODE = "".join(
    f'    {number:5d}\tdef method_{number}(self, value: "int") -> str:  # caf\u00e9 \u4e2d\u6587\n'
    '\t\treturn "\\n".join(f"{value}")\n'
    for number in range(60)
)


@dataclass(frozen=True)
class Target:
    """A program that answers Messages requests."""

    name: str
    url: str
    key: str = "sk-bench"
    model: str = MODEL
    root: int | None = field(default=None, compare=False)
    """its process; CPU and memory are measured together with those of its descendants"""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def request(self, *, stream: bool = False, size: int = 0) -> bytes:
        """The bytes of a request; `size` is the approximate size of its body, 0 for the smallest."""
        return _request(self, stream, size)


def peer(text: str) -> Target:
    """The target described by NAME=URL[;key=..][;model=..]. Raises ValueError."""
    name, equals, rest = text.partition("=")
    url, *options = rest.split(";")
    if not equals or urlsplit(url).scheme != "http":
        raise ValueError(f'"{text}" is not like NAME=http://127.0.0.1:4000;key=..;model=..')
    given = dict(option.split("=", 1) for option in options)
    if unknown := given.keys() - {"key", "model"}:
        raise ValueError(f'"{text}" has the unknown option {", ".join(sorted(unknown))}')
    return Target(name, url.rstrip("/"), given.get("key", Target.key), given.get("model", MODEL))


class Turns:
    """A new conversation of about `size` bytes, that has one more call and its result in each request."""

    def __init__(self, target: Target, size: int) -> None:
        self._target = target
        self._rounds = _rounds(size)
        self._mark = f"{next(_numbers):08d}"

    def next_request(self) -> bytes:
        body = _body(self._target.model, stream=False, messages=_conversation(self._rounds))
        self._rounds += 1
        return _framed(self._target, body.replace(MARK.encode(), self._mark.encode()))


def fresh(request: bytes) -> bytes:
    """The same conversation, none of whose messages was sent before: nothing remembered of others helps."""
    return request.replace(MARK.encode(), b"%08d" % next(_numbers))


@cache
def _request(target: Target, stream: bool, size: int) -> bytes:
    messages = _conversation(_rounds(size)) if size > 4096 else [_user("hi" + "." * max(0, size - 180))]
    return _framed(target, _body(target.model, stream, messages))


def _framed(target: Target, body: bytes) -> bytes:
    head = (
        f"POST {urlsplit(target.url).path}{PATH} HTTP/1.1\r\nhost: {target.host}:{target.port}\r\n"
        "user-agent: bench/1\r\naccept: */*\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {target.key}\r\nx-api-key: {target.key}\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _body(model: str, stream: bool, messages: list[dict[str, Any]]) -> bytes:
    body = {
        "model": model,
        "max_tokens": 1024,
        "metadata": {"user_id": SESSION},
        "messages": messages,
        "stream": stream,
    }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _conversation(rounds: int) -> list[dict[str, Any]]:
    """Texts, tool calls and their results, as in the long contexts of coding agents."""
    turns = [turn for number in range(rounds) for turn in _round(number)]
    return [_user(f"Please fix the failing test {MARK}."), *turns]


def _rounds(size: int) -> int:
    one = json.dumps(_round(0), ensure_ascii=False, separators=(",", ":"))
    return max(1, size // len(one.encode()))


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _round(number: int) -> list[dict[str, Any]]:
    call = f"toolu_{MARK}{number:012d}"
    use = {"type": "tool_use", "id": call, "name": "Read", "input": {"file_path": f"/src/mod_{number}.py"}}
    result = {"type": "tool_result", "tool_use_id": call, "content": [{"type": "text", "text": CODE}]}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": MARK + PROSE}, use]},
        {"role": "user", "content": [result]},
    ]
