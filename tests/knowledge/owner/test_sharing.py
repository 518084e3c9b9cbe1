"""Processes of one user share a knowledge base: one owns the indexes, the others ask, any may take over."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from stretto import Document
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.owner import address, client
from stretto.testing.embedder import HashingEmbedder

pytestmark = pytest.mark.slow


@pytest.fixture
async def kb(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as base:
        yield base


def opened(kb):
    return kb._tenancy._opened[kb.folder]


async def texts(kb, query):
    return [hit.text for hit in await kb.search(query)]


async def test_three_processes_answer_at_once_and_each_finds_what_another_added_within_a_second(kb, other):
    await kb.add(Document(id="first", text="first speaks of a warranty."))
    one, two = await other(), await other()
    found = await asyncio.gather(
        texts(kb, "warranty"), one.do("search", "warranty"), two.do("search", "warranty")
    )
    assert found == [["first speaks of a warranty."]] * 3
    assert [opened(kb).owns, await one.do("owns"), await two.do("owns")] == [True, False, False]
    for number, adder in enumerate((one, two, kb)):
        text = f"new{number} speaks of topic{number}."
        if adder is kb:
            await kb.add(Document(id=f"new{number}", text=text))
        else:
            assert await adder.do("add", text) == [[f"new{number}"], [], []]
        started = time.monotonic()
        query = f"topic{number}"
        found = await asyncio.gather(texts(kb, query), one.do("search", query), two.do("search", query))
        assert [each[0] for each in found] == [text] * 3
        assert time.monotonic() - started < 1
    assert await two.do("remove", "new0") == ["new0"]
    query = "topic0"
    found = await asyncio.gather(texts(kb, query), one.do("search", query), two.do("search", query))
    for each in found:
        assert "new0 speaks of topic0." not in each
    assert await one.do("status") == 3


@pytest.mark.parametrize("how", ["end", "kill"])
async def test_when_the_owner_ends_another_takes_over_and_nothing_is_lost(kb, other, how):
    owner, client = await other(), await other()
    assert await owner.do("add", *(f"d{n} speaks of topic{n}." for n in range(50)))
    assert await client.do("search", "topic7") and not await client.do("owns")
    assert await client.do("add", "late speaks of lateness.") == [["late"], [], []]
    await (owner.end() if how == "end" else owner.kill())
    assert (await client.do("search", "topic7"))[0] == "d7 speaks of topic7."
    assert (await client.do("search", "lateness"))[0] == "late speaks of lateness."
    assert await client.do("owns")
    assert (await texts(kb, "topic9"))[0] == "d9 speaks of topic9." and not opened(kb).owns
    assert await client.do("status") == 51


async def test_an_owner_killed_under_an_ingest_of_another_process_loses_nothing(kb, other):
    owner = await other()
    await owner.do("add", "old speaks of oldness.")
    killed = []

    def tell(done, total, what):
        if what.startswith("embedding") and not killed and "256" in what:
            killed.append(owner.process.kill())

    documents = [Document(id=f"d{n}", text=f"Document {n} speaks of topic{n}.") for n in range(400)]
    report = await kb.add(documents, progress=tell)
    assert killed and len(report.added) == 400 and opened(kb).owns
    assert opened(kb).vectors.count() == opened(kb).keywords.count() == 401
    for n in (3, 250, 399):
        assert (await texts(kb, f"topic{n}"))[0] == f"Document {n} speaks of topic{n}."
    assert (await texts(kb, "oldness"))[0] == "old speaks of oldness."


async def test_two_writers_wait_for_each_other(kb, other):
    one, two = await other(), await other()
    await asyncio.gather(
        one.do("add", *(f"a{n} speaks of one{n}." for n in range(40))),
        two.do("add", *(f"b{n} speaks of two{n}." for n in range(40))),
        kb.add(Document(id=f"c{n}", text=f"c{n} speaks of three{n}.") for n in range(40)),
    )
    assert await one.do("status") == 120 == opened(kb).vectors.count() == opened(kb).keywords.count()
    for query in ("one7", "two8", "three9"):
        assert query in (await two.do("search", query))[0]


async def test_an_owner_that_does_not_answer_is_named_with_what_to_do(kb, other, monkeypatch):
    owner = await other()
    await owner.do("add", "first speaks of a warranty.")
    assert await texts(kb, "warranty")
    await owner.kill(signal.SIGSTOP)
    monkeypatch.setattr(client, "QUIET", 0.3)
    fresh = KnowledgeBase(kb.folder, embedder=HashingEmbedder())
    assert (await fresh.status())["chunks"] == 1  # which needs no owner
    told = rf"process {owner.pid}, which does not answer.*kill {owner.pid}"
    with pytest.raises(client.StoreBusy, match=told):
        await fresh.search("warranty")
    await fresh.close()
    await owner.kill()
    assert await texts(kb, "warranty") and opened(kb).owns


async def test_the_socket_is_for_its_user_only_and_goes_with_the_owner(kb, tmp_path):
    await kb.add(Document(id="a", text="A text."))
    path = tmp_path / "kb" / "owner.sock"
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "kb" / "owner.lock").stat().st_mode) == 0o600
    await kb.close()
    assert not path.exists()


async def test_a_folder_with_a_long_path_listens_in_the_users_own_place(tmp_path, other, monkeypatch):
    run = Path(tempfile.mkdtemp())
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    folder = tmp_path / ("deep" * 30) / "kb"
    owner = await other(folder)
    await owner.do("add", "first speaks of a warranty.")
    async with KnowledgeBase(folder, embedder=HashingEmbedder()) as kb:
        assert await texts(kb, "warranty") and not opened(kb).owns
        (socket,) = (run / "stretto").iterdir()
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        socket.parent.chmod(0o755)
        await owner.kill()
        with pytest.raises(client.KnowledgeError, match="not a folder for this user only"):
            await kb.search("warranty")


async def test_without_unix_sockets_a_loopback_port_wants_the_token(tmp_path, other, monkeypatch):
    real = address.listen
    monkeypatch.setattr("stretto.knowledge.owner.role.listen", lambda folder: real(folder, unix=False))
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document(id="a", text="It speaks of a warranty."))
        two = await other()
        assert await two.do("search", "warranty") and not await two.do("owns")
        known = msgspec.json.decode((tmp_path / "kb" / "owner.lock").read_bytes(), type=address.Address)
        assert known.pid == os.getpid() and known.port and len(known.token) == 64
        with pytest.raises(client.OwnerGone):
            client.RemoteIndexes(msgspec.structs.replace(known, token="0" * 64))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_forked_child_leaves_the_ownership_to_its_parent(tmp_path, other):
    owner = await other()
    await owner.do("add", "first speaks of a warranty.")
    await owner.end()
    script = f"""
import asyncio, os, sys
from stretto.knowledge import KnowledgeBase
from stretto.testing.embedder import HashingEmbedder
kb = KnowledgeBase({str(tmp_path / "kb")!r}, embedder=HashingEmbedder())
def opened(kb):
    return kb._tenancy._opened[kb.folder]
async def found():
    return [hit.text for hit in await kb.search("warranty")]
assert asyncio.run(found()) and opened(kb).owns
child = os.fork()
if child == 0:
    assert asyncio.run(found()) and not opened(kb).owns
    print("asked", flush=True)
    sys.stdin.readline()
    assert asyncio.run(found()) and not opened(kb).owns  # the parent has gone
    print("asked another", flush=True)
    os._exit(0)
sys.stdin.close()
while not os.path.exists({str(tmp_path / "go")!r}):
    os.sched_yield()
os._exit(0)
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes, text=True) as process:
        assert await asyncio.to_thread(process.stdout.readline) == "asked\n"
        (tmp_path / "go").touch()
        await asyncio.to_thread(process.wait)
        after = await other()
        assert await after.do("search", "warranty") and await after.do("owns")
        process.stdin.write("\n")
        process.stdin.flush()
        assert await asyncio.to_thread(process.stdout.readline) == "asked another\n"
