"""Compact a conversation at an upstream without that service: have a summary written, give it as one block."""

from msgspec.structs import replace

from switchyard.protocols import carrier, neutral
from switchyard.protocols.errors.table import broken_answer
from switchyard.protocols.neutral import StopReason

ASSIGNMENT = """\
The conversation above is about to be cut, and a colleague with the same tools will go on from your notes \
alone. Write these notes now, as plain text, without calling any tool. Tell:
- what the user wants, in their own terms, with every constraint and preference they stated;
- what was done and found so far: files with their paths, commands, decisions and their reasons;
- what the state is right now, failures and open questions included;
- what to do next, step by step.
Quote names, paths, identifiers and error messages exactly. Leave out what no longer matters."""
NO_SUMMARY = broken_answer("the upstream wrote no summary of the conversation")


def compaction_request(request: neutral.Request) -> neutral.Request:
    """The request for a hand-over summary, which any upstream can answer."""
    assignment = neutral.Message("user", (neutral.Text(request.compact_instructions.strip() or ASSIGNMENT),))
    return replace(
        request,
        messages=(*request.messages, assignment),
        tools=(),
        hosted_tools=(),
        tool_choice=None,
        parallel_tool_calls=None,
        output_format=None,
        compact=False,
    )


class CompactionFold:
    """Turns the answer to `compaction_request`, event by event, into one `Compaction` block."""

    def __init__(self) -> None:
        self._summary: list[str] = []
        self._is_text = False

    def fold(self, event: neutral.Event) -> list[neutral.Event]:
        match event:
            case neutral.Started() | neutral.Failed():
                return [event]
            case neutral.BlockStarted(block):
                self._is_text = isinstance(block, neutral.Text)
            case neutral.Delta(words) if self._is_text:
                self._summary.append(words)
            case neutral.Finished():
                return self._finished(event)
        return []

    def _finished(self, event: neutral.Finished) -> list[neutral.Event]:
        summary = "".join(self._summary).strip()
        if not summary:
            return [neutral.Failed(NO_SUMMARY)]
        compaction = neutral.Compaction(carrier.pack("summary", "", {"text": summary}))
        return [
            neutral.BlockStarted(compaction),
            neutral.BlockEnded(),
            replace(event, stop_reason=StopReason.COMPACTION, stop_sequence=None),
        ]
