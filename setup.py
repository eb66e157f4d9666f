"""The one thing that pyproject.toml cannot say: a wheel carries files that lie at the top of a clone.

The plugins' C++ and CUDA sources are built on the user's machine, for its GPU and TensorRT, by `gcpose-trt plugins
build`; in a wheel they lie in `gcpose_trt/plugin_sources`. The calibration of a shipped model lies beside the model.
Suites and adapters of `gcpose-trt benchmark` lie in `gcpose_trt/benchmark_files`. Everything else is in pyproject.toml.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "plugins"
SUFFIXES = (".cu", ".cpp", ".h", ".map", ".md", ".txt")


class BuildWithSources(build_py):
    """Copies the sources into the package; an editable install finds those of the clone."""

    def run(self) -> None:
        """Build as always, then copy."""
        super().run()
        if not self.editable_mode:
            for source, target in self._copies():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """The files that were written, those of this class included."""
        return [*super().get_outputs(include_bytecode), *(target for _, target in self._copies())]

    def _copies(self) -> list[tuple[str, str]]:
        package = Path(self.build_lib) / "gcpose_trt" / "plugin_sources"
        found = sorted(path for path in SOURCES.rglob("*") if path.is_file() and path.suffix in SUFFIXES)
        copies = [(str(path), str(package / path.relative_to(SOURCES))) for path in found]
        assets = Path(self.build_lib) / "gcpose_trt" / "assets"
        for path in sorted((ROOT / "calibration").glob("*.json")):
            copies.append((str(path), str(assets / path.stem / "calibration.json")))
        files = Path(self.build_lib) / "gcpose_trt" / "benchmark_files"
        for pattern in ("suites/*.toml", "peers/*.py", "peers/README.md"):
            for path in sorted((ROOT / "benchmarks").glob(pattern)):
                copies.append((str(path), str(files / path.relative_to(ROOT / "benchmarks"))))
        return copies


setup(cmdclass={"build_py": BuildWithSources})
