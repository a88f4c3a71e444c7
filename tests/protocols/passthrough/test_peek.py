"""The members of a body, read one by one."""

import msgspec
import pytest

from switchyard.protocols.passthrough.peek import WATCHED, Document, watched_members

BODY = b'{"model": "m", "messages": [ 1 ], "odd": 1e999, "max_tokens" : 5}'


def test_watched_members_are_found_as_they_stand() -> None:
    members = watched_members(BODY)
    found = {name: bytes(raw) for name in WATCHED if (raw := members.get(name)) is not None}
    assert found == {"model": b'"m"', "messages": b"[ 1 ]", "max_tokens": b"5"}


@pytest.mark.parametrize("body", [b"[1]", b"1", b"{", b""])
def test_only_an_object_has_members(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        watched_members(body)


def test_a_member_is_read_whether_watched_or_not() -> None:
    document = Document(b'{"model":"m","seed":3,"max_tokens":5}')
    assert (document["model"], document["seed"], document.get("absent")) == ("m", 3, None)
    assert ("seed" in document, "absent" in document, "top_k" in document) == (True, False, False)
    assert list(document) == ["model", "seed", "max_tokens"]
    assert not document.is_changed


def test_the_last_of_two_members_of_one_name_counts() -> None:
    document = Document(b'{"model":"a","model":"b","seed":1,"s\\u0065ed":2}')
    assert (document["model"], document["seed"]) == ("b", 2)


def test_a_member_that_cannot_be_decoded_matters_only_where_it_is_read() -> None:
    document = Document(BODY)
    del document["max_tokens"]
    assert document.encode() == b'{"model":"m","messages":[ 1 ],"odd":1e999}'
    with pytest.raises(msgspec.DecodeError):
        document["odd"]


def test_what_is_set_and_deleted_is_encoded_in_its_place() -> None:
    document = Document(b'{"a":1, "model":"m", "b":[ 2 ]}')
    document["new"] = 0
    document["model"] = "n"
    del document["a"]
    document["a"] = 3
    del document["new"]
    assert document.encode() == b'{"a":3,"model":"n","b":[ 2 ]}'
    assert document.changed == {"a", "model"}
    assert (document.original("a"), document.original("new"), len(document)) == (1, None, 3)


def test_a_deleted_member_is_gone() -> None:
    document = Document(b'{"model":"m"}')
    del document["model"]
    assert "model" not in document and list(document) == []
    with pytest.raises(KeyError):
        del document["model"]
    with pytest.raises(KeyError):
        document["model"]
