"""Other processes that use a knowledge base, told what to do a line at a time."""

import asyncio
import json
import sys

import pytest

OTHER = """
import asyncio, json, os, sys
from stretto import Document
from stretto.errors import StrettoError
from stretto.knowledge import KnowledgeBase
from stretto.testing.embedder import HashingEmbedder

def opened(kb):
    return kb._tenancy._opened.get(kb.folder)

async def told(kb, order):
    match order:
        case ["add", *texts]:
            report = await kb.add(Document(id=text.split()[0], text=text) for text in texts)
            return [report.added, report.changed, [str(error) for _, error in report.failed]]
        case ["search", query]:
            return [hit.text for hit in await kb.search(query)]
        case ["remove", key]:
            return await kb.remove(key)
        case ["status"]:
            return (await kb.status())["chunks"]
        case ["owns"]:
            return bool(opened(kb) and opened(kb).owns)

async def main():
    async with KnowledgeBase(sys.argv[1], embedder=HashingEmbedder()) as kb:
        print(json.dumps("ready"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                print(json.dumps(await told(kb, json.loads(line))), flush=True)
            except StrettoError as error:
                print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)

asyncio.run(main())
"""


class Other:
    """A process that has the base open."""

    def __init__(self, process):
        self.process, self.pid = process, process.pid

    async def do(self, *order):
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        return await self.told()

    async def told(self):
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        assert line, "the process ended"
        return json.loads(line)

    async def end(self):
        if self.process.returncode is None:
            self.process.stdin.close()
            assert await asyncio.wait_for(self.process.wait(), 30) == 0

    async def kill(self, number=9):
        self.process.send_signal(number)
        if number == 9:
            await self.process.wait()


@pytest.fixture
async def other(tmp_path):
    """Starts another process on the base in `tmp_path/kb`."""
    started = []

    async def start(folder=tmp_path / "kb"):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            OTHER,
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        one = Other(process)
        started.append(one)
        assert await one.told() == "ready"
        return one

    yield start
    for one in started:
        if one.process.returncode is None:
            one.process.kill()
        await one.process.wait()
        one.process._transport.close()
