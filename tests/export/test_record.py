"""The digest that ties the two files of a model together."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'gcpose-trt[export]'")

from gcpose_trt.model.checkpoint.exported import weights_digest  # noqa: E402


def test_digest_does_not_depend_on_the_order_of_the_names() -> None:
    a, b = torch.arange(6.0), torch.tensor(3)
    assert weights_digest({"a": a, "b": b}) == weights_digest({"b": b, "a": a})


def test_digest_depends_on_values_shapes_types_and_names() -> None:
    values = torch.arange(6.0)
    states = [
        {"a": values},
        {"b": values},
        {"a": values + 1},
        {"a": values.reshape(2, 3)},
        {"a": values.half()},
        {"a": values, "b": torch.tensor(1)},
    ]
    assert len({weights_digest(state) for state in states}) == len(states)


def test_digest_of_a_transposed_view_is_that_of_its_values() -> None:
    values = torch.arange(6.0).reshape(2, 3)
    assert weights_digest({"a": values.T}) == weights_digest({"a": values.T.contiguous()})
