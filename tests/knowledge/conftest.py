"""A knowledge base with the hashing embedder, on real Chroma, tantivy and sqlite."""

import pytest

from stretto.knowledge import KnowledgeBase
from stretto.testing.embedder import HashingEmbedder


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
async def kb(tmp_path, embedder):
    async with KnowledgeBase("handbook", embedder=embedder, root=tmp_path) as base:
        yield base


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    (folder / "shop").mkdir(parents=True)
    (folder / "returns.md").write_text(
        "# Returns\n\nYou may return a product within 30 days of delivery.\n\n"
        "## Refunds\n\nRefunds take 5 working days.\n"
    )
    (folder / "shop" / "warranty.md").write_text("# Warranty\n\nThe warranty lasts two years.\n")
    (folder / "shop" / "notes.xyz").write_text("of no known kind")
    (folder / ".hidden.md").write_text("# Hidden\n\nnever read")
    return folder
