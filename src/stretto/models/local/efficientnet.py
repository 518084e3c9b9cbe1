"""Turns the EfficientNet-Lite0 checkpoint into an ONNX model, once, when it is pulled. Runs no model.

The network: a stem, 16 blocks (expand, depthwise, project, with a shortcut where size and width stay), a head
of 1,280 channels, mean over the picture, 1,000 classes; ReLU6 throughout, padding as TensorFlow's SAME.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.errors import ModelError
from stretto.models.local.onnx_bytes import model, node, tensor
from stretto.models.local.pth import read_tensors

SIDE = 224
FEATURES, CLASSES = 1280, 1000
EPSILON = 1e-3
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Of the depthwise convolution of each block."""


def convert(checkpoint: Path, target: Path) -> None:
    """Writes `target` (ONNX: `picture` to `probabilities` and `features`) from a checked `.pth`.

    Raises:
        ModelError: the checkpoint is refused, or is of another network.
    """
    tensors = read_tensors(checkpoint.read_bytes())
    try:
        target.write_bytes(_network(tensors))
    except KeyError as error:
        raise ModelError(f"The checkpoint has no {error}: it is not EfficientNet-Lite0.") from None


def _network(tensors: dict[str, NDArray[Any]]) -> bytes:
    writer = _Writer(tensors)
    x = writer.convolve("picture", "_conv_stem", "_bn0", stride=2)
    for number, stride in enumerate(STRIDES):
        x = writer.block(x, f"_blocks.{number}.", stride)
    x = writer.convolve(x, "_conv_head", "_bn1")
    x = writer.add("GlobalAveragePool", [x], "mean")
    x = writer.add("Flatten", [x], "features")
    x = writer.add(
        "Gemm", [x, writer.constant("_fc.weight"), writer.constant("_fc.bias")], "scores", transB=1
    )
    writer.add("Softmax", [x], "probabilities", axis=1)
    return model(
        writer.nodes,
        writer.tensors,
        {"picture": (0, 3, SIDE, SIDE)},
        {"probabilities": (0, CLASSES), "features": (0, FEATURES)},
        name="efficientnet-lite0",
    )


class _Writer:
    """Collects nodes, and the weights that they name."""

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        self.weights = weights
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = [tensor("zero", np.array(0.0)), tensor("six", np.array(6.0))]

    def constant(self, name: str) -> str:
        self.tensors.append(tensor(name, self.weights[name]))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(node(kind, inputs, output, **attributes))
        return output

    def convolve(
        self, x: str, layer: str, norm: str, *, stride: int = 1, group: int = 1, clip: bool = True
    ) -> str:
        """Convolution, batch normalisation and, with `clip`, ReLU6."""
        kernel = list(self.weights[f"{layer}.weight"].shape[2:])
        x = self.add(
            "Conv",
            [x, self.constant(f"{layer}.weight")],
            f"{layer}.out",
            auto_pad="SAME_UPPER",
            group=group,
            kernel_shape=kernel,
            strides=[stride, stride],
        )
        numbers = [
            self.constant(f"{norm}.{name}") for name in ("weight", "bias", "running_mean", "running_var")
        ]
        x = self.add("BatchNormalization", [x, *numbers], f"{norm}.out", epsilon=EPSILON)
        return self.add("Clip", [x, "zero", "six"], f"{norm}.clipped") if clip else x

    def block(self, x: str, prefix: str, stride: int) -> str:
        """An inverted residual."""
        start = x
        if f"{prefix}_expand_conv.weight" in self.weights:
            x = self.convolve(x, f"{prefix}_expand_conv", f"{prefix}_bn0")
        depthwise = self.weights[f"{prefix}_depthwise_conv.weight"]
        group = depthwise.shape[0]
        x = self.convolve(x, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, group=group)
        x = self.convolve(x, f"{prefix}_project_conv", f"{prefix}_bn2", clip=False)
        expand = self.weights.get(f"{prefix}_expand_conv.weight", depthwise)
        width_in = expand.shape[1] if expand is not depthwise else group
        if stride == 1 and width_in == self.weights[f"{prefix}_project_conv.weight"].shape[0]:
            x = self.add("Add", [x, start], f"{prefix}sum")
        return x
