"""Writes an ONNX model as bytes: nodes, float tensors, one input, some outputs. Knows no particular network.

ONNX files are protocol buffers; the field numbers are those of `onnx.proto`. Equal calls give equal bytes.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET, FLOAT = 8, 13, 1


def node(kind: str, inputs: Sequence[str], output: str, **attributes: int | float | str | list[int]) -> bytes:
    """One operation; its output's name is its own name too."""
    parts = [_text(1, name) for name in inputs] + [_text(2, output), _text(3, output), _text(4, kind)]
    return b"".join(parts) + b"".join(
        _bytes(5, _attribute(name, value)) for name, value in attributes.items()
    )


def tensor(name: str, values: NDArray[Any]) -> bytes:
    """A constant, as float32."""
    dims = b"".join(_number(1, size) for size in values.shape)
    data = np.ascontiguousarray(values, "<f4").tobytes()
    return dims + _number(2, FLOAT) + _text(8, name) + _bytes(9, data)


def model(
    nodes: Sequence[bytes],
    tensors: Sequence[bytes],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    *,
    name: str,
) -> bytes:
    """The file: a graph with the shapes of its inputs and outputs (0 stands for any size)."""
    graph = b"".join(_bytes(1, each) for each in nodes) + _text(2, name)
    graph += b"".join(_bytes(5, each) for each in tensors)
    graph += b"".join(_bytes(11, _value(key, shape)) for key, shape in inputs.items())
    graph += b"".join(_bytes(12, _value(key, shape)) for key, shape in outputs.items())
    opset = _text(1, "") + _number(2, OPSET)
    return _number(1, IR_VERSION) + _text(2, "stretto") + _bytes(7, graph) + _bytes(8, opset)


def _attribute(name: str, value: int | float | str | list[int]) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _number(20, 1)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, 3)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, 7)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size) if size else _text(2, "n")) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, FLOAT) + _bytes(2, dims)))


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
