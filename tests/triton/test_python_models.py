"""The models of an exported repository, run as Triton's Python backend runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed; pip install 'gcpose-trt[triton]'")

from gcpose_trt import PoseEstimator
from gcpose_trt.triton.repository import ExportRequest, export
from tests.support.bundles import make_bundle
from tests.triton.standin import Request, Server, TritonError, TritonModelException
from tests.triton.test_serving import coloured


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "tiny")


@pytest.fixture
def server(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    export(ExportRequest(str(bundle), tmp_path / "repo", runtime="python", max_batch=4))
    return Server(tmp_path / "repo", monkeypatch)


def png(frame: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", frame)[1])


def pictures(*data: bytes, **parameters: Any) -> Request:
    return Request({"image": np.array([[item] for item in data], object)}, parameters)


def check(response: Any, row: int, expected: Any, exact: bool = True) -> None:
    arrays = response.arrays()
    count = arrays["count"][row, 0]
    assert count == len(expected)
    for name in ("boxes", "scores", "keypoints"):
        compare = np.testing.assert_array_equal if exact else np.testing.assert_allclose
        options: Any = {} if exact else {"atol": 1e-4}
        compare(arrays[name][row, :count], getattr(expected, name), **options)
        assert not arrays[name][row, count:].any()


def test_a_picture(server: Server, bundle: Path) -> None:
    frame = coloured(48, 64)
    response = server.execute("gcpose", [pictures(png(frame))])[0]
    with PoseEstimator(bundle, threads=1) as estimator:
        check(response, 0, estimator(frame))
    assert server.calls == [("gcpose", 1), ("gcpose_detector", 1), ("gcpose_pose", 1)]


def test_gathered_requests_and_a_malformed_one(server: Server, bundle: Path) -> None:
    frames = [coloured(48, 64, seed) for seed in range(3)]
    requests = [
        pictures(png(frames[0])),
        pictures(b"no picture"),
        pictures(png(frames[1]), png(np.zeros((48, 64, 3), np.uint8))),
        pictures(png(frames[2]), png(frames[2])[:50]),
        pictures(b""),
        pictures(png(frames[2]), min_score="0.1", max_people=3),
        pictures(png(frames[2]), max_people=-1),
    ]
    responses = server.execute("gcpose", requests)
    wrong = {place: response.error() for place, response in enumerate(responses) if response.has_error()}
    assert {place: error.message() for place, error in wrong.items() if error is not None} == {
        1: "input image is damaged or not an image; give a JPEG or PNG file",
        3: "input image[1] is truncated; copy it again or give another image",
        4: "input image is empty; give another image",
        6: "parameter max_people is -1; give a whole number of at least 1",
    }
    assert all(error is not None and error.code == TritonError.INVALID_ARG for error in wrong.values())
    with PoseEstimator(bundle, threads=1) as estimator:
        check(responses[0], 0, estimator(frames[0]), exact=False)
        check(responses[2], 0, estimator(frames[1]), exact=False)
    assert responses[2].arrays()["count"].tolist() == [[2], [0]]
    assert responses[5].arrays()["count"].tolist() == [[3]]
    # Three frames that share their limits in one call, and one with limits of its own.
    assert [model for model, _ in server.calls].count("gcpose_detector") == 2


def test_nobody(server: Server) -> None:
    response = server.execute("gcpose_frame", [Request({"frame": np.zeros((1, 20, 30, 3), np.uint8)})])[0]
    assert {name: array.shape for name, array in response.arrays().items()} == {
        "count": (1, 1),
        "boxes": (1, 0, 4),
        "scores": (1, 0),
        "keypoints": (1, 0, 17, 3),
    }
    assert ("gcpose_pose", 1) not in server.calls


def test_frames_of_several_sizes(server: Server, bundle: Path) -> None:
    frames = [coloured(48, 64), coloured(90, 30), coloured(48, 64, 5)]
    requests = [Request({"frame": frame[None]}) for frame in frames]
    requests.append(Request({"frame": np.zeros((1, 0, 30, 3), np.uint8)}))
    responses = server.execute("gcpose_frame", requests)
    with PoseEstimator(bundle, threads=1) as estimator:
        for response, frame in zip(responses, frames, strict=False):
            check(response, 0, estimator(frame), exact=False)
    assert "is empty" in responses[3].error().message()  # type: ignore[union-attr]


def test_a_network_that_is_not_there(server: Server) -> None:
    for model in ("gcpose_detector", "gcpose_pose"):
        server.down = model
        error = server.execute("gcpose", [pictures(png(coloured(48, 64)))])[0].error()
        assert error is not None and error.code == TritonError.INTERNAL
        assert error.message() == f"{model} failed (Server not ready at line 3); see the server's log"


def test_networks_join_what_was_gathered(server: Server) -> None:
    def ask(rows: int, side: int) -> Request:
        image = np.stack([coloured(side, 64, seed) for seed in range(rows)])
        return Request({"image": image, "image_size": np.full((rows, 2), side)})

    requests = [ask(2, 64), ask(1, 32), ask(1, 64)]
    together = server.execute("gcpose_detector", requests)
    alone = [server.execute("gcpose_detector", [request])[0] for request in requests]
    for one, other in zip(together, alone, strict=True):
        assert one.arrays()["count"].shape == (len(other.arrays()["boxes"]), 1)
        for name, array in other.arrays().items():
            np.testing.assert_allclose(one.arrays()[name], array, atol=1e-5)


def test_a_network_refuses_with_one_line(server: Server) -> None:
    bad = Request({"image": np.zeros((1, 32, 32, 4), np.uint8), "image_size": np.ones((1, 2), np.int64)})
    good = Request({"image": np.zeros((1, 32, 32, 3), np.uint8), "image_size": np.ones((1, 2), np.int64)})
    refused, answered = server.execute("gcpose_detector", [bad, good])
    assert "\n" not in refused.error().message()  # type: ignore[union-attr]
    assert not answered.has_error()
    pose = Request(
        {"p2": np.zeros((1, 1, 1, 1), np.float32), "boxes": np.zeros((1, 3), np.float32), "batch_index": np.zeros(1)}
    )
    assert server.execute("gcpose_pose", [pose])[0].has_error()


def test_a_configuration_that_was_damaged(server: Server, tmp_path: Path) -> None:
    for folder, old, new, message in (
        ("gcpose", 'string_value: "0.3"', 'string_value: "3"', "parameter min_score is '3'; give a number from 0 to 1"),
        ("gcpose", 'string_value: ""', 'string_value: "33"', None),
        ("gcpose_pose", 'string_value: "0"', 'string_value: "all"', "threads of gcpose_pose is 'all'; give a whole"),
    ):
        config = tmp_path / "repo" / folder / "config.pbtxt"
        text = config.read_text()
        assert old in text
        config.write_text(text.replace(old, new, 1))
        if message is None:
            server.load(config.parent)  # a long side of 33 pixels is a size
        else:
            with pytest.raises(TritonModelException, match=message):
                server.load(config.parent)
        config.write_text(text)
    (tmp_path / "repo" / "gcpose_pose" / "1" / "pose.onnx").write_bytes(b"no graph")
    with pytest.raises(TritonModelException, match="cannot be loaded"):
        server.load(tmp_path / "repo" / "gcpose_pose")


def test_threads_are_shared_among_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    from gcpose_trt.triton import graphs

    monkeypatch.setattr(graphs.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [graphs.threads_of(count) for count in (1, 2, 3, 16)] == [None, 4, 2, 1]


def test_settings_survive_the_configuration(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ExportRequest(
        str(bundle), tmp_path / "other", runtime="python", size="64x96", min_score=0.123456789, max_people=2, name="p.1"
    )
    plan = export(request)
    served = Server(tmp_path / "other", monkeypatch)
    settings = served.models["p.1"]._settings
    assert settings == plan.settings
    assert json.loads(served.models["p.1"].parameters["model"])["model"] == "mobile"
