"""The guard that keeps tests on this machine guards, here and in child processes."""

import asyncio
import socket
import subprocess
import sys

import pytest


@pytest.mark.parametrize("address", ["93.184.215.14", "10.0.0.1", "169.254.169.254", "example.org"])
def test_a_connection_to_elsewhere_is_refused(address: str) -> None:
    with socket.socket() as mine, pytest.raises(RuntimeError, match="stay on this machine"):
        mine.connect((address, 80))


def test_a_datagram_to_elsewhere_is_refused() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as mine,
        pytest.raises(RuntimeError, match="stay on this machine"),
    ):
        mine.sendto(b"hello", ("93.184.215.14", 53))


def test_names_of_other_machines_are_unknown() -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.org", 80)


async def test_loopback_works() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("localhost", port)
    writer.write(b"hello\n")
    assert await reader.read() == b"hello\n"
    writer.close()
    server.close()


def test_child_processes_are_guarded_too() -> None:
    code = "import socket; socket.create_connection(('93.184.215.14', 80), timeout=5)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert "stay on this machine" in child.stderr
