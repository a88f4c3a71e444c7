"""The repairs between two sides of Anthropic Messages, in their order.

https://platform.claude.com/docs/en/api/messages
"""

from switchyard.protocols.content import OMITTED_IMAGE
from switchyard.protocols.repair.messages.cache_marks import drop_all_marks, limit_marks
from switchyard.protocols.repair.messages.compaction import expand_compaction
from switchyard.protocols.repair.messages.content import document_as_text, drop_hosted_tools, mark_errors
from switchyard.protocols.repair.messages.reasoning import settle_reasoning, strip_thinking
from switchyard.protocols.repair.messages.searches import drop_all_searches, drop_made_searches
from switchyard.protocols.repair.messages.signs import (
    CARRIER,
    EFFORT,
    ERROR,
    MADE_SEARCH,
    MARKS,
    SEARCH,
    SURPLUS_MARKS,
    SYSTEM,
    signs_in,
)
from switchyard.protocols.repair.messages.system import drop_billing_line, fold_system, raise_effort
from switchyard.protocols.repair.messages.thinking import (
    CAP,
    adapt_budget,
    adapt_thinking,
    limit_answer,
    turn_thinking_on,
)
from switchyard.protocols.repair.refused import REFUSED
from switchyard.protocols.repair.rows import Change, Clamp, Drop, ReplaceParts, Table, text_part

MESSAGES = Table(
    (
        Change(by=drop_billing_line, looks_at=("billing_line",)),
        Change(by=settle_reasoning, sign=CARRIER),
        Change(by=drop_made_searches, sign=MADE_SEARCH),
        Change(by=drop_all_searches, looks_at=("hosted_web_search",), sign=SEARCH),
        Change(by=expand_compaction, looks_at=("context_management",), sign="compaction"),
        Change(
            by=raise_effort,
            looks_at=("effort_in_messages", "mid_system", "reasoning_effort", "efforts"),
            sign=EFFORT,
        ),
        Change(by=fold_system, looks_at=("mid_system",), sign=SYSTEM),
        ReplaceParts(
            history="messages",
            type="image",
            by=lambda _: text_part(OMITTED_IMAGE),
            looks_at=("images",),
            sign="image",
        ),
        ReplaceParts(
            history="messages", type="document", by=document_as_text, looks_at=("files",), sign="document"
        ),
        Change(by=mark_errors, looks_at=("error_results",), sign=ERROR),
        Change(by=drop_hosted_tools, looks_at=("hosted_web_search",)),
        Change(by=limit_answer, looks_at=CAP.looks_at),
        Change(by=adapt_budget, looks_at=("thinking_budgets",)),
        Change(by=adapt_thinking, looks_at=("reasoning_effort",)),
        Clamp(member="output_config", inside="effort"),
        Drop(members=("top_k",), looks_at=("top_k",)),
        Drop(members=("context_management",), looks_at=("context_management",)),
        Change(by=limit_marks, sign=SURPLUS_MARKS),
        Change(by=drop_all_marks, looks_at=("cache_control",), sign=MARKS),
        *REFUSED,
    ),
    signs_in,
    turn_thinking_on,
    strip_thinking,
)
"""In this order: what is dropped needs no repair, and marks are counted on what is left."""
