"""MODEL[@BACKEND[:PRECISION]]."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcpose_trt.compare.spec import Spec, parse_spec
from gcpose_trt.errors import GcposeError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("mobile", Spec("mobile", "onnxruntime")),
        ("runs/last.pth", Spec("runs/last.pth", "torch")),
        ("mobile@torch", Spec("mobile", "torch")),
        ("mobile@torch-cuda:fp16", Spec("mobile", "torch-cuda", "fp16")),
        ("mobile@onnxruntime:int8", Spec("mobile", "onnxruntime", "int8")),
        ("a@b/model@onnxruntime:fp16", Spec("a@b/model", "onnxruntime", "fp16")),
        ("a@b/model", Spec("a@b/model", "onnxruntime")),
        ("engines/mobile@tensorrt", Spec("engines/mobile", "tensorrt")),
    ],
)
def test_read(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


def test_text_reads_back() -> None:
    for text in ("mobile@onnxruntime:fp16", "x.pth@torch"):
        assert str(parse_spec(text)) == text


def test_a_folder_of_engines_runs_in_tensorrt(tmp_path: Path) -> None:
    assert parse_spec(str(tmp_path)).backend == "onnxruntime"
    (tmp_path / "engine.json").write_text("{}")
    assert parse_spec(str(tmp_path)).backend == "tensorrt"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no model"),
        ("@torch", "names no model"),
        ("mobile@", "no backend is called ''"),
        ("mobile@tensorflow", "choose one of onnxruntime, torch"),
        ("mobile@onnxruntime:fp8", "no precision 'fp8'"),
        ("mobile@onnxruntime:", "no precision ''"),
        ("engines@tensorrt:fp16", "an engine has its own"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(GcposeError, match=message):
        parse_spec(text)
