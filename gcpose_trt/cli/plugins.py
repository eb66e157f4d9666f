"""Build the TensorRT plugin library for this machine's GPU, or show what a built one is.

`gcpose-trt plugins build` finds nvcc and TensorRT's headers, compiles and says where the library is;
`gcpose-trt plugins info` shows a built library.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcpose_trt.cli.arguments import positive_int

if TYPE_CHECKING:
    from gcpose_trt.plugins.build import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt plugins`."""
    actions = parser.add_subparsers(dest="action", metavar="build|info", required=True)
    build = actions.add_parser("build", help="compile the library", description="Compile the plugin library.")
    build.add_argument(
        "--arch", default="native", metavar="A", help="native (default), all, or architectures such as 87,90"
    )
    build.add_argument("--output", type=Path, metavar="DIR", help="folder for the library (default: the user's cache)")
    build.add_argument("--tensorrt-include", type=Path, metavar="DIR", help="TensorRT's headers (default: looked for)")
    build.add_argument("--nvcc", type=Path, metavar="PATH", help="the CUDA compiler (default: looked for)")
    build.add_argument(
        "--interface", default="auto", choices=("auto", "v3", "v2"), help="auto (default): v3 from TensorRT 10 on"
    )
    build.add_argument("--jobs", type=positive_int, metavar="N", help="compilers at a time (default: one a core)")
    build.add_argument("--verbose", action="store_true", help="show every command and what the compilers say")
    info = actions.add_parser("info", help="show a built library", description="Show what a built library is.")
    info.add_argument("path", nargs="?", type=Path, metavar="PATH", help="library or folder (default: the built one)")
    info.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Build or show; return 0."""
    return _build(args) if args.action == "build" else _info(args)


def _build(args: argparse.Namespace) -> int:
    from gcpose_trt.files import check_writable
    from gcpose_trt.plugins import library
    from gcpose_trt.plugins.build import build_library, make_plan

    target = library.default_path() if args.output is None else args.output / library.LIBRARY_NAME
    check_writable(target)
    plan = make_plan(
        architectures=args.arch, interface=args.interface, nvcc=args.nvcc, tensorrt_include=args.tensorrt_include
    )
    for line in _announce(plan):
        print(line, file=sys.stderr, flush=True)
    started = time.monotonic()
    built = build_library(plan, target, jobs=args.jobs, verbose=args.verbose)
    print(f"built {built} ({built.stat().st_size / 1e6:.1f} MB) in {time.monotonic() - started:.0f} s")
    print(f"trtexec loads it with: {_trtexec(built)}")
    if args.output is not None and built != library.default_path():
        print(f"gcpose-trt finds it with: export GCPOSE_PLUGINS={built}")
    return 0


def _announce(plan: Plan) -> list[str]:
    from gcpose_trt.plugins import toolchain

    lines = [
        f"nvcc {plan.nvcc.version} ({plan.nvcc.path}), TensorRT {plan.headers.text} ({plan.headers.folder}), "
        f"interface {plan.interface}, architecture {' '.join(plan.architectures)}"
    ]
    if plan.headers.borrowed:
        lines.append(
            f"gcpose-trt: warning: no TensorRT headers are installed; these are kernel-lens's, of TensorRT "
            f"{plan.headers.text}; for an engine, install those of your TensorRT: {toolchain.headers_hint()}"
        )
    driver = toolchain.driver_cuda()
    if driver is not None and driver < int(plan.nvcc.version.split(".")[0]):
        lines.append(
            f"gcpose-trt: warning: this driver runs CUDA {driver} and nvcc is {plan.nvcc.version}; the library will "
            f"not run here, install nvcc of CUDA {driver} and give --nvcc"
        )
    return lines


def _trtexec(path: Path) -> str:
    return f"trtexec --staticPlugins={path} (TensorRT 8.5: --plugins={path})"


def _info(args: argparse.Namespace) -> int:
    from gcpose_trt.plugins import library, sources

    known = library.describe(library.find(args.path))
    record = known["record"]
    current = None if record is None else record.get("sources_sha256") == sources.sources_sha256()
    if args.json:
        print(json.dumps({**known, "sources_current": current}, indent=2))
        return 0
    for name, value in _rows(known, current):
        print(f"{name:<14} {value}")
    return 0


def _rows(known: dict[str, Any], current: bool | None) -> list[tuple[str, Any]]:
    build, record = known["build"], known["record"] or {}
    freshness = {
        None: "unknown: no record beside it",
        True: "those of this gcpose-trt",
        False: "older or newer than this gcpose-trt; run: gcpose-trt plugins build",
    }
    return [
        ("library", known["path"]),
        ("size", f"{known['bytes'] / 1e6:.1f} MB"),
        ("sha256", known["sha256"]),
        ("version", build.get("version")),
        ("architectures", " ".join(build.get("architectures") or ())),
        ("TensorRT", build.get("tensorrt") or "none: kernels only"),
        ("interface", build.get("interface") or "none"),
        ("compiler", build.get("compiler")),
        ("built", record.get("created", "unknown")),
        ("sources", freshness[current]),
        ("trtexec", _trtexec(Path(known["path"]))),
    ]
