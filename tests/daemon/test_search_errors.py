"""A search asked of an upstream that runs none: the client gets a search error, not what the model makes up."""

import json
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.bed.asking import PATHS
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.bed.wire import PROTOCOLS, Protocol

QUERY = "Perform a web search for the query: switchyard"
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
READ = {"name": "read", "input_schema": {"type": "object", "properties": {}}}
SEARCHES: dict[str, dict[str, Any]] = {
    "of Claude Code": {
        "tools": [SEARCH],
        "tool_choice": {"type": "auto"},
        "output_config": {"effort": "high"},
    },
    "that is forced": {
        "tools": [SEARCH],
        "tool_choice": {"type": "tool", "name": "web_search"},
        "thinking": {"type": "disabled"},
        "output_config": {"effort": "high"},
    },
    "of a later version": {"tools": [{**SEARCH, "type": "web_search_20260318"}]},
}


def asked(stream: bool, **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": [{"type": "text", "text": QUERY}]}]
    return {"model": "m", "max_tokens": 9000, "stream": stream, "messages": said, **more}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_search_that_no_upstream_runs_is_a_search_error(tmp_path: Path, protocol: Protocol) -> None:
    with ScriptedUpstream(say("Made up by the model.")) as server:
        entry = upstream("plain", server.url, protocol, capabilities={"hosted_web_search": False})
        with Daemon(tmp_path, settings(entry)) as daemon:
            with anthropic.Anthropic(api_key="k", base_url=daemon.url, max_retries=0) as client:
                for more in SEARCHES.values():
                    with client.messages.stream(**arguments(more)) as reply:
                        assert_search_error(reply.get_final_message())
                    assert_search_error(client.messages.create(**arguments(more)))
            lines = daemon.journal()
    assert [line["outcome"] for line in lines] == ["ok"] * 2 * len(SEARCHES)
    assert {loss["field"] for line in lines for loss in line["losses"]} == {"tools.web_search"}


def arguments(more: dict[str, Any]) -> Any:
    body = asked(False, **more)
    del body["stream"]
    return body


def assert_search_error(message: anthropic.types.Message) -> None:
    use, result = message.content
    assert (use.type, use.input) == ("server_tool_use", {"query": QUERY})  # type: ignore[union-attr]
    assert result.type == "web_search_tool_result" and result.tool_use_id == use.id  # type: ignore[union-attr]
    assert (result.content.type, result.content.error_code) == (  # type: ignore[union-attr]
        "web_search_tool_result_error",
        "unavailable",
    )
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_model_that_has_other_tools_answers_without_the_search(tmp_path: Path, protocol: Protocol) -> None:
    with ScriptedUpstream(say("I cannot search.")) as server:
        entry = upstream("plain", server.url, protocol, capabilities={"hosted_web_search": False})
        with Daemon(tmp_path, settings(entry)) as daemon:
            answer = request(daemon.url, "POST", PATHS["messages"], asked(False, tools=[SEARCH, READ]))
    assert [block["text"] for block in json.loads(answer.body)["content"]] == ["I cannot search."]
