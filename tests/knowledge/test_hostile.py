"""Damaged, hostile and huge files: 200 of them here, 2,000 with STRETTO_HOSTILE=2000."""

import os
import sys
import threading
from pathlib import Path

import pytest

from stretto.knowledge import KnowledgeBase
from stretto.testing.embedder import HashingEmbedder
from stretto.testing.hostile_files import hostile_files

COUNT = int(os.environ.get("STRETTO_HOSTILE", "200"))
GROWTH = 50_000_000
NOTHING_LOST = ("wide.txt", "page.html", "odd.eml")
"""Damage that costs no word: it need not be told."""


class Peak:
    """The most memory that this process had while it was watched."""

    def __enter__(self):
        self.first = self.most = self.now()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._watcher.join()

    def _watch(self):
        while not self._ended.wait(0.01):
            self.most = max(self.most, self.now())

    @staticmethod
    def now():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched and bounded there")
async def test_hostile_files_end_as_expected_and_damaged_ones_keep_their_words(tmp_path):
    pytest.importorskip("lxml")
    folder, words, errors = tmp_path / "files", {}, {}
    folder.mkdir()
    for file in hostile_files(COUNT):
        (folder / file.name).write_bytes(file.data)
        if file.error is None:
            words[file.name] = file.words
        else:
            errors[f"files/{file.name}"] = file.error.__name__
    del file
    (tmp_path / "first.html").write_text("<p>What is loaded with the first document is loaded now.")
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder(), root=tmp_path) as kb:
        await kb.add(tmp_path / "first.html")
        await kb.search("first")
        with Peak() as peak:  # without what a store takes for the passages of the readable ones
            report = await kb.add(folder, dry_run=True)
        assert {source: type(error).__name__ for source, error in report.failed} == errors
        assert sorted(report.added) == sorted(words)
        assert peak.most - peak.first < GROWTH
        kept_files = [folder / name for name in words]
        report = await kb.add(kept_files)
        assert sorted(report.added) == sorted(words)
        kept, warned = 0, {key for key, _ in report.warnings}
        for name, expected in words.items():
            text = (await kb.document(name)).text
            here = sum(word in text for word in expected)
            kept += here
            assert here >= 0.9 * len(expected), (name, here, len(expected))
            assert name in warned or name.endswith(NOTHING_LOST), name
        assert kept >= 0.9 * sum(map(len, words.values()))
        assert len((await kb.add(kept_files)).unchanged) == len(words)


def test_the_same_seed_makes_the_same_files():
    first, again = list(hostile_files(12, seed=3)), list(hostile_files(12, seed=3))
    assert [(file.name, file.data) for file in first] == [(file.name, file.data) for file in again]
    assert [file.error is None for file in first] == [True, False, False] * 4
