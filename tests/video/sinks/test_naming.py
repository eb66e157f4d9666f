"""What outputs are called, and which are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.live_types import Reading, Status
from gcpose_trt.video.sinks import CsvSink, ImageSink, JsonLinesSink, Mp4Sink
from gcpose_trt.video.sinks.naming import plan_outputs, stream_names
from gcpose_trt.video.sinks.opening import open_outputs
from tests.video.sinks.common import result


@dataclass
class Standing:
    """A source that stands still."""

    kind: str
    path: Path | None = None
    name: str = "video0"
    uri: str = "v4l2:///dev/video0"
    frames: int | None = None
    rate: float | None = None
    warnings: list[str] = field(default_factory=list)
    reconnects: int = 0

    @property
    def live(self) -> bool:
        return self.path is None

    def read(self, timeout: float) -> Reading:
        return Reading(Status.END)

    def close(self) -> None:
        pass


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "results").mkdir()
    for name in ("clip.mp4", "a.jpg", "scan.pgm"):
        (tmp_path / name).write_text("x")
    return tmp_path


CLIP, IMAGE, SCAN = (
    Standing("video", Path("clip.mp4")),
    Standing("image", Path("a.jpg")),
    Standing("image", Path("scan.pgm")),
)
PHOTOS, PATTERN = Standing("images", Path("photos")), Standing("images", Path("photos/*.png"))
CAMERA, STREAM = Standing("camera"), Standing("stream", name="door")


def paths(captures: list[Standing], *outputs: str, jsonl: str | None = None) -> list[str]:
    return [str(plan) for plan in plan_outputs(captures, outputs, jsonl)]


@pytest.mark.parametrize(
    ("capture", "outputs", "found"),
    [
        (CLIP, [], ["output/clip_poses.mp4", "output/clip_poses.jsonl"]),
        (IMAGE, [], ["output/a_poses.jpg", "output/a_poses.jsonl"]),
        (SCAN, [], ["output/scan_poses.png", "output/scan_poses.jsonl"]),
        (PHOTOS, [], ["output/photos_poses", "output/photos_poses.jsonl"]),
        (PATTERN, [], ["output/photos_poses", "output/photos_poses.jsonl"]),
        (CAMERA, [], []),
        (CLIP, ["new/a.mp4"], ["new/a.mp4", "new/a.jsonl"]),
        (CLIP, ["results"], ["results/clip_poses.mp4", "results/clip_poses.jsonl"]),
        (CLIP, ["new/"], ["new/clip_poses.mp4", "new/clip_poses.jsonl"]),
        (CLIP, ["a.mp4", "b.jsonl", "c.csv", "d.json"], ["a.mp4", "b.jsonl", "c.csv", "d.json"]),
        (CLIP, ["c.csv"], ["c.csv"]),
        (CLIP, ["frames/*.png"], ["frames", "frames.jsonl"]),
        (IMAGE, ["results"], ["results/a_poses.jpg", "results/a_poses.jsonl"]),
        (IMAGE, ["results/*.png"], ["results/a_poses.png", "results/a_poses.jsonl"]),
        (PHOTOS, ["new"], ["new", "new.jsonl"]),
        (PHOTOS, ["new", "b.json"], ["new", "b.json", "new.jsonl"]),
        (CAMERA, ["a.mp4"], ["a.mp4"]),
        (CAMERA, ["results"], ["results/video0_poses.mp4"]),
        (CAMERA, ["mqtt://me:secret@hall/poses"], ["mqtt://hall:1883/poses"]),
    ],
)
def test_one_source(here: Path, capture: Standing, outputs: list[str], found: list[str]) -> None:
    assert paths([capture], *outputs) == found


def test_a_folder_without_a_name(here: Path) -> None:
    assert paths([PHOTOS], ".") == [".", str(here.with_name(f"{here.name}.jsonl"))]


def test_several_sources(here: Path) -> None:
    both = [CLIP, STREAM]
    assert paths(both) == ["output/clip_poses.mp4", "output/clip_poses.jsonl"]
    assert paths(both, "a.mp4") == ["a_clip.mp4", "a_clip.jsonl", "a_door.mp4"]
    assert paths(both, "a.csv", "mqtt://hall/p") == ["mqtt://hall:1883/p", "a_clip.csv", "a_door.csv"]
    assert paths([STREAM, PHOTOS], "new/", "x/*.jpg") == [
        *("new/door_poses.mp4", "x/door", "new/photos_poses", "x/photos", "new/photos_poses.jsonl")
    ]
    twins = [CAMERA, CAMERA, Standing("camera", name="video0_2")]
    assert stream_names(twins) == ("video0", "video0_2", "video0_2_2")
    assert paths(twins, "a/") == ["a/video0_poses.mp4", "a/video0_2_poses.mp4", "a/video0_2_2_poses.mp4"]


def test_lines_asked_for(here: Path) -> None:
    assert paths([CLIP], jsonl="b.txt") == ["output/clip_poses.mp4", "b.txt"]
    assert paths([CAMERA, STREAM], jsonl="b.jsonl") == ["b_video0.jsonl", "b_door.jsonl"]


@pytest.mark.parametrize(
    ("captures", "outputs", "jsonl"),
    [
        ([CLIP], ["clip.mp4"], None),
        ([CLIP], ["results/../clip.mp4"], None),
        ([CLIP], ["a.mp4"], "clip.mp4"),
        ([CAMERA, Standing("video", Path("a_video0.mp4"))], ["a.mp4"], None),
        ([CLIP], ["a.mp4"], "a.mp4"),
        ([CLIP], ["a.mp4", "results/../a.mp4"], None),
        ([CLIP], ["a.avi"], None),
        ([CLIP], ["a.jpg"], None),
        ([CLIP], ["nothing"], None),
        ([PHOTOS], ["photos"], None),
        ([PATTERN], ["photos"], None),
        ([PATTERN], ["photos/*.jpg"], None),
        ([PHOTOS], ["clip.mp4"], None),
        ([PHOTOS], ["new.mp4"], None),
        ([IMAGE], ["a.jpg"], None),
        ([IMAGE], ["b.mp4"], None),
        ([CAMERA], ["mqtt://hall"], None),
    ],
)
def test_refusals(here: Path, captures: list[Standing], outputs: list[str], jsonl: str | None) -> None:
    with pytest.raises(GcposeError) as caught:
        plan_outputs(captures, outputs, jsonl)
    assert "\n" not in str(caught.value)


def test_no_password_in_a_plan() -> None:
    (plan,) = plan_outputs([CAMERA], ["mqtt://me:secret@hall/poses"])
    assert "secret" not in f"{plan} {plan!r}"


def test_sinks_of_outputs(here: Path) -> None:
    both = [CLIP, STREAM]
    planned = plan_outputs(both, ["a.mp4", "x/*.png", "b.csv", "c.json", "d.mp4"])
    outputs = open_outputs(planned, both, segment_minutes=5, every=2.0)
    assert [(output.name, output.stream) for output in outputs] == [
        *(
            ("mp4 clip", 0),
            ("images clip", 0),
            ("csv clip", 0),
            ("coco clip", 0),
            ("mp4 clip #2", 0),
            ("jsonl clip", 0),
        ),
        *(("mp4 door", 1), ("images door", 1), ("csv door", 1), ("coco door", 1), ("mp4 door #2", 1)),
    ]
    kinds = {type(output.sink) for output in outputs[:6]}
    assert {Mp4Sink, ImageSink, CsvSink, JsonLinesSink} <= kinds
    assert all(output.lossless for output in outputs)
    for output in outputs:
        assert output.stream is not None
        with output.sink:
            for index in range(4):
                output.sink.write(result(index, float(index), stream=output.stream))
    files = sorted(str(path) for path in Path().rglob("*") if path.is_file())
    assert files == [
        *("a.jpg", "a_clip.jsonl", "a_clip_0000.mp4", "a_door_0000.mp4", "b_clip.csv", "b_door.csv"),
        *("c_clip.json", "c_door.json", "clip.mp4", "d_clip_0000.mp4", "d_door_0000.mp4", "scan.pgm"),
        *("x/clip/frame_000000.png", "x/clip/frame_000002.png", "x/door/frame_000000.png", "x/door/frame_000002.png"),
    ]
    assert '"stream":"clip"' in Path("a_clip.jsonl").read_text()


def test_one_source_needs_no_name(here: Path) -> None:
    (pictures, lines) = open_outputs(plan_outputs([CLIP]), [CLIP])
    assert (pictures.name, lines.name) == ("mp4", "jsonl")
    with lines.sink as sink:
        sink.write(result())
    assert "stream" not in Path("output/clip_poses.jsonl").read_text()


def test_an_output_that_cannot_be_written(here: Path) -> None:
    with pytest.raises(GcposeError, match="cannot write"):
        open_outputs(plan_outputs([CLIP], ["clip.mp4/a.mp4"]), [CLIP])
