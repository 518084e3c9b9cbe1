"""Bad documents, questions and configurations, each with its class and what its message tells to do.

Bad pictures, recordings and addresses stand in `tests/media/test_bad_input.py`; the last test counts all.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.media import makers
from tests.media import test_bad_input as media

from stretto import Agent, Document, Image, KnowledgeBase
from stretto.errors import (
    ConfigError,
    ContextOverflow,
    DamagedMedia,
    GraphError,
    MediaNotFound,
    MediaTooLarge,
    ModelNotFound,
    StrettoError,
    ThreadError,
    UnsafeAddress,
    UnsupportedMedia,
)
from stretto.knowledge import IngestLimits
from stretto.messages import Message, Reasoning, Text, ToolCall, ToolResult
from stretto.testing import HashingEmbedder, ScriptedModel

HALF = "\ud800"
"""A lone surrogate: half a character."""
ENDPOINT = "{model: 'compatible:x', base_url: 'http://127.0.0.1:1/v1'}"
PLAIN = f"model: {ENDPOINT}\n"


def is_ours(error: StrettoError, kind: type[StrettoError], told: str) -> None:
    """Exactly this class, what to do in the message, and no foreign traceback behind it."""
    assert type(error) is kind, error
    assert told in str(error)
    assert error.__cause__ is None
    assert (
        error.__suppress_context__ or error.__context__ is None or isinstance(error.__context__, StrettoError)
    )


# --- documents: what is added, its class, what the report says -------------------------------------------

FILES: dict[str, tuple[bytes | Callable[[], bytes], type[StrettoError], str]] = {
    "empty.md": (b"", DamagedMedia, "is empty; put text into it"),
    "blank.txt": (b" \n\t\n", DamagedMedia, "is empty; put text into it"),
    "zero.txt": (b"a\0b\0c", UnsupportedMedia, "save it as UTF-8"),
    "noise.md": (bytes(range(128, 256)) * 3, UnsupportedMedia, "save it as UTF-8"),
    "half.txt": (b"\xff\xfeh", UnsupportedMedia, "save it as UTF-8"),
    "letter.docx": (media.zipped, UnsupportedMedia, "give it its true ending"),
    "rows.parquet": (b"PAR1", UnsupportedMedia, "readable are .csv .docx"),
    "program": (b"\x7fELF" + bytes(50), UnsupportedMedia, "readable are .csv .docx"),
    "zip.pdf": (media.zipped, UnsupportedMedia, "give it its true ending"),
    "picture.pdf": (media.PNG, UnsupportedMedia, "give it its true ending"),
    "text.pdf": (b"hello", UnsupportedMedia, "give it its true ending"),
    "paper.md": (lambda: makers.pdf(2), UnsupportedMedia, "give it the ending .pdf"),
    "cut.pdf": (b"%PDF-1.7\nnothing", DamagedMedia, "Save it again"),
    "locked.pdf": (media.locked_pdf, UnsupportedMedia, "save it without one"),
    "long.pdf": (lambda: makers.pdf(6), MediaTooLarge, "6 pages; the limit is 5"),
    "deep.html": (b"<div>" * 4000, DamagedMedia, "save a simpler page"),
    "script.html": (b"<html><script>x</script></html>", DamagedMedia, "add a version with text"),
    "cut.png": (media.PNG[:50], DamagedMedia, "save it again"),
    "bomb.png": (makers.bomb, MediaTooLarge, "make it smaller"),
    "text.png": (b"hello", UnsupportedMedia, "allowed are PNG, JPEG"),
    "large.txt": (b"word " * 60_000, MediaTooLarge, "the limit is 200,000"),
}
LIMITS = IngestLimits(bytes=200_000, characters=150_000, pages=5)
SOURCES: dict[str, tuple[Any, type[StrettoError], str]] = {
    "no such file": ("nowhere.md", MediaNotFound, "check the path"),
    "no such glob": ("nowhere/*.md", MediaNotFound, "check the pattern"),
    "no path": ("", MediaNotFound, 'give "." for the folder'),
    "a zero in a path": ("a\0b.md", MediaNotFound, "check the path"),
    "a device": ("/dev/zero", MediaNotFound, "is not a regular file"),
    "an inner address": ("http://127.0.0.1:1/x", UnsafeAddress, "only public addresses are allowed"),
    "another protocol": ("ftp://example.org/x", MediaNotFound, "check the path"),
    "no id": (Document(id="", text="x"), ConfigError, "Document(id=..., text=...)"),
    "no text": (Document(id="a", text=" "), DamagedMedia, "put text into it"),
    "text of a wrong type": (Document(id="a", text=5), ConfigError, "give a str"),  # type: ignore[arg-type]
    "half a character": (Document(id=HALF, text="x"), ConfigError, "has to be whole text"),
    "metadata that are no data": (
        Document(id="a", text="x", metadata={"a": object()}),
        ConfigError,
        "metadata plain values",
    ),
    "too much text": (Document(id="a", text="x" * 150_001), MediaTooLarge, "the limit is 150,000"),
}


@pytest.fixture
async def kb(tmp_path: Path) -> AsyncIterator[KnowledgeBase]:
    """An empty knowledge base with small limits."""
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder(), limits=LIMITS) as base:
        yield base


@pytest.mark.parametrize("name", FILES)
async def test_a_bad_file_is_reported_by_class(name: str, kb: KnowledgeBase, tmp_path: Path) -> None:
    content, kind, told = FILES[name]
    (tmp_path / name).write_bytes(content() if callable(content) else content)
    report = await kb.add(tmp_path / name)
    assert report.added == []
    ((source, error),) = report.failed
    assert name in source and name in str(error)
    is_ours(error, kind, told)


@pytest.mark.parametrize("case", SOURCES)
async def test_a_bad_source_is_reported_and_the_rest_goes_on(case: str, kb: KnowledgeBase) -> None:
    source, kind, told = SOURCES[case]
    report = await kb.add([source, Document(id="good.md", text="Good.")])
    assert report.added == ["good.md"]
    ((_, error),) = report.failed
    is_ours(error, kind, told)


@pytest.mark.parametrize("source", [5, None, object()])
async def test_what_is_no_source_is_refused(source: Any, kb: KnowledgeBase) -> None:
    with pytest.raises(ConfigError) as raised:
        await kb.add(source)
    is_ours(raised.value, ConfigError, "give a path, folder, glob, URL or Document")


# --- questions: what is asked, its class, what the message says ------------------------------------------

FORMS = "give text, Image(...), Audio(...), File(...)"
QUESTIONS: dict[str, tuple[Any, type[StrettoError], str]] = {
    "nothing": (None, ConfigError, "needs a question"),
    "an empty text": ("", ConfigError, "write what you want to know"),
    "blanks": (" \n\t ", ConfigError, "write what you want to know"),
    "an empty list": ([], ConfigError, "write what you want to know"),
    "a list of blanks": (["", " "], ConfigError, "write what you want to know"),
    "a message without parts": (Message("user"), ConfigError, "write what you want to know"),
    "1 MB": ("word " * 220_000, ContextOverflow, "takes 8192"),
    "10 MB": ("x" * 10_000_000, ConfigError, "attach it as a file"),
    "half a character": (f"caf{HALF}", ConfigError, "at 3: decode the text as UTF-8 first"),
    "half a character in a list": (["ok", HALF], ConfigError, "decode the text as UTF-8 first"),
    "a number": (5, ConfigError, FORMS),
    "a truth": (True, ConfigError, FORMS),
    "bytes": (b"hi", ConfigError, FORMS),
    "a mapping": ({"question": "hi"}, ConfigError, FORMS),
    "a path": (Path("x.png"), ConfigError, FORMS),
    "a list of numbers": ([1, 2], ConfigError, FORMS),
    "a list with None": (["hi", None], ConfigError, FORMS),
    "a list in a list": ([["hi"]], ConfigError, FORMS),
    "a tool call": (ToolCall("1", "x"), ConfigError, FORMS),
    "a thought": (["hi", Reasoning("x")], ConfigError, FORMS),
    "a text that is none": (Text(5), ConfigError, "give a str"),  # type: ignore[arg-type]
    "the model's message": (Message.assistant("hi"), ConfigError, "role user"),
    "instructions": (Message.system("hi"), ConfigError, "role user"),
    "a tool's result": (Message.tool(ToolResult("1", "x")), ConfigError, "role user"),
    "a picture without source": (Image(""), UnsupportedMedia, "give the path of a file"),
    "a picture that is not there": (["hi", Image("none.png")], MediaNotFound, "check the path"),
}
OPTIONS: dict[str, tuple[dict[str, Any], type[StrettoError], str]] = {
    "a thread that is a number": ({"thread_id": 5}, ConfigError, "give a str"),
    "a thread without a name": ({"thread_id": ""}, ConfigError, "give 1 to 500"),
    "a thread of a megabyte": ({"thread_id": "x" * 1_000_000}, ConfigError, "give 1 to 500"),
    "a thread with half a character": ({"thread_id": HALF}, ConfigError, "as UTF-8 first"),
    "limits that are a dict": ({"limits": {"steps": 1}}, ConfigError, "give Limits(steps=..."),
    "answers to nobody": ({"answers": {"c1": True}}, ThreadError, "send a new message"),
}


@pytest.mark.parametrize("case", QUESTIONS)
async def test_a_bad_question_is_refused_by_class(case: str) -> None:
    question, kind, told = QUESTIONS[case]
    async with Agent(model=ScriptedModel("Never said.")) as agent:
        with pytest.raises(StrettoError) as raised:
            await agent.run(question, thread_id="t")
        is_ours(raised.value, kind, told)


@pytest.mark.parametrize("case", OPTIONS)
async def test_a_bad_option_of_a_run_is_refused_by_class(case: str) -> None:
    options, kind, told = OPTIONS[case]
    async with Agent(model=ScriptedModel("Never said.")) as agent:
        with pytest.raises(StrettoError) as raised:
            await agent.run(None if "answers" in options else "hi", **{"thread_id": "t", **options})
        is_ours(raised.value, kind, told)


@pytest.mark.parametrize("question", ["a\0b", "\x1b[2J\x07", "‮right to left", "e\u0301" * 100, "🎻" * 1000])
async def test_a_strange_question_is_still_a_question(question: str, tmp_path: Path) -> None:
    async with Agent(model=ScriptedModel("Well."), threads=tmp_path / "t.sqlite") as agent:
        assert (await agent.run(question, thread_id="t")).output == "Well."
        assert (await agent.messages("t"))[0].text == question


@pytest.mark.parametrize(
    ("query", "options", "told"),
    [
        (None, {}, "give text"),
        (5, {}, "give text"),
        (HALF, {}, "decode the text as UTF-8"),
        ("x", {"top_k": 0}, "at least 1"),
        ("x", {"top_k": "5"}, "a whole number"),
        ("x", {"where": 5}, "give a dict"),
    ],
)
async def test_a_bad_search_is_refused(
    query: Any, options: dict[str, Any], told: str, kb: KnowledgeBase
) -> None:
    await kb.add(Document(id="a.md", text="A word."))
    with pytest.raises(ConfigError) as raised:
        await kb.search(query, **options)
    is_ours(raised.value, ConfigError, told)


# --- configurations: stand in a module of their own ------------------------------------------------------


def test_the_tables_hold_what_they_promise() -> None:
    from tests.test_bad_configuration import CONFIGURATIONS

    pictures = len(media.FILES) + len(media.URLS)
    assert pictures >= 60
    assert len(FILES) + len(SOURCES) >= 20
    assert len(QUESTIONS) + len(OPTIONS) >= 20
    assert len(CONFIGURATIONS) >= 20
    kinds = {
        row[1] for table in (FILES, SOURCES, QUESTIONS, OPTIONS, CONFIGURATIONS) for row in table.values()
    }
    assert kinds >= {ConfigError, GraphError, ModelNotFound, DamagedMedia, MediaTooLarge, UnsupportedMedia}
