"""From a matplotlib figure to SVG that lies inside a page: its colours and fonts are the page's own.

Colours are stand-ins while matplotlib draws. In the SVG they become `currentColor` and CSS variables, so that the same
picture is right in light and dark. What it writes as `style` becomes attributes, so that the page's security policy
need not allow inline styles.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gcpose_trt.benchmark.reporting.view import COLOURS, Entry
from gcpose_trt.benchmark.reporting.words import clean
from gcpose_trt.errors import MissingDependencyError

INK, MUTED, GRID, PAPER = "#010203", "#040506", "#070809", "#0a0b0c"
_PAINTS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--panel)",
    **{f"#1011{index:02x}": f"var(--c{index})" for index in range(COLOURS)},
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.6)), (0, (1.2, 1.4)))

WIDTH = 4.6  # inches, at 72 units each: as wide as a phone is in CSS pixels, so that letters keep their size there
FONT = 10.5
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gcpose-trt",
    "text.parse_math": False,
    "font.size": FONT,
    "font.family": ["DejaVu Sans"],
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": FONT - 0.5,
    "ytick.labelsize": FONT - 0.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Chart:
    """A picture in the report.

    Attributes:
        key: unique on the page, letters and dashes.
        title: what it shows.
        svg: the picture.
        note: one or two sentences below it.
        entries: contenders whose colours and markers need explaining, because they are not named in it.
        shades: what full, half and faint fills mean, from full to faint.
    """

    key: str
    title: str
    svg: str
    note: str = ""
    entries: list[Entry] = field(default_factory=list)
    shades: tuple[str, ...] = ()


def colour(entry: Entry) -> str:
    """Return the stand-in for a contender's colour."""
    return f"#1011{entry.colour:02x}"


def marker(entry: Entry) -> str:
    """Return a contender's marker; a ninth contender has the first's colour, but never its marker too."""
    return _MARKERS[entry.index % len(_MARKERS)]


def dashes(entry: Entry) -> Any:
    """Return how a contender's lines are broken, for those who share a colour."""
    return _DASHES[entry.index // COLOURS % len(_DASHES)]


@contextmanager
def drawing(height: float) -> Iterator[tuple[Any, Any]]:
    """Give a figure with one pair of axes, with our settings whatever the user's own are.

    Args:
        height: inches.

    Raises:
        MissingDependencyError: there is no matplotlib.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "benchmark", "report.html") from error
    defaults: dict[Any, Any] = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")
    }
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Letters that its font does not have are the browser's business.
        warnings.simplefilter("ignore")
        matplotlib.rcParams.update(defaults | _SETTINGS)
        figure = Figure(figsize=(WIDTH, height))
        yield figure, figure.subplots()


def to_svg(figure: Any, key: str, title: str, description: str) -> str:
    """Return a figure as an SVG element for a page.

    Args:
        figure: of matplotlib.
        key: goes before every id in it.
        title: read by screen readers.
        description: the data in words, for the same.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(stream.getvalue())
    for element in root.iter():
        # In HTML, SVG needs no namespaces, and their addresses would be the only ones on the page.
        element.tag = element.tag.rpartition("}")[2]
        for name in [name for name in element.attrib if "}" in name]:
            element.set(name.rpartition("}")[2], element.attrib.pop(name))
    _drop(root)
    _restyle(root)
    _rename(root, key)
    root.attrib = {
        "viewBox": root.get("viewBox", "0 0 100 100"),
        "role": "img",
        "aria-labelledby": f"{key}-title {key}-desc",
    }
    for place, (tag, words) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{key}-{tag}"})
        element.text = clean(words, 4000)
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _drop(parent: ElementTree.Element) -> None:
    """Remove metadata, style sheets, comments and white space."""
    for child in list(parent):
        if child.tag in ("metadata", "style"):
            parent.remove(child)
        else:
            _drop(child)
            child.tail = None
    for child in list(parent):
        if child.tag in ("defs", "g") and not len(child):
            parent.remove(child)
    if parent.tag not in ("text", "tspan"):
        parent.text = None


def _restyle(root: ElementTree.Element) -> None:
    for element in root.iter():
        style = element.attrib.pop("style", "")
        for declaration in style.split(";"):
            name, _, value = (part.strip() for part in declaration.partition(":"))
            if name in ("font", "font-size"):  # matplotlib before 3.10 says all of the font in one
                size = re.search(r"([\d.]+)px", value)
                if size:
                    element.set("font-size", size[1])
            elif name in ("fill", "stroke", "opacity", "text-anchor") or name.startswith(("fill-", "stroke-")):
                element.set(name, _PAINTS.get(value, value))
        for name in ("d", "x", "y", "width", "height", "transform"):
            if name in element.attrib:
                element.set(name, _short(element.attrib[name]))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        if element.tag == "text" and "fill" not in element.attrib:
            element.set("fill", "currentColor")


def _short(numbers: str) -> str:
    """Return coordinates with two decimals: a hundredth of a pixel is enough, and a page of them is smaller."""
    shortened = re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), numbers)
    return " ".join(shortened.split())


def _rename(root: ElementTree.Element, key: str) -> None:
    """Drop the ids that nobody refers to and make the others the page's own."""
    used = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            used.update(re.findall(r"url\(#([^)]+)\)", value))
            if name == "href":
                used.add(value.lstrip("#"))
    names = {
        old: f"{key}-{place}" for place, old in enumerate(e.get("id", "") for e in root.iter() if e.get("id") in used)
    }
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                if value in names:
                    element.set("id", names[value])
                else:
                    del element.attrib["id"]
            elif name == "href":
                element.set(name, f"#{names[value.lstrip('#')]}")
            elif "url(#" in value:
                element.set(name, re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{names[found[1]]})", value))
