"""The command from its words to its files, and what it says when it cannot."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.assets import FOLDER
from gcpose_trt.benchmark.roofline import command, document
from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.runtime.bundle import ENGINE_RECORD
from tests.benchmark.roofline.conftest import machine, parse

SMALL = ("--size", "64x64", "--threads", "1", "--repeats", "1")


def test_int8_without_people_from_words_to_files(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("mobile", "--precision", "int8", "--people", "0", "--output", str(outputs), *SMALL)
    assert command.measure_and_write(parse(*words), machine(instructions=[])) == 0
    shown = capsys.readouterr()
    record = json.loads((outputs / "roofline.json").read_text())
    assert (record["schema"], record["kind"]) == (document.SCHEMA, document.KIND)
    assert record["model"]["precision"] == "int8" and record["settings"]["people"] == 0
    assert {line["graph"] for line in record["stages"]} == {"detector"}
    assert record["total"]["integer_operations"] > record["total"]["operations"] > 0
    assert sum(layer["op"] == "QLinearConv" for layer in record["layers"]) == 126, "what the shipped INT8 form promises"
    assert record["ceilings"]["int8"] and record["environment"]["machine_id"] == "0123"
    # A processor without instructions for it: it works, and that is said.
    assert "no instructions for sums of 8-bit products" in shown.out
    assert "INT8 operations" in shown.out and "wrote " in shown.err
    assert sorted(file.name for file in outputs.iterdir()) == sorted(command.FILES)


def test_a_record_holds_what_it_says(record: dict[str, Any]) -> None:
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["settings"] == {
        "input": [96, 128],
        "content": [72, 128],
        "people": 2,
        "threads": 1,
        "repeats": 2,
    }
    assert record["ceilings"]["int8"] == []
    assert record["ceilings"]["beyond_cache_bytes"] == 1 << 19
    for samples in (record["ceilings"]["memory"], record["ceilings"]["calls"], *record["ceilings"]["float32"]):
        assert samples["best"] >= samples["median"] > 0 and samples["count"] >= 10  # two visits of five
    network, total = record["network"], record["total"]
    assert network["over_floor"] == pytest.approx(network["milliseconds"] / total["floor_ms"], rel=1e-3)
    assert network["profile_overhead"] == pytest.approx(total["milliseconds"] / network["milliseconds"] - 1, abs=1e-3)
    assert str(Path.home()) not in json.dumps(record["command"])


def test_what_happened_to_the_machine_is_noted() -> None:
    found = command._remarks({"load": 3.0, "throttled": {}}, {"load": 3.0, "throttled": {"CPU 0": "too hot"}})
    assert len(found) == 2 and "load 3.0" in found[0] and "too hot" in found[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "no model 'nowhere'"),
        (("mobile", "--size", "65x64"), "must be multiples of 32"),
        (("mobile", "--size", "huge"), "is not a size"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], said: str, outputs: Path) -> None:
    with pytest.raises(GcposeError) as caught:
        command.measure_and_write(parse(*words, "--output", str(outputs)), machine())
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not list(outputs.glob("roofline*"))


def test_engines_are_not_supported_and_it_says_what_is(tmp_path: Path) -> None:
    (tmp_path / ENGINE_RECORD).write_text("{}")
    with pytest.raises(GcposeError, match="only TensorRT can time; give the ONNX model"):
        command.measure_and_write(parse(str(tmp_path), "--output", str(tmp_path / "out")), machine())


def test_a_model_without_an_int8_form_is_refused(tmp_path: Path) -> None:
    for name in ("detector", "pose"):
        shutil.copy(FOLDER / f"mobile/{name}.onnx", tmp_path)
    words = (str(tmp_path), "--precision", "int8", "--output", str(tmp_path / "out"), *SMALL)
    with pytest.raises(GcposeError, match="make one with: gcpose-trt quantize"):
        command.measure_and_write(parse(*words), machine())


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    for name in ("detector", "pose"):
        (tmp_path / f"{name}.onnx").write_bytes(b"\x08\x07garbage")
    for precision in ("fp32", "int8"):
        words = (str(tmp_path), "--precision", precision, "--output", str(tmp_path / "out"), *SMALL)
        with pytest.raises(GcposeError, match=r"cannot be (read|loaded)"):
            command.measure_and_write(parse(*words), machine())


@pytest.mark.parametrize("package", ["onnx", "matplotlib"])
def test_a_missing_package_is_named_before_anything_is_measured(
    package: str, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"needs the package {package}.*gcpose-trt\[benchmark\]"):
        command.measure_and_write(parse("nowhere", "--output", str(outputs)), machine())


def test_a_folder_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GcposeError, match="cannot write"):
        command.measure_and_write(parse("nowhere", "--output", str(tmp_path / "file/inside")), machine())


@pytest.mark.parametrize("words", [("--people", "-1"), ("--people", "x"), ("--repeats", "0"), ("--precision", "fp16")])
def test_options_out_of_range_end_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err
