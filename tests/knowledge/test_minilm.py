"""The default embedder, for real."""

import pytest

from stretto import Document, KnowledgeBase


@pytest.mark.slow
@pytest.mark.model("minilm")
async def test_meaning_is_found_where_words_differ(tmp_path):
    async with KnowledgeBase("k", root=tmp_path) as kb:
        report = await kb.add(
            Document(id="leave", text="Mothers and fathers may stay at home for 14 months after a birth."),
            Document(id="bikes", text="The rear tyre of a trekking bike needs 3.5 bar."),
            Document(id="cards", text="Gift cards are valid for three years."),
        )
        assert report.embedded == 3
        hits = await kb.search("parental leave", top_k=3)
        assert hits[0].document.id == "leave" and hits[0].scores["dense"] > hits[1].scores["dense"] + 0.1
        assert (await kb.status())["embedder"] == "local:minilm"
