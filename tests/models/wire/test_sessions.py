"""The HTTP sessions of a model."""

import asyncio

from stretto.models.wire.sessions import Sessions

TOKEN = b"5\r\ntoken\r\n"
TOKENS = 400_000


async def test_an_answer_larger_than_the_buffer_pauses_the_socket_and_comes_whole() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(TOKENS // 1000):
            writer.write(TOKEN * 1000)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sessions = Sessions()
    try:
        async with asyncio.timeout(60):
            session = await sessions.get()
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                protocol = response.connection.protocol  # type: ignore[union-attr]
                while not protocol._reading_paused:  # nobody reads: it fills up
                    await asyncio.sleep(0)
                got = [data async for data in response.content.iter_any()]
    finally:
        await sessions.close()
        server.close()
        await server.wait_closed()
    assert b"".join(got) == b"token" * TOKENS


async def test_the_sessions_read_without_asking_an_unpaused_parser_to_go_on() -> None:
    sessions = Sessions()
    session = await sessions.get()
    assert session.connector is not None
    protocol = session.connector._factory()
    assert type(protocol).resume_reading.__module__ == "stretto.models.wire.sessions"
    await sessions.close()
