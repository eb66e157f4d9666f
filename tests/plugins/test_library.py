"""Finding, describing and loading the built library."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import library


def test_default_path_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GCPOSE_PLUGINS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    inside = Path("gcpose-trt") / "plugins" / "libgcpose_plugins.so"
    assert library.default_path() == tmp_path / ".cache" / inside
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert library.default_path() == tmp_path / "cache" / inside
    monkeypatch.setenv("GCPOSE_PLUGINS", "~/mine.so")
    assert library.default_path() == tmp_path / "mine.so"


def test_find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GCPOSE_PLUGINS", str(tmp_path / "libgcpose_plugins.so"))
    with pytest.raises(GcposeError, match=r"no plugin library at .*; build it with: gcpose-trt plugins build$"):
        library.find()
    (tmp_path / "libgcpose_plugins.so").write_text("x")
    assert library.find() == tmp_path / "libgcpose_plugins.so"
    assert library.find(tmp_path) == tmp_path / "libgcpose_plugins.so"
    with pytest.raises(GcposeError, match="no plugin library at"):
        library.find(tmp_path / "other.so")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A library that says of itself what ours do, and has nothing else."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source = tmp_path / "tiny.c"
    info = json.dumps({"version": "0.1", "architectures": ["87"], "tensorrt": "10.3.0", "interface": "v3"})
    source.write_text(f"const char *gcpose_build_info(void) {{ return {json.dumps(info)}; }}")
    target = tmp_path / "libgcpose_plugins.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return target


def test_describe(tiny: Path) -> None:
    known = library.describe(tiny)
    assert known["sha256"] == library.sha256(tiny)
    assert known["build"]["interface"] == "v3"
    assert known["record"] is None
    record = {"sha256": library.sha256(tiny), "interface": "v3"}
    library.sidecar(tiny).write_text(json.dumps(record))
    assert library.describe(tiny)["record"] == record
    # A record of another library says nothing of this one, and neither does one that is damaged.
    library.sidecar(tiny).write_text(json.dumps({**record, "sha256": "0" * 64}))
    assert library.describe(tiny)["record"] is None
    for damaged in ("{", "[]", "null", ""):
        library.sidecar(tiny).write_text(damaged)
        assert library.describe(tiny)["record"] is None


def test_what_is_no_library_of_ours(tmp_path: Path) -> None:
    text = tmp_path / "libgcpose_plugins.so"
    text.write_text("not a library")
    with pytest.raises(
        GcposeError, match=r"cannot be loaded as our plugin library .* gcpose-trt plugins build$"
    ) as error:
        library.describe(text)
    assert "\n" not in str(error.value)
    with pytest.raises(GcposeError, match="cannot read"):
        library.sha256(tmp_path / "none.so")


@dataclass
class Creator:
    """A plugin creator as TensorRT's Python shows it."""

    name: str
    plugin_version: str = "1"
    plugin_namespace: str = ""


@dataclass
class Registry:
    """TensorRT's plugin registry of 8.6 and later; `brings` is what a library adds."""

    all_creators: list[Creator] = field(default_factory=list)
    brings: tuple[str, ...] = library.CREATORS
    loaded: list[str] = field(default_factory=list)

    def load_library(self, path: str) -> None:
        self.loaded.append(path)
        if not self.brings:
            raise RuntimeError("could not load\nbecause")
        self.all_creators += [Creator(name) for name in self.brings]


def test_load_into(tmp_path: Path) -> None:
    path = tmp_path / "libgcpose_plugins.so"
    path.write_text("")
    # Same names of another version or namespace are not ours.
    registry = Registry([Creator("Nms", "2"), Creator("GcmAttention", "1", "other")])
    assert library.missing_creators(registry) == list(library.CREATORS)
    library.load_into(registry, path)
    assert registry.loaded == [str(path)]
    library.load_into(registry, path)
    assert registry.loaded == [str(path)]  # once is enough


def test_load_into_reports(tmp_path: Path) -> None:
    path = tmp_path / "libgcpose_plugins.so"
    with pytest.raises(GcposeError, match="no plugin library at"):
        library.load_into(Registry(), path)
    path.write_text("")
    with pytest.raises(GcposeError, match=r"cannot load the plugin library .*could not load because"):
        library.load_into(Registry(brings=()), path)
    with pytest.raises(GcposeError, match=r"does not bring GcmAttention, KeypointDecode to this TensorRT; build it"):
        library.load_into(Registry(brings=("MultiLevelRoiAlign", "Nms")), path)


class OldRegistry:
    """That of TensorRT 8.5: no load_library, and creators of V2 only."""

    def __init__(self) -> None:
        self.plugin_creator_list: list[Creator] = []


def test_load_into_tensorrt_85(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "libgcpose_plugins.so"
    path.write_text("")
    with pytest.raises(GcposeError, match=r"cannot load the plugin library .*libnvinfer\.so\.8"):
        library.load_into(OldRegistry(), path)
    registry = OldRegistry()
    added = [Creator(name) for name in library.CREATORS]
    monkeypatch.setattr(library, "_register", lambda given: registry.plugin_creator_list.extend(added))
    library.load_into(registry, path)
    assert library.missing_creators(registry) == []
