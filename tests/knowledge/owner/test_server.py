"""The owner's server in one process: what remote indexes do, and what a stranger on the socket cannot."""

import socket

import numpy as np
import pytest

from stretto.errors import KnowledgeError
from stretto.knowledge.owner.address import connect, listen
from stretto.knowledge.owner.client import RemoteIndexes
from stretto.knowledge.owner.frames import LIMIT, Call, framed, length_of, unpacked
from stretto.knowledge.owner.indexes import OwnedIndexes, OwnerGone
from stretto.knowledge.owner.server import OwnerServer


@pytest.fixture(params=["unix", "loopback"])
def served(request, tmp_path):
    listener, address = listen(tmp_path, unix=request.param == "unix")
    indexes = OwnedIndexes(tmp_path)
    server = OwnerServer(listener, address, indexes)
    remote = RemoteIndexes(address)
    yield remote, indexes, address
    remote.close()
    server.close()
    indexes.close()
    with pytest.raises(OwnerGone):
        RemoteIndexes(address)


def test_remote_indexes_say_what_the_owners_say(served):
    remote, owned, _ = served
    rows = np.random.default_rng(1).normal(size=(300, 16)).astype(np.float32)
    ids = [f"id{number}" for number in range(300)]
    remote.upsert(0, ids, rows)
    assert remote.count(0) == owned.count(0) == 300
    assert remote.query(0, rows[7], 5) == owned.query(0, rows[7], 5)
    there = remote.vectors(0, ["id3", "missing", "id4"])
    assert list(there) == ["id3", "id4"] and np.allclose(there["id4"], rows[4], atol=1e-5)
    remote.write_words(0, [(key, f"It speaks of topic{key}.") for key in ids], [])
    assert remote.count_words(0) == 300
    assert remote.query_words(0, "topicid9", 3) == owned.query_words(0, "topicid9", 3) != []
    assert remote.score_words(0, "topicid9", ["id9", "id8"])["id9"] > 0
    remote.delete(0, ids[:10])
    remote.write_words(0, [], ids[:10])
    remote.settle_words(0)
    assert (remote.count(0), remote.count_words(0), remote.vectors(0, ["id3"])) == (290, 290, {})


def test_a_retired_generation_is_gone_and_says_so(served, tmp_path):
    remote, _, _ = served
    rows = np.eye(4, dtype=np.float32)
    remote.upsert(0, list("abcd"), rows)
    remote.upsert(1, list("ab"), rows[:2])
    remote.retire(1)
    assert remote.count(1) == 2 and not (tmp_path / "vectors").exists()
    with pytest.raises(KnowledgeError, match="built anew"):
        remote.count(0)


def test_an_error_of_the_store_reaches_the_client_and_the_connection_goes_on(served):
    remote, _, _ = served
    remote.upsert(0, ["a"], np.ones((1, 4), dtype=np.float32))
    with pytest.raises(KnowledgeError):
        remote.query(0, np.ones(7, dtype=np.float32), 3)
    assert remote.count(0) == 1


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\x00\x00\x00\x03abc"])
def test_a_stranger_is_shut_out_and_the_others_go_on(served, sent):
    remote, _, address = served
    with connect(address, 10) as stranger:
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(100) == b""
    assert remote.count(0) == 0


def test_a_frame_over_the_limit_is_refused_on_both_sides():
    with pytest.raises(KnowledgeError, match="over the limit"):
        framed(Call("upsert", 0, vectors=bytes(LIMIT + 1)))
    with pytest.raises(KnowledgeError, match="over the limit"):
        length_of((LIMIT + 1).to_bytes(4, "big"))
    with pytest.raises(KnowledgeError, match="are not 3 vectors"):
        unpacked(b"12345", 3)
