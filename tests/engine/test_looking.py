"""Looking into engine folders and files, whole and damaged, with and without TensorRT."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.engine import layers_file
from gcpose_trt.engine.builder import build_engine
from gcpose_trt.engine.looking import look
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.tensorrt_api import MODULES

Install = Callable[[str], Path]


def ignore(event: dict[str, Any]) -> None:
    """Take no notice of progress."""


@pytest.fixture(scope="module")
def built() -> list[Path]:
    """The folder that `engine` copies, once there is one."""
    return []


@pytest.fixture
def engine(
    install: Install, tiny: Path, tmp_path: Path, built: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An engine folder, of a stand-in of TensorRT 8.6, which stays installed."""
    plugins = install("8.6")
    if not built:
        output = tmp_path_factory.mktemp("built") / "engine"
        build_engine(BuildRequest(str(tiny), output, "fp32", size=(64, 64), plugins=plugins), ignore)
        built.append(output)
    return Path(shutil.copytree(built[0], tmp_path / "engine"))


def test_folder_and_file(engine: Path) -> None:
    view = look(engine, None, ignore)
    assert set(view.graphs) == {"detector", "pose"}
    assert view.missing == []
    json.dumps(view.to_dict())
    one = look(engine / "pose.engine", None, ignore)
    assert set(one.graphs) == set(one.files) == {"pose"}
    assert one.record == view.record


def test_damaged_folder(engine: Path) -> None:
    (engine / "pose.engine").write_bytes(b"cut")
    (engine / "detector.engine").unlink()
    view = look(engine, None, ignore)
    assert set(view.files) == {"pose"}
    assert any("detector.engine is missing" in line for line in view.missing)
    assert set(view.graphs) == {"detector", "pose"}  # as they were


def test_tensorrt_looks_where_no_layers_were_kept(engine: Path) -> None:
    kept = layers_file.read(engine)
    (engine / layers_file.NAME).write_text('{"format": 1')
    view = look(engine, None, ignore)
    assert view.graphs == kept
    assert "layers.json is damaged" in view.missing[0]


def test_an_engine_from_elsewhere(engine: Path, tmp_path: Path, native: Path) -> None:
    other = tmp_path / "other.engine"
    shutil.copyfile(engine / "pose.engine", other)
    view = look(other, native / "v2.so", ignore)
    assert view.record is None
    assert [item["name"] for item in view.graphs["other"].io] == ["p2", "boxes", "batch_index", "keypoints"]
    assert view.files["other"]["bytes"] == other.stat().st_size


def test_without_tensorrt_facts_remain(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODULES, "tensorrt", "no_such_tensorrt")
    other = tmp_path / "other.engine"
    shutil.copyfile(engine / "pose.engine", other)
    view = look(other, None, ignore)
    assert view.graphs == {}
    assert view.missing == ["layers of other.engine: tensorrt is not installed for this Python"]
    assert view.files["other"]["bytes"] == other.stat().st_size
    assert look(engine, None, ignore).graphs  # kept from the build


def test_an_engine_of_another_version(engine: Path, tmp_path: Path, install: Install) -> None:
    other = tmp_path / "other.engine"
    shutil.copyfile(engine / "pose.engine", other)
    install("10.3")
    (line,) = look(other, None, ignore).missing
    assert "refuses" in line
    assert "stdVersionRead" in line


def test_what_is_no_engine(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="no engine"):
        look(tmp_path / "nothing", None, ignore)
    with pytest.raises(GcposeError, match=r"has no engine\.json"):
        look(tmp_path, None, ignore)
    (tmp_path / "empty.engine").write_bytes(b"")
    with pytest.raises(GcposeError, match="is empty"):
        look(tmp_path / "empty.engine", None, ignore)


def test_layers_file_that_is_damaged(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"format": 1, "kind": "gcpose-trt layers", "graphs": {"a": 1}}', "\0"):
        (tmp_path / layers_file.NAME).write_text(text)
        with pytest.raises(GcposeError, match="is damaged"):
            layers_file.read(tmp_path)
