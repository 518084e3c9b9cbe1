from pathlib import Path

import numpy as np

from stretto.models.local.onnx_bytes import model, node, tensor
from stretto.models.local.sessions import session


def test_the_bytes_are_a_model_that_runs(tmp_path: Path):
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = model(
        [node("Gemm", ["x", "weights"], "product", alpha=2.0, transB=1), node("Relu", ["product"], "y")],
        [tensor("weights", weights)],
        {"x": (0, 3)},
        {"y": (0, 2)},
        name="small",
    )
    (tmp_path / "model.onnx").write_bytes(data)
    x = np.array([[1, -2, 3], [-1, 0, 0]], np.float32)
    (found,) = session(tmp_path / "model.onnx", 1).run(["y"], {"x": x})
    assert np.allclose(found, np.maximum(2 * x @ weights.T, 0))


def test_texts_and_lists_of_numbers_are_attributes_too(tmp_path: Path):
    kernel = np.ones((1, 1, 3, 3), np.float32)
    convolution = node("Conv", ["x", "k"], "y", auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3])
    data = model([convolution], [tensor("k", kernel)], {"x": (1, 1, 4, 4)}, {"y": (1, 1, 2, 2)}, name="conv")
    (tmp_path / "model.onnx").write_bytes(data)
    (found,) = session(tmp_path / "model.onnx", 1).run(None, {"x": np.ones((1, 1, 4, 4), np.float32)})
    assert found[0, 0].tolist() == [[9, 6], [6, 4]]  # the padding stands at the end


def test_equal_calls_give_equal_bytes_and_values_are_copied_in_order():
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert tensor("t", turned) == tensor("t", turned.copy())
    assert np.array_equal(np.frombuffer(tensor("t", turned)[-24:], "<f4"), [0, 3, 1, 4, 2, 5])
