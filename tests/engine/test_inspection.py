"""Reading what TensorRT's inspector says, in the words of each version, and judging it."""

from __future__ import annotations

import pytest

from gcpose_trt.engine.inspection import (
    Layer,
    by_precision,
    check_precision,
    from_text,
    precision_of,
    summary,
)
from gcpose_trt.engine.inspection import _from_json as from_json
from gcpose_trt.errors import GcposeError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Row major linear FP32", "FP32"),
        ("Row major linear FP16 format", "FP16"),
        ("Channel major FP16 format where channel % 8 == 0", "FP16"),
        ("Four wide channel vectorized row major Int8 format", "INT8"),
        ("Row major linear BOOL", "other"),
        ("Row major Int64 format", "other"),
        ("Row major linear Int32", "other"),
        ("UInt8", "other"),
        ("Half", "FP16"),
        ("Float", "FP32"),
        ("BFloat16", "BF16"),
        ("Row major linear BF16 format", "BF16"),
        ("Int8", "INT8"),
        ("FP8", "FP8"),
        ("Int4", "INT4"),
        ("FP4", "FP4"),
        ("N/A due to dynamic shapes", "other"),
        ("", "other"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert precision_of(text) == expected


def test_json_of_8() -> None:
    entry = {
        "Name": "conv1 + relu",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "a", "Location": "Device", "Dimensions": [1, 64, 10, 10],
                    "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}],
        "Outputs": [{"Name": "b", "Location": "Device", "Dimensions": [1, 32, 10, 10],
                     "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}],
        "Weights": {"Type": "Half", "Count": 18432},
        "Bias": {"Type": "Half", "Count": 32},
    }  # fmt: skip
    layer = from_json(entry)
    assert layer == Layer("conv1 + relu", "CaskConvolution", "FP16", 2 * (18432 + 32), 19200, (1, 32, 10, 10), "FP16")


def test_int8_layer_that_writes_half() -> None:
    entry = {
        "Name": "conv",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "a", "Dimensions": [1, 4], "Format/Datatype": "Int8"}],
        "Outputs": [{"Name": "b", "Dimensions": [1, 4], "Format/Datatype": "Half"}],
        "Weights": {"Type": "Int8", "Count": 1000},
    }
    assert from_json(entry).precision == "INT8"
    assert from_json(entry).traffic == 4 + 8


TEXT = """Layers:
Name: conv_myl0_1, LayerType: correlation, Inputs: [ { Name: x, Dimensions: [1,4,8,8], Strides: [256,1,32,4], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }], Constants: [ { Name: w, Dimensions: [64,4,7,7], Strides: [196,1,28,4], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }, { Name: s, Dimensions: [1], Strides: [1], StrideOrder: [0], Datatype: Float, Format: (Linear) Row major linear format }], Outputs: [ { Name: y, Dimensions: [1,64,8,8], Strides: [4096,1,512,64], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }], TacticName: __myelin_CASK_STUB, StreamId: 0, Metadata: [ONNX Layer: conv]
Name: conv [profile 1]_myl1_1, LayerType: correlation, Inputs: [ { Name: x, Dimensions: [2,4,8,8], Strides: [256,1,32,4], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }], Constants: [], Outputs: [ { Name: y, Dimensions: [2,64,8,8], Strides: [4096,1,512,64], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }], TacticName: z, StreamId: 0, Metadata:
Name: __myl_Cast_myl1_2, LayerType: kgen, Inputs: [ { Name: y, Dimensions: [2,64,8,8], Datatype: Float, Format: f }], Constants: [], Outputs: [ { Name: z, Dimensions: [], Datatype: Int64, Format: f }], TacticName: z, StreamId: 0, Metadata:

I/O Tensors:
 Name: x, IOMode: Input, DataType: Float, Dimensions: [1,3,64,64], Location: Device
"""  # noqa: E501


def test_log_of_rtx() -> None:
    first = from_text(TEXT.split("\n")[1])
    (conv,) = first
    assert conv == Layer(
        "conv_myl0_1", "correlation", "FP16", 64 * 4 * 49 * 2 + 4, (256 + 4096) * 2, (1, 64, 8, 8), "FP16"
    )
    # All of it: the layers of the last profile, also those whose names do not tell it.
    assert [layer.name for layer in from_text(TEXT, 2)] == ["conv [profile 1]_myl1_1", "__myl_Cast_myl1_2"]


def test_groups_without_a_profile_in_their_names() -> None:
    text = TEXT.replace(" [profile 1]", "")
    assert [layer.name for layer in from_text(text, 2)] == ["conv_myl1_1", "__myl_Cast_myl1_2"]
    assert len(from_text(text, 1)) == 3
    assert len(from_text(text, 3)) == 3  # two groups for three profiles: not to be told apart


def layer(precision: str, weights: int = 0) -> Layer:
    return Layer("x", "y", precision, weights, 10, (1,), precision if weights else None)


def test_summary_counts() -> None:
    layers = [layer("FP16", 1000), layer("FP16"), layer("FP32"), layer("other")]
    assert by_precision(layers) == {"FP16": 2, "FP32": 1, "other": 1}
    assert summary(layers)["weight_bytes_by_precision"] == {"FP16": 1000}


def test_what_was_asked_for_is_there() -> None:
    check_precision("fp32", {"a": [layer("FP32", 1000), layer("other")]})
    check_precision("fp16", {"a": [layer("FP16", 1000), layer("FP32", 500)], "b": [layer("FP32")]})
    check_precision("int8", {"a": [layer("INT8", 1000), layer("FP16", 900), layer("FP32", 100)]})


@pytest.mark.parametrize(
    ("wanted", "layers", "text"),
    [
        ("fp16", [layer("FP32", 1000)], "no layer of the engine is FP16 (1 FP32)"),
        ("fp16", [layer("FP16"), layer("FP32", 1000)], "only 0% of the weights are"),
        ("fp16", [layer("FP16", 400), layer("FP32", 1000)], "only 29% of the weights are"),
        ("int8", [layer("FP16", 1000)], "no layer of the engine is INT8 (1 FP16)"),
        ("fp32", [layer("FP32"), layer("FP16", 1000)], "fp32 was asked for, but the engine has 1 FP16, 1 FP32"),
        ("fp16", [], "names no layers"),
    ],
)
def test_what_was_asked_for_is_not_there(wanted: str, layers: list[Layer], text: str) -> None:
    with pytest.raises(GcposeError) as caught:
        check_precision(wanted, {"a": layers})
    assert text in str(caught.value)
    assert "build with --precision" in str(caught.value) or "--verbose" in str(caught.value)
