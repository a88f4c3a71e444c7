"""Which upstream issued which opaque data."""

import pytest

from switchyard.relay.signatures import SignatureLedger

A = "c2VhbGVkIGJ5IEE="
B = "c2VhbGVkIGJ5IEI="


def body(*seals: str) -> bytes:
    return b'{"messages":[' + b",".join(b'{ "signature" : "%b"}' % seal.encode() for seal in seals) + b"]}"


def test_only_what_is_known_to_be_foreign_is_found() -> None:
    ledger = SignatureLedger()
    ledger.note("a", [A])
    ledger.note("b", [B])
    sent = body(A, B, "bmV2ZXIgc2VlbiBoZXJl")
    assert (ledger.foreign(sent, "a"), ledger.foreign(sent, "b"), ledger.foreign(sent, "c")) == (
        frozenset({B}),
        frozenset({A}),
        frozenset({A, B}),
    )


@pytest.mark.parametrize("name", ["signature", "encrypted_content", "data"])
def test_every_kind_of_opaque_data_is_found(name: str) -> None:
    ledger = SignatureLedger()
    ledger.note("a", [A])
    assert ledger.foreign(b'{"%b":"%b"}' % (name.encode(), A.encode()), "b") == {A}


def test_nothing_is_foreign_while_there_is_one_issuer() -> None:
    ledger = SignatureLedger()
    assert ledger.foreign(body(A), "a") == frozenset()
    ledger.note("a", [A])
    assert ledger.foreign(body(A), "a") == frozenset()


def test_the_same_data_belongs_to_the_upstream_that_sent_it_last() -> None:
    ledger = SignatureLedger()
    ledger.note("a", [A])
    ledger.note("b", [A])
    assert (ledger.foreign(body(A), "a"), ledger.foreign(body(A), "b")) == (frozenset({A}), frozenset())


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    ledger = SignatureLedger(capacity=2)
    ledger.note("a", [A, B])
    ledger.note("a", [A])
    ledger.note("a", ["dGhlIHRoaXJkIG9uZQ=="])
    assert ledger.foreign(body(A, B, "dGhlIHRoaXJkIG9uZQ=="), "b") == {A, "dGhlIHRoaXJkIG9uZQ=="}
