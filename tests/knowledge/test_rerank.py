"""Hits are ordered by their nearest sentence too, and each sentence is embedded once."""

from stretto.documents import Chunk, Document, Hit
from stretto.knowledge import by_sentence
from stretto.testing import HashingEmbedder


def hit(name: str, text: str, score: float) -> Hit:
    return Hit(Document(name), Chunk(name, name, text, 0, len(text)), score, {"dense": score})


async def test_the_passage_with_the_answering_sentence_comes_first() -> None:
    long = "Bells are loud. Helmets are round. We keep the videos from the door for 72 hours. Pumps are tall."
    rerank = by_sentence(HashingEmbedder())
    hits = [hit("doors", "A door has a frame and a lock and a handle.", 0.6), hit("privacy", long, 0.55)]
    better = await rerank("for how many hours do we keep the videos from the door", hits)
    assert [found.document.id for found in better] == ["privacy", "doors"]
    assert better[0].scores["sentence"] > better[1].scores["sentence"]
    assert all(0 <= found.score <= 1 for found in better)


async def test_a_passage_seen_before_is_not_embedded_again() -> None:
    embedder = HashingEmbedder()
    rerank = by_sentence(embedder)
    for _ in range(3):
        await rerank("bells", [hit("bells", "Bells are loud. They ring.", 0.5)])
    assert embedder.texts.count("Bells are loud.") == 1


async def test_no_hits_stay_no_hits() -> None:
    assert await by_sentence(HashingEmbedder())("bells", []) == []
