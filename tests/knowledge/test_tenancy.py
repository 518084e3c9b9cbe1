"""No search shows what its tenant and groups may not see: in either leg, in hits, documents or citations."""

import random

import numpy as np
import pytest

from stretto import Document
from stretto.context import Run, RunContext, use_context
from stretto.errors import ConfigError, KnowledgeError
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.tenancy import Tenancy
from stretto.nodes.retrieve import retrieve
from stretto.results import Citation
from stretto.testing.embedder import HashingEmbedder

TENANTS = ("acme", "zenith")
GROUPS = ("board", "staff", "sales", "ann", "bob")
WORDS = ["leave", "pension", "canteen", "audit", "merger", "salary", "bicycle", "parking", "travel", "laptop"]


@pytest.fixture
async def kb(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as base:
        yield base


async def test_2000_searches_show_nothing_that_the_searcher_may_not_see(kb):
    rnd = random.Random(5)
    rights: dict[str, tuple[str, frozenset[str]]] = {}
    for tenant in (*TENANTS, "default"):
        for access in ([], ["board"], ["staff"], ["sales", "ann"], ["bob"]):
            documents = []
            for number in range(12):
                key = f"{tenant}-{'-'.join(access) or 'all'}-{number}"
                words = " ".join(rnd.choices(WORDS, k=8))
                documents.append(Document(id=key, text=f"{words}. Secret {key} of {tenant}."))
                rights[key] = tenant, frozenset(access)
            await kb.add(documents, tenant=tenant, access=access)
    leaks = missing = 0
    for _ in range(2000):
        tenant, groups = rnd.choice((*TENANTS, "default")), rnd.sample(GROUPS, rnd.randint(0, 3))
        one = rnd.choice(list(rights))
        query = " ".join(rnd.choices([*WORDS, *rights], k=rnd.randint(1, 4)))
        where = rnd.choice(
            [None, None, {"document": one}, {"document": {"$ne": one}}, {"$not": {"tenant": 1}}]
        )
        options = {
            "diversity": rnd.choice((0, 0.3)),
            "feedback": rnd.choice((0, 2)),
            "expand": rnd.choice((0, 1)),
        }
        hits = await kb.search(query, rnd.choice((1, 5, 200)), where, tenant=tenant, groups=groups, **options)
        for hit in hits:
            owner, access = rights[hit.document.id]
            leaks += owner not in (tenant, "default") or bool(access and not access & set(groups))
            leaks += any(chunk.document != hit.document.id for chunk in hit.around)
        missing += not hits and where is None
    assert (leaks, missing) == (0, 0)


async def test_a_searcher_finds_all_that_is_allowed(kb):
    await kb.add(Document(id="a", text="The merger is near."), tenant="acme", access=["board"])
    await kb.add(Document(id="z", text="The merger is far."), tenant="zenith")
    await kb.add(Document(id="d", text="The merger is for all."))

    async def found(**who):
        return {hit.document.id for hit in await kb.search("merger", **who)}

    assert await found(tenant="acme", groups=["board"]) == {"a", "d"}
    assert await found(tenant="acme") == {"d"}
    assert await found(tenant="zenith", groups=["board"]) == {"z", "d"}
    assert await found(tenant="nobody") == await found() == {"d"}


async def test_documents_and_citations_are_for_the_same_readers(kb):
    await kb.add(Document(id="a", text="The merger is near."), tenant="acme", access=["board"])
    (hit,) = await kb.search("merger", tenant="acme", groups=["board"])
    citation = Citation(1, "a", hit.chunk.id, "The merger is near.")
    assert (await kb.resolve(citation, tenant="acme", groups=["board"])).chunk == hit.chunk
    assert (await kb.document("a", tenant="acme", groups=["board"])).text == "The merger is near."
    assert [each.id for each in await kb.documents(tenant="acme", groups=["board"])] == ["a"]
    for who in ({"tenant": "acme"}, {"tenant": "acme", "groups": ["staff"]}, {"groups": ["board"]}):
        assert await kb.documents(**who) == []
        with pytest.raises(KnowledgeError):
            await kb.document("a", **who)
        with pytest.raises(KnowledgeError):
            await kb.resolve(citation, **who)


async def test_an_access_list_changes_without_embedding_and_stays_when_none_is_given(tmp_path):
    embedder = HashingEmbedder()
    async with KnowledgeBase(tmp_path / "kb", embedder=embedder) as kb:
        document = Document(id="a", text="The merger is near.")
        await kb.add(document, access=["board"])
        embedded = len(embedder.texts)
        assert await kb.search("merger") == []
        await kb.add(document)
        assert await kb.search("merger") == []
        await kb.add(Document(id="a", text="The merger is here."))
        assert await kb.search("merger") == []
        await kb.add(Document(id="a", text="The merger is here."), access=[])
        assert [hit.text for hit in await kb.search("merger")] == ["The merger is here."]
        await kb.add(Document(id="a", text="The merger is here."), access=["ann"])
        assert await kb.search("merger") == [] != await kb.search("merger", groups=["ann", "x"])
        assert len([text for text in embedder.texts[embedded:] if "is here" in text]) == 1


async def test_a_run_reads_for_its_tenant_and_for_no_other(kb):
    await kb.add(Document(id="a", text="The merger of acme."), tenant="acme")
    await kb.add(Document(id="z", text="The merger of zenith."), tenant="zenith")
    use_context(RunContext(Run(tenant="acme")))
    try:
        assert [hit.document.id for hit in await kb.search("merger")] == ["a"]
        with pytest.raises(KnowledgeError, match="acts for the tenant `acme`"):
            await kb.search("merger", tenant="zenith")
        assert (await kb.status())["tenants"] == ["acme"]
        await kb.add(Document(id="new", text="The merger is new."))
    finally:
        use_context(None)
    assert {hit.document.id for hit in await kb.search("merger", tenant="acme")} == {"a", "new"}
    assert await kb.search("merger") == []
    assert (await kb.status())["tenants"] == ["default", "acme", "zenith"]
    assert (await kb.status(tenant="acme"))["documents"] == 2


async def test_retrieve_takes_tenant_and_groups_from_the_run_and_not_from_where(kb):
    await kb.add(Document(id="a", text="The merger of acme.", metadata={"tenant": "zenith"}), tenant="acme")
    await kb.add(Document(id="b", text="The merger board."), tenant="acme", access=["board"])
    await kb.add(Document(id="z", text="The merger of zenith."), tenant="zenith")

    async def found(deps, **options):
        ctx = RunContext(Run(tenant="acme", deps=deps))
        update = await retrieve(kb, **options)({"question": "merger", "messages": []}, ctx)
        return {hit.document.id for hit in update["hits"]}

    assert await found(None) == {"a"}
    assert await found({"groups": ["board"]}) == {"a", "b"}
    assert await found({"groups": ["board"]}, groups=lambda ctx: ()) == {"a"}
    assert await found(None, where={"tenant": "zenith"}) == {"a"}
    assert await found(None, where={"document": "z"}) == set()


async def test_an_old_citation_is_for_who_could_see_the_passage_last(kb, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("The merger is near.")
    await kb.sync(folder, access=["board"])
    (hit,) = await kb.search("merger", groups=["board"])
    citation = Citation(1, hit.document.id, hit.chunk.id, "The merger is near.")
    (folder / "a.md").write_text("The merger is here.")
    await kb.sync(folder)
    assert (await kb.resolve(citation, groups=["board"])).chunk.id == hit.chunk.id
    with pytest.raises(KnowledgeError, match="not in"):
        await kb.resolve(citation, groups=["staff"])
    await kb.sync(folder, access=["staff"])
    assert (await kb.resolve(citation, groups=["staff"])).chunk.id == hit.chunk.id
    with pytest.raises(KnowledgeError, match="not in"):
        await kb.resolve(citation, groups=["board"])
    (folder / "a.md").unlink()
    await kb.sync(folder)
    assert (await kb.resolve(citation, groups=["board"])).chunk.id == hit.chunk.id
    with pytest.raises(KnowledgeError, match="not in"):
        await kb.resolve(citation)


async def test_neighbours_come_from_what_the_searcher_sees(kb):
    text = "# A\n\n" + "\n\n".join(f"Paragraph {n} of the merger. " * 20 for n in range(6))
    await kb.add(Document(id="a", text=text), tenant="acme", access=["board"])
    await kb.add(Document(id="a", text=text))
    (hit, *_) = await kb.search("paragraph 3 merger", expand=1, tenant="acme")
    assert len(hit.around) > 1
    assert await kb.search("merger", tenant="acme", where={"page": 9}) == []
    more = await kb.search("paragraph 3 merger", 50, expand="section", tenant="acme", groups=["board"])
    assert all(chunk.document == "a" for each in more for chunk in each.around)


async def test_an_exported_part_keeps_its_access_lists(kb, tmp_path):
    await kb.add(Document(id="a", text="The merger is near."), tenant="acme", access=["board"])
    await kb.export(tmp_path / "acme.zip", tenant="acme")
    async with KnowledgeBase(tmp_path / "other", embedder=HashingEmbedder()) as other:
        assert (await other.take_in(tmp_path / "acme.zip", tenant="acme"))["chunks"] == 1
        assert await other.search("merger", tenant="acme") == []
        assert len(await other.search("merger", tenant="acme", groups=["board"])) == 1
        assert await other.search("merger", groups=["board"]) == []


@pytest.mark.parametrize(
    ("option", "value"), [("groups", "board"), ("groups", [1]), ("tenant", " "), ("tenant", 3)]
)
async def test_a_wrong_name_is_refused(kb, option, value):
    with pytest.raises(ConfigError, match=option):
        await kb.search("merger", **{option: value})
    if option == "groups":
        with pytest.raises(ConfigError, match="access"):
            await kb.add(Document(id="a", text="x"), access=value)


async def test_a_mistyped_tenant_is_told_and_gets_no_base(kb, tmp_path):
    await kb.add(Document(id="a", text="The merger of acme."), tenant="acme")
    for wrong in (
        kb.status(tenant="acne"),
        kb.verify(tenant="acne"),
        kb.prune(tenant="acne"),
        kb.remove("a", tenant="acne"),
        kb.export(tmp_path / "x.zip", tenant="acne"),
    ):
        with pytest.raises(KnowledgeError, match="nothing of the tenant `acne`"):
            await wrong
    assert (await kb.status())["tenants"] == ["default", "acme"]


async def test_only_so_many_tenants_stay_open(kb, monkeypatch):
    monkeypatch.setattr("stretto.knowledge.tenancy._OPEN", 2)
    for number in range(5):
        await kb.add(Document(id="a", text=f"The topic{number}."), tenant=f"t{number}")
    assert len(kb._tenancy._opened) <= 3
    for number in range(5):
        assert [hit.text for hit in await kb.search("topic", tenant=f"t{number}")] == [f"The topic{number}."]


class Vectors:
    """An embedder of texts that are numbers: rows of a table."""

    name, dimensions = "testing:table", 32

    def __init__(self, table):
        self.table = table

    async def embed(self, texts):
        return np.stack([self.table[int(text.split()[-1])] for text in texts])

    async def close(self):
        pass


async def test_recall_under_a_filter_is_that_of_an_exact_search(tmp_path):
    rnd = np.random.default_rng(3)
    table = rnd.normal(size=(3000, 32)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    # The rare group's chunks are all far from the queries, where an index that filters late fails.
    queries = rnd.normal(size=(40, 32)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    far = np.argsort(table @ queries.mean(axis=0))
    lists = dict.fromkeys(range(3000), "half")
    lists |= {int(row): "tenth" for row in far[:360]} | {int(row): "rare" for row in far[360:400]}
    lists |= {row: "other" for row in range(0, 3000, 2) if lists[row] == "half"}
    async with KnowledgeBase(tmp_path / "kb", embedder=Vectors(np.concatenate([table, queries]))) as kb:
        for name in set(lists.values()):
            rows = [row for row, group in lists.items() if group == name]
            await kb.add([Document(id=f"d{row}", text=f"{row}") for row in rows], access=[name])
        for name in ("half", "tenth", "rare"):
            allowed = [row for row, group in lists.items() if group == name]
            right = 0
            for number, query in enumerate(queries):
                exact = sorted(allowed, key=lambda row: -float(table[row] @ query))[:10]
                hits = await kb.search(f"{3000 + number}", 10, alpha=1.0, groups=[name])
                right += len({f"d{row}" for row in exact} & {hit.document.id for hit in hits})
            assert right / (10 * len(queries)) >= 0.99, name


async def test_a_tenants_folder_tells_no_name(tmp_path):
    place = Tenancy(tmp_path).place("../../etc")
    assert place.parent == tmp_path / "tenants" and len(place.name) == 32
