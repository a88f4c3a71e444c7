"""The repairs between two sides of Anthropic Messages, in their order.

https://platform.claude.com/docs/en/api/messages
"""

from switchyard.protocols.content import OMITTED_IMAGE
from switchyard.protocols.repair.messages import cache_marks, content, signs, system, thinking
from switchyard.protocols.repair.refused import REFUSED
from switchyard.protocols.repair.rows import Change, Clamp, Drop, ReplaceParts, Table, text_part

MESSAGES = Table(
    (
        Change(by=system.drop_billing_line, looks_at=("billing_line",)),
        Change(by=thinking.settle_reasoning, sign=signs.CARRIER),
        Change(by=content.drop_made_searches, sign=signs.MADE_SEARCH),
        Change(by=content.drop_all_searches, looks_at=("hosted_web_search",), sign=signs.SEARCH),
        Change(by=system.expand_compaction, looks_at=("context_management",), sign="compaction"),
        Change(
            by=system.raise_effort,
            looks_at=("effort_in_messages", "mid_system", "efforts"),
            sign=signs.EFFORT,
        ),
        Change(by=system.raise_unknown_effort, looks_at=("reasoning_effort",), sign=signs.EFFORT),
        Change(by=system.fold_system, looks_at=("mid_system",), sign=signs.SYSTEM),
        ReplaceParts(
            history="messages",
            type="image",
            by=lambda _: text_part(OMITTED_IMAGE),
            looks_at=("images",),
            sign="image",
        ),
        ReplaceParts(
            history="messages",
            type="document",
            by=content.document_as_text,
            looks_at=("files",),
            sign="document",
        ),
        Change(by=content.mark_errors, looks_at=("error_results",), sign=signs.ERROR),
        Change(by=content.drop_hosted_tools, looks_at=("hosted_web_search",)),
        Change(by=thinking.limit_answer, looks_at=thinking.CAP.looks_at),
        Change(by=thinking.adapt_budget, looks_at=("thinking_budgets",)),
        Change(by=thinking.adapt_thinking, looks_at=("reasoning_effort",)),
        Clamp(member="output_config", inside="effort"),
        Drop(members=("top_k",), looks_at=("top_k",)),
        Drop(members=("context_management",), looks_at=("context_management",)),
        Change(by=cache_marks.limit_marks, sign=signs.SURPLUS_MARKS),
        Change(by=cache_marks.drop_all_marks, looks_at=("cache_control",), sign=signs.MARKS),
        *REFUSED,
    ),
    signs.signs_in,
    thinking.turn_thinking_on,
    thinking.strip_thinking,
)
"""In this order: what is dropped needs no repair, and marks are counted on what is left."""
