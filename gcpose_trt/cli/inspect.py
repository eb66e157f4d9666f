"""Show what an engine holds: how it was built, inputs and outputs, layers, precisions, and the largest layers."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcpose_trt.cli.arguments import positive_int
from gcpose_trt.errors import GcposeError

if TYPE_CHECKING:
    from gcpose_trt.engine.looking import View


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gcpose-trt inspect`."""
    parser.add_argument("engine", type=Path, metavar="ENGINE", help="an engine folder or an engine file")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--top", type=positive_int, default=10, metavar="N", help="layers to draw (default: 10)")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="draw the largest layers into an image")
    parser.add_argument("--plugins", type=Path, metavar="PATH", help="plugin library of an engine from elsewhere")


def run(args: argparse.Namespace) -> int:
    """Show; return 0."""
    from gcpose_trt.engine.looking import look
    from gcpose_trt.files import check_writable

    if args.draw is not None:
        check_writable(args.draw)
    view = look(args.engine, args.plugins, _ignore)
    if args.json:
        print(json.dumps(view.to_dict(), indent=1))
    else:
        _print(view, args.top)
    if args.draw is not None:
        _draw(view, args.draw, args.top)
    return 0


def _ignore(event: dict[str, Any]) -> None:
    """An inspection takes seconds; nothing to show meanwhile."""


def _print(view: View, top: int) -> None:
    from gcpose_trt.engine.inspection import summary
    from gcpose_trt.engine.report import describe_io, describe_record, draw_layers, precision_text, size_text

    print(view.path)
    if view.record is not None:
        print("\n".join(describe_record(view.record)))
    for graph, file in view.files.items():
        print(f"\n{graph}: {file['name']}, {size_text(file['bytes'])}, SHA-256 {file['sha256']}")
        if graph in view.graphs:
            contents = view.graphs[graph]
            print("\n".join(describe_io(contents.io)))
            print(f"  {precision_text(summary(contents.layers))}; the largest, by the bytes that they move:")
            print("\n".join(draw_layers(contents.layers, top)))
    for line in view.missing:
        print(f"not shown: {line}", file=sys.stderr)


def _draw(view: View, path: Path, top: int) -> None:
    import cv2

    from gcpose_trt.engine.drawing import draw_largest
    from gcpose_trt.files import atomic_write

    graphs = {name: contents.layers for name, contents in view.graphs.items() if contents.layers}
    if not graphs:
        raise GcposeError(f"{view.path}: no layers to draw ({'; '.join(view.missing) or 'the engine has none'})")
    done, data = cv2.imencode(".png", draw_largest(graphs, top))
    if not done:
        raise GcposeError(f"cannot make an image for {path}; choose fewer layers with --top")
    with atomic_write(path) as stream:
        stream.write(data.tobytes())
    print(f"wrote {path}", file=sys.stderr)
