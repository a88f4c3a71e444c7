"""What a request needs of an upstream is measured only where it matters."""

import asyncio
import base64
import json
from typing import Any

import pytest

from switchyard.protocols import neutral
from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.measuring import needs_of, within_window
from switchyard.relay.prepare import Preparation
from switchyard.relay.values import ClientRequest
from switchyard.routing.fit import NO_NEEDS, Needs
from switchyard.routing.lineup import Candidate
from switchyard.routing.route import State
from switchyard.settings import Settings
from tests.bed.stage import upstream
from tests.routing.test_route import MONDAY_NOON

NOTHING_TAKEN = {
    "images": False,
    "files": False,
    "tools": False,
    "hosted_web_search": False,
    "reasoning_effort": "none",
}
PNG = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()}
PDF = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.7").decode()}
TOOL = {"name": "run", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


class Counting(Preparation):
    """Counts how often the request was needed in decoded form."""

    decoded_times = 0

    def decoded(self) -> neutral.Request:
        self.decoded_times += 1
        return super().decoded()


def measured(
    body: dict[str, Any],
    protocol: ProtocolName = "messages",
    learned: dict[tuple[str, str], dict[str, Any]] | None = None,
    memory: MessageMemory | None = None,
    **entry: Any,
) -> tuple[Needs, int]:
    """What is needed, and how often the body was decoded for it."""
    octets = json.dumps(body).encode()
    request = ClientRequest(protocol, octets, read_request_summary(protocol, octets, {}, memory), [])
    preparation = Counting(request, CODECS, memory=memory)
    settings = Settings(upstreams=(upstream("a", **entry), upstream("b")))
    state = State(learned=learned or {})
    needs = asyncio.run(needs_of(request, preparation, settings, state, MONDAY_NOON))
    return needs, preparation.decoded_times


def said(*content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(content)}], **more}


def text(words: int) -> dict[str, str]:
    return {"type": "text", "text": "word " * words}


@pytest.mark.parametrize(
    ("body", "entry"),
    [
        (said(text(100_000)), {}),
        (said(text(1000)), {"context_window": 8000}),
        (said(text(1000), tools=[TOOL]), {"capabilities": {"images": False}}),
        (said(text(1000), {"type": "image", "source": PNG}), {}),
        (said({"type": "text", "text": 'it says "image" and "document"'}), {"capabilities": NOTHING_TAKEN}),
    ],
)
def test_a_request_that_any_upstream_takes_is_not_even_decoded(
    body: dict[str, Any], entry: dict[str, Any]
) -> None:
    assert measured(body, **entry) == (NO_NEEDS, 0)


def test_a_long_prompt_is_estimated_once() -> None:
    needs, times = measured(said(text(8000)), context_window=8000)
    assert (7000 < needs.tokens < 10_000, needs.parts, times) == (True, frozenset(), 1)


def test_the_pages_of_a_document_count_though_its_bytes_are_few() -> None:
    needs, _ = measured(said({"type": "document", "source": PDF}), context_window=1200)
    assert needs.tokens >= 2000


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (said({"type": "image", "source": PNG}), {"images"}),
        (
            said({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": PNG}]}),
            {"images"},
        ),
        (said({"type": "document", "source": PDF}), {"files"}),
        (
            said({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
            set(),
        ),
        (said(text(1), tools=[TOOL]), {"tools"}),
        (said(text(1), tools=[TOOL], tool_choice={"type": "none"}), set()),
        # a search beside other tools is an offer, alone it is what the request is for
        (said(text(1), tools=[SEARCH]), {"web_search"}),
        (said(text(1), tools=[SEARCH, TOOL]), {"tools"}),
        # so is thinking that is left to the model
        (said(text(1), thinking={"type": "adaptive"}), set()),
        (said(text(1), thinking={"type": "enabled", "budget_tokens": 2000}, max_tokens=9000), {"thinking"}),
        (said(text(1), model="m-thinking"), {"thinking"}),
    ],
)
def test_only_that_counts_without_which_the_answer_would_not_be_the_one_meant(
    body: dict[str, Any], parts: set[str]
) -> None:
    assert measured(body, capabilities=NOTHING_TAKEN)[0].parts == parts


def test_the_search_that_codex_always_offers_is_no_need() -> None:
    function = {"type": "function", "name": "run", "parameters": {"type": "object"}}
    body = {"model": "m", "input": "x", "tools": [function, {"type": "web_search"}]}
    assert measured(body, "responses", server="vllm")[0].parts == frozenset()


def test_what_refusals_have_taught_matters_too() -> None:
    body = said({"type": "image", "source": PNG})
    learned = {("a", "m"): {"images": False}}
    assert measured(body, learned=learned) == (Needs(parts=frozenset({"images"})), 1)


@pytest.mark.parametrize(("protocol", "times"), [("chat", 1), ("messages", 0)])
def test_a_large_body_is_searched_only_if_it_may_be_passed_through(
    protocol: ProtocolName, times: int
) -> None:
    """The upstreams speak Messages."""
    assert measured(said(text(200_000)), protocol, capabilities={"images": False}) == (NO_NEEDS, times)


def test_a_known_conversation_is_decoded_instead_of_searched() -> None:
    memory = MessageMemory()
    turns = [{"role": "user", "content": [text(3000)]}, {"role": "assistant", "content": [text(9000)]}]
    last = {"role": "user", "content": [text(1), {"type": "image", "source": PNG}]}
    first, later = ({"model": "m", "max_tokens": 9, "messages": said} for said in (turns, [*turns, last]))
    measured(first, memory=memory, context_window=8000)
    needs = Needs(parts=frozenset({"images"})), 1
    assert measured(later, memory=memory, capabilities={"images": False}) == needs
    assert measured(later, memory=memory, capabilities={"files": False}) == (NO_NEEDS, 1)


def test_a_body_that_cannot_be_decoded_needs_nothing() -> None:
    """The attempt reports what is wrong with it."""
    assert measured({"model": "m", "messages": "word " * 9000}, context_window=8000)[0] == NO_NEEDS


def test_a_body_that_cannot_be_decoded_is_passed_through_even_where_a_window_is_known() -> None:
    octets = json.dumps({"model": "m", "max_tokens": 128_000, "messages": "word " * 9000}).encode()
    request = ClientRequest("messages", octets, read_request_summary("messages", octets, {}), [])
    candidate, target = Candidate(upstream("a", context_window=8000), "m"), Target("m", "issuer")
    found = asyncio.run(within_window(target, candidate, request, Preparation(request, CODECS)))
    assert found is target
