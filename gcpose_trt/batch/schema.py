"""The tables of a batch: columns, types, units, and the words that describe them inside the files."""

from __future__ import annotations

from gcpose_trt.errors import MissingDependencyError
from gcpose_trt.pose.skeleton import COCO17

try:
    import pyarrow as pa
except ImportError as error:
    raise MissingDependencyError("pyarrow", "batch", "a batch") from error

VERSION = "gcpose.poses 1"
SOURCES_VERSION = "gcpose.sources 1"
VERSION_KEY = b"gcpose.schema"
COORDINATES = (
    "Continuous pixels of the upright frame: (0, 0) is the top left corner of its top left pixel, whose centre is at "
    "(0.5, 0.5); x grows to the right, y downwards. COCO's keypoint files count from that centre: subtract 0.5 there."
)


def _column(name: str, kind: pa.DataType, description: str, unit: str = "", nullable: bool = False) -> pa.Field:
    metadata = {"description": description} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


def _joints() -> list[pa.Field]:
    fields = []
    for joint in COCO17.names:
        words = joint.replace("_", " ")
        side = " (the person's own side)" if joint.startswith(("left", "right")) else ""
        fields += [
            _column(f"{joint}_x", pa.float32(), f"x of the {words}{side}; may lie outside the frame", "px"),
            _column(f"{joint}_y", pa.float32(), f"y of the {words}{side}; may lie outside the frame", "px"),
            _column(f"{joint}_score", pa.float32(), f"confidence of the {words}", "0..1"),
        ]
    return fields


POSES = pa.schema(
    [
        _column("source", pa.string(), "path or address of the video, or of the folder of pictures"),
        _column("frame", pa.int64(), "video: 0, 1, ... in the order of showing; pictures: position in the source"),
        _column("time", pa.float64(), "since the source's first frame; null for pictures", "s", nullable=True),
        _column("file", pa.string(), "path or address of the picture; null for videos", nullable=True),
        _column("person", pa.int16(), "0, 1, ... in the frame, best first"),
        _column("track", pa.int64(), "number of the person through the video, from 1; null: not followed", "", True),
        _column("box_x1", pa.float32(), "left side of the person's box", "px"),
        _column("box_y1", pa.float32(), "upper side of the person's box", "px"),
        _column("box_x2", pa.float32(), "right side of the person's box", "px"),
        _column("box_y2", pa.float32(), "lower side of the person's box", "px"),
        _column("score", pa.float32(), "confidence that the box holds a person", "0..1"),
        *_joints(),
        _column("model", pa.string(), "SHA-256 of the files of the network"),
    ],
    metadata={VERSION_KEY: VERSION.encode(), b"gcpose.coordinates": COORDINATES.encode()},
)
"""A row a person, by frame, then person: DIR/poses/source_id=ID/part-0.parquet."""

SEGMENT = pa.schema(
    [
        _column("ordinal", pa.int64(), "see Chunk.ordinals"),
        _column("time", pa.float64(), "by the stream's clock; NaN for pictures", "s"),
        _column("height", pa.int32(), "of the frame", "px"),
        _column("width", pa.int32(), "of the frame", "px"),
        _column("boxes", pa.list_(pa.float32()), "4 numbers a person", "px"),
        _column("scores", pa.list_(pa.float32()), "1 number a person", "0..1"),
        _column("keypoints", pa.list_(pa.float32()), "17 times 3 numbers a person", "px, px, 0..1"),
    ]
)
"""A row a frame: what is kept of a segment until its source is finished. Warnings and failure are metadata."""

SOURCES = pa.schema(
    [
        _column("source", pa.string(), "path or address, as in the poses"),
        _column("source_id", pa.string(), "its partition of the poses; null: it names nothing", nullable=True),
        _column("kind", pa.string(), "video or images; null where it could not be told", nullable=True),
        _column("state", pa.string(), "done, partial (see warnings) or failed (see reason)"),
        _column("frames", pa.int64(), "frames looked at"),
        _column("seconds", pa.float64(), "from the first frame to the last; 0 for pictures", "s"),
        _column("height", pa.int32(), "of the first frame", "px", nullable=True),
        _column("width", pa.int32(), "of the first frame", "px", nullable=True),
        _column("people", pa.int64(), "rows of the poses"),
        _column("tracks", pa.int64(), "different people that were followed"),
        _column("sha256", pa.string(), "of the Parquet file of the poses; null without", nullable=True),
        _column("reason", pa.string(), "why it failed; null: it did not", nullable=True),
        _column("warnings", pa.list_(pa.string()), "what could not be read, one line each"),
    ],
    metadata={VERSION_KEY: SOURCES_VERSION.encode()},
)
"""A row a source, by address: DIR/sources.parquet."""


def text(value: str) -> str:
    """Return a string as Parquet takes it: bytes of a file name that are no UTF-8 are written out as escapes."""
    return value.encode("utf-8", "backslashreplace").decode()


def describe(schema: pa.Schema | None = None) -> str:
    """Return a Markdown table of the columns of a schema; None is `POSES`."""
    lines = ["| Column | Type | Unit | Meaning |", "|---|---|---|---|"]
    for field in POSES if schema is None else schema:
        words = field.metadata
        null = ", null" if field.nullable else ""
        unit = words.get(b"unit", b"").decode()
        lines.append(f"| `{field.name}` | {field.type}{null} | {unit} | {words[b'description'].decode()} |")
    return "\n".join(lines) + "\n"
