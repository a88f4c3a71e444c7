"""What this upstream takes less of: the length of an answer, and fields that it has refused."""

from typing import Any

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.neutral import Loss


def answer_limit(wanted: int, capabilities: Capabilities, least: int = 1) -> int:
    """`least`: fewer are refused; a client that requests none only wants its prompt cached."""
    most = capabilities.max_output_tokens
    return max(least, wanted if most is None else min(wanted, most))


def answer_limit_losses(wanted: int | None, capabilities: Capabilities) -> list[Loss]:
    most = capabilities.max_output_tokens
    if wanted is None or most is None or wanted <= most:
        return []
    return [Loss("max_tokens", f"this upstream gives at most {most}")]


def drop_refused(body: dict[str, Any], capabilities: Capabilities) -> list[Loss]:
    """Take the fields out of the body that the upstream is known to refuse."""
    refused = [name for name in capabilities.dropped_fields if name in body]
    for name in refused:
        del body[name]
    return [Loss(name, "this upstream refuses it") for name in refused]
