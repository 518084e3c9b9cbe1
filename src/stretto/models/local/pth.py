"""Reads the tensors of a `.pth` checkpoint without unpickling it.

A checkpoint is a pickle, that is, a program. Here its opcodes are read one by one: only those of an
allow-list are followed, only four names may be referred to, and all that can come out is numbers, texts,
tuples, lists, dicts and tensors. Anything else is refused. Knows the format that torch wrote before 1.6 (five
pickles, then the raw storages), which is what the catalogue's weights have.
"""

import io
import pickletools
import struct
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from stretto.errors import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGES = {"torch FloatStorage": np.dtype("<f4"), "torch LongStorage": np.dtype("<i8")}
REBUILD = "torch._utils _rebuild_tensor_v2"
DICT = "collections OrderedDict"


@dataclass(frozen=True)
class _Name:
    """A global that the pickle refers to: its text, never the object."""

    text: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a checkpoint's state dict by name, as read-only arrays over `data`.

    Raises:
        ModelError: `data` is not such a checkpoint, or holds anything but tensors.
    """
    file = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged texts may hold odd escapes
            magic, protocol, system, state, keys = (_load(file) for _ in range(5))
        if magic != MAGIC or protocol != PROTOCOL:
            raise ModelError("This is not a checkpoint of the old torch format.")
        if _expect(system, dict).get("little_endian") is not True:
            raise ModelError("The checkpoint's numbers are not little-endian.")
        return _tensors(_expect(state, dict), _storages(data, file.tell(), _expect(keys, list), state))
    except (ValueError, IndexError, TypeError, KeyError, struct.error, OverflowError) as error:
        raise ModelError(f"The checkpoint is damaged: {error}.") from None


def _storages(data: bytes, position: int, keys: Any, state: Any) -> dict[str, NDArray[Any]]:
    """Each storage lies behind the pickles as its count (8 bytes) and its numbers, in the order of `keys`."""
    known = {tensor.storage.key: tensor.storage for tensor in state.values() if isinstance(tensor, _Tensor)}
    found: dict[str, NDArray[Any]] = {}
    for key in keys:
        (count,) = struct.unpack_from("<q", data, position)
        storage = known[key]
        if count != storage.count or count < 0:
            raise ValueError(f"storage `{key}` has {count} numbers, not {storage.count}")
        found[key] = np.frombuffer(data, storage.dtype, count, position + 8)
        position += 8 + count * storage.dtype.itemsize
    return found


def _tensors(state: Any, storages: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError(f"`{name}` is not a tensor")
        flat = storages[tensor.storage.key][tensor.offset :]
        steps = tuple(step * flat.itemsize for step in tensor.stride)
        found[name] = as_strided(flat, tensor.shape, steps, writeable=False)  # bounds: see _tensor
    return found


def _load(file: io.BytesIO) -> Any:
    """The value of one pickle, or a refusal."""
    reader = _Reader()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            return reader.stack.pop()
        step = _STEPS.get(opcode.name)
        if step is None:
            raise ModelError(f"The checkpoint uses the pickle opcode {opcode.name}, which is not allowed.")
        step(reader, argument)
    raise ValueError("it ends early")


class _Reader:
    """The stack and memo of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.push(self.memo[index])

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def above_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def take(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("its stack runs empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def name(self, text: str) -> None:
        if text not in (*STORAGES, REBUILD, DICT):
            raise ModelError(f"The checkpoint refers to `{text.replace(' ', '.')}`, which is not allowed.")
        self.push(_Name(text))

    def append(self, items: list[Any]) -> None:
        cast("list[Any]", _expect(self.stack[-1], list)).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = cast("dict[Hashable, Any]", _expect(self.stack[-1], dict))
        target.update(zip(items[::2], items[1::2], strict=True))

    def storage(self) -> None:
        kind, name, key, place, count, view = _expect(self.stack.pop(), tuple)
        if kind != "storage" or place != "cpu" or view is not None or not isinstance(count, int):
            raise ValueError("a storage is described in an unknown way")
        dtype = STORAGES.get(_expect(name, _Name).text)
        if dtype is None:
            raise ValueError("a storage has an unknown kind")
        self.push(_Storage(_expect(key, str), dtype, count))

    def call(self) -> None:
        name, arguments = self.take(2)
        text = _expect(name, _Name).text
        if text == DICT and arguments == ():
            self.push({})
        elif text == REBUILD:
            self.push(_tensor(_expect(arguments, tuple)))
        else:
            raise ModelError(f"The checkpoint calls `{text.replace(' ', '.')}`, which is not allowed.")

    def build(self) -> None:
        self.take(1)  # attributes of the state dict (versions of its layers): not needed
        _expect(self.stack[-1], dict)


def _tensor(arguments: tuple[Any, ...]) -> _Tensor:
    storage, offset, shape, stride, *_ = arguments
    _expect(storage, _Storage)
    numbers = (offset, *_expect(shape, tuple), *_expect(stride, tuple))
    if not all(isinstance(number, int) and 0 <= number < 1 << 40 for number in numbers):
        raise ValueError("a tensor has an impossible shape")
    if len(shape) != len(stride) or prod(shape) > storage.count:
        raise ValueError("a tensor has an impossible shape")
    if offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) >= storage.count:
        raise ValueError("a tensor reaches beyond its storage")
    return _Tensor(storage, offset, shape, stride)


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {kind.__name__.strip('_').lower()} was expected")
    return value


_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "PROTO": lambda reader, argument: None,
    "MARK": lambda reader, argument: reader.mark(),
    "NONE": lambda reader, argument: reader.push(None),
    "NEWTRUE": lambda reader, argument: reader.push(True),
    "NEWFALSE": lambda reader, argument: reader.push(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"), lambda reader, value: reader.push(value)
    ),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda reader, index: reader.put(index)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda reader, index: reader.get(index)),
    "EMPTY_TUPLE": lambda reader, argument: reader.push(()),
    "TUPLE1": lambda reader, argument: reader.push(tuple(reader.take(1))),
    "TUPLE2": lambda reader, argument: reader.push(tuple(reader.take(2))),
    "TUPLE3": lambda reader, argument: reader.push(tuple(reader.take(3))),
    "TUPLE": lambda reader, argument: reader.push(tuple(reader.above_mark())),
    "EMPTY_LIST": lambda reader, argument: reader.push([]),
    "APPEND": lambda reader, argument: reader.append(reader.take(1)),
    "APPENDS": lambda reader, argument: reader.append(reader.above_mark()),
    "EMPTY_DICT": lambda reader, argument: reader.push({}),
    "SETITEM": lambda reader, argument: reader.set_items(reader.take(2)),
    "SETITEMS": lambda reader, argument: reader.set_items(reader.above_mark()),
    "GLOBAL": lambda reader, text: reader.name(text),
    "BINPERSID": lambda reader, argument: reader.storage(),
    "REDUCE": lambda reader, argument: reader.call(),
    "BUILD": lambda reader, argument: reader.build(),
}
"""What each allowed opcode does. There is no import, no attribute and no call of foreign code among them."""
