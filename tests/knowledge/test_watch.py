import asyncio
from itertools import count

from stretto.knowledge import KnowledgeBase
from stretto.knowledge.watch import changes
from stretto.testing.embedder import HashingEmbedder


async def test_a_change_counts_when_two_looks_see_the_same():
    looks = iter(
        [
            {"a": (1, 1, 1)},
            {"a": (1, 1, 1)},
            {"a": (2, 1, 1)},
            {"a": (3, 1, 1)},
            {"a": (3, 1, 1), "b": (1, 1, 1)},
        ]
    )
    last, seen = {}, []

    def look():
        nonlocal last
        last = next(looks, last)
        seen.append(last)
        return last

    watching = changes(look, 0.0)
    assert await anext(watching) == set() and len(seen) == 1
    assert await anext(watching) == set()
    assert len(seen) == 6 and seen[-1] == seen[-2]
    await watching.aclose()


async def test_what_has_not_changed_is_named():
    stamps = {"a": (1, 1, 1), "b": (1, 1, 1)}
    numbers = count(2)
    watching = changes(lambda: dict(stamps), 0.0)
    assert await anext(watching) == set()
    stamps["a"] = (next(numbers), 1, 1)
    assert await anext(watching) == {"b"}
    await watching.aclose()


async def test_a_watched_folder_is_followed_and_only_what_changed_is_read(tmp_path, docs):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder(), root=tmp_path) as kb:
        watching = kb.watch(docs, every=0.01)
        async with asyncio.timeout(30):
            first = await anext(watching)
            assert first.added == ["returns.md", "shop/warranty.md"]
            (docs / "new.md").write_text("# New\n\nThe bell rings.")
            (docs / "returns.md").unlink()
            second = await anext(watching)
            while not second.removed:  # the folder may have been looked at between the two changes
                second.added += (more := await anext(watching)).added
                second.removed += more.removed
        assert (second.added, second.removed) == (["new.md"], ["returns.md"])
        assert (await kb.search("bell", top_k=1))[0].document.id == "new.md"
        await watching.aclose()


async def test_a_dry_run_says_what_would_change_and_writes_nothing(tmp_path, kb, docs, embedder):
    await kb.add(docs)
    embedded = len(embedder.texts)
    (docs / "new.md").write_text("# New\n\nThe bell rings.")
    (docs / "returns.md").unlink()
    (docs / "shop" / "warranty.md").write_text("# Warranty\n\nThe warranty lasts three years.\n")
    report = await kb.add(docs, dry_run=True)
    assert (report.added, report.changed, report.removed) == (
        ["new.md"],
        ["shop/warranty.md"],
        ["returns.md"],
    )
    assert report.embedded == 2 and len(embedder.texts) == embedded
    assert [document.id for document in await kb.documents()] == ["returns.md", "shop/warranty.md"]
    real = await kb.add(docs)
    assert (real.added, real.changed, real.removed, real.embedded) == (
        report.added, report.changed, report.removed, report.embedded,
    )  # fmt: skip
