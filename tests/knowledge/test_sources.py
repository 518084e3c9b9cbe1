import pytest
from aiohttp import web

from stretto import Document
from stretto.errors import ConfigError, DamagedMedia, MediaError, MediaTooLarge, UnsafeAddress
from stretto.knowledge import IngestLimits, KnowledgeBase
from stretto.knowledge.sources import expand
from stretto.testing.embedder import HashingEmbedder
from stretto.testing.office_files import docx, mail


def served(body):
    async def answer(request):
        return web.Response(body=body)

    return answer


@pytest.fixture
async def site():
    async def page(request):
        return web.Response(text="<h1>Opening hours</h1><p>We open at nine.</p>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/hours", page)
    for name, body in (("a.docx", docx(["Office words."])), ("m.eml", mail("Bike", "Mail words."))):
        application.router.add_get(f"/{name}", served(body))
    runner = web.AppRunner(application)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_page_is_added_by_its_url(tmp_path, site):
    limits = IngestLimits(allow=("127.0.0.1",))
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder(), limits=limits) as kb:
        report = await kb.add(f"{site}/hours", f"{site}/missing")
        assert report.added == [f"{site}/hours"]
        assert [source for source, _ in report.failed] == [f"{site}/missing"]
        assert isinstance(report.failed[0][1], MediaError)
        assert (await kb.add(f"{site}/hours")).unchanged == [f"{site}/hours"]
        hit = (await kb.search("when do you open"))[0]
        assert hit.chunk.taint == "url" and hit.chunk.version == hit.document.version
    assert hit.document.title == "Opening hours" and hit.document.id == f"{site}/hours"


async def test_documents_of_all_kinds_are_added_by_their_urls(tmp_path, site):
    pytest.importorskip("lxml")
    limits = IngestLimits(allow=("127.0.0.1",))
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder(), limits=limits) as kb:
        await kb.add(f"{site}/a.docx", f"{site}/m.eml")
        assert (await kb.document(f"{site}/a.docx")).text == "Office words."
        assert (await kb.document(f"{site}/m.eml")).title == "Bike"


async def test_a_private_address_is_not_reached_unless_allowed(tmp_path, site):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        report = await kb.add(f"{site}/hours")
    assert isinstance(report.failed[0][1], UnsafeAddress)


async def test_a_document_given_as_text_keeps_its_id_title_and_metadata(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        given = Document(id="faq/1", text="# One\n\nText \ud800 here.", title="Mine", metadata={"lang": "en"})
        report = await kb.add([given, Document(id="empty", text=" ")])
        assert report.added == ["faq/1"] and isinstance(report.failed[0][1], DamagedMedia)
        kept = await kb.document("faq/1")
        assert (await kb.search("text"))[0].chunk.taint == "program"
        assert (kept.title, kept.metadata, kept.text) == ("Mine", {"lang": "en"}, "# One\n\nText ? here.")
        assert (await kb.add([given])).unchanged == ["faq/1"]


async def test_a_file_that_is_no_file_fails(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "loop.md").symlink_to(tmp_path / "docs" / "loop.md")
    (tmp_path / "docs" / "good.md").write_text("Good text.")
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        report = await kb.add(tmp_path / "docs")
    assert report.added == ["good.md"] and isinstance(report.failed[0][1], MediaError)


async def test_what_failed_keeps_what_was_stored_before(tmp_path):
    file = tmp_path / "a.md"
    file.write_text("The old text.")
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(file)
        file.write_bytes(bytes(100))
        assert len((await kb.add(file)).failed) == 1
        assert (await kb.search("old text"))[0].text == "The old text."


def test_too_many_files_and_wrong_types_are_refused(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.md").write_text("x")
    found = expand([tmp_path], tmp_path, IngestLimits(files=4))
    assert isinstance(found.failed[0][1], MediaTooLarge)
    with pytest.raises(ConfigError, match="cannot add a int"):
        expand([3], tmp_path, IngestLimits())  # type: ignore[list-item]


def test_ids_are_relative_to_the_folder_or_to_the_fixed_part_of_a_glob(tmp_path):
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "a.md").write_text("x")
    for source in (tmp_path / "docs", f"{tmp_path}/docs/**/*.md", f"{tmp_path}/docs/*/a.md"):
        assert [item.name for item in expand([source], tmp_path, IngestLimits()).items] == ["deep/a.md"]
    both = expand([tmp_path / "docs", tmp_path / "docs" / "deep" / "a.md"], tmp_path, IngestLimits())
    assert [item.source for item in both.items] == ["docs/deep/a.md"]
