"""Carriers of opaque data."""

import base64

import pytest

from switchyard.protocols.carrier import MAX_LENGTH, PREFIX, Carrier, pack, unpack


def encoded(document: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(document).decode()


@pytest.mark.parametrize("kind", ["reasoning", "thinking", "text", "summary"])
def test_what_is_packed_is_unpacked(kind: str) -> None:
    payload = {"id": "rs_1", "summary": [{"text": "é~ÿ?>"}], "deep": {"n": 1}}
    packed = pack(kind, "issuer", payload)
    assert packed.isascii() and packed.startswith("swyd1.") and "=" not in packed
    assert unpack(packed) == Carrier(kind, "issuer", payload)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "swyd1.",
        "EqQBCgIYAhIM1gbcDa9GJwZA2b3h",
        "swyd1.é",
        "swyd1.!!!!",
        encoded(b"[]"),
        encoded(b'{"kind":"text","issuer":"a"}'),
        encoded(b'{"kind":"other","issuer":"a","payload":{}}'),
        encoded(b'{"kind":"text","issuer":1,"payload":{}}'),
        encoded(b'{"kind":"text","issuer":"a","payload":{},"more":1}'),
        encoded(b'{"kind":"text","issuer":"a","payload":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"),
        encoded(b'{"kind":"text","issuer":"a","payload":{}}')[:-4],
        PREFIX + "A" * MAX_LENGTH,
    ],
)
def test_anything_else_is_no_carrier(text: str) -> None:
    assert unpack(text) is None
