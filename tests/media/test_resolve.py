import base64

import pytest
from tests.media import makers

from stretto.errors import DamagedMedia, MediaNotFound
from stretto.media.intake import take_in
from stretto.media.pictures import open_picture
from stretto.media.ready import ReadyPictures
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


class Watched:
    """A store that counts what is read of it, and gives links."""

    def __init__(self, store: DirectoryStore, link: str | None = None) -> None:
        self.store, self.reads, self.links, self._link = store, 0, 0, link
        self.ready = ReadyPictures()

    async def read(self, reference: str) -> bytes:
        self.reads += 1
        return await self.store.read(reference)

    async def link(self, reference: str, *, seconds: float = 3600) -> str | None:
        self.links += 1
        return self._link and f"{self._link}?{self.links}"


async def test_a_picture_that_many_questions_refer_to_is_made_once(store: DirectoryStore):
    data = makers.picture(size=(2000, 1000))
    message = await take_in(Message.user(Image.from_bytes(data, "image/png")), store)
    watched = Watched(store)
    sources = {(await resolve([message], watched))[0].media[0].source for _ in range(50)}
    assert (len(sources), watched.reads) == (1, 1)
    (small,) = await resolve([message], watched, rules=MediaRules(max_side=100))
    assert watched.reads == 2, "another model's size is another picture"
    assert small.media[0].source not in sources


@pytest.mark.parametrize(
    ("rules", "size"),
    [
        (MediaRules(max_side=2048, max_short=768), (1152, 768)),
        (MediaRules(max_pixels=60_000), (300, 200)),
        (MediaRules(), (1568, 1045)),
    ],
)
async def test_each_model_gets_the_size_it_takes(
    store: DirectoryStore, rules: MediaRules, size: tuple[int, int]
):
    part = Image.from_bytes(makers.picture("JPEG", size=(3000, 2000)), "image/jpeg")
    message = await take_in(Message.user(part), store)
    (picture,) = (await resolve([message], store, rules=rules))[0].media
    assert isinstance(picture, Image)
    assert (picture.width, picture.height) == open_picture(content(picture.source)[1]).size == size


async def test_a_link_is_passed_where_the_endpoint_reaches_it_and_the_picture_is_as_stored(
    store: DirectoryStore,
):
    bare = await take_in(Message.user(Image.from_bytes(makers.picture(), "image/png")), store)
    placed = await take_in(Message.user(Image.from_bytes(makers.turned(1), "image/jpeg")), store)
    watched, reach = Watched(store, "https://objects.example/x"), MediaRules(urls=True)
    for _ in range(3):
        (picture,) = (await resolve([bare], watched, rules=reach))[0].media
        assert picture.source == "https://objects.example/x?1", "the same link: prompts stay the same"
    for messages, rules in (([placed], reach), ([bare], MediaRules())):
        (picture,) = (await resolve(messages, watched, rules=rules))[0].media
        assert picture.source.startswith("data:"), "its camera's position stays here, or nobody reaches it"
    (picture,) = (await resolve([bare], Watched(store), rules=reach))[0].media
    assert picture.source.startswith("data:"), "the store gives no link"
