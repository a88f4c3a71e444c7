"""Web searches in the history that this upstream did not run."""

from switchyard.protocols.anthropic_messages.wire import FABRICATED_SEARCH_ID
from switchyard.protocols.codec import Target
from switchyard.protocols.repair.messages.blocks import blocks_of, messages_of, rewrite_blocks
from switchyard.protocols.repair.rows import Body, has_fields, objects, with_field
from switchyard.protocols.wire import Json, entries

SEARCH_BLOCKS = ("server_tool_use", "web_search_tool_result")


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
