"""What every adapter must keep to, so that it loads by path, anywhere, and says what it lacks."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from gcpose_trt.benchmark import adapting, peers
from gcpose_trt.benchmark.contender import Adapter, ContenderSpec
from gcpose_trt.errors import GcposeError

FOLDER = Path(adapting.__file__).resolve().parents[2] / "benchmarks" / "peers"
NAMES = ("movenet", "rtmlib", "torchvision", "torchvision_onnx", "ultralytics")
ALLOWED = {"numpy", "cv2", "onnxruntime", "gcpose_trt"} | sys.stdlib_module_names


def test_all_of_them_are_known() -> None:
    assert [name for name in peers.known() if (FOLDER / f"{name}.py").is_file()] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_imports_nothing_that_may_be_missing(name: str) -> None:
    for node in ast.parse((FOLDER / f"{name}.py").read_text()).body:
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "loaded by path it has no package around it"
            imported = [node.module or ""]
        else:
            continue
        assert {module.split(".")[0] for module in imported} <= ALLOWED


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_lacks(name: str, tmp_path: Path) -> None:
    adapter: Adapter = peers.load(name)
    assert sys.modules[f"gcpose_peer_{name}"] is adapter  # type: ignore[comparison-overlap]
    assert adapter.TITLE
    assert "\n" not in adapter.NEEDS
    for model in ("", str(tmp_path / "none.onnx")):
        spec = ContenderSpec(model, peer=name, backend="")
        reason = adapter.missing(spec)
        assert reason is not None
        assert "; " in reason
        assert "\n" not in reason
        assert str(tmp_path) not in reason, "it goes into reports"
        with pytest.raises(GcposeError) as caught:
            adapter.open(spec)
        assert str(caught.value) == reason


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, install in (("torchvision", "torch torchvision"), ("rtmlib", "rtmlib"), ("ultralytics", "ultralytics")):
        module = __import__(f"benchmarks.peers.{name}", fromlist=["missing"])
        reason = module.missing(ContenderSpec(__file__, peer=name))
        assert f"is not installed; pip install {install}" in reason
