"""The record of an engine folder: what it refuses, and in which words."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import (
    FILE_NAME,
    EngineFile,
    EngineRecord,
    Gpu,
    PluginLibrary,
    buckets_of,
    system_name,
)
from tests.support.bundles import metadata

ORIN = Gpu("Orin", "8.7")
COMMAND = "gcpose-trt build-engine mobile --precision fp16 --size 64x96 --output /tmp/engine"


def make_record(folder: Path, **changes: Any) -> EngineRecord:
    """Return a record of two small files in `folder`, which it writes."""
    for graph in ("detector", "pose"):
        (folder / f"{graph}.engine").write_bytes(graph.encode() * 100)
    library = folder / "libgcpose_plugins.so"
    library.write_bytes(b"library")
    record = EngineRecord(
        target="tensorrt",
        created="2026-11-22T12:00:00+00:00",
        gcpose_trt="0.1.0",
        tensorrt="10.3.0",
        cuda="12.6",
        driver=None,
        gpu=ORIN,
        os=system_name(),
        precision="fp16",
        size=(64, 96),
        batch=1,
        max_people=3,
        buckets=(1, 2, 3),
        gcm="plugin",
        roi_align="plugin",
        model=metadata("detector"),
        onnx_sha256={"detector": "1" * 64, "pose": "2" * 64},
        weights_sha256="0" * 64,
        plugin_library=PluginLibrary(str(library), EngineFile.of(library).sha256, "v3"),
        files={graph: EngineFile.of(folder / f"{graph}.engine") for graph in ("detector", "pose")},
        inspection={"detector": {"layers": 2, "by_precision": {"FP16": 2}}},
        build_seconds=12.5,
        command=COMMAND,
    )
    return replace(record, **changes)


def refusal(call: Any, *args: Any) -> str:
    with pytest.raises(GcposeError) as caught:
        call(*args)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_round_trip(tmp_path: Path) -> None:
    record = make_record(tmp_path, outside=("Nms",), notes=("a note",), options={"low_memory": True})
    record.save(tmp_path)
    assert EngineRecord.load(tmp_path) == record


def test_keys_of_later_versions_are_left_alone(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    assert EngineRecord.from_dict({**record.to_dict(), "new": 1}, "here") == record


def test_model_info_has_the_engines_size_and_people(tmp_path: Path) -> None:
    info = make_record(tmp_path).model_info()
    assert (info.size, info.max_people, info.model) == ((64, 96), 3, "mobile")


def test_no_folder_and_no_record(tmp_path: Path) -> None:
    assert "no engine folder" in refusal(EngineRecord.load, tmp_path / "nothing")
    assert f"has no {FILE_NAME}" in refusal(EngineRecord.load, tmp_path)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(fraction=st.floats(0, 1))
def test_cut_short_anywhere(fraction: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("record")
    path = make_record(folder).save(folder)
    text = path.read_text()
    path.write_text(text[: round(fraction * (len(text) - 3))])
    assert "damaged or cut short" in refusal(EngineRecord.load, folder)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_values(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("record")
    values = make_record(folder).to_dict()
    key = data.draw(st.sampled_from(sorted(set(values) - {"kind", "format", "cuda", "driver", "options", "source"})))
    junk = st.sampled_from([None, [], {}, "x", -1, [None], {"a": None}, True])
    values[key] = data.draw(junk)
    (folder / FILE_NAME).write_text(json.dumps(values))
    try:
        record = EngineRecord.load(folder)
    except GcposeError as error:
        assert "\n" not in str(error)
    else:  # a value of the right type, by chance: then it must survive a round trip
        assert EngineRecord.from_dict(json.loads(json.dumps(record.to_dict())), "here") == record


def test_not_text_and_not_ours(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\x00")
    assert "damaged" in refusal(EngineRecord.load, tmp_path)
    (tmp_path / FILE_NAME).write_text("[1, 2]")
    assert "not the record of an engine" in refusal(EngineRecord.load, tmp_path)


def test_other_format_names_the_command(tmp_path: Path) -> None:
    values = {**make_record(tmp_path).to_dict(), "format": 2}
    message = refusal(EngineRecord.from_dict, values, "x")
    assert "engine format 2" in message
    assert message.endswith(COMMAND)


def test_a_record_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    values = make_record(tmp_path).to_dict()
    values["files"]["pose"]["name"] = "../pose.engine"
    assert "damaged" in refusal(EngineRecord.from_dict, values, "x")


def test_files_cut_short_changed_missing(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    assert record.check_files(tmp_path) == {graph: tmp_path / f"{graph}.engine" for graph in ("detector", "pose")}
    path = tmp_path / "pose.engine"
    path.write_bytes(b"pose" * 99)
    assert "pose.engine is cut short, 396 bytes of 400" in refusal(record.check_files, tmp_path)
    path.write_bytes(b"Pose" * 100)
    message = refusal(record.check_files, tmp_path)
    assert "not the file that" in message
    assert message.endswith(COMMAND)
    path.unlink()
    assert "pose.engine is missing" in refusal(record.check_files, tmp_path)


def test_fitting_runtime(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    library = tmp_path / "libgcpose_plugins.so"
    record.check_runtime("10.3.0", ORIN, library)
    record.check_runtime("10.3.0.26", ORIN, library)  # some packages give a build number
    record.check_runtime("10.3.0", None, library)


def test_each_mismatch_has_its_own_words(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    library, other = tmp_path / "libgcpose_plugins.so", tmp_path / "other.so"
    other.write_bytes(b"other")
    messages = [
        refusal(record.check_runtime, "10.3.1", ORIN, library),
        refusal(record.check_runtime, "10.3.0", Gpu("Thor", "11.0"), library),
        refusal(record.check_runtime, "10.3.0", Gpu("Orin Nano", "8.7"), library),
        refusal(record.check_runtime, "10.3.0", ORIN, other),
        refusal(replace(record, os="linux-other").check_runtime, "10.3.0", ORIN, library),
    ]
    parts = ["built with TensorRT 10.3.0, this is 10.3.1", "8.7), this GPU is Thor (11.0)"]
    parts += ["another GPU", "not the one that the engine was built with", "built on linux-other"]
    for message, part in zip(messages, parts, strict=True):
        assert part in message
        assert message.endswith(COMMAND)
    assert "plugins build" in refusal(record.check_runtime, "10.3.0", ORIN, None)
    assert "plugins build" in refusal(record.check_runtime, "10.3.0", ORIN, tmp_path / "nothing.so")


def test_an_engine_without_plugins_needs_no_library(tmp_path: Path) -> None:
    make_record(tmp_path, plugin_library=None).check_runtime("10.3.0", ORIN, None)


def test_source_that_changed(tmp_path: Path) -> None:
    onnx_file = tmp_path / "detector.onnx"
    onnx_file.write_bytes(b"graph")
    digest = EngineFile.of(onnx_file).sha256
    record = make_record(
        tmp_path, source={"detector": str(onnx_file)}, onnx_sha256={"detector": digest, "pose": "2" * 64}
    )
    record.check_source()
    onnx_file.write_bytes(b"another")
    assert "has changed since" in refusal(record.check_source)
    onnx_file.unlink()  # an engine does not need its source
    record.check_source()


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 300))
def test_buckets(count: int) -> None:
    buckets = buckets_of(count)
    assert buckets[-1] == count
    assert list(buckets) == sorted(set(buckets))
    assert buckets[0] == 1
    assert all(after <= 2 * before for before, after in itertools.pairwise(buckets))
