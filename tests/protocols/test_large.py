from typing import Any

import msgspec
import pytest

from switchyard.protocols.large import LARGE_BYTES, MANY_ITEMS, decode_large, encode_large

LONG = "x" * LARGE_BYTES
VALUES: dict[str, Any] = {
    "small": {"a": [1, {"b": None}], "c": "\u4e2d\n"},
    "many items": {"messages": [{"n": n, "text": "\u00e9" * 900} for n in range(500)], "model": "m"},
    "one long text": {"messages": [{"text": LONG}], "n": 1.5},
    "long at depth": {"a": {"b": [[LONG, 1], {"c": LONG}]}, "d": []},
    "names to escape": {'a"\\\u4e2d': list(range(MANY_ITEMS + 1)), "": True},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
def test_what_is_decoded_and_encoded_in_steps_is_the_same(value: dict[str, Any]) -> None:
    written = msgspec.json.encode(value)
    assert encode_large(value) == written
    assert decode_large(written) == value
    assert decode_large(b"  \n" + written + b" \n") == value


def test_items_that_are_encoded_already_are_sent_as_they_are() -> None:
    written = [msgspec.Raw(b'{"n": %d}' % number) for number in range(MANY_ITEMS + 1)]
    assert encode_large({"messages": written}) == msgspec.json.encode({"messages": written})


@pytest.mark.parametrize("value", [[LONG, {"a": LONG}], LONG, [1]])
def test_what_is_no_object_is_decoded_too(value: object) -> None:
    assert decode_large(msgspec.json.encode(value)) == value


def test_of_members_with_one_name_the_last_counts() -> None:
    text = b'{"a":1,"b":"%b","a":2}' % LONG.encode()
    assert decode_large(text) == msgspec.json.decode(text)


@pytest.mark.parametrize(
    "text", ['{"a":"%s","b":}', '{"a":"%s"', '{"a":["%s",01]}', '["%s"]]', '{"a":["%s",{"b":"\\x"}]}']
)
def test_what_is_broken_is_refused_at_any_size(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_large((text % LONG).encode())


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    text = b'{"a":"%b","b":["\xff"]}' % LONG.encode()
    with pytest.raises(UnicodeDecodeError):
        msgspec.json.decode(text)
    with pytest.raises(UnicodeDecodeError):
        decode_large(text)
