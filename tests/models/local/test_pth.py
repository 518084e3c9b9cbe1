import os
import pickle  # noqa: TID251 (to write what must be refused)
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.errors import ModelError
from stretto.models.local.pth import MAGIC, read_tensors


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


def tensor(key: str, count: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """What torch writes for a tensor: a call whose storage is a persistent id."""
    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(count) + b"Nt"
    )
    arguments = storage + b"Q" + number(offset) + numbers(*shape) + numbers(*stride)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"


def checkpoint(state: bytes, values: dict[str, np.ndarray]) -> bytes:
    system = b"\x80\x02}(" + text("little_endian") + b"\x88u."
    keys = b"\x80\x02](" + b"".join(text(key) for key in values) + b"e."
    storages = b"".join(
        struct.pack("<q", data.size) + data.astype("<f4").tobytes() for data in values.values()
    )
    return pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + system + state + keys + storages


def state(**tensors: bytes) -> bytes:
    items = b"".join(text(name) + value for name, value in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


GOOD = checkpoint(
    state(
        weight=tensor("7", 12, 0, (3, 4), (4, 1)),
        turned=tensor("7", 12, 0, (4, 3), (1, 4)),
        bias=tensor("8", 5, 2, (3,), (1,)),
    ),
    {"7": np.arange(12), "8": np.arange(5)},
)


def test_tensors_come_out_with_their_shape_offset_and_stride():
    found = read_tensors(GOOD)
    assert np.array_equal(found["weight"], np.arange(12).reshape(3, 4))
    assert np.array_equal(found["turned"], found["weight"].T)
    assert np.array_equal(found["bias"], [2, 3, 4])
    assert found["weight"].dtype == np.float32 and not found["weight"].flags.writeable


class Shell:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_pickle_that_runs_a_program_is_refused_and_runs_nothing(tmp_path: Path, protocol: int, place: int):
    marker = tmp_path / "ran"
    evil = pickle.dumps({"weight": Shell(f"touch {marker}")}, protocol)
    parts = [pickle.dumps(MAGIC, 2), pickle.dumps(1001, 2), b"\x80\x02}(" + text("little_endian") + b"\x88u."]
    with pytest.raises(ModelError, match="not allowed"):
        read_tensors(b"".join(parts[:place]) + evil)
    assert not marker.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cposix\nsystem\n(" + text("true") + b"tR.",
        b"cbuiltins\neval\n.",
        b"(iposix\nsystem\n.",
        b"ctorch\nFloatStorage\n)R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n" + b"Ntb.",
        b"\x82\x01.",
        b"ccollections\nOrderedDict\n(" + text("x") + b"tR.",
        b"ccollections\nOrderedDict\n)\x81.",
    ],
    ids=[
        "global",
        "eval",
        "inst",
        "storage called",
        "build on a name",
        "extension",
        "dict with content",
        "newobj",
    ],
)
def test_what_no_checkpoint_needs_is_refused(program: bytes):
    with pytest.raises(ModelError):
        read_tensors(checkpoint(b"\x80\x02" + program, {}))


@pytest.mark.parametrize(
    "bad",
    [
        tensor("7", 12, 0, (3, 5), (5, 1)),
        tensor("7", 12, 1, (3, 4), (4, 1)),
        tensor("7", 12, 0, (3, 4), (5, 1)),
        tensor("7", 12, -1, (3,), (1,)),
        tensor("7", 12, 0, (1000000, 1000000), (0, 0)),
        tensor("7", 12, 0, (-3, -4), (4, 1)),
        tensor("7", 12, 0, (3,), (1, 1)),
        tensor("9", 12, 0, (3,), (1,)),
        tensor("7", 13, 0, (3,), (1,)),
        text("not a tensor"),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(bad: bytes):
    with pytest.raises(ModelError, match="damaged"):
        read_tensors(checkpoint(state(weight=bad), {"7": np.arange(12)}))


@pytest.mark.parametrize("length", [0, 1, 20, 200, len(GOOD) - 1])
def test_a_checkpoint_that_ends_early_is_refused(length: int):
    with pytest.raises(ModelError):
        read_tensors(GOOD[:length])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=4))
def test_whatever_stands_in_the_file_it_gives_arrays_or_an_error_of_ours(position: int, change: bytes):
    data = GOOD[:position] + change + GOOD[position + len(change) :]
    try:
        found = read_tensors(data)
    except ModelError:
        return
    assert all(isinstance(array.sum(), np.generic) for array in found.values())
