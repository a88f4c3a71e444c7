"""Make the client's answer from an upstream's whole answer: passed through or converted."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.codec import BadRequest, Codec
from switchyard.protocols.conversion import convert_response
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Loss, ToolCall, Usage
from switchyard.protocols.openai_chat.opaque import signed_calls_in
from switchyard.protocols.openai_responses.encode_stream import encode_compact_response
from switchyard.protocols.passthrough.call_kinds import CALLS_OF, CallKinds
from switchyard.protocols.passthrough.calls import calls_in_reply
from switchyard.protocols.passthrough.model_name import rewrite_model_name
from switchyard.relay.attempt import HeldAnswer
from switchyard.relay.failures import AttemptFailed, protocol_failure, refused_failure
from switchyard.relay.prepare import Preparation, Prepared
from switchyard.relay.values import ClientRequest


class Whole(msgspec.Struct, frozen=True):
    """An answer ready for the client: JSON, or records if it asked for a stream."""

    body: bytes
    usage: Usage | None
    reported: Usage | None
    """the usage without any estimate"""
    signatures: tuple[str, ...] = ()
    signed_calls: tuple[ToolCall, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    """all that the client may run"""
    has_output: bool = True
    """False for one whose output has no tokens"""
    losses: tuple[Loss, ...] = ()
    """what of the answer the client's protocol cannot carry"""


def whole_answer(
    held: HeldAnswer,
    request: ClientRequest,
    prepared: Prepared,
    preparation: Preparation,
    codecs: Mapping[ProtocolName, Codec],
) -> Whole:
    """The client's answer. Raises AttemptFailed if what came is no answer after all."""
    summary = held.summary
    if request.endpoint:
        return _passed(held, request)
    is_own_form = prepared.sent is None and held.protocol == request.protocol
    if is_own_form and not request.summary.stream and summary is not None:
        model, body = request.summary.model, held.start
        if summary.model != model:
            body = rewrite_model_name(body, model)
        if request.protocol in CALLS_OF:
            body = CallKinds(request.protocol, request.summary.members).fixed_body(body)
        is_chat = held.protocol == "chat"
        signed = signed_calls_in(held.start, prepared.target.issuer) if is_chat else []
        calls = calls_in_reply(held.protocol, body)
        return Whole(body, summary.usage, summary.usage, summary.signatures, tuple(signed), calls)
    try:
        asked, sent = preparation.decoding(prepared, held.protocol)
    except BadRequest as refused:
        raise AttemptFailed(refused_failure(refused)) from None
    client = codecs[request.protocol]
    if request.compact_endpoint:
        client = replace(client, encode_response=encode_compact_response)
    converted = convert_response(codecs[held.protocol], client, held.start, sent, asked)
    if converted.failed is not None:
        raise AttemptFailed(Failure(FailureKind.STATUS, converted.failed))
    return Whole(
        converted.body,
        converted.usage,
        converted.reported,
        signed_calls=converted.signed_calls,
        calls=converted.calls,
        losses=converted.losses,
    )


def _passed(held: HeldAnswer, request: ClientRequest) -> Whole:
    """The answer of an endpoint beside that for conversations. Raises AttemptFailed."""
    summary, model = held.summary, request.summary.model
    if summary is None or request.summary.stream:
        sent, wanted = ("a stream", "one body") if summary is None else ("one body", "a stream")
        raise AttemptFailed(protocol_failure(f"sent {sent} instead of {wanted}"))
    body = held.start if summary.model == model else rewrite_model_name(held.start, model)
    return Whole(body, summary.usage, summary.usage, has_output=request.endpoint != "embeddings")
