"""Hosted tools, documents, errors of tools and web searches, for servers that do not know them."""

from switchyard.protocols.anthropic_messages.vendor_tools import CLIENT_TOOLS, NOT_EXPRESSIBLE, VERSION
from switchyard.protocols.anthropic_messages.wire import FABRICATED_SEARCH_ID
from switchyard.protocols.codec import Target
from switchyard.protocols.content import as_error, parts_as_error
from switchyard.protocols.repair.messages.blocks import blocks_of, messages_of, rewrite_blocks
from switchyard.protocols.repair.rows import (
    Body,
    drop,
    field,
    has_fields,
    objects,
    put,
    text_part,
    with_field,
)
from switchyard.protocols.tools.placeholder import is_placeholder
from switchyard.protocols.wire import Json, entries

NO_DOCUMENT = "[document omitted: the model reads no documents]"
SEARCH_BLOCKS = ("server_tool_use", "web_search_tool_result")


def drop_hosted_tools(body: Body, _target: Target) -> None:
    tools = entries(body.get("tools"))
    kept = [tool for tool in tools if not _is_hosted(tool) and not is_placeholder(tool)]
    if len(kept) == len(tools):
        return
    choice = body.get("tool_choice")
    named = field(choice, "name") if field(choice, "type") == "tool" else None
    if not kept or (named is not None and named not in [field(tool, "name") for tool in kept]):
        drop(body, ("tool_choice",))
    put(body, "tools", kept)


def _is_hosted(tool: object) -> bool:
    type_ = field(tool, "type")
    if not isinstance(type_, str) or type_ == "custom":
        return False
    family = VERSION.sub("", type_)
    return family not in CLIENT_TOOLS and family not in NOT_EXPRESSIBLE


def document_as_text(block: Json) -> Json:
    source = block.get("source")
    return text_part(field(source, "data") if field(source, "type") == "text" else NO_DOCUMENT)


def mark_errors(body: Body, _target: Target) -> None:
    """In the results of tools, for servers that overlook `is_error`."""

    def marked(block: Json) -> Json:
        content = block.get("content") or ""
        if block.get("type") != "tool_result" or not block.get("is_error") or not _is_content(content):
            return block
        expressed = as_error(content) if isinstance(content, str) else parts_as_error(content)
        return block if expressed == content else {**block, "content": expressed}

    rewrite_blocks(body, marked)


def _is_content(content: object) -> bool:
    return isinstance(content, str) or (isinstance(content, list) and len(objects(content)) == len(content))


def drop_made_searches(body: Body, _target: Target) -> None:
    """Searches that were made from another vendor's lack the encrypted results that must come back."""
    results = (block for message in messages_of(body) for block in blocks_of(message) if _is_result(block))
    made = {str(result.get("tool_use_id")) for result in results if _is_made(result)}

    def kept(block: Json) -> Json | None:
        if _is_result(block):
            return None if str(block.get("tool_use_id")) in made else block
        if block.get("type") == "server_tool_use":
            id = str(block.get("id"))
            is_alone = id.startswith(FABRICATED_SEARCH_ID) and block.get("name") == "web_search"
            return None if id in made or is_alone else block
        return _without_made_citations(block) if block.get("type") == "text" else block

    rewrite_blocks(body, kept)


def drop_all_searches(body: Body, _target: Target) -> None:
    rewrite_blocks(body, lambda block: None if block.get("type") in SEARCH_BLOCKS else block)


def _is_result(block: Json) -> bool:
    return has_fields(block, type="web_search_tool_result")


def _is_made(result: Json) -> bool:
    return str(result.get("tool_use_id")).startswith(FABRICATED_SEARCH_ID) or any(
        found.get("encrypted_content") == "" for found in objects(result.get("content"))
    )


def _without_made_citations(block: Json) -> Json:
    citations = entries(block.get("citations"))
    made = {"type": "web_search_result_location", "encrypted_index": ""}
    real = [citation for citation in citations if not has_fields(citation, **made)]
    return block if len(real) == len(citations) else with_field(block, "citations", real or None)
