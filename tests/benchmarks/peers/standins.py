"""Tiny ONNX graphs with the inputs and outputs of peers' networks, which find coloured spots in the image.

A frame has a red, a green and a blue spot; joint k lies at the spot of colour k % 3. So what an adapter returns can be
checked for frames of any size, through its letterbox, the order of its channels, and its decoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

COLOURS = ("red", "green", "blue")
JOINTS = 17
SCORE = 0.875
DARK = 120  # spots begin here, above the grey that some peers pad with


@st.composite
def scenes(draw: Any, smallest: int = 48, largest: int = 900) -> tuple[int, int, NDArray[np.float64]]:
    """Height, width and the places of the spots as shares of the frame (3, 2)."""
    height, width = draw(st.integers(smallest, largest)), draw(st.integers(smallest, largest))
    share = st.floats(0.25, 0.75)
    return height, width, np.array([[draw(share), draw(share)] for _ in COLOURS])


def frame_with(height: int, width: int, places: NDArray[np.float64], sigma: float) -> NDArray[np.uint8]:
    """Draw the spots.

    Args:
        height: of the frame.
        width: of the frame.
        places: (3, 2) x, y of red, green and blue in continuous pixels.
        sigma: of a spot, in pixels.

    Returns:
        (H, W, 3) BGR.
    """
    frame = np.zeros((height, width, 3))
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    for channel, (place_x, place_y) in zip((2, 1, 0), places, strict=True):
        across, down = (np.exp(-(((v - c) / sigma) ** 2) / 2) for v, c in ((x, place_x), (y, place_y)))
        frame[..., channel] = 255 * down[:, None] * across
    return np.rint(frame).astype(np.uint8)


def joints_of(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (17, 2) of the joints that a network should find."""
    return places[[joint % 3 for joint in range(JOINTS)]]


class Graph:
    """Builds a graph node by node; values are names.

    Args:
        shape: of the image, letters for open lengths.
        kind: ONNX's type of the image.
    """

    def __init__(self, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> None:
        self._inputs = [helper.make_tensor_value_info("image", kind, shape)]
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def spots(self, offset: NDArray[np.float64], colours: str = "rgb", dark: Any = DARK, last: bool = False) -> str:
        """Find the spots: (3, 2) x, y of red, green and blue.

        Args:
            offset: (2,) what is added to x and y in pixels of the input, counted from the image's corner.
            colours: order of the channels.
            dark: spots begin here, in the units of the image; one number, or one a channel.
            last: channels are the last axis, not the second to last but one.
        """
        image = self.add("Cast", "image", to=TensorProto.FLOAT)
        image = self.add("Reshape", image, self._sides(last))
        if last:
            image = self.add("Transpose", image, perm=[2, 0, 1])
        image = self.add("Relu", self.add("Sub", image, self.constant(np.reshape(dark, (-1, 1, 1)))))
        image = self.add("Gather", image, self.constant([colours.index(c) for c in "rgb"], np.int64), axis=0)
        x, y = (self._centroid(self.add("ReduceSum", image, self.constant([axis], np.int64), keepdims=0))
                for axis in (1, 2))  # fmt: skip
        return self.add("Add", self.add("Concat", x, y, axis=1), self.constant(np.asarray(offset)[None]))

    def _sides(self, last: bool) -> str:
        """Drop the batch, if there is one."""
        shape = self.add("Shape", "image")
        return self.add("Slice", shape, self.constant([-3], np.int64), self.constant([99], np.int64))

    def _centroid(self, profile: str) -> str:
        """Of (3, L), in continuous pixels: (3, 1)."""
        length = self.add("Gather", self.add("Shape", profile), self.constant(1, np.int64))
        steps = self.add("Range", self.constant(0, np.int64), length, self.constant(1, np.int64))
        places = self.add("Add", self.add("Cast", steps, to=TensorProto.FLOAT), self.constant(0.5))
        one = self.constant([1], np.int64)
        moment = self.add("ReduceSum", self.add("Mul", profile, places), one, keepdims=1)
        return self.add("Div", moment, self.add("ReduceSum", profile, one, keepdims=1))

    def side(self, axis: int) -> str:
        """Return the length of one of the image's axes, float32."""
        length = self.add("Gather", self.add("Shape", "image"), self.constant([axis], np.int64))
        return self.add("Cast", length, to=TensorProto.FLOAT)

    def joints(self, spots: str) -> str:
        """Return (17, 2) of the spots."""
        return self.add("Gather", spots, self.constant([joint % 3 for joint in range(JOINTS)], np.int64), axis=0)

    def save(
        self, path: Path, outputs: Mapping[str, tuple[str, Sequence[int | str]]], metadata: Mapping[str, str]
    ) -> str:
        """Write the file; outputs are values and shapes by name; labels are int64, all else float32."""
        infos = []
        for name, (value, shape) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [name]))
            kind = TensorProto.INT64 if name == "labels" else TensorProto.FLOAT
            infos.append(helper.make_tensor_value_info(name, kind, shape))
        graph = helper.make_graph(self._nodes, "standin", self._inputs, infos, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        for key, text in metadata.items():
            model.metadata_props.add(key=key, value=text)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
        return str(path)
