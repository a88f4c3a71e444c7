"""Hosted tools, documents and errors of tools, for servers that do not know them."""

from switchyard.protocols.anthropic_messages.vendor_tools import CLIENT_TOOLS, NOT_EXPRESSIBLE, VERSION
from switchyard.protocols.codec import Target
from switchyard.protocols.content import as_error, parts_as_error
from switchyard.protocols.repair.messages.blocks import rewrite_blocks
from switchyard.protocols.repair.rows import Body, drop, field, objects, put, text_part
from switchyard.protocols.tools.placeholder import is_placeholder
from switchyard.protocols.wire import Json, entries

NO_DOCUMENT = "[document omitted: the model reads no documents]"


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
