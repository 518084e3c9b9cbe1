import base64

import pytest
from tests.media import makers

from stretto.errors import DamagedMedia, MediaNotFound
from stretto.media.intake import take_in
from stretto.media.pictures import open_picture
from stretto.media.resolve import LOW_SIDE, resolve
from stretto.media.store import DirectoryStore
from stretto.messages import Audio, File, Image, Message, ToolResult
from stretto.settings import MediaRules


def content(source: str) -> tuple[str, bytes]:
    head, _, body = source.partition(",")
    return head, base64.b64decode(body, validate=True)


async def test_a_reference_becomes_a_data_url_upright_and_in_size(store: DirectoryStore):
    message = await take_in(Message.user("see", Image.from_bytes(makers.turned(6), "image/jpeg")), store)
    (resolved,) = await resolve([message], store, rules=MediaRules(max_side=20))
    picture = resolved.parts[1]
    assert isinstance(picture, Image)
    head, data = content(picture.source)
    assert head == "data:image/jpeg;base64"
    assert (picture.width, picture.height) == open_picture(data).size == (15, 20)
    assert resolved.parts[0] == message.parts[0]


async def test_low_detail_is_smaller(store: DirectoryStore):
    part = Image.from_bytes(makers.picture(size=(1000, 500)), "image/png")
    message = await take_in(Message.user(part, Image(part.source, detail="low")), store)
    full, low = (await resolve([message], store))[0].media
    assert isinstance(full, Image)
    assert isinstance(low, Image)
    assert (full.width, low.width) == (1000, LOW_SIDE)


async def test_documents_sound_and_tool_results_are_resolved(store: DirectoryStore):
    message = await take_in(
        Message.user(
            File.from_bytes(makers.pdf(), "application/pdf"), Audio.from_bytes(makers.wav(), "audio/wav")
        ),
        store,
    )
    result = await take_in(
        Message.tool(ToolResult("a", (Image.from_bytes(makers.picture(), "image/png"),))), store
    )
    first, second = await resolve([message, result], store)
    assert [content(part.source) for part in first.media] == [
        ("data:application/pdf;base64", await store.read(message.media[0].source)),
        ("data:audio/wav;base64", makers.wav()),
    ]
    inner = second.parts[0].content[0]  # type: ignore[union-attr]
    assert content(inner.source) == ("data:image/png;base64", makers.picture())  # type: ignore[union-attr]


async def test_what_is_inline_or_public_passes(store: DirectoryStore):
    messages = [
        Message.user("hello"),
        Message.user(Image("data:image/png;base64,AA=="), Image("https://x.example/a")),
    ]
    assert await resolve(messages, store) == messages


async def test_a_lost_reference_and_a_path_are_told(store: DirectoryStore):
    with pytest.raises(MediaNotFound, match="is not in the media store"):
        await resolve([Message.user(Image("media:" + "0" * 64))], store)
    with pytest.raises(MediaNotFound, match="call `take_in"):
        await resolve([Message.user(Image("a.png"))], store)


async def test_content_that_changed_in_the_store_is_not_sent(store: DirectoryStore):
    message = await take_in(Message.user(Image.from_bytes(makers.picture(), "image/png")), store)
    (file,) = [each for each in store.path.rglob("*") if each.is_file()]
    file.write_bytes(b"other")
    with pytest.raises(DamagedMedia):
        await resolve([message], store)
