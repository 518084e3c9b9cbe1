import pytest
from tests.media import makers

from stretto.errors import UnsupportedMedia
from stretto.media.kinds import check_kind, claimed_kind, kind_of


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"hello", "text/plain"),
        ("Grüße".encode(), "text/plain"),
        (b"\xef\xbb\xbfhello", "text/plain"),
        (b"BMW and MZ and ID3", "text/plain"),
        (b"MZ is a maker of motorcycles", "text/plain"),
        (b"ID3 tags, explained", "text/plain"),
        (b"how a %PDF- file begins", "text/plain"),
        (b" \n<!DOCTYPE html><p>", "text/html"),
        (b"a page with an <svg> inside", "text/plain"),
        (b"<?xml version='1.0'?><note/>", "text/plain"),
        (b"<svg/>", "image/svg+xml"),
        (b"caf\xe9", ""),
        (b"a\0b", ""),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (makers.pdf(), "application/pdf"),
        (b"\n\n%PDF-1.4\n\xff\xff", "application/pdf"),
        (b"RIFF\0\0\0\0AVI ", ""),
    ],
)
def test_content_tells_its_kind(data: bytes, kind: str):
    assert kind_of(data) == kind


@pytest.mark.parametrize(
    ("declared", "name", "kind"),
    [
        ("image/jpg; charset=x", "", "image/jpeg"),
        ("application/octet-stream", "a.PNG", "image/png"),
        ("", "a.b.tar", ""),
        ("", "png", ""),
        ("audio/x-wav", "a.mp3", "audio/wav"),
    ],
)
def test_a_claim_is_the_type_or_the_ending(declared: str, name: str, kind: str):
    assert claimed_kind(declared, name) == kind


def test_a_text_takes_the_kind_it_claims():
    def kind(data: bytes, *declared: str, name: str = "") -> str:
        return check_kind(data, declared=declared, name=name, label="it")[0]

    assert kind(b"a,b", name="x.csv") == "text/csv"
    assert kind(b"<html>", name="x.md") == "text/markdown"
    assert kind(b"<html>") == "text/html"
    assert kind(b"x", "text/x-rst", name="x.txt") == "text/x-rst"
    assert kind(b"x", name="x.py") == "text/plain"
    with pytest.raises(UnsupportedMedia):
        kind(b"x", "image/png")
