"""Threads at a glance: the latest first, with the size of all that is kept of them."""

import sqlite3

from stretto.threads.deletion import id_at
from stretto.threads.overview import Kept, checkpoints_of, count_threads, kept_threads, size_of
from stretto.threads.tables import COLUMNS, prepare

AT = 1_800_000_000.0


def test_the_latest_come_first_and_all_their_bytes_count() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection)
    put = f"INSERT INTO checkpoints ({COLUMNS}) VALUES (?, '', ?, NULL, 'msgpack', ?, ?)"
    first, then = (id_at(AT + more) + "-8000-0" for more in (0, 60))
    connection.execute(put, ("a", first, b"12345", b"{}"))
    connection.execute(put, ("b", first, b"1", b"{}"))
    connection.execute(put, ("a", then, b"12345", b'{"step": 1}'))
    connection.execute("INSERT INTO media_references VALUES ('a', 'f00', 'acme', 1000, 'image/png')")
    connection.execute("INSERT INTO items VALUES ('a', 0, 'msgpack', x'0102')")
    assert count_threads(connection) == 2
    size = 5 + 2 + 5 + 11 + 1000 + 2
    latest, other = kept_threads(connection, 10)
    assert (latest.thread_id, latest.bytes) == ("a", size) == ("a", size_of(connection, "a"))
    assert latest.used is not None and abs(latest.used - AT - 60) < 0.001
    assert other == Kept("b", other.used, 3)
    assert [name for name, _, _ in kept_threads(connection, 1)] == ["a"]
    assert checkpoints_of(connection, "a") == [(then, b'{"step": 1}'), (first, b"{}")]
    connection.close()
