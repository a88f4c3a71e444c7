"""What is remembered of answers, for how long, and for whom it is recalled."""

import asyncio
import json
import tracemalloc
from typing import Any

import pytest

from switchyard.protocols import carrier
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.answer_memory import MAX_AGE_SECONDS, AnswerMemory
from switchyard.relay.values import ClientRequest

TEXT = {"type": "message", "id": "msg_1", "role": "assistant", "content": "Hello"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "opaque"}
CARRIED = {**THOUGHT, "id": "rs_2", "encrypted_content": carrier.pack("text", "qwen", {"text": "t"})}
HELLO = {"type": "message", "role": "user", "content": "Hi"}


def asked(items: Any, **more: Any) -> ClientRequest:
    body = json.dumps({"model": "m", "input": items, **more}).encode()
    return ClientRequest("responses", body, read_request_summary("responses", body, {}), [])


def answered(id: str, *items: Any) -> bytes:
    return json.dumps({"id": id, "object": "response", "output": items}).encode()


def reference(id: str) -> dict[str, str]:
    return {"type": "item_reference", "id": id}


def memory_with(*items: Any, issuer: str = "", **more: Any) -> AnswerMemory:
    memory = AnswerMemory(**more)
    memory.note(asked("Hi"), "a", issuer, answered("resp_1", *items), 0.0)
    return memory


def recalled(memory: AnswerMemory, request: ClientRequest, issuer: str = "", now: float = 1.0) -> Any:
    return json.loads(memory.recalled(request, issuer, now).body)


def test_a_named_item_is_recalled() -> None:
    body = recalled(memory_with(TEXT), asked([HELLO, reference("msg_1")]))
    assert body == {"model": "m", "input": [HELLO, TEXT]}


def test_a_named_answer_is_recalled_with_what_it_answered() -> None:
    body = recalled(memory_with(TEXT), asked("More", previous_response_id="resp_1"))
    assert body["input"] == [HELLO, TEXT, {**HELLO, "content": "More"}]
    assert "previous_response_id" not in body


def test_what_is_recalled_is_not_repeated() -> None:
    request = asked([reference("msg_1"), HELLO], previous_response_id="resp_1")
    assert recalled(memory_with(TEXT), request)["input"] == [HELLO, TEXT, HELLO]


UNKNOWN = [
    asked([HELLO]),
    asked([reference("msg_9")]),
    asked("More", previous_response_id="resp_9"),
    asked("More", previous_response_id=None),
    asked([{"type": "message", "role": "user", "content": '"item_reference"'}]),
]


@pytest.mark.parametrize("request_", UNKNOWN)
def test_what_is_not_known_stays_as_it_is(request_: ClientRequest) -> None:
    assert memory_with(TEXT).recalled(request_, "", 1.0) is request_


def test_the_upstream_that_answered_gets_the_names() -> None:
    memory = memory_with(TEXT, THOUGHT, issuer="a")
    request = asked([reference("msg_1")], previous_response_id="resp_1")
    assert memory.recalled(request, "a", 1.0) is request


def test_another_service_gets_neither_ids_nor_reasoning_that_it_cannot_read() -> None:
    memory = memory_with(TEXT, THOUGHT, CARRIED, issuer="a")
    sent = recalled(memory, asked("More", previous_response_id="resp_1"), issuer="b")["input"]
    assert [item["type"] for item in sent] == ["message", "message", "reasoning", "message"]
    assert not any("id" in item for item in sent)


def test_the_oldest_answers_make_room_for_new_ones() -> None:
    memory = memory_with(TEXT, max_bytes=3000)
    for number in range(2, 20):
        memory.note(asked("Hi"), "u", "", answered(f"resp_{number}", {**TEXT, "id": f"msg_{number}"}), 0.0)
    gone, kept = asked([reference("msg_1")]), asked([reference("msg_19")])
    assert memory.recalled(gone, "", 1.0) is gone
    assert recalled(memory, kept)["input"] == [{**TEXT, "id": "msg_19"}]


LONG: Any = [{**HELLO, "content": f"Look at line {number}."} for number in range(2000)]


def packing(memory: AnswerMemory, most_plain: int = 0) -> int:
    return asyncio.run(memory.pack(most_plain))


def memory_of_long_inputs(*ids: str, **more: Any) -> AnswerMemory:
    memory = AnswerMemory(**more)
    for id in ids:
        memory.note(asked(LONG), "a", "", answered(id, TEXT), 0.0)
    return memory


def test_a_packed_answer_is_recalled_as_before() -> None:
    memory, request = memory_of_long_inputs("resp_1"), asked("More", previous_response_id="resp_1")
    before = recalled(memory, request)
    assert packing(memory) > 100_000
    assert recalled(memory, request) == before
    assert before["input"][:2] == LONG[:2]


def test_the_newest_inputs_are_not_packed() -> None:
    memory = memory_of_long_inputs("resp_1", "resp_2", "resp_3")
    size = len(json.dumps(LONG))
    saved = packing(memory, most_plain=2 * size)
    assert 0 < saved < size
    assert packing(memory, most_plain=2 * size) == 0
    assert packing(memory, most_plain=0) == 2 * saved


def test_packed_answers_take_no_more_memory_than_is_counted() -> None:
    memory = memory_of_long_inputs()
    tracemalloc.start()
    try:
        for number in range(20):
            memory.note(asked(LONG), "a", "", answered(f"resp_{number}", TEXT), 0.0)
        plain, _ = tracemalloc.get_traced_memory()
        saved = packing(memory)
        packed, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert plain - packed > 0.9 * saved


def test_packed_answers_leave_room_for_more() -> None:
    many = [f"resp_{number}" for number in range(20)]
    memory = memory_of_long_inputs(max_bytes=300_000)
    for id in many:
        memory.note(asked(LONG), "a", "", answered(id, TEXT), 0.0)
        packing(memory)
    assert all(memory.continued(asked("More", previous_response_id=id)) for id in many)


def test_short_inputs_are_not_packed() -> None:
    assert packing(memory_with(TEXT)) == 0


def test_an_answer_that_changes_while_it_is_packed_stays_as_it_became() -> None:
    memory = memory_of_long_inputs("resp_1")

    async def change() -> int:
        packing = asyncio.create_task(memory.pack(0))
        await asyncio.sleep(0)
        memory.note(asked("Hi"), "a", "", answered("resp_1", TEXT), 0.0)
        return await packing

    assert asyncio.run(change()) == 0
    assert recalled(memory, asked("More", previous_response_id="resp_1"))["input"][0] == HELLO


def test_an_answer_is_forgotten_after_a_day() -> None:
    memory, request = memory_with(TEXT), asked([reference("msg_1")])
    assert memory.recalled(request, "", MAX_AGE_SECONDS + 1) is request


@pytest.mark.parametrize(
    "answer", [b"", b"{", answered("", TEXT), answered("resp_1"), b"data: [DONE]\n\n", b'{"output":7}']
)
def test_what_cannot_be_named_is_not_kept(answer: bytes) -> None:
    memory, request = AnswerMemory(), asked([reference("msg_1")], previous_response_id="resp_1")
    memory.note(asked("Hi"), "u", "", answer, 0.0)
    assert memory.recalled(request, "", 1.0) is request


def test_the_end_of_a_stream_is_enough() -> None:
    memory = AnswerMemory()
    end = b'data: {"type":"response.completed","response":' + answered("resp_1", TEXT) + b"}\n\n"
    memory.note(asked("Hi", stream=True), "u", "", end, 0.0)
    assert recalled(memory, asked([reference("msg_1")]))["input"] == [TEXT]


def test_a_circle_of_answers_is_no_conversation() -> None:
    memory, request = AnswerMemory(), asked("More", previous_response_id="resp_1")
    memory.note(request, "u", "", answered("resp_1", TEXT), 0.0)
    assert memory.recalled(request, "", 1.0) is request
