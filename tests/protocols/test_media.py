"""Data URLs and the types of files."""

import base64

import pytest

from switchyard.protocols.media import data_url, parse_data_url, sniffed_media_type


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("data:image/png;base64,AAAA", ("image/png", "AAAA")),
        ("DATA:image/PNG;BASE64,AAAA", ("image/png", "AAAA")),
        ("data:image/jpg;base64,AA\nA A", ("image/jpeg", "AAAA")),
        ("data:image/png;name=a.png;base64,AA", ("image/png", "AA==")),
        ("data:image/png;base64,_-A=", ("image/png", "/+A=")),
        ("data:image/png;base64,AAA%3D", ("image/png", "AAA=")),
        ("data:text/plain;charset=utf-8,a%20%C3%A9", ("text/plain", "YSDDqQ==")),
        ("data:,a", ("text/plain", "YQ==")),
        ("data:image/png;base64", None),
        ("https://example.com/a.png", None),
        ("", None),
    ],
)
def test_a_data_url_is_decoded(url: str, parsed: tuple[str, str] | None) -> None:
    assert parse_data_url(url) == parsed


def test_what_is_encoded_is_decoded() -> None:
    assert parse_data_url(data_url("image/gif", "AAAA")) == ("image/gif", "AAAA")


@pytest.mark.parametrize(
    ("head", "declared", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/jpeg", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg"),
        (b"GIF89a", "image/png", "image/gif"),
        (b"RIFF....WEBPVP8 ", "image/png", "image/webp"),
        (b"%PDF-1.7", "application/octet-stream", "application/pdf"),
        (b"\0\0\0\x18ftypheic", "image/jpeg", "image/heic"),
        (b"BM", "image/png", "image/bmp"),
        (b"what", "image/jpg", "image/jpeg"),
        (b"", "image/png; charset=x", "image/png"),
    ],
)
def test_the_bytes_betray_the_type(head: bytes, declared: str, media_type: str) -> None:
    assert sniffed_media_type(base64.b64encode(head).decode(), declared) == media_type


def test_what_is_no_base64_has_the_declared_type() -> None:
    assert sniffed_media_type("é!", "image/png") == "image/png"
