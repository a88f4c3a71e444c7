"""Pass a stream between two sides of one protocol: the bytes stay as they came, and are only inspected."""

import re

import msgspec

from switchyard.protocols import neutral
from switchyard.protocols.codec import Codec
from switchyard.protocols.openai_chat.calls import Calls
from switchyard.protocols.openai_chat.opaque import signed_calls
from switchyard.protocols.passthrough.call_kinds import CallKinds
from switchyard.protocols.passthrough.calls import CALL_SIGNS, CallReader, hides_letters
from switchyard.protocols.passthrough.inspect.inspector import RecordSummary
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.passthrough.missing_end import SENTINEL, MissingEnd
from switchyard.protocols.passthrough.model_name import StreamRenamer
from switchyard.protocols.sse import (
    BLANK_LINE,
    MAX_RECORD_BYTES,
    PIECE_COST,
    Record,
    RecordTooLarge,
    SseDecoder,
    usual_record,
)
from switchyard.protocols.tools.gate import CallGate, CallNews, CallWatch
from switchyard.protocols.walk import SECOND_ANSWER
from switchyard.protocols.wire import stated

PART_BYTES = 4 * 1024
"""of a packet that holds more than deltas: its records are read part by part"""
BLANK_LINES = (BLANK_LINE, b"\r\n\r\n", b"\r\r")
FORGOTTEN_ENDS = {
    "chat": b"data: [DONE]\n\n",
    "messages": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
}
"""Some servers close the connection after the stop reason; the answer is complete."""
NO_CHOICES = re.compile(rb'"choices"\s*:\s*(?:\[\s*\]|null)')
ERROR_EVENT = re.compile(rb"\s*event: ?error")
BARE_JSON = re.compile(rb"\s*\{")
"""Some servers break off with an error that is no event at all."""


class PassthroughStream:
    """Feed it the upstream's bytes, forward what it gives back: whole records, the model renamed.

    Attributes report what was seen: `work_begun`, `content_begun`, `finished`, `failed`, `usage`, `stated`,
    `signatures`.
    Every record is read until content has begun; afterwards only those that the inspector finds notable, unless the
    arguments of calls are watched. `is_waiting`: a call waits for a decision, and what follows with it.
    """

    def __init__(
        self,
        codec: Codec,
        requested_model: str,
        hide_usage: bool = False,
        issuer: str = "",
        watch: CallWatch | None = None,
        kinds: CallKinds | None = None,
    ) -> None:
        self._codec = codec
        self._inspector = INSPECTORS[codec.protocol]
        self._renamer = StreamRenamer(requested_model)
        self._hide_usage = hide_usage
        self._issuer = issuer
        self._kinds = kinds
        self._calls = Calls()
        self._gate: CallGate[tuple[bytes, bool]] | None = None if watch is None else CallGate(watch)
        self._reads_calls = watch is not None and watch.reads_arguments
        self._reader = CallReader(codec.protocol)
        self._call_sign = CALL_SIGNS[codec.protocol]
        self._count_deltas = self._inspector.count_deltas
        self.is_withheld = False
        """a call must not reach the client: `failed` is the reason"""
        self._missing_end = MissingEnd() if codec.protocol == "responses" else None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._last = b""
        self._opening = b""
        self._stop_reported = False
        self._failed_oddly = False
        self._is_too_large = False
        """what was passed on last is followed by a record beyond the limit"""
        self._id: str | None = None
        self.work_begun = False
        self.content_begun = False
        self.finished = False
        self.failed: neutral.WireError | None = None
        self.usage: neutral.Usage | None = None
        self.stated = neutral.UNSTATED
        self.truncated = False
        self.signatures: list[str] = []
        self.losses: tuple[neutral.Loss, ...] = ()
        """none: the client gets everything"""
        self.records = 0

    def feed(self, chunk: bytes) -> bytes:
        """What may go on to the client. Raises RecordTooLarge."""
        if not self._pending and chunk.endswith(BLANK_LINE):
            self._last = BLANK_LINE
            return self._pass_up_to_limit(chunk)
        end = _end_of_records(self._last, chunk)
        self._last = chunk[-3:] if len(chunk) >= 3 else (self._last + chunk)[-3:]
        if end <= 0:
            self._pending.append(chunk)
            self._pending_size += len(chunk) + PIECE_COST
            if self._pending_size > MAX_RECORD_BYTES:
                raise RecordTooLarge
            return b""
        records = chunk[:end] if end < len(chunk) else chunk
        if self._pending:
            self._pending.append(records)
            records = b"".join(self._pending)
        rest = chunk[end:]
        self._pending = [rest] if rest else []
        self._pending_size = len(rest)
        return self._pass_up_to_limit(records)

    def close(self) -> bytes:
        """The upstream's connection ended: the last record, if it forgot its blank line.

        Programs ignore a record without one, and half a record would spoil the one that is sent after it.
        """
        rest, self._pending = b"".join(self._pending), []
        out = self._pass(rest) + b"\n\n" if _holds_record(rest) else b""
        end = FORGOTTEN_ENDS.get(self._codec.protocol)
        if end is None or not self._stop_reported or self.finished or self.failed is not None:
            return out
        self.finished = True
        return out + end

    def break_forgiven(self) -> bytes:
        """The connection broke: what is still missing of an answer that is complete; `finished` is set then."""
        self._pending = []
        return self.close()

    def break_off(self, error: neutral.WireError) -> bytes:
        """The record that reports to the client that its stream broke."""
        return self._codec.encode_break(error, self._opening)

    def keep_alive(self) -> bytes:
        """A keep-alive, valid between two records."""
        return self._codec.keep_alive

    def usage_with_estimate(self, input_tokens: int) -> neutral.Usage:
        """The usage as far as it was reported, estimated where it was not: a record has about one token."""
        is_final = self.finished or self._stop_reported
        return neutral.with_estimate(self.usage, input_tokens, self.records, is_final=is_final)

    @property
    def signed_calls(self) -> list[neutral.ToolCall]:
        """calls with opaque members, without which their issuer refuses them"""
        return signed_calls(self._calls.all, self._issuer)

    @property
    def reported_usage(self) -> neutral.Usage | None:
        """The usage without any estimate."""
        return self.usage

    @property
    def is_complete(self) -> bool:
        """True if nothing is awaited from the upstream but the end."""
        return self._stop_reported and self.usage is not None

    @property
    def owes_an_end(self) -> bool:
        """True if the client still needs the end of this stream."""
        if self.finished:
            return False
        return self.failed is None or self._failed_oddly or self._codec.protocol == "responses"

    def _pass_up_to_limit(self, records: bytes) -> bytes:
        out = self._pass(records)
        if self._is_too_large and not self._is_cut_off:
            raise RecordTooLarge(given=out)
        return out

    def _pass(self, records: bytes) -> bytes:
        kinds, deltas = self._kinds, 0
        may_skip = not (self._failed_oddly or self._reads_calls)
        if may_skip and (kinds is None or not kinds.open_calls):
            deltas = self._deltas(records) if self.content_begun else 0
            if not deltas and 0 < _end_of_part(records, 0) < len(records):
                return self._pass_parts(records)
        if not deltas and kinds is not None and kinds.concerns(records):
            records = self._with_fixed_kinds(kinds, records)
            deltas = self._deltas(records) if may_skip and self.content_begun else 0
        if deltas:
            self.records += deltas
        else:
            self.records += records.count(b"\ndata:") + records.startswith(b"data:")
            records = self._look(records)
        return self._renamer.rename(records)

    def _with_fixed_kinds(self, kinds: CallKinds, records: bytes) -> bytes:
        fixed: list[bytes] = []
        try:
            for raw in _split(records):
                fixed.append(kinds.fixed(raw))
        except RecordTooLarge:
            self._is_too_large = True
        return b"".join(fixed)

    def _pass_parts(self, records: bytes) -> bytes:
        """What must be read is most often at one end of many deltas."""
        passed: list[bytes] = []
        start, size = 0, len(records)
        while start < size and not (self._is_cut_off or self._is_too_large):
            end = _end_of_part(records, start) or size
            passed.append(self._pass(records[start:end]))
            start = end
        return b"".join(passed)

    def _deltas(self, records: bytes) -> int:
        """How many records may pass unseen; 0 unless it is all of them. None of them begins a call."""
        # the cheap look counts lines by their usual end; to find is twice as fast as to ask with `in`
        if records.find(b"\r") >= 0 or not records.endswith(BLANK_LINE):
            return 0
        return self._count_deltas(records)

    def _look(self, records: bytes) -> bytes:
        """Read the records one by one; returns them without those that the client did not request.

        Nor does it get an error that it would not take for one, or what follows: the break is reported instead.
        """
        if records.find(b"{") < 0 and not _has_content(records):
            return records
        kept: list[bytes] = []
        hidden = False
        may_skip = not (self._reads_calls or self._failed_oddly or self._is_over)
        gate = self._gate
        for raw in _split(records):
            if raw.find(b"{") < 0 and not _has_content(raw):
                kept.append(raw)
                continue
            self._opening = self._opening or raw.lstrip()
            passes_at_once = may_skip and self.content_begun and (gate is None or gate.is_idle)
            if passes_at_once and not self._is_notable(raw):
                kept.append(raw)
                continue
            hide, has_content, news = False, False, list[CallNews]()
            if not self.content_begun or self._reads_calls or self._is_notable(raw):
                try:
                    decoded = _decoded(raw)
                except RecordTooLarge:
                    self._is_too_large = True
                    return b"".join(kept)
                for record in decoded:
                    summary = self._inspector.summary(record)
                    if self._missing_end is not None and not summary.finished:
                        raw = self._with_missing_end(self._missing_end, record, raw)
                    self._note(summary, raw)
                    has_content = has_content or summary.content
                    hide = hide or (self._hide_usage and _accounts(summary, raw))
                    if self._gate is not None:
                        news += self._reader.news(record)
            if self._failed_oddly:
                return b"".join(kept)
            raw_end = self._with_usual_end(raw) if self._is_over else raw
            passed = [] if hide else self._passed(raw_end, has_content, news)
            hidden = hidden or passed != [raw]
            kept += passed
            if self._is_cut_off:
                return b"".join(kept)
        return b"".join(kept) if hidden else records

    def _passed(self, raw: bytes, has_content: bool, news: list[CallNews]) -> list[bytes]:
        """This record, what waited for it, or nothing yet."""
        gate = self._gate
        if gate is None or (not news and gate.is_idle):
            self.content_begun = self.content_begun or has_content
            return [raw]
        passed = gate.take((raw, has_content), news)
        if gate.error is not None:
            self.refuse(gate.error)
        return self._released(passed)

    def _released(self, passed: list[tuple[bytes, bool]]) -> list[bytes]:
        self.content_begun = self.content_begun or any(has_content for _, has_content in passed)
        return [raw for raw, _ in passed]

    @property
    def is_waiting(self) -> bool:
        return self._gate is not None and self._gate.is_waiting

    def release(self) -> bytes:
        """The call that waited may pass, and what came after it."""
        if self._gate is None:
            return b""
        passed = self._released(self._gate.release())
        if self._gate.error is not None:
            self.refuse(self._gate.error)
        return self._renamer.rename(b"".join(passed))

    def refuse(self, error: neutral.WireError) -> None:
        """The call that waited must not pass: the answer has failed, and its end is owed."""
        self.failed, self._failed_oddly, self.is_withheld, self.finished = error, True, True, False

    def _with_missing_end(self, end: MissingEnd, record: Record, raw: bytes) -> bytes:
        """The record, or the end that it stands for."""
        if end.replaces(record):
            self.finished, raw = True, end.record()
        else:
            end.note(record)
        return raw

    def _with_usual_end(self, raw: bytes) -> bytes:
        """The last record under the name that programs wait for."""
        for name, usual_of in self._inspector.other_ends.items():
            if name in raw:
                usual = usual_of(_decoded(raw)[0])
                raw = raw.replace(b"event: " + name, b"event: " + usual, 1)
                raw = raw.replace(b'"%b"' % name, b'"%b"' % usual, 1)
        return raw

    @property
    def _is_over(self) -> bool:
        """True if nothing may follow: the end was sent, or an error that clients take for one."""
        return self.finished or (self.failed is not None and not self.owes_an_end)

    @property
    def _is_cut_off(self) -> bool:
        """True if nothing that follows may reach the client."""
        return self._is_over or self._failed_oddly or self.is_withheld

    def _is_notable(self, raw: bytes) -> bool:
        is_notable = self._inspector.notable.search(raw) is not None or ERROR_EVENT.match(raw) is not None
        return is_notable or raw.find(self._call_sign) >= 0 or hides_letters(raw)

    def _note(self, summary: RecordSummary, raw: bytes) -> None:
        if summary.model is not None:
            self._renamer.learn(raw, summary.model)
            self.stated = stated(summary.model, summary.fingerprint or self.stated.fingerprint)
        if summary.usage is not None:
            self.usage = summary.usage if self.usage is None else self.usage.merged(summary.usage)
        if summary.begins is not None:
            self._note_beginning(summary.begins)
        for fragment in summary.fragments:
            self._calls.of(fragment)
        if summary.signature is not None:
            self.signatures.append(summary.signature)
        if summary.error is not None and self.failed is None and not self.finished:
            self.failed = summary.error
            self._failed_oddly = summary.is_odd or BARE_JSON.match(raw) is not None
        self._stop_reported = self._stop_reported or summary.stop_reason is not None
        self.work_begun = self.work_begun or summary.opens or summary.content
        self.finished = self.finished or summary.finished

    def _note_beginning(self, id: str) -> None:
        """Two answers in a row are never one: a client would take both for its answer."""
        if self._id is not None and id != self._id and self.content_begun and not self._stop_reported:
            self.failed, self._failed_oddly = SECOND_ANSWER, True
        self._id = id


def _end_of_part(records: bytes, start: int) -> int:
    """Where some records end, 0 if all that follow are few."""
    at = records.find(BLANK_LINE, start + PART_BYTES)
    return at + len(BLANK_LINE) if at >= 0 else 0


def _end_of_records(last: bytes, chunk: bytes) -> int:
    """How many bytes of the chunk belong to records that are whole now."""
    end = chunk.rfind(b"\n\n")
    if end >= 0:
        best = end + 2
        # a later record may still end with CRLF
        return max(best, _rfind_end(chunk, b"\r\n\r\n", best))
    best = max(_rfind_end(chunk, b"\r\n\r\n", 0), _rfind_end(chunk, b"\r\r", 0))
    if best > 0 or not last:
        return best
    joined = last + chunk[:3]
    for blank in BLANK_LINES:
        at = joined.rfind(blank)
        if at >= 0 and at + len(blank) > len(last):
            return at + len(blank) - len(last)
    return 0


def _rfind_end(chunk: bytes, blank: bytes, start: int) -> int:
    at = chunk.rfind(blank, start)
    return at + len(blank) if at >= 0 else 0


def _split(records: bytes) -> list[bytes]:
    """The records, each with its blank line."""
    if records.find(BLANK_LINE) == len(records) - 2 and records.find(b"\r") < 0:
        return [records]
    if b"\r" in records:
        pieces: list[bytes] = []
        start = 0
        while start < len(records):
            ends = [at + len(blank) for blank in BLANK_LINES if (at := records.find(blank, start)) >= 0]
            end = min(ends, default=len(records))
            pieces.append(records[start:end])
            start = end
        return pieces
    pieces = [piece + b"\n\n" for piece in records.split(b"\n\n")]
    last = pieces.pop()[:-2]
    return [*pieces, last] if last else pieces


def _has_content(raw: bytes) -> bool:
    """False for comments and the like, of which there may be very many."""
    return b"data" in raw or b"event" in raw


def _accounts(summary: RecordSummary, raw: bytes) -> bool:
    """True for a record that reports usage and nothing else."""
    has_choices = raw.find(b'"choices"') >= 0 and NO_CHOICES.search(raw) is None
    return summary.usage is not None and not summary.content and not has_choices


def _holds_record(rest: bytes) -> bool:
    """True if the last record is whole but for its blank line."""
    records = _decoded(rest)
    return bool(records) and all(_is_whole(record) for record in records)


def _is_whole(record: Record) -> bool:
    try:
        msgspec.json.decode(record.data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return record.event == "error" or record.data.strip() == SENTINEL
    return True


def _decoded(raw: bytes) -> list[Record]:
    if (record := usual_record(raw)) is not None:
        return [record]
    decoder = SseDecoder()
    return decoder.feed(raw) + decoder.close()
