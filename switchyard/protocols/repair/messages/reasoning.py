"""Reasoning in the history: goes back to its issuer only, and is dropped where it was refused."""

from switchyard.protocols.anthropic_messages.signatures import is_carrier, opened, replayed
from switchyard.protocols.codec import Target
from switchyard.protocols.neutral import Thinking
from switchyard.protocols.repair.messages.blocks import blocks_of, messages_of, rewrite_blocks
from switchyard.protocols.repair.messages.thinking import drop_thinking
from switchyard.protocols.repair.rows import Body, field, is_among
from switchyard.protocols.wire import Json

SIGNATURE_FIELDS = {"thinking": "signature", "redacted_thinking": "data"}


def settle_reasoning(body: Body, target: Target) -> None:
    """Reasoning in carriers goes back to its issuer as it was issued, and to no other upstream."""

    def settled(block: Json) -> Json | None:
        seal = block.get(SIGNATURE_FIELDS.get(str(block.get("type")), ""))
        if not isinstance(seal, str) or not is_carrier(seal):
            return block
        text = block.get("thinking")
        expressed = text if isinstance(text, str) else ""
        if not target.capabilities.signed_thinking:
            return {**block, "signature": ""} if expressed else None
        return replayed(Thinking(expressed, opened(seal)), target.issuer)

    if not rewrite_blocks(body, settled):
        return
    if field(body.get("thinking"), "type") == "enabled" and is_in_unsigned_loop(body):
        # with a budget, a running tool loop must begin with its own signed thinking
        drop_thinking(body)


def is_in_unsigned_loop(body: Body) -> bool:
    turns = [message for message in messages_of(body) if message.get("role") in ("user", "assistant")]
    if len(turns) < 2 or not any(block.get("type") == "tool_result" for block in blocks_of(turns[-1])):
        return False
    before = [turn for turn in turns if turn.get("role") == "assistant"][-1:]
    first = next((block.get("type") for turn in before for block in blocks_of(turn)), None)
    return str(first) not in SIGNATURE_FIELDS


def strip_thinking(body: Body, only: frozenset[str] | None) -> None:
    def kept(block: Json) -> Json | None:
        seal = SIGNATURE_FIELDS.get(str(block.get("type")))
        return None if seal and is_among(block.get(seal), only) else block

    if not rewrite_blocks(body, kept) or not is_in_unsigned_loop(body):
        return
    # in the middle of a tool loop the API wants the original thinking block, or no thinking at all
    if only is None or field(body.get("thinking"), "type") == "enabled":
        drop_thinking(body)
