import sys
from pathlib import Path
from subprocess import run

import pytest
from tests.media import makers

from stretto.media.intake import take_in
from stretto.media.store import DirectoryStore, reference_of
from stretto.messages import Audio, File, Image, Message, Text, ToolResult


async def test_a_picture_becomes_a_reference_with_its_facts(tmp_path: Path, store: DirectoryStore):
    data = makers.turned(6)
    (tmp_path / "photo.jpg").write_bytes(data)
    message = await take_in(Message.user("look", Image(tmp_path / "photo.jpg", alt="a wall")), store)
    text, picture = message.parts
    assert text == Text("look")
    assert picture == Image(
        reference_of(data), "image/jpeg", "photo.jpg", width=30, height=40, alt="a wall"
    ), "sizes are those after orientation"
    assert await store.read(picture.source) == data


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
async def test_every_accepted_kind_of_picture_is_taken_in(store: DirectoryStore, form: str):
    mode = "L" if form == "GIF" else "RGB"
    part = Image.from_bytes(makers.picture(form, mode=mode), f"image/{form.lower()}")
    (taken,) = (await take_in(Message.user(part), store)).media
    assert isinstance(taken, Image)
    assert (taken.width, taken.height, taken.media_type) == (40, 30, f"image/{form.lower()}")


async def test_equal_content_is_stored_once(store: DirectoryStore):
    part = Image.from_bytes(makers.picture(), "image/png")
    first, second = (await take_in(Message.user(part, part), store)).media
    assert first.source == second.source
    assert len([file for file in store.path.rglob("*") if file.is_file()]) == 1


async def test_a_reference_passes(store: DirectoryStore):
    message = Message.user(Image("media:" + "0" * 64, width=3))
    assert await take_in(message, store) == message


async def test_documents_and_recordings_tell_their_length(tmp_path: Path, store: DirectoryStore):
    (tmp_path / "a.pdf").write_bytes(makers.pdf(3))
    (tmp_path / "b.md").write_bytes("# Grüße".encode())
    (tmp_path / "c.wav").write_bytes(makers.wav(1.5))
    message = Message.user(File(tmp_path / "a.pdf"), File(tmp_path / "b.md"), Audio(tmp_path / "c.wav"))
    paper, note, sound = (await take_in(message, store)).media
    assert isinstance(paper, File)
    assert isinstance(sound, Audio)
    assert (paper.media_type, paper.pages) == ("application/pdf", 3)
    assert (note.media_type, note.name) == ("text/markdown", "b.md")
    assert (sound.media_type, sound.seconds) == ("audio/wav", 1.5)


async def test_a_file_that_holds_a_picture_or_sound_becomes_one(tmp_path: Path, store: DirectoryStore):
    (tmp_path / "a.png").write_bytes(makers.picture())
    (tmp_path / "b.wav").write_bytes(makers.wav())
    message = await take_in(Message.user(File(tmp_path / "a.png"), File(tmp_path / "b.wav")), store)
    assert [type(part) for part in message.parts] == [Image, Audio]


async def test_parts_of_tool_results_are_taken_in_too(store: DirectoryStore):
    result = ToolResult("a", ("see", Image.from_bytes(makers.picture(), "image/png")))  # type: ignore[arg-type]
    (taken,) = (await take_in(Message.tool(result), store)).parts
    assert isinstance(taken, ToolResult)
    assert taken.text == "see"
    assert taken.content[1].source.startswith("media:")  # type: ignore[union-attr]


def test_importing_intake_loads_neither_pillow_nor_the_network():
    heavy = {"PIL", "aiohttp", "pypdfium2", "numpy"}
    code = f"import sys, stretto.media as m; print(sorted({heavy} & set(sys.modules)))"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
