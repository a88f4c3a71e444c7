"""Sort what an upstream streams into the walk of `neutral`: one start, one block open at a time, one end.

A codec reads records and reports what they mean. Which block is open, what waits, whether a call was cut off and why
the model stopped is decided here, for all protocols.
"""

from collections.abc import Callable

from switchyard.protocols import neutral
from switchyard.protocols.arguments import Arguments, EndlessBlank
from switchyard.protocols.errors.decode import NO_EXPLANATION
from switchyard.protocols.errors.table import broken_answer
from switchyard.protocols.neutral import AnswerBlock, StopReason, WireError
from switchyard.protocols.stop_reasons import stop_reason_of
from switchyard.protocols.tools.calls import arguments_for, restore_arguments
from switchyard.protocols.wire import text

Words = neutral.Text | neutral.Refusal | neutral.Thinking
Seal = Callable[[str], neutral.Signature]
"""Makes the signature of a thinking block from its text."""

NO_ANSWER = broken_answer("the upstream ended its stream without an answer")
CUT_OFF = broken_answer("the upstream's stream ended before its answer was complete")
NAMELESS = broken_answer("the upstream called a tool without naming it")
BLANK = broken_answer("the upstream sent endless whitespace as the arguments of a tool call")
BROKEN_OFF = broken_answer("the upstream broke off its answer")
SECOND_ANSWER = broken_answer("the upstream began a second answer before the first was complete")
UNEXPLAINED = broken_answer(NO_EXPLANATION)

SHOWN_CHARS = 60

CUTTING = frozenset({StopReason.MAX_TOKENS, StopReason.CONTEXT_WINDOW, StopReason.REFUSAL})
"""After these the last call may lack its end."""
OVERRIDING = frozenset({*CUTTING, StopReason.COMPACTION})
"""These hold whatever the answer contains."""


def settled(reason: StopReason, *, called: bool, refused: bool = False) -> StopReason:
    """The reported reason, corrected by the content: clients run tools only after TOOL_USE, and then must."""
    if reason in OVERRIDING:
        return reason
    if called:
        return StopReason.TOOL_USE
    if refused:
        return StopReason.REFUSAL
    return StopReason.END_TURN if reason is StopReason.TOOL_USE else reason


class Draft:
    """A block on its way. Where another block comes between its pieces, it ends and opens again."""

    __slots__ = (
        *("block", "citations", "gives_way", "has_ended", "is_done", "is_placed", "signature", "spoken"),
        "texts",
    )

    def __init__(self, block: AnswerBlock | None, signature: neutral.Signature | None = None) -> None:
        self.block = block
        self.signature = signature
        self.texts: list[str] = []
        """what waits until the blocks before have ended"""
        self.spoken: list[str] | None = None
        """the text of thinking that is to be signed"""
        self.citations: list[neutral.Citation] = []
        self.gives_way = True
        """it ends as soon as another block can open"""
        self.is_placed = self.is_done = self.has_ended = False


class CallDraft(Draft):
    """A tool call. Its block may be given later, when its name is known; until then it does not open.

    `tool` is the client's tool whose input is wrapped in the arguments. `is_raw`: the arguments are text, not JSON.
    Calls of one `order` open as they came, and not before those of a lower order.
    """

    __slots__ = ("arguments", "is_cut", "order", "streams", "tool")

    def __init__(
        self,
        block: neutral.ToolCall | None = None,
        tool: neutral.Tool | None = None,
        *,
        is_raw: bool = False,
        order: int = 0,
    ) -> None:
        super().__init__(block)
        self.tool = tool
        self.arguments = Arguments(is_raw)
        self.order = order
        self.gives_way = self.is_cut = self.streams = False

    @property
    def owes_object(self) -> bool:
        """True for text in a call of a tool that takes an object."""
        block = self.block
        return self.arguments.is_raw and isinstance(block, neutral.ToolCall) and block.kind != "custom"

    @property
    def may_stream(self) -> bool:
        """False for what makes sense only as a whole: wrapped input, an object inside a string."""
        if self.arguments.is_raw:
            return not self.owes_object
        is_wrapped = self.tool is not None and self.tool.kind == "custom"
        return not is_wrapped and self.arguments.is_object


class Walk:
    """Takes blocks and their pieces in any order. After the end everything is ignored."""

    has_content = _has_refused = _has_nameless_call = False
    _calls = 0

    def __init__(self, seal: Seal | None = None) -> None:
        self.events: list[neutral.Event] = []
        self.is_started = self.is_over = False
        self.live: Draft | None = None
        self._waiting: list[Draft] = []
        self._early_citations: list[neutral.Citation] = []
        self._losses: dict[neutral.Loss, None] = {}
        self._seal = seal

    def taken(self) -> list[neutral.Event]:
        events, self.events = self.events, []
        return events

    @property
    def is_empty(self) -> bool:
        return self.live is None and not self._waiting and not self._calls

    def start(
        self,
        id: object = "",
        model: object = "",
        usage: neutral.Usage | None = None,
        fingerprint: object = "",
    ) -> None:
        if not self.is_started:
            self.is_started = True
            self.events.append(neutral.Started(text(id), text(model), usage, text(fingerprint)))

    def finish(
        self,
        reason: StopReason,
        usage: neutral.Usage | None = None,
        stop_sequence: str | None = None,
        explanation: str = "",
    ) -> None:
        """`explanation` of a refusal that the protocol reports beside the content."""
        if self._has_nameless_call and not (self._has_called or reason in CUTTING):
            self.fail(NAMELESS)
            return
        self.start()
        if self._early_citations:
            self.lose("citations", "no text followed them")
        while self.live is not None or self._waiting:
            self._end(cuts=reason in CUTTING)
            if self._waiting:
                self._open(self._waiting.pop(0))
        if explanation:
            refusal = neutral.BlockStarted(neutral.Refusal(""))
            self.events += (refusal, neutral.Delta(explanation), neutral.BlockEnded())
        reason = settled(reason, called=self._calls > 0, refused=self._has_refused)
        matched = stop_sequence if reason is StopReason.STOP_SEQUENCE else None
        self.events.append(neutral.Finished(reason, usage, matched, tuple(self._losses)))
        self.is_over = True

    @property
    def _has_called(self) -> bool:
        waiting = (draft for draft in self._waiting if isinstance(draft, CallDraft))
        return self._calls > 0 or any(call.block is not None for call in waiting)

    def known_reason(self, reported: str) -> StopReason:
        """A reason that is not known is a regular end, and reported as lost."""
        reason = stop_reason_of(reported)
        if reason is None:
            self.lose(
                "stop_reason", f"{reported[:SHOWN_CHARS]!r} is not known: the answer counts as complete"
            )
        return reason or StopReason.END_TURN

    def lose(self, field: str, why: str) -> None:
        """Something of the answer that no client of another protocol can get; reported at its end."""
        self._losses[neutral.Loss(field, why)] = None

    def lose_unknown(self, kind: str) -> None:
        self.lose(f"content.{kind[:SHOWN_CHARS]}", "no other protocol has content of this type")

    def skip_nameless_call(self) -> None:
        """Without any other call the answer is an error: its client would wait for the result of none."""
        self._has_nameless_call = True
        self.lose("tool_calls", "the upstream called a tool without naming it")

    def fail(self, error: WireError) -> None:
        """What waits is dropped; the open block is reported as incomplete."""
        self.start()
        if self.live is not None:
            self.events.append(neutral.BlockEnded(complete=False))
        self.events.append(neutral.Failed(error))
        self.live, self._waiting, self.is_over = None, [], True

    def break_off(self) -> None:
        """The connection ended before the answer did."""
        self.fail(CUT_OFF if self.is_started else NO_ANSWER)

    def say(self, block: Words, piece: str) -> None:
        """Add to the last block if it is of this type, otherwise begin another."""
        last = self._waiting[-1] if self._waiting else self.live
        if last is None or type(last.block) is not type(block):
            last = Draft(block)
            if self._seal is not None and isinstance(block, neutral.Thinking):
                last.spoken = []
            if self._early_citations and isinstance(block, neutral.Text):
                last.citations, self._early_citations = self._early_citations, []
        self.add(last, piece)

    def open_words(self) -> Draft | None:
        """The open block of words, if what is said next goes on with it."""
        live = self.live
        is_words = live is not None and not live.is_done and isinstance(live.block, Words)
        return live if is_words and not (self._waiting or self.is_over) else None

    def add(self, draft: Draft, piece: str) -> None:
        if not piece or draft.is_done:
            return
        if draft is self.live:
            self.events.append(neutral.Delta(piece))
        else:
            draft.texts.append(piece)
            self.place(draft)
        if draft.spoken is not None:
            draft.spoken.append(piece)

    def cite(self, draft: Draft, citation: neutral.Citation) -> None:
        if draft is self.live:
            self.events.append(citation)
        elif not draft.is_done:
            draft.citations.append(citation)
            self.place(draft)

    def cite_last(self, citation: neutral.Citation) -> None:
        """A citation that comes before its text waits for it."""
        last = self._waiting[-1] if self._waiting else self.live
        if last is not None and isinstance(last.block, neutral.Text):
            self.cite(last, citation)
        else:
            self._early_citations.append(citation)

    def lose_citation(self) -> None:
        self.lose("citations", "only sources on the web can be cited in another protocol")

    def sign(self, draft: Draft, signature: neutral.Signature) -> None:
        """A signature that comes after the end of its block would sign another text."""
        if not draft.has_ended:
            draft.signature = signature
            self.place(draft)

    def add_whole(self, block: AnswerBlock) -> None:
        """A block that comes without pieces."""
        draft = Draft(block)
        self.place(draft)
        self.finish_draft(draft)

    def add_arguments(self, call: CallDraft, piece: str) -> None:
        if call.is_done or self.is_over:
            return
        try:
            news = call.arguments.take(piece)
        except EndlessBlank:
            self.fail(BLANK)
            return
        if news and call is self.live:
            if call.streams:
                self.events.append(neutral.Delta(news))
            else:
                self._stream(call)

    def finish_draft(self, draft: Draft) -> None:
        """Nothing more follows in this block."""
        draft.is_done = True
        self.advance()

    def place(self, draft: Draft) -> None:
        """Put the block behind all that waits; a call before those of a higher order."""
        if draft.is_placed or draft.is_done or self.is_over:
            return
        draft.is_placed = True
        live = self.live
        if not self._waiting and (live is None or live.gives_way) and self._may_open(draft):
            self._end()
            self._open(draft)
            return
        self._waiting.insert(self._position(draft), draft)
        self.advance()

    def _position(self, draft: Draft) -> int:
        if isinstance(draft, CallDraft):
            for position, other in enumerate(self._waiting):
                if isinstance(other, CallDraft) and other.order > draft.order:
                    return position
        return len(self._waiting)

    def advance(self) -> None:
        """End the open block where it makes way, and open the next."""
        while True:
            live = self.live
            if live is not None and live.is_done:
                self._end()
            elif (
                self._waiting
                and (live is None or live.gives_way)
                and self._may_open(self._waiting[0])
                and not self.is_over
            ):
                self._end()
                self._open(self._waiting.pop(0))
            else:
                return

    def _may_open(self, draft: Draft) -> bool:
        return draft.block is not None and (not isinstance(draft, CallDraft) or draft.order <= self._calls)

    def _open(self, draft: Draft) -> None:
        block = draft.block
        if block is None:
            return
        if not self.is_started:
            self.start()
        self.live, self.has_content = draft, True
        self.events.append(neutral.BlockStarted(block))
        if isinstance(block, neutral.Refusal):
            self._has_refused = True
        if isinstance(draft, CallDraft):
            self._calls += 1
            if draft.arguments.size:
                self._stream(draft)
        elif draft.texts:
            self.events.append(neutral.Delta("".join(draft.texts)))
            draft.texts = []
        if draft.citations:
            self.events += draft.citations
            draft.citations = []

    def _stream(self, call: CallDraft) -> None:
        if call.may_stream:
            call.streams = True
            self.events.append(neutral.Delta(call.arguments.text))

    def _end(self, *, cuts: bool = False) -> None:
        """`cuts`: the answer was cut short, perhaps within this block."""
        draft, self.live = self.live, None
        if draft is None:
            return
        complete = True
        if isinstance(draft, CallDraft):
            complete = not (draft.is_cut or (cuts and self._lacks_its_end(draft)))
            self._add_owed_arguments(draft, complete)
        elif draft.spoken is not None and self._seal is not None:
            draft.signature = self._seal("".join(draft.spoken))
        self.events.append(neutral.BlockEnded(draft.signature, complete))
        draft.is_placed, draft.has_ended = False, True

    def _lacks_its_end(self, call: CallDraft) -> bool:
        if call.is_done or (self._waiting and (call.gives_way or call.arguments.is_raw)):
            return False
        return call.arguments.is_raw or not call.arguments.is_valid()

    def _add_owed_arguments(self, call: CallDraft, complete: bool) -> None:
        """What could not be streamed: unwrapped input, or the empty object of a call without arguments."""
        if call.owes_object and complete:
            self.events.append(neutral.Delta(arguments_for(call.arguments.text, call.tool)))
        if call.streams or call.arguments.is_raw or not (complete or call.arguments.size):
            return
        arguments = restore_arguments(call.arguments.text, call.tool)
        if arguments:
            self.events.append(neutral.Delta(arguments))
