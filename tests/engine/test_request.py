"""What can be asked for, and the command that asks for it again."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.cli import build_parser
from gcpose_trt.engine.request import BuildRequest, choose_people, choose_size
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.info import ModelInfo
from tests.support.bundles import metadata

INFO = ModelInfo.from_dict(metadata("detector"), "test")

requests = st.builds(
    BuildRequest,
    model=st.sampled_from(["mobile", "/models/my model"]),
    output=st.sampled_from([Path("/tmp/engine"), Path("/tmp/an engine")]),
    precision=st.sampled_from(["fp32", "fp16", "int8"]),
    size=st.none() | st.tuples(st.integers(1, 40).map(lambda n: n * 32), st.integers(1, 40).map(lambda n: n * 32)),
    max_people=st.none() | st.integers(1, 300),
    gcm=st.sampled_from(["plugin", "native"]),
    roi_align=st.sampled_from(["plugin", "native"]),
    target=st.sampled_from(["tensorrt", "tensorrt-rtx"]),
    workspace=st.none() | st.integers(1, 9999),
    low_memory=st.booleans(),
    timing_cache=st.sampled_from([None, "off", "/tmp/t.cache"]),
    reproducible=st.booleans(),
    plugins=st.sampled_from([None, Path("/tmp/lib.so")]),
    batch=st.integers(1, 64),
)
int8_requests = st.builds(
    BuildRequest,
    model=st.just("mobile"),
    output=st.just(Path("/tmp/engine")),
    precision=st.just("int8"),
    calibration=st.none() | st.just(Path("/tmp/a calibration.json")),
    calibration_method=st.sampled_from([None, "max", "percentile:99.99"]),
    exclude=st.lists(st.sampled_from(["neck.*", "backbone.stem", "prior.?"]), max_size=3).map(tuple),
    max_ap_drop=st.floats(0, 100),
    images=st.just(Path("/tmp/my images")),
    annotations=st.just(Path("/tmp/a.json")),
    max_images=st.none() | st.integers(1, 5000),
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(requests | int8_requests)
def test_the_command_asks_for_the_same(request: BuildRequest) -> None:
    request.check()
    args = build_parser("build-engine").parse_args(shlex.split(request.command)[1:])
    values = {key: getattr(args, key) for key in vars(request) if key not in ("size", "verbose")}
    values["exclude"] = tuple(values["exclude"])
    height, width = request.size or (0, 0)
    assert args.size == (None if request.size is None else f"{height}x{width}")
    assert values == {key: getattr(request, key) for key in values}


@settings(derandomize=True, deadline=None, max_examples=30)
@given(requests | int8_requests)
def test_survives_json(request: BuildRequest) -> None:
    assert BuildRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"size": (390, 640)}, "multiples of 32; try 416x640"),
        ({"size": (0, 640)}, "out of range"),
        ({"size": (64, 9000)}, "out of range"),
        ({"max_people": 0}, "--max-people is from 1 to 300, not 0"),
        ({"batch": 65}, "--batch is from 1 to 64, not 65"),
        ({"workspace": 0}, "--workspace is in MiB"),
        ({"precision": "fp8"}, "--precision is one of fp32, fp16, int8"),
        ({"roi_align": "none"}, "--roi-align is one of plugin, native"),
    ],
)
def test_refusals(changes: dict[str, object], text: str) -> None:
    with pytest.raises(GcposeError) as caught:
        replace(BuildRequest("mobile", Path("x")), **changes).check()
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_default_sizes() -> None:
    assert choose_size(None, replace(INFO, short=None, long=512)) == (512, 512)
    assert choose_size(None, replace(INFO, short=800, long=1333)) == (800, 1344)
    assert choose_size(None, replace(INFO, size=(384, 640))) == (384, 640)
    assert choose_size((64, 96), INFO) == (64, 96)


def test_sizes_that_the_model_was_not_exported_for() -> None:
    with pytest.raises(GcposeError, match="exported for 384x640 only, not 64x96"):
        choose_size((64, 96), replace(INFO, size=(384, 640)))
    with pytest.raises(GcposeError, match="at most 3 people, not 4"):
        choose_people(4, INFO)
    assert choose_people(None, INFO) == 3
    assert choose_people(2, INFO) == 2
