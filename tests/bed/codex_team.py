"""A model that works as a team under Codex: a parent spawns a sub-agent and waits for its answer."""

from tests.bed.upstream import Received, Script, answer, say
from tests.bed.wire import Call, Reply


def team(request: Received) -> Script:
    """A parent that spawns a sub-agent and waits for it, and the sub-agent."""
    body = request.body.decode()
    if "Message Type: NEW_TASK" in body:
        return say("ALPHA, as I was asked")(request)
    if "ALPHA, as I was asked" in body:
        return say("The agent has answered")(request)
    spawn = Call("collaboration__spawn_agent", {"task_name": "kid", "message": "Reply with ALPHA."}, "call_1")
    wait = Call("collaboration__wait_agent", {"timeout_ms": 60_000}, "call_2")
    return answer(Reply(calls=(wait if "call_1" in body else spawn,)))(request)
