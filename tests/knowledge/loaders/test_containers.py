import pytest

from stretto.errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.archive import Archive, escapes
from stretto.knowledge.loaders.registry import load
from stretto.testing.office_files import docx, mail, packed, pdf

LIMITS = IngestLimits()


def read(data, name, limits=LIMITS):
    return load(data, name, None, limits)


def test_a_mail_has_its_head_its_text_and_its_attachments():
    data = mail("Bike 7", "Text of the mail.", {"n.csv": b"a,b\n1,2\n", "p.pdf": pdf([["words on a page"]])})
    loaded = read(data, "m.eml")
    assert loaded.title == "Bike 7" and loaded.metadata["from"] == "ada@example.com"
    assert "From: ada@example.com\nTo: bob@example.com\nDate: Mon, 02 Mar 2026" in loaded.text
    assert "Text of the mail." in loaded.text and "| a | b |" in loaded.text
    assert [h.text for h in loaded.headings] == ["Bike 7", "n.csv", "n", "p.pdf"]
    (span,) = loaded.pages
    assert span.number == 1 and loaded.text[span.start : span.end].strip() == "words on a page"


def test_of_two_forms_of_a_text_the_plain_one_is_read_and_html_alone_is_cleaned():
    assert "markup" not in read(mail("S", "plain text", html="<p>markup"), "m.eml").text
    page = b"From: a@b.c\nContent-Type: text/html\n\n<p>Shown<p hidden>unseen<script>bad()</script>"
    text = read(page, "m.eml").text
    assert "Shown" in text and "unseen" not in text and "bad" not in text


def test_what_is_attached_and_fails_is_named_and_the_rest_is_kept():
    loaded = read(mail("S", "The text.", {"b.docx": b"broken", "c.exe": b"MZ"}), "m.eml")
    assert "The text." in loaded.text and len(loaded.warnings) == 2
    with pytest.raises(DamagedMedia, match="no head of a mail"):
        read(b"just some words", "m.eml")


def test_a_mail_in_a_mail_is_read_down_to_a_depth():
    data = mail("inner", "Innermost words.")
    for _ in range(2):
        data = mail("outer", "Outer.", {"inner.eml": data})
    assert "Innermost words." in read(data, "m.eml").text
    assert "Innermost words." not in read(data, "m.eml", IngestLimits(depth=2)).text


def test_a_zip_is_its_documents_each_under_its_path():
    inner = packed({"deep.md": "# Deep\n\nDeep words."})
    data = packed(
        {"a/one.md": "# One\n\nWords.", "b.docx": docx(["Office words."]), "c.zip": inner, "d.bin": "x"}
    )
    loaded = read(data, "docs.zip")
    assert [(h.level, h.text) for h in loaded.headings][:3] == [(1, "a/one.md"), (2, "One"), (1, "b.docx")]
    for words in ("Words.", "Office words.", "Deep words."):
        assert words in loaded.text
    assert "`d.bin` is of a kind that is not read" in loaded.warnings[0]
    for heading in loaded.headings:
        assert loaded.text[heading.start : heading.end].endswith(heading.text)


def test_an_office_document_is_told_from_a_zip_by_its_content():
    assert load(docx(["Words."]), "https://x/download", "application/zip", LIMITS).text == "Words."


def bomb(levels=1):
    data = packed({"zeros.txt": "0" * 60_000_000})
    for _ in range(levels - 1):
        data = packed({f"{n}.zip": data for n in range(4)})
    return data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (bomb(), MediaTooLarge),
        (bomb(3), MediaTooLarge),
        (packed({f"{n}.txt": "x" for n in range(2001)}), MediaTooLarge),
        (packed({"../../etc/passwd.txt": "x", "/abs.txt": "x", "C:\\x.txt": "x"}), UnsupportedMedia),
        (packed({"a.bin": "x"}), UnsupportedMedia),
        (b"no zip", UnsupportedMedia),
        (b"PK\x03\x04" + bytes(200), DamagedMedia),
    ],
)
def test_hostile_archives_fail_by_class(data, error):
    with pytest.raises(error):
        read(data, "a.zip")


def test_archives_inside_each_other_are_bounded():
    data = packed({"a.md": "words"})
    for _ in range(4):
        data = packed({"inner.zip": data})
    with pytest.raises(MediaTooLarge, match="deeper"):
        read(data, "a.zip")


def test_paths_that_lead_out_are_left_out_and_the_others_read():
    loaded = read(packed({"../out.md": "outside", "in.md": "inside words"}), "a.zip")
    assert "inside words" in loaded.text and "outside" not in loaded.text
    assert escapes("a/../../b") and escapes("..\\b") and not escapes("a..b/c.md")


def test_a_damaged_member_is_read_up_to_the_damage():
    text = "\n".join(f"line {n} of words{n * 7}" for n in range(5000))
    data = bytearray(packed({"a.txt": text}))
    data[len(data) // 2] ^= 0xFF
    loaded = read(bytes(data), "a.zip")
    assert "line 2000 of" in loaded.text and any("damaged" in warning for warning in loaded.warnings)


def test_what_a_directory_claims_about_sizes_does_not_matter():
    data = bytearray(packed({"a.txt": "0" * 20_000_000}))
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (100).to_bytes(4, "little")
    archive = Archive(bytes(data), "a.zip", IngestLimits(expanded=15_000_000))
    with pytest.raises(MediaTooLarge):
        archive.read("a.txt")


def test_a_locked_archive_is_refused():
    data = bytearray(packed({"a.txt": "secret"}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    with pytest.raises(UnsupportedMedia, match="password"):
        read(bytes(data), "a.zip")
