"""Count the tokens of a Messages request: by the upstream if it can, else by estimate. Never an error."""

import asyncio

import msgspec

from switchyard.protocols.codec import BadRequest
from switchyard.protocols.request_summary import read_request
from switchyard.relay.credentials import KeyMissing, fetch_key
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.headers import Headers, upstream_headers
from switchyard.relay.prepare import OFF_LOOP_BYTES, Preparation, target_for
from switchyard.relay.redaction import redacted_bytes, secrets_of
from switchyard.relay.ruling import Ruling
from switchyard.relay.upstream import Call
from switchyard.relay.urls import request_url
from switchyard.relay.values import ClientRequest
from switchyard.routing.lineup import Candidate
from switchyard.routing.route import Ask, choose_route

WAIT_SECONDS = 3.0
MAX_ANSWER_BYTES = 65536


class TokenCounter:
    """Counting does not affect an upstream's health: a server without this endpoint may be fine."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def count(self, body: bytes, headers: Headers, query: str, client: str) -> bytes:
        """The answer of the upstream that would answer the request, without its secrets, or an estimate in its form."""
        try:
            body, summary = read_request("messages", body, dict(headers), self._dependencies.messages)
        except BadRequest:
            return _encoded(max(1, len(body) // 4))
        request = ClientRequest("messages", body, summary, headers, query, client)
        counted = await self._asked(request)
        if counted is not None:
            return counted
        if len(body) > OFF_LOOP_BYTES:
            return _encoded(await asyncio.to_thread(self._estimated, request))
        return _encoded(self._estimated(request))

    async def _asked(self, request: ClientRequest) -> bytes | None:
        dependencies, summary = self._dependencies, request.summary
        settings = dependencies.settings()
        ruled = await Ruling(dependencies, request).rule(settings, Preparation(request, dependencies.codecs))
        ask = Ask("messages", summary.model, summary.session, ruled=ruled)
        route = choose_route(settings, dependencies.state(), ask, dependencies.now())
        candidate = route.candidates[0] if route.candidates else None
        if candidate is None or candidate.upstream.is_demo or candidate.upstream.protocol != "messages":
            return None
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await self._call(request, candidate)
        except (TimeoutError, AttemptFailed, KeyMissing, BadRequest):
            return None

    async def _call(self, request: ClientRequest, candidate: Candidate) -> bytes | None:
        upstream = candidate.upstream
        learned = self._dependencies.learned.get((candidate.name, candidate.model), {})
        target = target_for(candidate, "messages", learned)
        prepared = Preparation(request, self._dependencies.codecs).prepare(candidate, target)
        key = await fetch_key(upstream, request.headers)
        headers = upstream_headers(
            upstream,
            key,
            request.headers,
            same_protocol=True,
            stream=False,
            refused_betas=target.capabilities.refused_betas,
        )
        url = request_url(upstream, candidate.model, "/count_tokens", request.query)
        reply = await self._dependencies.wire.send(
            Call(
                url,
                headers,
                prepared.body,
                WAIT_SECONDS,
                upstream.proxy,
                upstream.tls,
                upstream=upstream.name,
            )
        )
        try:
            answer = await reply.read_up_to(MAX_ANSWER_BYTES)
        finally:
            await reply.close()
        if reply.status != 200 or not _has_tokens(answer):
            return None
        return redacted_bytes(answer, secrets_of(upstream, request.headers, key))

    def _estimated(self, request: ClientRequest) -> int:
        try:
            dependencies = self._dependencies
            return Preparation(request, dependencies.codecs, memory=dependencies.messages).prompt_tokens()
        except BadRequest:
            return max(1, len(request.body) // 4)


def _has_tokens(answer: bytes) -> bool:
    try:
        answer.decode()  # msgspec checks no text that it skips
        return msgspec.json.decode(answer, type=_Counted).input_tokens != 0
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _encoded(tokens: int) -> bytes:
    return msgspec.json.encode(_Counted(tokens))


class _Counted(msgspec.Struct):
    input_tokens: int
