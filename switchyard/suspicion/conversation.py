"""What the user and the tools have said in a conversation: what they mention is not suspicious.

What the model said does not count, as a malicious upstream writes that itself; nor do the prompts of the client
program, which name key files to warn of them.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.wire import Json, decode_object, entries, fields, text
from switchyard.suspicion.addresses import is_hidden, is_loopback, shortened
from switchyard.suspicion.reasons import Code, Reason

ROLES = ("user", "tool", "function")
NOT_SAID = ("image", "image_url", "input_image", "document", "input_file", "encrypted_content")
BEFORE = r"(?<![\w.~-])"
AFTER = r"(?![\w/*-]|\.\w)"
ADDRESS_BEFORE = r"(?<![\w.-])"
ABOUT_ADDRESSES = frozenset((Code.DOWNLOAD_RUN, Code.REMOTE_SHELL, Code.SECRETS_SENT, Code.PACKAGE_FROM_URL))


class Conversation:
    """Reads the body of the request when something is first looked up in it."""

    def __init__(self, protocol: ProtocolName, body: bytes) -> None:
        self._protocol = protocol
        self._body = body

    def unmentioned(self, reasons: Iterable[Reason]) -> tuple[Reason, ...]:
        """The reasons about what nothing in the conversation mentions."""
        kept = (reason for reason in reasons if not self._mentions(reason))
        return tuple(dict.fromkeys(Reason(reason.code, _shown(reason)) for reason in kept))

    def _mentions(self, reason: Reason) -> bool:
        if not reason.about:
            return False
        if reason.code in ABOUT_ADDRESSES:
            return is_loopback(reason.about) or (
                not is_hidden(reason.about) and self._has(ADDRESS_BEFORE, shortened(reason.about))
            )
        return self._has(BEFORE, reason.about)

    def _has(self, before: str, words: str) -> bool:
        words = words.casefold()
        return words in self._said and bool(re.search(before + re.escape(words) + f"/?{AFTER}", self._said))

    @cached_property
    def _said(self) -> str:
        return "\n".join(_said(self._protocol, decode_object(self._body) or {})).casefold()


def _shown(reason: Reason) -> str:
    return shortened(reason.about)[:100] if reason.code in ABOUT_ADDRESSES else reason.about[:100]


def _said(protocol: ProtocolName, request: Json) -> Iterator[str]:
    given = request.get("input" if protocol == "responses" else "messages")
    if isinstance(given, str):
        yield given
    for item in map(fields, entries(given)):
        kind = text(item.get("type"))
        is_said = item.get("role") in ROLES or kind.endswith("_output") or kind.startswith("input_")
        if is_said:
            yield from _texts(
                {name: value for name, value in item.items() if name not in ("role", "type", "id")}
            )


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for entry in value:
                yield from _texts(entry)
        case dict():
            if value.get("type") not in NOT_SAID:
                for entry in value.values():
                    yield from _texts(entry)
