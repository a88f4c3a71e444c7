"""The opaque members of calls, kept by the id and name of the call."""

from switchyard.protocols.neutral import Message, Request, Signature, Text, ToolCall
from switchyard.relay.signatures import ENTRY_COST, LARGEST_CALL_BYTES, CallLedger

SIGNATURE = Signature('{"extra_content":1}', "issuer")


def asked(*calls: ToolCall) -> Request:
    return Request("m", (Message("user", (Text("x"),)), Message("assistant", calls)))


def test_a_call_gets_what_was_beside_it() -> None:
    ledger = CallLedger()
    ledger.note([ToolCall("1", "f", "", signature=SIGNATURE)])
    found = ledger.signed(asked(ToolCall("1", "f", '{"a":1}'), ToolCall("2", "f", "{}")))
    assert found == asked(ToolCall("1", "f", '{"a":1}', signature=SIGNATURE), ToolCall("2", "f", "{}"))


def test_the_same_id_of_another_tool_is_another_call() -> None:
    ledger = CallLedger()
    ledger.note([ToolCall("1", "f", "", signature=SIGNATURE)])
    assert ledger.signed(asked(ToolCall("1", "g", "{}"))) == asked(ToolCall("1", "g", "{}"))


def test_the_calls_used_longest_ago_are_forgotten() -> None:
    ledger = CallLedger(2 * (ENTRY_COST + len(SIGNATURE.payload)))
    for id in ("1", "2"):
        ledger.note([ToolCall(id, "f", "", signature=SIGNATURE)])
    ledger.signed(asked(ToolCall("1", "f", "{}")))
    ledger.note([ToolCall("3", "f", "", signature=SIGNATURE)])
    kept = ledger.signed(asked(*(ToolCall(id, "f", "{}") for id in ("1", "2", "3")))).messages[1].content
    assert [call.id for call in kept if isinstance(call, ToolCall) and call.signature] == ["1", "3"]


def test_what_is_larger_than_any_signature_is_not_kept() -> None:
    ledger = CallLedger()
    ledger.note([ToolCall("1", "f", "", signature=Signature("x" * (LARGEST_CALL_BYTES + 1), "issuer"))])
    assert ledger.signed(asked(ToolCall("1", "f", "{}"))) == asked(ToolCall("1", "f", "{}"))
