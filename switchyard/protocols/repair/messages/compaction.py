"""The summary of a compaction in place of what it replaced."""

from switchyard.protocols.anthropic_messages.mid_conversation import changes_in, last_compaction
from switchyard.protocols.codec import Target
from switchyard.protocols.content import summary_turn
from switchyard.protocols.repair.messages.blocks import join
from switchyard.protocols.repair.rows import Body, text_part
from switchyard.protocols.wire import entries


def expand_compaction(body: Body, _target: Target) -> None:
    """The summary in place of what it replaced, for servers that do not know such a block."""
    messages = entries(body.get("messages"))
    compacted = last_compaction(changes_in(messages))
    if compacted is None:
        return
    summary = {"role": "user", "content": [text_part(summary_turn(compacted.summary).text)]}
    last = messages[compacted.message]
    rest = last["content"][compacted.block :]
    kept = [{**last, "content": rest}] if rest else []
    body["messages"] = join([summary, *kept, *messages[compacted.message + 1 :]])
