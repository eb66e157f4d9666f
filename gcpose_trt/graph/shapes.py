"""Giving a graph fixed input shapes, and computing what follows from them once and for all."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.folding import fold

__all__ = ["fix_shapes", "fold", "input_dimensions"]


def input_dimensions(model: onnx.ModelProto, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, int]:
    """Return the sizes that the named dimensions of a graph's inputs must have for the inputs to have given shapes.

    Args:
        model: the graph.
        shapes: input name to shape; None leaves a dimension as it is. Dimensions without a name are given one.

    Returns:
        What `fix_shapes` takes.

    Raises:
        GcposeError: an input is missing, has another rank, or a dimension is fixed at another size already.
    """
    inputs = {value.name: value for value in model.graph.input}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        value = inputs.get(name)
        dims = value.type.tensor_type.shape.dim if value is not None else []
        if len(dims) != len(shape):
            raise GcposeError(f"the graph has no input {name!r} of {len(shape)} dimensions; export the model again")
        for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
            if size is None:
                continue
            if dim.HasField("dim_value"):
                if dim.dim_value != size:
                    raise GcposeError(
                        f"input {name!r} of the graph is fixed at {dim.dim_value} along axis {axis}, {size} was asked "
                        "for; choose that size or export the model without a fixed one"
                    )
                continue
            if not dim.dim_param:
                dim.dim_param = f"{name}_{axis}"
            if sizes.setdefault(dim.dim_param, size) != size:
                raise GcposeError(
                    f"dimension {dim.dim_param!r} of the graph cannot be both {sizes[dim.dim_param]} and {size}; "
                    "choose sizes that go together"
                )
    return sizes


def fix_shapes(model: onnx.ModelProto, sizes: Mapping[str, int]) -> None:
    """Set named dimensions of a graph's inputs and outputs, in place, such as {"batch": 1, "height": 512}.

    What nodes compute from them is left to `fold`.

    Raises:
        GcposeError: no input has a dimension of one of the names, or a size is below 1.
    """
    dims = [dim for value in model.graph.input for dim in value.type.tensor_type.shape.dim]
    names = {dim.dim_param for dim in dims if dim.dim_param}
    for name, size in sizes.items():
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise GcposeError(f"no input of the graph has a dimension {name!r}; use one of: {known}")
        if size < 1:
            raise GcposeError(f"dimension {name!r} cannot be {size}; choose a size of at least 1")
    for value in [*model.graph.input, *model.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
    del model.graph.value_info[:]
