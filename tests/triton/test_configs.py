"""Every config.pbtxt is one that Triton reads, and says of its file what the file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed; pip install 'gcpose-trt[triton]'")

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from gcpose_trt.engine import layers_file
from gcpose_trt.engine.layers_file import Contents
from gcpose_trt.errors import GcposeError
from gcpose_trt.triton.pbtxt import Name, parameters, render
from gcpose_trt.triton.repository import ExportRequest, export
from tests.support.bundles import make_bundle
from tests.support.engine_folders import from_bundle
from tests.triton.standin import config_of

MODELS = ("gcpose", "gcpose_frame", "gcpose_detector", "gcpose_pose")
KINDS = {
    onnx.TensorProto.UINT8: model_config_pb2.TYPE_UINT8,
    onnx.TensorProto.INT64: model_config_pb2.TYPE_INT64,
    onnx.TensorProto.FLOAT: model_config_pb2.TYPE_FP32,
}
Tensors = dict[str, tuple[int, list[int]]]


def exported(repository: Path, model: str, **options: Any) -> dict[str, Any]:
    export(ExportRequest(model, repository, **options))
    return {name: config_of(repository / name / "config.pbtxt") for name in MODELS}


def of_graph(values: Any) -> Tensors:
    return {
        value.name: (
            KINDS[value.type.tensor_type.elem_type],
            [side.dim_value or -1 for side in value.type.tensor_type.shape.dim],
        )
        for value in values
    }


def of_config(values: Any, batched: bool) -> Tensors:
    found = {}
    for value in values:
        shape = list(value.reshape.shape) if value.HasField("reshape") else list(value.dims)
        found[value.name] = (value.data_type, [-1] * batched + shape)
    return found


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_shipped_model(tmp_path: Path, precision: str) -> None:
    configs = exported(tmp_path / "repo", "mobile", runtime="onnxruntime", precision=precision, max_batch=6)
    for half, batched in (("detector", True), ("pose", False)):
        config, file = configs[f"gcpose_{half}"], tmp_path / "repo" / f"gcpose_{half}" / "1" / "model.onnx"
        graph = onnx.load(file).graph
        assert of_config(config.input, batched) == of_graph(graph.input)
        assert of_config(config.output, batched) == of_graph(graph.output)
        assert (config.backend, config.default_model_filename) == ("onnxruntime", file.name)
        assert config.max_batch_size == (6 if batched else 0)
        assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_AUTO
        assert not file.is_symlink()
        assert any("QuantizeLinear" in node.op_type for node in graph.node) == (precision == "int8")


def test_models_that_clients_call(tmp_path: Path) -> None:
    configs = exported(
        tmp_path / "repo", str(make_bundle(tmp_path / "tiny")), max_batch=5, queue_delay=123, instances=3
    )
    picture, frame = configs["gcpose"], configs["gcpose_frame"]
    assert of_config(picture.input, False) == {"image": (model_config_pb2.TYPE_STRING, [1])}
    assert of_config(frame.input, False) == {"frame": (model_config_pb2.TYPE_UINT8, [-1, -1, 3])}
    for config in (picture, frame):
        assert of_config(config.output, False) == {
            "count": (model_config_pb2.TYPE_INT32, [1]),
            "boxes": (model_config_pb2.TYPE_FP32, [-1, 4]),
            "scores": (model_config_pb2.TYPE_FP32, [-1]),
            "keypoints": (model_config_pb2.TYPE_FP32, [-1, 17, 3]),
        }
        assert (config.backend, config.max_batch_size) == ("python", 5)
        assert list(config.dynamic_batching.preferred_batch_size) == [2, 5]
        assert config.dynamic_batching.max_queue_delay_microseconds == 123
        assert (config.instance_group[0].count, config.version_policy.latest.num_versions) == (4, 1)
    assert configs["gcpose_detector"].instance_group[0].count == 3


@pytest.mark.parametrize("runtime", ["python", "onnxruntime"])
def test_warm_up_has_every_input(tmp_path: Path, runtime: str) -> None:
    configs = exported(tmp_path / "repo", str(make_bundle(tmp_path / "tiny")), runtime=runtime)
    for name in ("gcpose_detector", "gcpose_pose"):
        config = configs[name]
        for sample in config.model_warmup:
            assert sample.batch_size == 1  # with 0 Triton skips it, whatever max_batch_size
            assert sample.inputs.keys() == {tensor.name for tensor in config.input}
            for tensor in config.input:
                given = sample.inputs[tensor.name]
                assert given.data_type == tensor.data_type
                assert len(given.dims) == len(tensor.dims) and min(given.dims) > 0
                if given.input_data_file:
                    data = (tmp_path / "repo" / name / "warmup" / given.input_data_file).read_bytes()
                    assert np.frombuffer(data, np.int64).tolist() == [48, 64]
    assert [list(value.dims) for value in configs["gcpose_pose"].model_warmup[0].inputs.values()]


def test_one_size_and_one_batch(tmp_path: Path) -> None:
    fixed = make_bundle(tmp_path / "tiny", batch=2, size=[64, 96])
    configs = exported(tmp_path / "repo", str(fixed))
    detector = configs["gcpose_detector"]
    assert detector.max_batch_size == 0 and not detector.HasField("dynamic_batching")
    assert of_config(detector.input, False) == of_graph(onnx.load(fixed / "detector.onnx").graph.input)
    assert list(detector.model_warmup[0].inputs["image"].dims) == [2, 64, 96, 3]
    assert len((tmp_path / "repo/gcpose_detector/warmup/image_size").read_bytes()) == 2 * 2 * 8
    assert configs["gcpose"].max_batch_size == 2
    with pytest.raises(GcposeError, match="takes 2 frames a call, not 3; leave --max-batch out"):
        export(ExportRequest(str(fixed), tmp_path / "other", max_batch=3))
    with pytest.raises(GcposeError, match="takes inputs of 64x96 only, not 320; leave the size out"):
        export(ExportRequest(str(fixed), tmp_path / "other", size="320"))
    assert not (tmp_path / "other").exists()


def engines(folder: Path, bundle: Path, narrow: bool = False, **options: Any) -> Path:
    """Make a folder of engines, with what the builder says of their inputs and outputs."""
    from_bundle(folder, bundle, **options)
    index = "int32" if narrow else "int64"
    io = {
        "detector": [
            ("image", "uint8", [2, 64, 96, 3], True),
            ("image_size", index, [2, 2], True),
            ("p2", "float16", [2, 3, 16, 24], False),
            ("boxes", "float32", [2, 3, 4], False),
            ("scores", "float32", [2, 3], False),
            ("count", index, [2], False),
        ],
        "pose": [
            ("p2", "float16", [2, 3, 16, 24], True),
            ("boxes", "float32", [-1, 4], True),
            ("batch_index", index, [-1], True),
            ("keypoints", "float32", [-1, 17, 3], False),
        ],
    }
    names = ("name", "dtype", "shape", "is_input")
    contents = {graph: Contents([], [dict(zip(names, row, strict=True)) for row in rows]) for graph, rows in io.items()}
    layers_file.write(folder, contents)
    return folder


@pytest.mark.parametrize("narrow", [False, True])
def test_engines(tmp_path: Path, narrow: bool) -> None:
    bundle = make_bundle(tmp_path / "tiny", batch=2, size=[64, 96])
    library = tmp_path / "libgcpose_plugins.so"
    library.write_bytes(b"plugins")
    folder = engines(tmp_path / "engines", bundle, narrow, plugin_library=library)
    configs = exported(tmp_path / "repo", str(folder), instances=2)
    detector, pose = configs["gcpose_detector"], configs["gcpose_pose"]
    index = model_config_pb2.TYPE_INT32 if narrow else model_config_pb2.TYPE_INT64
    assert of_config(detector.input, False) == {
        "image": (model_config_pb2.TYPE_UINT8, [2, 64, 96, 3]),
        "image_size": (index, [2, 2]),
    }
    assert of_config(pose.input, False)["p2"] == (model_config_pb2.TYPE_FP16, [2, 3, 16, 24])
    assert of_config(pose.input, False)["batch_index"] == (index, [-1])
    for config in (detector, pose):
        assert (config.backend, config.default_model_filename, config.max_batch_size) == ("tensorrt", "model.plan", 0)
        assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
        assert (tmp_path / "repo" / config.name / "1" / "model.plan").read_bytes()
    assert list(pose.instance_group[0].profile) == ["0", "1", "2"]
    assert [list(sample.inputs["boxes"].dims) for sample in pose.model_warmup] == [[1, 4], [2, 4], [3, 4]]
    given = {key: entry.string_value for key, entry in configs["gcpose"].parameters.items()}
    assert (given["batch_limit"], given["buckets"]) == ("2", "1 2 3")
    assert given["int64"] == ("false" if narrow else "true")
    size = (tmp_path / "repo/gcpose_detector/warmup/image_size").read_bytes()
    assert len(size) == 2 * 2 * (4 if narrow else 8)
    assert (tmp_path / "repo/gcpose_detector/libgcpose_plugins.so").read_bytes() == b"plugins"
    readme = (tmp_path / "repo/README.md").read_text()
    assert "--backend-config=tensorrt,plugins=/models/gcpose_detector/libgcpose_plugins.so" in readme
    assert "-e GCPOSE_REGISTER_ON_LOAD=1" in readme
    assert "TensorRT 10.3" in readme and "--gpus all" in readme


def test_engines_that_cannot_be_exported(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny", batch=2, size=[64, 96])
    library = tmp_path / "libgcpose_plugins.so"
    library.write_bytes(b"plugins")
    folder = engines(tmp_path / "engines", bundle, plugin_library=library)
    library.write_bytes(b"others")

    def refused(**options: Any) -> str:
        with pytest.raises(GcposeError) as raised:
            export(ExportRequest(str(folder), tmp_path / "repo", **options))
        assert not (tmp_path / "repo").exists()
        return str(raised.value)

    assert "set GCPOSE_PLUGINS to" in refused()
    library.write_bytes(b"plugins")
    assert "choose --runtime tensorrt" in refused(runtime="python")
    assert "was built in fp32, not int8" in refused(precision="int8")
    assert "takes 2 frames a call, not 8" in refused(max_batch=8)
    (folder / layers_file.NAME).unlink()
    assert "build the engine again" in refused()
    (folder / "pose.engine").write_bytes(b"")
    assert "pose.engine is cut short" in refused()


def test_text_that_needs_escapes() -> None:
    text = 'a "quoted" back\\slash, tab\t, newline\n, ü, \x01'
    message = [("name", text), *parameters({"key": text}), ("max_batch_size", 3), ("#", "two\nlines")]
    message += [("version_policy", [("latest", [("num_versions", 1)])])]
    message += [("input", [[("data_type", Name("TYPE_FP32")), ("dims", [1, 2]), ("allow_ragged_batch", True)]])]
    config = text_format.Parse(render(message), model_config_pb2.ModelConfig())
    assert config.name == config.parameters["key"].string_value == text
    assert list(config.input[0].dims) == [1, 2] and config.input[0].allow_ragged_batch
